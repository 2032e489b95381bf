from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.latent.layer_requests import first_view, make_request
from vae_explorer.latent import stretch_layer
from vae_explorer.latent.drawing import LayerDrawing
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.geodesics import geodesic
from vae_explorer.latent.geometry import Surface, surface_of
from vae_explorer.latent.isochrones import isochrones
from vae_explorer.latent.layers import LAYERS, Focus, StretchOptions
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.pacing import finished
from vae_explorer.latent.views import LineView, PlaneView, View
from vae_explorer.models.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]
RECT = MapRect(-2.0, -1.5, 2.0, 1.5)


def explorer_of(snapshot: Snapshot) -> Explorer:
    explorer = Explorer()
    explorer.adopt(snapshot)
    return explorer


def drawn(explorer: Explorer, options: StretchOptions | None = None, **request: Any) -> list[LayerDrawing]:
    request.setdefault("rect", RECT)
    steps = list(LAYERS["stretch"].draw(explorer, make_request(explorer, options or StretchOptions(), **request)))
    shown = [step for step in steps if step is not None]
    assert [each.is_whole for each in shown] == [False] * (len(shown) - 1) + [True]
    return shown


def levels(drawing: LayerDrawing) -> np.ndarray:
    """Which colour of the ramp of the tests each pixel has."""
    return drawing.rasters[0].pixels[..., 0].astype(float) / 255.0


def factors_by_autograd(explorer: Explorer, z_ND: np.ndarray, view: View, metric: str) -> np.ndarray:
    precise = copy.deepcopy(explorer.network).double()
    tangents_N2D = np.stack(view.tangents(view.project(z_ND)), axis=1)
    factors = []
    for z_D, tangents_2D in zip(torch.from_numpy(z_ND), tangents_N2D, strict=True):

        def picture(z: torch.Tensor) -> torch.Tensor:
            decoded = precise.decode(z[None])
            return (decoded.logits_BCHW if metric == "fisher" else decoded.mean_BCHW).flatten()

        J_PD = torch.autograd.functional.jacobian(picture, z_D).numpy()
        if metric == "fisher":
            p = precise.decode(z_D[None]).mean_BCHW.detach().flatten().numpy()
            J_PD = J_PD * np.sqrt(p * (1 - p))[:, None]
        J_P2 = J_PD @ tangents_2D.T
        factors.append(np.sqrt(np.linalg.det(J_P2.T @ J_P2) / np.linalg.det(tangents_2D @ tangents_2D.T)))
    return np.array(factors)


VIEWS = {
    2: PlaneView.of_dimensions(0, 1, np.zeros(2)),
    5: PlaneView.through(
        np.array([0.3, 0, 0, -0.5, 1]), np.array([2.0, 0, 0, 1, 0]), np.array([0.0, 1, 0.5, 0, 0]), ("a", "b")
    ),
}


@pytest.mark.parametrize("metric", ["fisher", "mean"])
@pytest.mark.parametrize("dimensions", [2, 5])
def test_the_colour_is_the_determinant_of_autograds_jacobian(
    make_snapshot: MakeSnapshot, dimensions: int, metric: str
) -> None:
    explorer, view = explorer_of(make_snapshot(dimensions=dimensions)), VIEWS[dimensions]
    *_, last = drawn(explorer, StretchOptions(metric=metric), view=view)
    (field,) = explorer.cache["stretch fields"].values()
    rows, columns = field.factor_RC.shape
    assert (rows, columns) == (48, 64)
    some = [(0, 0), (10, 20), (24, 32), (40, 5), (47, 63)]
    xy = [
        (last.rect.left + (c + 0.5) * last.rect.width / columns, last.rect.top - (r + 0.5) * last.rect.height / rows)
        for r, c in some
    ]
    wanted = factors_by_autograd(explorer, view.lift(np.array(xy)), view, metric)
    assert [field.factor_RC[at] for at in some] == pytest.approx(wanted, rel=2e-3)

    low, high = np.percentile(np.log10(field.factor_RC), [1, 99])
    height, width = levels(last).shape
    for (x, y), factor in zip(xy[1:4], wanted[1:4], strict=True):
        pixel = levels(last)[
            int((last.rect.top - y) / last.rect.height * height), int((x - last.rect.left) / last.rect.width * width)
        ]
        assert pixel == pytest.approx(np.clip((np.log10(factor) - low) / (high - low), 0, 1), abs=0.06)


def test_the_layer_says_what_it_shows_with_units(explorer: Explorer) -> None:
    fisher, mean = drawn(explorer)[-1], drawn(explorer, StretchOptions(metric="mean"))[-1]
    assert fisher.legend is not None
    assert mean.legend is not None
    assert fisher.legend.title == "Magnification, Fisher metric"
    assert fisher.legend.unit == "per unit² of latent area; length 1 is a KL of ½ nat"
    assert mean.legend.title == "Magnification, mean pictures"
    assert mean.legend.unit == "per unit² of latent area; pixels from 0 to 1"
    assert fisher.legend.ramp == "sequential"
    for role, text in fisher.legend.entries:
        assert role in ("text", "muted")
        assert "nats" in text or text.startswith("Dashed")
    assert fisher.readout.startswith("median ")
    assert fisher.readout != mean.readout
    fields = [field for key, field in explorer.cache["stretch fields"].items() if key[3] == "fisher"]
    low, middle, high = np.percentile(fields[0].factor_RC, [1, 50, 99])
    assert f"median {middle:.3g} " in fisher.readout
    assert f"{low:.3g}–{high:.3g}" in fisher.readout


def test_ticks_are_plain_numbers_where_they_belong(explorer: Explorer) -> None:
    *_, last = drawn(explorer)
    (field,) = explorer.cache["stretch fields"].values()
    low, high = np.percentile(np.log10(field.factor_RC), [1, 99])
    assert last.legend is not None
    ticks = last.legend.ticks
    assert 2 <= len(ticks) <= 4
    for fraction, text in ticks:
        assert 0.0 <= fraction <= 1.0
        assert "e" not in text
        assert np.log10(float(text.replace(",", ""))) == pytest.approx(low + fraction * (high - low), abs=0.02)


@pytest.mark.parametrize(
    "span",
    [(-9.0, -1.0), (0.0, 0.1), (1.0, 2.0), (-3.0, 5.0), (2.01, 2.9), (-4.2, -1.1), (0.3, 2.2), (2.0136, 2.1404)],
)
def test_a_few_ticks_stand_in_one_line_of_220_pixels(span: tuple[float, float]) -> None:
    ticks = stretch_layer._ticks(*span)
    assert 2 <= len(ticks) <= 4
    end = -7.0
    for share, text in ticks:
        assert 0.0 <= share <= 1.0
        left = min(max(220 * share - 3.5 * len(text), 0), 220 - 7 * len(text))
        assert left >= end + 7
        end = left + 7 * len(text)


def test_ticks_are_as_many_as_fit() -> None:
    assert [text for _, text in stretch_layer._ticks(1.0, 2.0)] == ["10", "20", "50", "100"]
    assert [text for _, text in stretch_layer._ticks(0.3, 2.2)] == ["3", "10", "30", "100"]


def test_a_coarse_drawing_comes_first_and_only_at_a_new_place(make_snapshot: MakeSnapshot) -> None:
    explorer = explorer_of(make_snapshot(seed=1))
    assert len(drawn(explorer)) == 2
    explorer.adopt(make_snapshot(seed=2, step=1))
    assert len(drawn(explorer)) == 1
    assert len(drawn(explorer, rect=MapRect(-1, -1, 1, 1))) == 2


def test_colours_follow_slowly_from_snapshot_to_snapshot(make_snapshot: MakeSnapshot) -> None:
    explorer = explorer_of(make_snapshot(seed=1))

    def colours() -> tuple[float, float, float]:
        drawn(explorer)
        (field,) = explorer.cache["stretch fields"].values()
        (known,) = explorer.lasting.values()
        return known.low, known.high, float(np.percentile(np.log10(field.factor_RC), 1))

    first_low, _, measured = colours()
    assert first_low == pytest.approx(measured)
    explorer.adopt(make_snapshot(seed=2, step=1))
    low, high, measured = colours()
    assert low == pytest.approx(first_low + 0.3 * (measured - first_low))
    assert colours()[:2] == (low, high)


def test_a_frame_that_follows_the_codes_keeps_its_colours(make_snapshot: MakeSnapshot) -> None:
    explorer = explorer_of(make_snapshot(seed=1))
    assert len(drawn(explorer)) == 2
    before = next(iter(explorer.lasting.values()))
    assert len(drawn(explorer, rect=MapRect(-1.9, -1.5, 2.1, 1.5))) == 1
    after = next(iter(explorer.lasting.values()))
    measured = np.percentile(np.log10(list(explorer.cache["stretch fields"].values())[-1].factor_RC), 99)
    assert after.high == pytest.approx(before.high + 0.3 * (measured - before.high))
    assert len(drawn(explorer, view=VIEWS[2], rect=MapRect(8, 8, 12, 11))) == 2


def test_turning_the_ellipses_off_measures_nothing(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    with_ellipses = drawn(explorer)[-1]
    monkeypatch.setattr(stretch_layer, "pull_back_in_steps", None)
    without = drawn(explorer, StretchOptions(shows_ellipses=False))[-1]
    assert with_ellipses.strokes
    assert not without.strokes
    assert np.array_equal(without.rasters[0].pixels, with_ellipses.rasters[0].pixels)
    assert drawn(explorer, StretchOptions(shows_mesh=True))[-1].strokes


def test_an_ellipse_holds_steps_of_equal_change(explorer: Explorer) -> None:
    drawing = drawn(explorer)[-1]
    view = VIEWS[2]
    lines = [
        line
        for strokes in drawing.strokes
        if not strokes.is_dashed
        for line in np.split(strokes.xy_P2, strokes.starts[1:])
    ]
    assert lines
    changes, radii = [], []
    for line in lines:
        centre = line[:-1].mean(axis=0)
        steps = (line[:-1] - centre) * 1e-3
        G = stretch_layer.pull_back_in_steps(
            stretch_layer.surface_of(explorer, "fisher"), view.lift(centre[None]), *view.tangents(centre[None])
        )
        found = _last(G)
        changes.append(np.sqrt(np.einsum("ni,ij,nj->n", steps, found.G_NKK[0], steps)) * 1e3)
        radii.append(np.sqrt(np.linalg.norm(line - centre, axis=1).min() * np.linalg.norm(line - centre, axis=1).max()))
    step = np.median(np.concatenate(changes))
    # The ellipses are of the metric between the lattice's points.
    assert np.median([change.max() / change.min() for change in changes]) < 1.1
    deviations = np.abs([np.median(change) / step - 1.0 for change in changes])
    assert np.percentile(deviations, 80) < 0.1
    assert drawing.legend is not None
    assert any(f"KL of {0.5 * step * step:.1g}"[:8] in text for _, text in drawing.legend.entries)
    pixel = RECT.width / 300
    assert 8 * pixel < np.median(radii) < 20 * pixel


def _last(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_mesh_lines_cut_rows_at_equal_change(explorer: Explorer) -> None:
    drawing = drawn(explorer, StretchOptions(metric="mean", shows_ellipses=False, shows_mesh=True))[-1]
    (strokes,) = drawing.strokes
    lines = np.split(strokes.xy_P2, strokes.starts[1:])
    (field,) = explorer.cache["stretch fields"].values()
    row = 20
    y = field.rect.top - (row + 0.5) * field.rect.height / 48
    cuts = sorted(
        float(line[at, 0])
        for line in lines
        if np.ptp(line[:, 1]) > 0 and len(set(np.round(np.diff(line[:, 1]), 9))) == 1
        for at in np.flatnonzero(np.abs(line[:, 1] - y) < 1e-9)
    )
    assert len(cuts) > 8
    fine = [np.linspace(a, b, 30) for a, b in pairwise(cuts)]
    changes = []
    for part in fine:
        pictures = explorer.decode_mean(np.stack([part, np.full(30, y)], axis=1)).reshape(30, -1).astype(np.float64)
        changes.append(np.linalg.norm(np.diff(pictures, axis=0), axis=1).sum())
    assert changes == pytest.approx(np.full(len(changes), np.median(changes)), rel=0.05)
    assert drawing.legend is not None
    assert any(text.startswith("Mesh: a change of") for _, text in drawing.legend.entries)


def test_one_dimension_is_a_ribbon_of_the_rate_of_change(make_snapshot: MakeSnapshot) -> None:
    explorer = explorer_of(make_snapshot(dimensions=1))
    (drawing,) = drawn(explorer, StretchOptions(metric="mean", shows_mesh=True), view=LineView())
    (field,) = explorer.cache["stretch fields"].values()
    z = field.rect.left + (np.array([17, 128, 201]) + 0.5) * field.rect.width / 256
    precise = copy.deepcopy(explorer.network).double()
    wanted = [
        float(
            torch.autograd.functional.jacobian(
                lambda x: precise.decode(x[None]).mean_BCHW, torch.tensor([at], dtype=torch.float64)
            ).norm()
        )
        for at in z.tolist()
    ]
    assert field.factor_RC[0, [17, 128, 201]] == pytest.approx(wanted, rel=1e-3)
    assert drawing.legend is not None
    assert drawing.legend.title == "Rate of change, mean pictures"
    assert drawing.legend.unit.startswith("per unit of latent length")
    assert drawing.strokes
    assert np.ptp(levels(drawing), axis=0).max() == 0.0


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_a_decoder_of_nothing_finite_is_said(make_snapshot: MakeSnapshot, dimensions: int) -> None:
    snapshot = make_snapshot(dimensions=dimensions)
    broken = {name: value * torch.nan for name, value in snapshot.weights.items()}
    explorer = explorer_of(replace(snapshot, weights=broken))
    *_, last = drawn(explorer, StretchOptions(shows_mesh=True), view=VIEWS.get(dimensions, LineView()))
    assert last.readout == "The decoder gives nothing finite here"
    assert not last.rasters[0].pixels.any()
    assert not last.strokes


def test_places_that_are_not_finite_are_left_out(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = explorer.network.decode
    monkeypatch.setattr(explorer.network, "decode", lambda z: decode(torch.where(z[:, :1] > 0.5, torch.nan, 1.0) * z))
    *_, last = drawn(explorer, StretchOptions(shows_mesh=True))
    alpha = last.rasters[0].pixels[..., 3]
    width = alpha.shape[1]
    assert (alpha[:, int(width * 0.65) :] == 0).all()
    assert (alpha[:, : int(width * 0.55)] == 255).all()
    for strokes in last.strokes:
        assert np.isfinite(strokes.xy_P2).all()


def test_a_flat_decoder_has_a_drawing(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    flat = {name: value * 0.0 for name, value in snapshot.weights.items()}
    *_, last = drawn(explorer_of(replace(snapshot, weights=flat)), StretchOptions(shows_mesh=True))
    assert last.readout == "median 0 · 1–99 %: 0–0"
    assert not last.strokes


def test_a_model_without_fisher_is_measured_in_mean_pictures_and_says_so(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Shown:
        mean_BCHW: torch.Tensor

    decode = explorer.network.decode
    monkeypatch.setattr(explorer.network, "decode", lambda z: Shown(decode(z).mean_BCHW))
    *_, last = drawn(explorer, StretchOptions(metric="fisher"))
    assert last.legend is not None
    assert last.legend.title == "Magnification, mean pictures"
    assert last.readout.endswith("no Fisher metric")


def test_a_view_of_another_space_draws_nothing(explorer: Explorer) -> None:
    request = make_request(explorer, StretchOptions(), view=VIEWS[5])
    assert list(LAYERS["stretch"].draw(explorer, request)) == []


def test_steps_are_short_and_fields_are_few(make_snapshot: MakeSnapshot) -> None:
    explorer = explorer_of(make_snapshot())
    list(LAYERS["stretch"].draw(explorer, make_request(explorer, StretchOptions(shows_mesh=True), rect=RECT)))
    explorer.cache.clear()
    explorer.lasting.clear()
    steps = LAYERS["stretch"].draw(explorer, make_request(explorer, StretchOptions(shows_mesh=True), rect=RECT))
    seconds = []
    while True:
        began = time.thread_time()
        if next(steps, "end") == "end":
            break
        seconds.append(time.thread_time() - began)
    assert len(seconds) > 5
    assert max(seconds) < 0.04
    for shift in range(12):
        drawn(explorer, rect=MapRect(shift, 0, shift + 1, 1))
    assert len(explorer.cache["stretch fields"]) <= 8


def test_neither_the_weights_nor_the_global_generator_are_touched(explorer: Explorer) -> None:
    before, weights = torch.random.get_rng_state(), copy.deepcopy(explorer.network.state_dict())
    drawn(explorer)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(value, weights[name]) for name, value in explorer.network.state_dict().items())
    assert all(parameter.grad is None for parameter in explorer.network.parameters())


def test_isochrones_are_lines_of_equal_path_length_from_the_selected_pin(make_snapshot: MakeSnapshot) -> None:
    explorer = explorer_of(make_snapshot())
    pin = np.array([0.4, -0.3])
    options = StretchOptions("fisher", shows_ellipses=False, shows_isochrones=True)
    without = drawn(explorer, options)[-1]
    assert "selected pin: set one" in without.readout
    assert without.strokes == ()
    whole = drawn(explorer, options, focus=Focus(pin_D=pin))[-1]
    (entry,) = [text for role, text in whole.legend.entries if role == "accent"]
    step = float(entry.split("path length ")[1].split()[0])
    assert "Fisher metric" in entry
    assert len(whole.strokes) == 1
    assert len(whole.words) >= 3
    # A second method: the straight way to a point of the first line is never much shorter than its length.
    surface = surface_of(explorer, "fisher")
    first = min(whole.words, key=lambda word: float(word.text))
    assert float(first.text) == pytest.approx(step)
    way = geodesic(surface, np.array([pin, [first.x, first.y]]), first_view(2), None)
    assert finished(way).length == pytest.approx(step, rel=0.06)
    # The same place and pin are not looked for again; another pin is.
    kept = explorer.cache["isochrones"]
    drawn(explorer, options, focus=Focus(pin_D=pin))
    assert explorer.cache["isochrones"] is kept
    drawn(explorer, options, focus=Focus(pin_D=-pin))
    assert explorer.cache["isochrones"] is not kept
    assert "out of sight" in drawn(explorer, options, focus=Focus(pin_D=np.array([90.0, 0.0])))[-1].readout


def test_isochrones_of_a_flat_surface_are_circles() -> None:
    def flat(z_N2: torch.Tensor) -> Any:
        return SimpleNamespace(mean_BCHW=z_N2[:, :, None, None])

    found = finished(isochrones(Surface(flat), first_view(2), RECT, np.array([0.2, 0.1])))
    assert len(found.lines) >= 5
    for line, level in zip(found.lines, found.levels, strict=True):
        # Sixteen directions: never shorter than the circle, and 3 % longer at most.
        radius = np.hypot(*(line - [0.2, 0.1]).T)
        assert radius.max() <= level + 0.05
        assert radius.min() >= level / 1.03 - 0.05
