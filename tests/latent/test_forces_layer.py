from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

from tests.latent.layer_requests import RECT, drawings, make_request
from vae_explorer.errors import UserError
from vae_explorer.latent.curved_views import InverseCdfView, SphereView
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.forces_layer import balance_words, gradients
from vae_explorer.latent.layers import LAYERS, Focus, ForcesOptions
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.pacing import finished
from vae_explorer.latent.views import PlaneView, View
from vae_explorer.models.gaussian import kl_from_standard_normal

WIDE = MapRect(-30.0, -30.0, 30.0, 30.0)


@pytest.fixture
def make_explorer(make_snapshot: Any, tiny_dataset: Any) -> Any:
    def make(dimensions: int = 2) -> Explorer:
        explorer = Explorer()
        explorer.adopt(make_snapshot(dimensions=dimensions, num_codes=300))
        explorer.show_images(tiny_dataset)
        return explorer

    return make


def test_the_kl_pulls_with_minus_the_mean() -> None:
    mean = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    log_variance = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(kl_from_standard_normal(mean, log_variance).sum(), mean)
    assert torch.allclose(-gradient, -mean)


def test_the_reconstruction_pulls_with_the_gradient_by_differences(make_explorer: Any) -> None:
    explorer = make_explorer()
    ids = np.array([4, 90, 211])
    forces = finished(gradients(explorer, ids))
    x = explorer.seen(ids).double()
    network = explorer.network.double()
    with torch.no_grad():
        q = network.encode(x)
        noise = explorer.lasting[("noise of forces", 2)][torch.from_numpy(ids)].double()
        assert noise.sum(1).abs().max() == 0

        def score(shift: torch.Tensor) -> np.ndarray:
            z = q.mean[:, None] + shift + q.standard_deviation[:, None] * noise
            many = x.repeat_interleave(4, dim=0)
            return network.decode(z.flatten(0, 1)).log_prob(many).view(3, 4).mean(1).numpy()

        for axis in range(2):
            step = torch.zeros(2, dtype=torch.float64)
            step[axis] = 1e-6
            slope = (score(step) - score(-step)) / 2e-6
            assert forces.reconstruction_ND[:, axis] == pytest.approx(slope, rel=1e-3, abs=1e-3)
    assert forces.mean_ND == pytest.approx(q.mean.numpy(), abs=1e-4)


def test_arrows_stand_at_the_means_and_their_scale_is_told(make_explorer: Any) -> None:
    explorer = make_explorer()
    last = drawings("forces", explorer, make_request(explorer, ForcesOptions(50), rect=WIDE))[-1]
    kl, reconstruction = last.strokes
    # Neither is the accent, which is the path's, the active pin's and nearly the first class's.
    assert (kl.role, reconstruction.role) == ("text", "positive")
    assert last.legend.entries[:2] == (("positive", "reconstruction"), ("text", "β × KL"))
    assert kl.has_heads
    bases = reconstruction.xy_P2[::2]
    ends = kl.xy_P2[1::2] - kl.xy_P2[::2]
    # The KL pulls towards the origin.
    assert (ends * kl.xy_P2[::2]).sum(axis=1).max() < 0
    ids = explorer.cache["forces in sight"][next(iter(explorer.cache["forces in sight"]))]
    forces = finished(gradients(explorer, ids))
    assert np.abs(np.sort(bases[:, 0])[[0, -1]] - np.sort(forces.mean_ND[:, 0])[[0, -1]]).max() < 2
    lengths = np.concatenate([
        np.linalg.norm(forces.reconstruction_ND, axis=1), np.linalg.norm(forces.mean_ND, axis=1)
    ])  # fmt: skip
    pixels = 42 / np.percentile(lengths, 90)
    said = next(name for role, name in last.legend.entries if role == "muted")
    nats, drawn = float(said.split()[0]), float(said.split()[-2])
    assert drawn == pytest.approx(nats * pixels, abs=0.51)
    longest = np.hypot(*(reconstruction.xy_P2[1::2] - bases).T).max()
    assert longest == pytest.approx(
        np.linalg.norm(forces.reconstruction_ND, axis=1).max() * pixels * 60 / 300, rel=1e-3
    )
    outward = (forces.reconstruction_ND * forces.mean_ND).sum() / (forces.mean_ND**2).sum()
    assert f"inward β KL = {outward:.2f} ±" in last.readout


def curved_views() -> dict[str, tuple[View, MapRect]]:
    shear = PlaneView.through(np.zeros(4), np.array([3.0, 0, 0, 0]), np.array([1.0, 0.5, 0, 0]), ("a", "b"))
    return {
        "inverse-cdf": (InverseCdfView.of_dimensions(0, 2, np.zeros(4)), MapRect(-0.1, -0.1, 1.1, 1.1)),
        "sphere": (SphereView.through(np.eye(4)[[2, 0, 1]]), MapRect(-8.0, -8.0, 8.0, 8.0)),
        "sheared plane": (shear, WIDE),
    }


@pytest.mark.parametrize("name", list(curved_views()))
def test_the_legend_holds_where_a_map_unit_is_no_latent_unit(make_explorer: Any, name: str) -> None:
    view, rect = curved_views()[name]
    explorer = make_explorer(4)
    options = ForcesOptions(60)
    last = drawings("forces", explorer, make_request(explorer, options, rect=rect, view=view))[-1]
    said = next(text for role, text in last.legend.entries if role == "muted")
    pixels_a_nat = float(said.split()[-2]) / float(said.split()[0])
    (ids,) = explorer.cache["forces in sight"].values()
    assert len(ids) > 20
    forces = finished(gradients(explorer, ids))
    base = view.project(forces.mean_ND)
    for strokes, pull_ND in zip(last.strokes, (-forces.mean_ND, forces.reconstruction_ND), strict=True):
        start, end = strokes.xy_P2[::2], strokes.xy_P2[1::2]
        drawn = np.hypot(*(end - start).T) * 300 / rect.width
        which = np.array([np.hypot(*(base - xy).T).argmin() for xy in start], dtype=np.intp)
        if name == "sphere" and strokes is last.strokes[0]:
            # The KL pulls straight to the sphere's centre, along which this view does not see.
            assert not len(which)
            continue
        assert len(which) > 20
        seen_ND = seen_part(name, forces.mean_ND, pull_ND)[which]
        # In pixels the legend rounds to whole ones: half of one in the 20 to 42 that it names.
        assert drawn == pytest.approx(np.linalg.norm(seen_ND, axis=1) * pixels_a_nat, rel=0.03)
        # Its direction is that in which a small step moves the place on the map.
        moved = view.project(forces.mean_ND + 1e-5 * pull_ND)[which] - base[which]
        cosine = ((end - start) * moved).sum(1) / np.hypot(*(end - start).T) / np.hypot(*moved.T)
        assert cosine.min() > 0.999


def seen_part(name: str, mean_ND: np.ndarray, pull_ND: np.ndarray) -> np.ndarray:
    """The part of a force that a view sees, by hand: two coordinates, or what is across the radius in three."""
    if name == "sphere":
        seen = pull_ND.copy()
        seen[:, 3] = 0.0
        radial = mean_ND.copy()
        radial[:, 3] = 0.0
        radial /= np.linalg.norm(radial, axis=1, keepdims=True)
        return seen - (seen * radial).sum(1, keepdims=True) * radial
    return pull_ND[:, [0, 2]] if name == "inverse-cdf" else pull_ND[:, [0, 1]]


def test_the_balance_is_one_where_training_has_come_to_rest() -> None:
    random = np.random.default_rng(0)
    mean = random.normal(size=(2000, 2))
    # Images of their own pull anywhere; along the mean, on average, with twice what a KL of beta 1 pulls back.
    pull = 2.0 * mean + 5.0 * random.normal(size=(2000, 2))
    said = balance_words(mean, pull, -mean, 2.0)
    ratio, error = float(said.split()[7]), float(said.split()[9])
    assert ratio == pytest.approx(1.0, abs=4 * error)
    # The error of a mean of 2,000 terms with spread 5 |m|, over beta times the sum of |m|^2 = 4,000.
    assert error == pytest.approx(5 * np.sqrt(4000) / (2.0 * 4000), rel=0.1)
    assert balance_words(mean, pull, -mean, 0.0) == "Nothing opposes the reconstruction"


def test_moving_beta_asks_the_decoder_for_nothing(make_explorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = make_explorer()
    options = ForcesOptions(200)
    before = drawings("forces", explorer, make_request(explorer, options, rect=WIDE))[-1]
    monkeypatch.setattr(explorer.network, "decode", None)
    monkeypatch.setattr(explorer.network, "encode", None)
    seconds = []
    for beta in (3.0, 4.0, 2.0, 0.0):
        began = time.perf_counter()
        steps = list(LAYERS["forces"].draw(explorer, make_request(explorer, options, Focus(beta=beta), WIDE)))
        seconds.append(time.perf_counter() - began)
        assert len(steps) == 1
        after = steps[0]
        assert np.array_equal(after.strokes[1].xy_P2, before.strokes[1].xy_P2)
        if beta == 2.0:
            double = after.strokes[0].xy_P2[1::2] - after.strokes[0].xy_P2[::2]
            single = before.strokes[0].xy_P2[1::2] - before.strokes[0].xy_P2[::2]
            if len(double) == len(single):
                assert double == pytest.approx(2 * single)
    assert len(after.strokes[0].xy_P2) == 0
    assert "Nothing opposes" in after.readout
    assert min(seconds) < 0.005


def test_items_stay_when_the_map_is_moved_a_little(make_explorer: Any) -> None:
    explorer = make_explorer()

    def shown(rect: MapRect) -> set[int]:
        drawings("forces", explorer, make_request(explorer, ForcesOptions(30), rect=rect))
        (ids,) = explorer.cache["forces in sight"].values()
        return set(ids.tolist())

    first, moved = shown(RECT), shown(MapRect(-2.9, -2.0, 3.1, 2.0))
    assert len(first & moved) >= 25


@pytest.mark.parametrize("dimensions", [1, 6])
def test_in_other_dimensions(make_explorer: Any, dimensions: int) -> None:
    explorer = make_explorer(dimensions)
    request = make_request(explorer, ForcesOptions(40), rect=WIDE)
    last = drawings("forces", explorer, request)[-1]
    assert len(last.strokes[1].xy_P2) > 20
    if dimensions == 1:
        assert (last.strokes[1].xy_P2[::2, 1] == last.strokes[1].xy_P2[1::2, 1]).all()
        assert np.unique(last.strokes[1].xy_P2[:, 1]).size > 10


def test_bad_input(make_explorer: Any, make_snapshot: Any, tiny_dataset: Any) -> None:
    explorer = make_explorer()
    far = MapRect(500.0, 500.0, 501.0, 501.0)
    assert drawings("forces", explorer, make_request(explorer, rect=far))[-1].readout == "No codes in sight."
    spoilt = make_snapshot(num_codes=300)
    spoilt.codes_ND[::2] = float("nan")
    for name, value in spoilt.weights.items():
        if name.startswith("decoder"):
            value.fill_(float("nan"))
    explorer.adopt(spoilt)
    assert "not finite" in drawings("forces", explorer, make_request(explorer, rect=WIDE))[-1].readout
    alone = Explorer()
    alone.adopt(make_snapshot())
    with pytest.raises(UserError, match="not loaded"):
        drawings("forces", alone, make_request(alone))
    other = PlaneView.of_dimensions(0, 1, np.zeros(4))
    assert drawings("forces", alone, make_request(alone, view=other))[-1].strokes == ()
    # More codes than images, as between two data sets: no item is asked for that is not there.
    mixed = Explorer()
    mixed.adopt(make_snapshot(num_codes=900))
    mixed.show_images(tiny_dataset)
    drawings("forces", mixed, make_request(mixed, ForcesOptions(400), rect=WIDE))
    (ids,) = mixed.cache["forces in sight"].values()
    assert ids.max() < 300
