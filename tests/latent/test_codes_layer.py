from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import numpy as np
import pytest

from tests.latent.item_scenes import last_of, make_images, make_scene, returned_by
from tests.latent.layer_requests import RECT, drawings, first_view, make_ink, make_request
from vae_explorer.errors import UserError
from vae_explorer.latent.code_layer import extent_of
from vae_explorer.latent.code_pictures import most_with_room, paste, prepared_tiles, with_room
from vae_explorer.latent.code_raster import raster_codes
from vae_explorer.latent.code_values import ItemValues, complete_values, prepared_values
from vae_explorer.latent.codes_layer import draw, off_plane_steps
from vae_explorer.latent.curved_views import InverseCdfView
from vae_explorer.latent.drawing import LayerDrawing
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.layers import CodesOptions, Focus
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PRIOR_RECT
from vae_explorer.models.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]
POINTS = CodesOptions(style="points")
EVERYWHERE = MapRect(-6.0, -4.0, 6.0, 4.0)


def last(
    scene: Explorer, options: CodesOptions = POINTS, focus: Focus | None = None, rect: MapRect = RECT
) -> LayerDrawing:
    return drawings("codes", scene, make_request(scene, options, focus, rect))[-1]


def pixel_of(drawing: LayerDrawing, x: float, y: float) -> np.ndarray:
    (raster,) = drawing.rasters
    height, width = raster.pixels.shape[:2]
    row = int((raster.rect.top - y) / raster.rect.height * height)
    return raster.pixels[row, int((x - raster.rect.left) / raster.rect.width * width)]


def test_points_are_all_codes_in_the_colours_of_their_classes(make_snapshot: MakeSnapshot) -> None:
    dataset = make_images()
    scene = make_scene(make_snapshot(), dataset=dataset)
    drawing, ink = last(scene), make_ink()
    colour_N = (np.arange(500) % 3).astype(np.uint8)
    placed = scene.code_layer.placed(scene, first_view(2))
    assert placed is not None
    pixels, num_shown = raster_codes(placed.xy_N2, colour_N[placed.order_N], RECT, 300, 200, ink.classes_K4, 1.0)
    assert np.array_equal(drawing.rasters[0].pixels, pixels)
    assert drawing.readout == f"showing {num_shown:,} of 500 codes"
    assert drawing.extras["num_shown"] == num_shown < 500 == drawing.extras["num_codes"]
    assert drawing.extras["extent"] == placed.extent
    assert drawing.legend is not None
    assert drawing.legend.entries == (("class:0", "a"), ("class:1", "b"), ("class:2", "c"))
    assert not drawing.extras["is_unfinished"]


def test_without_labels_all_have_one_colour(make_snapshot: MakeSnapshot) -> None:
    for dataset in (None, make_images(has_labels=False), make_images(20)):
        pixels = last(make_scene(make_snapshot(), dataset=dataset)).rasters[0].pixels
        assert np.unique(pixels[pixels[..., 3] > 0], axis=0).tolist() == [make_ink().accent_4.tolist()]


def test_the_selected_keep_their_colour_and_nobody_moves_or_goes(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).uniform(-2, 2, size=(500, 2))
    codes[8:40] = codes[7]  # some under and some over a selected one
    scene = make_scene(make_snapshot(), codes, make_images())
    before = last(scene)
    selected_N = np.zeros(500, dtype=bool)
    selected_N[[7, 100]] = True
    after = last(scene, focus=Focus(selected_N=selected_N))
    assert np.array_equal(before.rasters[0].pixels[..., 3] > 0, after.rasters[0].pixels[..., 3] > 0)
    assert after.readout == "showing 500 of 500 codes · 2 selected"
    for item in (7, 100):
        assert pixel_of(after, *codes[item]).tolist() == make_ink().classes_K4[item % 3].tolist()
    alpha = after.rasters[0].pixels[..., 3]
    assert set(np.unique(alpha).tolist()) == {0, 46, 255}  # 0.18 of 255 is 45.9
    assert (alpha == 255).sum() < 40
    # A selection of the items of other images means nothing here.
    assert "selected" not in last(scene, focus=Focus(selected_N=selected_N[:20])).readout
    empty = last(scene, focus=Focus(selected_N=np.zeros(500, dtype=bool)))
    assert empty.readout.endswith(" · 0 selected")


def test_what_is_hovered_changes_nothing_of_the_drawing(make_snapshot: MakeSnapshot) -> None:
    """The ring is the person's mark and painted over the map; codes drawn with one would keep it after leaving."""
    scene = make_scene(make_snapshot())
    plain, hovered = last(scene), last(scene, focus=Focus(hovered_item=33))
    assert plain.strokes == hovered.strokes == ()
    assert np.array_equal(plain.rasters[0].pixels, hovered.rasters[0].pixels)


def test_codes_that_are_not_finite_are_left_out_and_counted(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).normal(size=(500, 2)) * 0.5
    codes[:5] = np.nan
    codes[5:7, 1] = np.inf
    scene = make_scene(make_snapshot(), codes, make_images())
    for style in ("automatic", "points", "density", "pictures"):
        for colour_by in ("label", "none", "elbo", "distance"):
            drawing = last(scene, CodesOptions(colour_by, style), Focus(selected_N=np.arange(500) < 99))
            assert drawing.readout.startswith("showing 493 of 500 codes · 99 selected")
    nowhere = make_scene(make_snapshot(), np.full((500, 2), np.nan), make_images())
    drawing = last(nowhere, CodesOptions())
    assert drawing.readout == "showing 0 of 500 codes"
    assert drawing.extras["extent"] == MapRect(-3, -3, 3, 3)


def test_the_extent_of_an_untrained_net_is_its_dot() -> None:
    xy = np.random.default_rng(0).normal([0.4, 0.1], 0.01, size=(5000, 2))
    assert extent_of(xy, PRIOR_RECT, is_trained=True) == MapRect(-3, -3, 3, 3)
    dot = extent_of(xy, PRIOR_RECT, is_trained=False)
    assert 0.04 < dot.width < 0.08
    assert dot.centre == (pytest.approx(0.4, abs=0.01), pytest.approx(0.1, abs=0.01))
    assert extent_of(np.zeros((4, 2)), PRIOR_RECT, is_trained=False).width > 0
    assert extent_of(xy * 100, PRIOR_RECT, is_trained=True).right > 41


def test_the_extent_holds_the_home_of_the_view_and_no_more(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).normal(size=(500, 2))
    square = InverseCdfView.of_dimensions(0, 1, np.zeros(2))
    scene = make_scene(make_snapshot(), codes, step=1)
    placed = scene.code_layer.placed(scene, square)
    assert placed is not None
    assert placed.extent == MapRect(0.0, 0.0, 1.0, 1.0)
    assert extent_of(np.full((4, 2), np.nan), square.home, is_trained=True) == square.home


def test_the_extent_follows_the_step(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).normal(size=(500, 2)) * 0.01
    assert last(make_scene(make_snapshot(), codes, step=0)).extras["extent"].width < 0.2
    assert last(make_scene(make_snapshot(), codes, step=1)).extras["extent"].width == 6.0


def test_codes_fade_with_their_distance_off_the_plane(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).normal(size=(500, 3)) * [1, 1, 0.5]
    codes[:3] = [[-2.5, 1.5, 0.0], [2.5, 1.5, 30.0], [2.5, -1.5, np.median(np.abs(codes[:, 2]))]]
    scene = make_scene(make_snapshot(dimensions=3), codes)
    drawing = last(scene)
    alphas = [int(pixel_of(drawing, *codes[item, :2])[3]) for item in range(3)]
    # exp(-1/2) = 0.61 is two quarters; a quarter is the least.
    assert alphas == [255, 64, 128]
    assert drawing.readout.startswith("showing ")


def test_opacity_is_in_quarters_of_the_gaussian_and_never_nothing() -> None:
    distance = np.array([0.0, 0.4, 1.0, 1.0, 1.0, 1.5, 40.0, np.nan, np.inf])
    assert off_plane_steps(distance).tolist() == [3, 3, 1, 1, 1, 0, 0, 0, 0]
    assert off_plane_steps(np.zeros(4)).tolist() == [3] * 4


def test_values_colour_the_codes_and_say_how_many_are_known(
    make_snapshot: MakeSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(make_snapshot(num_codes=5000), dataset=make_images(5000))
    monkeypatch.setattr("vae_explorer.latent.code_colours.prepared_values", prepared_for_a_moment)
    drawing = last(scene, CodesOptions("kl", "points"))
    known = int(drawing.readout.split("values of ")[1].split(" of")[0].replace(",", ""))
    assert 0 < known < 5000
    assert drawing.readout.endswith("of 5,000")
    assert drawing.extras["is_unfinished"]
    assert drawing.legend is not None
    assert drawing.legend.entries == (("muted", "not known yet"),)
    returned_by(complete_values(scene, "kl"))
    scene.adopt(replace(make_snapshot(seed=2, num_codes=5000), step=1400))
    drawing = last(scene, CodesOptions("kl", "points"))
    assert drawing.readout.endswith(" codes · as of step 10 to 1,400")
    assert drawing.legend is not None
    assert (drawing.legend.title, drawing.legend.unit, drawing.legend.ramp) == ("KL", "nats", "sequential")
    assert len(drawing.legend.ticks) == 3


def prepared_for_a_moment(explorer: Explorer, name: str) -> Generator[None, None, ItemValues]:
    return (yield from prepared_values(explorer, name, seconds=1e-9))


def test_a_value_is_a_colour_of_the_ramp(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).normal(size=(500, 3))
    codes[0], codes[1] = [-2.7, 1.7, 0.0], [2.7, 1.7, 50.0]
    scene = make_scene(make_snapshot(dimensions=3), codes)
    drawing = last(scene, CodesOptions("distance", "points"))
    ramp = make_ink().ramp_256
    assert pixel_of(drawing, -2.7, 1.7).tolist() == ramp[0].tolist()
    assert pixel_of(drawing, 2.7, 1.7).tolist() == np.rint(ramp[255] * 0.25).tolist()
    assert drawing.legend is not None
    assert drawing.legend.unit == "latent units"


def test_the_style_follows_the_crowd_and_does_not_flicker(make_snapshot: MakeSnapshot) -> None:
    rng = np.random.default_rng(0)
    few = make_scene(make_snapshot(), rng.uniform(-2, 2, size=(5000, 2)))
    assert last(few, CodesOptions()).extras["style"] == "points"
    crowd = make_scene(make_snapshot(), rng.normal(size=(150_000, 2)) * 0.5)
    drawing = last(crowd, CodesOptions())
    assert drawing.extras["style"] == "density"
    assert drawing.rasters[0].is_smooth
    assert len(drawing.strokes[0].starts) >= 3
    assert drawing.legend is not None
    assert "50, 80 and 95 %" in drawing.legend.entries[-1][1]
    # 35 % of the pixels are shared: points stay points, and density stays density.
    between = make_snapshot(), rng.uniform([-3, -2], [3, 2], size=(48_000, 2))
    fresh = make_scene(*between)
    assert last(fresh, CodesOptions()).extras["style"] == "points"
    fresh.lasting["codes are dense"] = True
    assert last(fresh, CodesOptions()).extras["style"] == "density"


def test_density_dims_what_is_not_selected(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).normal(size=(30_000, 2))
    scene = make_scene(make_snapshot(), codes, make_images(30_000))
    density = CodesOptions(style="density")
    (whole,) = last(scene, density).rasters
    selected_N = np.arange(30_000) < 50
    dimmed, chosen = last(scene, density, Focus(selected_N=selected_N)).rasters
    assert dimmed.pixels[..., 3].max() < 0.2 * 255 < whole.pixels[..., 3].max()
    assert chosen.pixels.shape[:2] == (200, 300)
    assert 40 < (chosen.pixels[..., 3] == 255).sum() < 50 * 9
    _, many = last(scene, density, Focus(selected_N=np.arange(30_000) < 29_000)).rasters
    assert many.is_smooth


def test_far_in_codes_become_their_own_pictures(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).uniform(-60, 60, size=(500, 2))
    codes[42] = [0.0, 0.0]
    dataset = make_images()
    scene = make_scene(make_snapshot(), codes, dataset)
    rect = MapRect(-0.3, -0.2, 0.3, 0.2)
    drawing = last(scene, CodesOptions(), rect=rect)
    assert drawing.extras["style"] == "pictures"
    assert drawing.readout == "showing 1 of 500 codes"
    pixels = drawing.rasters[0].pixels
    rows, columns = np.nonzero(pixels[..., 3])
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (68, 132, 118, 182)
    frame = make_ink().classes_K4[42 % 3]
    assert (pixels[68, 118:182] == frame).all()
    assert (pixels[68:132, 181] == frame).all()
    # The tile is item 42 and no other: it is nearest to the shrunk drawing of its stored picture.
    drawn = pixels[68:132, 118:182, 0].astype(float).reshape(8, 8, 8, 8)[:, 2:6, :, 2:6].mean(axis=(1, 3))
    stored = dataset.images.images_NCHW.numpy()[:, 0].astype(float)
    likeness = [np.corrcoef(drawn.ravel(), picture.ravel())[0, 1] for picture in stored]
    assert int(np.argmax(likeness)) == 42
    assert list(scene.lasting["code pictures"]) == [42]
    assert last(scene, POINTS, rect=rect).extras["style"] == "points"
    assert last(make_scene(make_snapshot(), codes), CodesOptions(), rect=rect).extras["style"] == "points"


def test_the_same_item_wins_at_every_drawing_and_the_selected_first(make_snapshot: MakeSnapshot) -> None:
    codes = np.zeros((500, 2))
    scene = make_scene(make_snapshot(), codes, make_images())
    pictures = CodesOptions(style="pictures")
    last(scene, pictures)
    (winner,) = scene.lasting["code pictures"]
    last(scene, pictures, rect=EVERYWHERE)
    assert list(scene.lasting["code pictures"]) == [winner]
    other = (winner + 1) % 500
    last(scene, pictures, Focus(selected_N=np.arange(500) == other))
    assert list(scene.lasting["code pictures"]) == [winner, other]


def test_pictures_never_overlap_and_stay_few() -> None:
    points = np.random.default_rng(0).uniform(0, 1000, size=(3000, 2))
    chosen = with_room(points, 20.0)
    apart = np.abs(points[chosen][:, None] - points[chosen][None]).max(axis=2)
    np.fill_diagonal(apart, 99)
    assert apart.min() >= 20
    assert len(chosen) == 400
    assert chosen[0] == 0
    some = points[:60]
    side, shown = returned_by(most_with_room(some, (200.0, 50.0, 20.0)))
    assert side == 50.0
    assert len(shown) >= 36
    assert returned_by(most_with_room(np.zeros((9, 2)), (30.0, 20.0)))[0] == 20.0


def test_pictures_are_kept_but_not_for_ever(make_snapshot: MakeSnapshot) -> None:
    scene = make_scene(make_snapshot(), dataset=make_images(2600, image_shape=(1, 4, 4)))
    tiles = returned_by(prepared_tiles(scene, np.arange(400), 6, make_ink()))
    assert tiles.shape == (400, 6, 6, 4)
    for start in range(400, 2600, 200):
        returned_by(prepared_tiles(scene, np.arange(start, start + 200), 6, make_ink()))
    assert len(scene.lasting["code pictures"]) == 2000
    assert 0 not in scene.lasting["code pictures"]
    oblong = make_scene(make_snapshot(), dataset=make_images(5, num_heldout=0, image_shape=(3, 4, 8)))
    assert returned_by(prepared_tiles(oblong, np.arange(5), 16, make_ink())).shape == (5, 8, 16, 4)


def test_a_picture_over_the_edge_is_cut_off() -> None:
    pixels, tile = np.zeros((10, 10, 4), np.uint8), np.full((6, 6, 4), 7, np.uint8)
    paste(pixels, tile, 0.0, 9.0, np.full(4, 200, np.uint8), 1)
    assert (pixels[..., 0] > 0).sum() == 3 * 4
    assert pixels[6, 0, 0] == 200
    assert pixels[8, 1, 0] == 7
    paste(pixels, tile, 50.0, 50.0, np.full(4, 200, np.uint8), 1)
    assert (pixels[..., 0] > 0).sum() == 3 * 4


@pytest.mark.parametrize("style", ["points", "density", "pictures"])
def test_the_opacity_of_the_layer_is_in_the_pixels(make_snapshot: MakeSnapshot, style: str) -> None:
    scene = make_scene(make_snapshot(), np.random.default_rng(0).normal(size=(500, 2)), make_images())
    request = make_request(scene, CodesOptions(style=style))
    whole = last_of(draw(scene, request)).rasters[0].pixels[..., 3].astype(float)
    half = last_of(draw(scene, replace(request, opacity=0.5))).rasters[0].pixels[..., 3]
    assert np.abs(half - whole / 2).max() <= 1.0


def test_on_a_line_and_in_many_dimensions(make_snapshot: MakeSnapshot) -> None:
    for dimensions in (1, 7):
        scene = make_scene(make_snapshot(dimensions=dimensions), dataset=make_images())
        for colour_by in ("label", "elbo", "reconstruction", "kl", "distance"):
            drawing = last(scene, CodesOptions(colour_by))
            assert drawing.rasters[0].pixels[..., 3].any()


def test_what_cannot_be_drawn_says_so(make_snapshot: MakeSnapshot) -> None:
    scene = make_scene(make_snapshot())
    for options in (CodesOptions("elbo"), CodesOptions(style="pictures")):
        with pytest.raises(UserError, match="not loaded"):
            list(draw(scene, make_request(scene, options)))
    scene.adopt(replace(make_snapshot(), codes_ND=None))
    with pytest.raises(UserError, match="no codes"):
        list(draw(scene, make_request(scene)))
    other = make_scene(make_snapshot(dimensions=5))
    assert list(draw(other, make_request(other, view=first_view(2)))) == []
