from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.latent.layer_requests import first_view
from tests.model_data import data_space_for
from vae_explorer.errors import UserError
from vae_explorer.latent import manifold
from vae_explorer.latent.curved_views import InverseCdfView
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.lattice import CellRange
from vae_explorer.latent.manifold import ManifoldPicture, ManifoldRequest, resampled, tiled
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PlaneView
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.snapshot import Snapshot

INK = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
MakeSnapshot = Callable[..., Snapshot]


def direct_mean(snapshot: Snapshot, z_ND: np.ndarray) -> np.ndarray:
    """What a network made by hand from the snapshot decodes."""
    model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
    model.load_state_dict(dict(snapshot.weights))
    model.eval()
    with torch.no_grad():
        return model.decode(torch.from_numpy(z_ND).float()).mean_BCHW.numpy()


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_decoding_through_a_view_equals_decoding_directly(make_snapshot: MakeSnapshot, dimensions: int) -> None:
    snapshot = make_snapshot(dimensions=dimensions)
    explorer = Explorer()
    explorer.adopt(snapshot)
    view = first_view(dimensions)
    xy_N2 = np.random.default_rng(0).normal(size=(700, 2)) * 2
    z_ND = view.lift(xy_N2)
    assert np.abs(explorer.decode_mean(z_ND) - direct_mean(snapshot, z_ND)).max() < 1e-6
    rounded = np.round(direct_mean(snapshot, z_ND)[:, 0] * 255)
    assert np.abs(explorer.decode(z_ND).astype(float) - rounded).max() <= 1


def test_pictures_have_their_channels_last(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(image_shape=(3, 6, 8))
    explorer = Explorer()
    explorer.adopt(snapshot)
    z_ND = np.zeros((2, 2))
    assert explorer.decode(z_ND).shape == (2, 6, 8, 3)
    wanted = np.moveaxis(direct_mean(snapshot, z_ND), 1, -1) * 255
    assert np.abs(explorer.decode(z_ND) - wanted).max() <= 1


def test_adopting_changes_neither_the_snapshot_nor_the_global_generator(make_snapshot: MakeSnapshot) -> None:
    first, second = make_snapshot(seed=1), make_snapshot(seed=2)
    kept = {name: value.clone() for name, value in first.weights.items()}
    before = torch.random.get_rng_state()
    explorer = Explorer()
    explorer.adopt(first)
    explorer.adopt(second)
    explorer.sample(4, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first.weights[name], value) for name, value in kept.items())
    assert explorer.stamp == second.stamp
    z_ND = np.ones((1, 2))
    assert np.abs(explorer.decode_mean(z_ND) - direct_mean(second, z_ND)).max() < 1e-6


@pytest.mark.parametrize("name", MODELS.names())
def test_every_model_can_be_built_without_drawing_its_weights(name: str) -> None:
    """The explorer builds on the meta device: all that a model holds must be in its state_dict."""
    record = MODELS[name]
    with torch.device("meta"):
        hollow = build_model(name, record.config_type(), data_space_for(record))
    whole = build_model(name, record.config_type(), data_space_for(record))
    hollow.load_state_dict(whole.state_dict(), assign=True)
    held = [*hollow.parameters(), *hollow.buffers()]
    assert not any(tensor.is_meta for tensor in held)


def test_the_same_samples_however_many_are_shown(explorer: Explorer) -> None:
    assert np.array_equal(explorer.sample(3, seed=5)[0], explorer.sample(10, seed=5)[0][:3])
    assert not np.array_equal(explorer.sample(3, seed=5)[0], explorer.sample(3, seed=6)[0])


def test_log_prior_is_the_standard_normal(explorer: Explorer) -> None:
    z_ND = np.array([[0.0, 0.0], [1.0, -2.0]])
    wanted = -0.5 * (z_ND**2).sum(axis=1) - np.log(2 * np.pi)
    assert explorer.log_prior(z_ND) == pytest.approx(wanted, abs=1e-6)


def test_reconstructions_decode_the_encoded_mean(explorer: Explorer) -> None:
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    codes_ND = explorer.encode(images)
    assert codes_ND.shape == (5, 2)
    seen, decoded = explorer.reconstruct(images)
    assert np.array_equal(seen, images.squeeze(1).numpy())
    assert np.array_equal(decoded, explorer.decode(codes_ND))


def test_without_a_snapshot_there_is_a_sentence() -> None:
    with pytest.raises(UserError, match="no model to look at"):
        Explorer().decode(np.zeros((1, 2)))


def test_codes_stand_by_item_and_what_is_not_finite_stands_nowhere(
    explorer: Explorer, make_snapshot: MakeSnapshot
) -> None:
    snapshot = make_snapshot(num_codes=400)
    assert snapshot.codes_ND is not None
    snapshot.codes_ND[::2] = float("nan")
    explorer.adopt(snapshot)
    placed = explorer.code_layer.placed(explorer, first_view(2))
    assert placed is not None
    assert np.array_equal(placed.xy_N2, snapshot.codes_ND.numpy()[placed.order_N], equal_nan=True)
    assert sorted(placed.order_N) == list(range(400))
    assert np.isfinite([placed.extent.width, placed.extent.height]).all()


def draw(explorer: Explorer, rect: MapRect, level: int = 0, scale: float = 8.0) -> list[ManifoldPicture]:
    view = first_view(explorer.num_dimensions)
    steps = explorer.manifold.pictures(explorer, ManifoldRequest(view, rect, level, scale, INK))
    return [step for step in steps if step is not None]


@pytest.mark.parametrize("image_shape", [(1, 8, 8), (3, 8, 8)])
def test_cells_of_the_manifold_equal_direct_decodes(
    make_snapshot: MakeSnapshot, image_shape: tuple[int, int, int]
) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(image_shape=image_shape))
    rect = MapRect(-3.2, -2.2, 3.2, 2.2)
    picture = draw(explorer, rect)[-1]
    cells = CellRange.covering(rect, 0)
    assert picture.is_whole
    assert picture.rect == cells.rect
    # Eight screen pixels a unit and pictures of eight: one pixel on one pixel.
    pictures = explorer.decode(first_view(2).lift(cells.centres()))
    for number, (x, y) in enumerate(cells.centres()):
        left, top = round((x - 0.5 - cells.rect.left) * 8), round((cells.rect.top - y - 0.5) * 8)
        shown = picture.pixels[top : top + 8, left : left + 8]
        wanted = pictures[number][..., None] if image_shape[0] == 1 else pictures[number][..., ::-1]
        assert np.array_equal(shown[..., :3], np.broadcast_to(wanted, (8, 8, 3)))
        assert np.all(shown[..., 3] == 255)


def test_panning_decodes_only_what_came_into_sight(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    decode = explorer.decode
    monkeypatch.setattr(explorer, "decode", lambda z_ND: decoded.append(len(z_ND)) or decode(z_ND))
    draw(explorer, MapRect(-3.2, -2.2, 3.2, 2.2))
    assert sum(decoded) == 7 * 5
    decoded.clear()
    draw(explorer, MapRect(-2.2, -2.2, 4.2, 2.2))
    assert sum(decoded) == 5
    decoded.clear()
    draw(explorer, MapRect(-2.2, -2.2, 4.2, 2.2), scale=9.0)
    assert decoded == []


def test_a_new_snapshot_draws_every_cell_anew(explorer: Explorer, make_snapshot: MakeSnapshot) -> None:
    rect = MapRect(-3.2, -2.2, 3.2, 2.2)
    before = draw(explorer, rect)[-1]
    explorer.adopt(make_snapshot(seed=3))
    after = draw(explorer, rect)[-1]
    fresh = Explorer()
    fresh.adopt(make_snapshot(seed=3))
    assert not np.array_equal(before.pixels, after.pixels)
    assert np.array_equal(draw(fresh, rect)[-1].pixels, after.pixels)


def test_a_slow_decoder_shows_a_coarse_view_first_and_an_abandoned_drawing_is_not_lost(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer.manifold._seconds_per_cell = 0.01
    rect = MapRect(-5.2, -5.2, 5.2, 5.2)
    view = first_view(2)
    request = ManifoldRequest(view, rect, 0, 8.0, INK)
    steps = explorer.manifold.pictures(explorer, request)
    first = next(step for step in steps if step is not None)
    assert first.is_coarse
    assert first.level == 2
    assert first.rect.contains(rect)
    next(steps)
    steps.close()
    decoded: list[int] = []
    decode = explorer.decode
    monkeypatch.setattr(explorer, "decode", lambda z_ND: decoded.append(len(z_ND)) or decode(z_ND))
    last = list(explorer.manifold.pictures(explorer, request))[-1]
    assert last is not None
    assert last.is_whole
    assert 0 < sum(decoded) < 11 * 11


def test_a_view_of_another_space_draws_nothing(explorer: Explorer) -> None:
    view = PlaneView.of_dimensions(0, 1, np.zeros(4))
    request = ManifoldRequest(view, MapRect(-1, -1, 1, 1), 0, 8.0, INK)
    assert list(explorer.manifold.pictures(explorer, request)) == []


@pytest.mark.parametrize("image_shape", [(1, 8, 8), (3, 8, 8)])
def test_only_cells_that_show_a_latent_point_are_decoded_and_the_rest_is_transparent(
    make_snapshot: MakeSnapshot, image_shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(image_shape=image_shape))
    decoded: list[int] = []
    decode = explorer.decode
    monkeypatch.setattr(explorer, "decode", lambda z_ND: decoded.append(len(z_ND)) or decode(z_ND))
    square = InverseCdfView.of_dimensions(0, 1, np.zeros(2))

    def whole(rect: MapRect) -> ManifoldPicture:
        picture = list(explorer.manifold.pictures(explorer, ManifoldRequest(square, rect, -2, 32.0, INK)))[-1]
        assert picture is not None
        assert picture.is_whole
        return picture

    # Cells around -0.5, -0.25, ..., 1.5, eight pixels wide: three a side are around points inside the square.
    picture = whole(MapRect(-0.5, -0.5, 1.5, 1.5))
    assert sum(decoded) == 9
    assert not picture.is_opaque
    is_painted = np.zeros((72, 72), dtype=bool)
    is_painted[24:48, 24:48] = True
    assert np.array_equal(picture.pixels[..., 3] == 255, is_painted)
    assert not picture.pixels[~is_painted].any()
    assert whole(MapRect(0.2, 0.2, 0.8, 0.8)).is_opaque
    assert not whole(MapRect(2.1, 2.1, 2.9, 2.9)).pixels.any()
    assert sum(decoded) == 9


def test_a_view_without_edges_is_opaque(explorer: Explorer) -> None:
    assert draw(explorer, MapRect(-3.2, -2.2, 3.2, 2.2))[-1].is_opaque


def test_oblong_pictures_are_centred_in_square_cells() -> None:
    cells = np.full((2, 3, 4, 6), 7, dtype=np.uint8)
    image = tiled(cells)
    assert image.shape == (12, 18)
    assert image.sum() == 7 * cells.size
    assert image[0].sum() == 0
    assert image[1].min() == 7


def test_resampling_keeps_the_mean_grey() -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(64, 96), dtype=np.uint8)
    for width, height in ((150, 100), (48, 32)):
        assert resampled(image, width, height).mean() == pytest.approx(image.mean(), abs=2.0)
    assert resampled(np.stack([image] * 3, axis=2), 50, 40).shape == (40, 50, 3)


def test_pictures_are_seen_under_the_runs_protocol_and_do_not_flicker(make_snapshot: MakeSnapshot) -> None:
    explorer = Explorer()
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    for protocol in ("dynamic", "threshold"):
        explorer.adopt(make_snapshot(protocol=protocol))
        seen, _ = explorer.reconstruct(images)
        assert set(np.unique(seen)) == {0, 255}
        again, _ = explorer.reconstruct(images)
        assert np.array_equal(seen, again)
    assert np.array_equal(seen, np.where(images.squeeze(1).numpy() > 127, 255, 0))


def test_what_must_not_jump_lasts_for_one_run_and_one_data_set(explorer: Explorer, make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    explorer.adopt(snapshot)
    explorer.lasting["range"] = (0.0, 1.0)
    explorer.adopt(dataclasses.replace(snapshot, stamp=snapshot.stamp + 1, step=snapshot.step + 1))
    assert explorer.lasting == {"range": (0.0, 1.0)}
    explorer.adopt(dataclasses.replace(snapshot, stamp=snapshot.stamp + 2, run_name="another run"))
    assert explorer.lasting == {}


def test_samples_come_with_the_points_they_were_decoded_from(explorer: Explorer) -> None:
    pictures, z_ND = explorer.sample(5, seed=3)
    assert z_ND is not None
    assert np.array_equal(explorer.decode(z_ND), pictures)


def test_zooming_out_and_back_decodes_nothing_anew(
    explorer: Explorer, make_snapshot: MakeSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    decode = explorer.decode
    monkeypatch.setattr(explorer, "decode", lambda z_ND: decoded.append(len(z_ND)) or decode(z_ND))
    view = first_view(2)
    near, far = MapRect(-1.0, -1.0, 1.0, 1.0), MapRect(-4.0, -4.0, 4.0, 4.0)

    def draw(rect: MapRect, level: int) -> tuple[int, np.ndarray]:
        decoded.clear()
        request = ManifoldRequest(view, rect, level, 32.0, INK)
        picture = [one for one in explorer.manifold.pictures(explorer, request) if one is not None][-1]
        return sum(decoded), picture.pixels

    num_first, first = draw(near, -3)
    assert num_first >= 16 * 16
    assert draw(far, -1)[0] > 0
    num_again, again = draw(near, -3)
    assert num_again == 0
    assert np.array_equal(again, first)
    assert draw(far, -1)[0] == 0
    # There and back at one level.
    assert draw(MapRect(5.0, 5.0, 7.0, 7.0), -3)[0] > 0
    assert draw(near, -3)[0] == 0
    # Of other weights, nothing.
    explorer.adopt(make_snapshot(seed=1))
    num_other, other = draw(near, -3)
    assert num_other == num_first
    assert not np.array_equal(other, first)


def test_what_is_kept_of_the_manifold_is_bounded(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifold, "MOST_KEPT_BYTES", 100_000)
    view = first_view(2)
    for number in range(12):
        rect = MapRect(3.0 * number, 0.0, 3.0 * number + 2.0, 2.0)
        list(explorer.manifold.pictures(explorer, ManifoldRequest(view, rect, -3, 32.0, INK)))
        assert 0 < explorer.manifold.num_kept_bytes <= 100_000
    monkeypatch.setattr(manifold, "MOST_KEPT_BYTES", 1)
    # The block in sight is kept whatever it holds.
    list(explorer.manifold.pictures(explorer, ManifoldRequest(view, MapRect(0, 0, 2, 2), -3, 32.0, INK)))
    assert len(explorer.manifold._kept) == 1
