from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.latent.layer_requests import first_view
from vae_explorer.errors import UserError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.geometry import step_lengths_along, surface_of
from vae_explorer.latent.pacing import finished
from vae_explorer.latent.path_catalogue import PATH_METRICS, PATHS, SPEEDS, Bend, PathChoice
from vae_explorer.latent.paths import PathResult, path
from vae_explorer.latent.views import LineView, PlaneView
from vae_explorer.models.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]
ENDS = np.array([[-1.5, 0.4], [1.2, -0.7]])


def walked(explorer: Explorer, ends_KD: Any, choice: PathChoice, view: Any = None) -> PathResult:
    *steps, last = path(explorer, np.asarray(ends_KD, dtype=float), choice, view)
    assert steps
    assert not any(steps)
    assert last is not None
    return last


def explorer_of(snapshot: Snapshot) -> Explorer:
    explorer = Explorer()
    explorer.adopt(snapshot)
    return explorer


def visual_steps(explorer: Explorer, z_FD: np.ndarray) -> np.ndarray:
    pictures = explorer.decode_mean(z_FD).reshape(len(z_FD), -1).astype(np.float64)
    return np.linalg.norm(np.diff(pictures, axis=0), axis=1)


def test_straight_is_linear_interpolation(explorer: Explorer) -> None:
    result = walked(explorer, ENDS, PathChoice("straight", num_frames=7))
    t = np.linspace(0, 1, 7)[:, None]
    assert result.z_FD == pytest.approx(ENDS[0] * (1 - t) + ENDS[1] * t, abs=1e-12)
    assert result.z_FD[[0, -1]].tolist() == ENDS.tolist()
    assert result.saved == 0.0
    assert result.kind == "straight"
    assert not result.note
    assert np.array_equal(result.pictures_F, explorer.decode(result.z_FD))


def test_lengths_are_those_of_the_pictures_along_the_way(explorer: Explorer) -> None:
    result = walked(explorer, ENDS, PathChoice("straight", num_frames=5))
    t = np.linspace(0, 1, 4001)[:, None]
    steps = visual_steps(explorer, ENDS[0] * (1 - t) + ENDS[1] * t)
    wanted = np.concatenate([[0.0], np.cumsum(steps)])[::1000]
    assert result.visual_length_F == pytest.approx(wanted, rel=5e-3)
    assert result.length == pytest.approx(wanted[-1], rel=5e-3)
    assert result.straight_length == result.length


@pytest.mark.parametrize("speed", SPEEDS.names())
def test_what_is_straight_saves_exactly_nothing(explorer: Explorer, speed: str) -> None:
    ends = [*ENDS.tolist(), [2.0, 1.5]]
    result = walked(explorer, ends, PathChoice("straight", speed))
    assert result.saved == 0.0
    assert result.straight_length == result.length
    along = walked(explorer, [[0.5, 0.5], [1.5, 1.5]], PathChoice("spherical", speed))
    assert along.saved == 0.0
    bent = walked(explorer, ENDS, PathChoice("straight", speed, bends=(Bend(0, (0.0, 1.0)),)))
    assert bent.saved < 0.0
    # Batches follow the clock, and with them the last bits.
    assert bent.straight_length == pytest.approx(walked(explorer, ENDS, PathChoice("straight", speed)).length, rel=1e-6)


@pytest.mark.parametrize("kind", PATHS.names())
def test_equal_visual_speed_is_equal_to_ten_percent(explorer: Explorer, kind: str) -> None:
    choice = PathChoice(kind, "visual", num_frames=60)
    result = walked(explorer, ENDS, choice, first_view(2))
    assert np.diff(result.visual_length_F) == pytest.approx(np.full(59, result.length / 59), rel=0.1)
    fine = np.concatenate(
        [np.linspace(a, b, 40, endpoint=False) for a, b in zip(result.z_FD, result.z_FD[1:], strict=False)]
    )
    between = visual_steps(explorer, np.concatenate([fine, result.z_FD[-1:]])).reshape(59, 40).sum(axis=1)
    assert between == pytest.approx(np.full(59, between.mean()), rel=0.1)
    latent = walked(explorer, ENDS, replace(choice, speed="latent"), first_view(2))
    steps = np.linalg.norm(np.diff(latent.z_FD, axis=0), axis=1)
    if kind != "graph":  # whose corners are cut by frames
        assert steps == pytest.approx(np.full(59, steps.mean()), rel=0.02)


def test_spherical_keeps_the_radius_of_equal_radii_and_turns_evenly(make_snapshot: MakeSnapshot) -> None:
    explorer = explorer_of(make_snapshot(dimensions=5))
    ends = np.random.default_rng(0).normal(size=(2, 5))
    ends *= 2.0 / np.linalg.norm(ends, axis=1, keepdims=True)
    result = walked(explorer, ends, PathChoice("spherical"))
    assert np.linalg.norm(result.z_FD, axis=1) == pytest.approx(np.full(11, 2.0), rel=1e-4)
    angles = np.arccos(np.sum(result.z_FD[1:] * result.z_FD[:-1], axis=1) / 4.0)
    assert angles == pytest.approx(np.full(10, angles.mean()), rel=1e-3)
    assert result.kind == "spherical"


def test_spherical_changes_the_radius_evenly(explorer: Explorer) -> None:
    result = walked(explorer, [[1.0, 0.0], [0.0, 3.0]], PathChoice("spherical"))
    angle = np.arctan2(result.curve_PD[:, 1], result.curve_PD[:, 0])
    assert np.linalg.norm(result.curve_PD, axis=1) == pytest.approx(1.0 + 2.0 * angle / (np.pi / 2), rel=2e-3)


@pytest.mark.parametrize("ends", [[[1.0, 2.0], [-2.0, -4.0]], [[0.0, 0.0], [1.0, 1.0]]])
def test_spherical_without_a_way_around_is_straight_and_says_so(explorer: Explorer, ends: Any) -> None:
    result = walked(explorer, ends, PathChoice("spherical"))
    assert result.kind == "straight"
    assert result.note.endswith("so the path is straight.")
    assert result.z_FD[5] == pytest.approx(np.mean(ends, axis=0))


def test_the_graph_path_passes_through_codes(explorer: Explorer) -> None:
    result = walked(explorer, ENDS, PathChoice("graph"))
    codes_ND = explorer.codes()
    assert codes_ND is not None
    on_curve = [bool((np.abs(result.curve_PD - code_D).max(axis=1) < 1e-6).any()) for code_D in codes_ND]
    assert sum(on_curve) >= 3
    assert result.kind == "graph"
    inside = result.curve_PD[5:-5]
    to_codes = np.linalg.norm(inside[:, None] - codes_ND[None], axis=2).min(axis=1)
    straight = walked(explorer, ENDS, PathChoice("straight")).curve_PD[5:-5]
    assert to_codes.mean() < np.linalg.norm(straight[:, None] - codes_ND[None], axis=2).min(axis=1).mean()


def test_codes_in_groups_are_said(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(num_codes=100)
    codes_ND = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)) * 0.1
    codes_ND[50:] += 8.0
    result = walked(explorer_of(replace(snapshot, codes_ND=codes_ND)), [[0, 0], [8, 8]], PathChoice("graph"))
    assert result.note.startswith("The codes fall into 2 groups")
    assert result.kind == "graph"


@pytest.mark.parametrize("codes", ["none", "not finite"])
def test_no_codes_leave_the_straight_line_and_a_sentence(make_snapshot: MakeSnapshot, codes: str) -> None:
    codes_ND = None if codes == "none" else torch.full((20, 2), torch.nan)
    explorer = explorer_of(replace(make_snapshot(), codes_ND=codes_ND))
    result = walked(explorer, ENDS, PathChoice("graph"), first_view(2))
    assert result.kind == "straight"
    assert "no codes" in result.note
    assert result.num_near_F is None
    assert walked(explorer, ENDS, PathChoice("geodesic"), first_view(2)).kind == "geodesic"


@pytest.mark.parametrize("dimensions", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_the_geodesic_saves_length(make_snapshot: MakeSnapshot, dimensions: int, seed: int) -> None:
    explorer = explorer_of(make_snapshot(seed=seed, dimensions=dimensions))
    ends = np.random.default_rng(seed).normal(size=(2, dimensions)) * 1.5
    result = walked(explorer, ends, PathChoice("geodesic", "visual"), first_view(dimensions))
    assert 0.0 <= result.saved < 1.0
    assert result.length <= result.straight_length
    assert result.z_FD[[0, -1]] == pytest.approx(ends, abs=1e-12)
    back = walked(explorer, ends[::-1], PathChoice("geodesic", "visual"), first_view(dimensions))
    assert back.length == pytest.approx(result.length, rel=0.01)


def test_the_geodesic_saves_more_than_nothing_where_there_is_a_shorter_way(make_snapshot: MakeSnapshot) -> None:
    saved = [
        walked(explorer_of(make_snapshot(seed=seed)), ENDS, PathChoice("geodesic"), first_view(2)).saved
        for seed in range(4)
    ]
    assert max(saved) > 0.01


def test_more_pins_are_met_in_order(explorer: Explorer) -> None:
    ends = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]])
    for kind in PATHS.names():
        result = walked(explorer, ends, PathChoice(kind, num_frames=21), first_view(2))
        at = [np.abs(result.curve_PD - end_D).max(axis=1).argmin() for end_D in ends]
        assert result.curve_PD[at] == pytest.approx(ends, abs=1e-9)
        assert at == sorted(at)
        assert result.z_FD[[0, -1]] == pytest.approx(ends[[0, 2]], abs=1e-9)


@pytest.mark.parametrize("kind", PATHS.names())
def test_a_bend_bends_its_segment_through_its_point(explorer: Explorer, kind: str) -> None:
    ends = np.array([[-1.0, 0.0], [1.0, 0.2], [2.0, -1.0]])
    choice = PathChoice(kind, bends=(Bend(0, (0.1, 1.3)), Bend(1, (1.6, 0.4))))
    result = walked(explorer, ends, choice, first_view(2))
    points = np.array([ends[0], [0.1, 1.3], ends[1], [1.6, 0.4], ends[2]])
    distance = np.abs(result.curve_PD[None] - points[:, None]).max(axis=2)
    assert distance.min(axis=1) == pytest.approx(np.zeros(5), abs=1e-9)
    order = distance.argmin(axis=1).tolist()
    assert order == sorted(order)


def test_a_bent_straight_line_is_smooth(explorer: Explorer) -> None:
    choice = PathChoice("straight", bends=(Bend(0, (0.0, 1.0)),))
    curve = walked(explorer, [[-1.0, 0.0], [1.0, 0.0]], choice).curve_PD
    directions = np.diff(curve, axis=0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert np.sum(directions[1:] * directions[:-1], axis=1).min() > 0.99
    assert curve[:, 1].max() == pytest.approx(1.0, abs=0.02)


def test_frames_count_the_codes_near_them(make_snapshot: MakeSnapshot) -> None:
    codes_ND = torch.stack(torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij"), dim=2).reshape(-1, 2)
    codes_ND = codes_ND * 0.1
    codes_ND[7] = torch.nan
    explorer = explorer_of(replace(make_snapshot(), codes_ND=codes_ND))
    result = walked(explorer, [[1.0, 1.0], [9.0, 1.0]], PathChoice("straight", num_frames=3))
    assert result.near_radius == pytest.approx(0.1 * 5**0.5, rel=1e-4)
    assert result.num_near_F is not None
    distances = np.linalg.norm(codes_ND.numpy()[None].astype(np.float64) - result.z_FD[:, None], axis=2)
    exact = (distances <= result.near_radius).sum(axis=1)
    assert np.abs(result.num_near_F - exact).max() <= 4  # those on the very rim
    assert result.num_near_F[0] >= 9
    assert result.num_near_F[2] == 0
    assert result.note.startswith("2 of 3 frames have no code near them")


def test_a_plane_that_does_not_hold_the_pins_is_no_hindrance(make_snapshot: MakeSnapshot) -> None:
    explorer = explorer_of(make_snapshot(dimensions=4))
    ends = np.random.default_rng(1).normal(size=(2, 4))
    result = walked(explorer, ends, PathChoice("geodesic"), PlaneView.of_dimensions(0, 1, np.zeros(4)))
    assert result.kind == "geodesic"
    assert result.saved >= 0.0


def test_a_decoder_of_nothing_finite_makes_a_path_with_a_sentence(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    broken = {name: value * torch.nan for name, value in snapshot.weights.items()}
    explorer = explorer_of(replace(snapshot, weights=broken))
    for kind in PATHS.names():
        result = walked(explorer, ENDS, PathChoice(kind, "visual"), first_view(2))
        assert "no finite pictures" in result.note
        assert np.isnan(result.saved)
        assert np.isfinite(result.z_FD).all()


def test_pins_at_one_place_make_a_path_that_stands_still(explorer: Explorer) -> None:
    for kind in PATHS.names():
        for speed in SPEEDS.names():
            result = walked(explorer, [[0.5, 0.5], [0.5, 0.5]], PathChoice(kind, speed), first_view(2))
            assert result.z_FD == pytest.approx(np.full((11, 2), 0.5))
            assert result.saved == 0.0


@pytest.mark.parametrize(
    ("ends", "choice", "message"),
    [
        ([[0.0, 0.0]], PathChoice(), "two pins"),
        ([[0.0, np.nan], [1.0, 1.0]], PathChoice(), "not finite"),
        ([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], PathChoice(), "another latent space"),
        (ENDS, PathChoice(bends=(Bend(0, (1.0,)),)), "another latent space"),
        (ENDS, PathChoice(bends=(Bend(0, (1.0, np.inf)),)), "not finite"),
        (ENDS, PathChoice(kind="geodetic"), "no path named"),
        (ENDS, PathChoice(speed="light"), "no speed named"),
        (ENDS, PathChoice(num_frames=1), "frames"),
    ],
)
def test_what_cannot_be_walked_is_said(explorer: Explorer, ends: Any, choice: PathChoice, message: str) -> None:
    with pytest.raises(UserError, match=message):
        walked(explorer, ends, choice)


def test_a_line_has_paths_of_every_kind(make_snapshot: MakeSnapshot) -> None:
    explorer = explorer_of(make_snapshot(dimensions=1))
    for kind in PATHS.names():
        result = walked(explorer, [[0.5], [2.0]], PathChoice(kind), LineView())
        assert result.z_FD[[0, -1], 0] == pytest.approx([0.5, 2.0])


def test_a_geodesic_has_the_straight_path_beside_it_for_comparison(explorer: Explorer) -> None:
    choice = PathChoice("geodesic", "visual", num_frames=9)
    result = walked(explorer, ENDS, choice, first_view(2))
    straight = walked(explorer, ENDS, replace(choice, kind="straight"))
    assert straight.straight is None
    beside = result.straight
    assert beside is not None
    assert beside.z_FD == pytest.approx(straight.z_FD)
    assert np.array_equal(beside.pictures_F, straight.pictures_F)
    assert beside.visual_length_F == pytest.approx(straight.visual_length_F)
    # Rulers are cumulative: from 0 to the whole length.
    assert beside.visual_length_F[[0, -1]] == pytest.approx([0.0, result.straight_length])
    assert result.visual_length_F[[0, -1]] == pytest.approx([0.0, result.length])


def test_a_geodesic_is_shortest_in_the_metric_that_was_chosen(explorer: Explorer) -> None:
    found = {
        metric: walked(explorer, ENDS, PathChoice("geodesic", num_frames=9, metric=metric), first_view(2))
        for metric in PATH_METRICS.names()
    }
    assert [result.metric for result in found.values()] == ["mean", "fisher"]

    def length(result: PathResult, metric: str) -> float:
        surface = surface_of(explorer, "fisher" if metric == "fisher" else "mean")
        return float(finished(step_lengths_along(surface, result.curve_PD)).sum())

    for metric, result in found.items():
        assert result.length == pytest.approx(length(result, metric), rel=5e-3)
        (other,) = (one for name, one in found.items() if name != metric)
        assert length(result, metric) <= length(other, metric) * 1.01  # each search ends near its own minimum
    assert np.abs(found["mean"].curve_PD[::60] - found["fisher"].curve_PD[::60]).max() > 1e-3
