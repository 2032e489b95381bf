from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.latent.layer_requests import first_view
from vae_explorer.latent.geodesics import Geodesic, geodesic, grid_distances, grid_rect, grid_way
from vae_explorer.latent.geometry import Surface, step_lengths, surface_of
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import LineView, PlaneView

PLANE = first_view(2)


@dataclass(frozen=True)
class Shown:
    mean_BCHW: Tensor


def lifted(height: Any) -> Surface:
    """The surface (z, height(z))."""

    def decode(z_ND: Tensor) -> Shown:
        return Shown(torch.cat([z_ND, height(z_ND)[:, None]], dim=1)[:, None, None, :])

    return Surface(decode)


def hill(z_ND: Tensor) -> Tensor:
    return 5.0 * torch.exp(-z_ND.square().sum(1) / (2 * 0.3**2))


FLAT = lifted(lambda z: 0.0 * z[:, 0])
PARABOLOID = lifted(lambda z: z.square().sum(1))
HILL = lifted(hill)


def result_of(steps: Any) -> Any:
    while True:
        try:
            assert next(steps) is None
        except StopIteration as end:
            return end.value


def found(surface: Surface, a: Any, b: Any, view: Any = PLANE, **given: Any) -> Geodesic:
    return result_of(geodesic(surface, np.array([a, b], dtype=float), view, **given))


def visual_steps(surface: Surface, z_TD: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return step_lengths(surface.embed(surface.latents(z_TD)))


def test_on_a_flat_surface_the_geodesic_is_the_straight_line() -> None:
    curve = found(FLAT, [-1, 0.3], [1, -0.2])
    assert curve.length == pytest.approx(np.hypot(2, 0.5), rel=1e-4)
    line = np.array([-1, 0.3]) + np.linspace(0, 1, len(curve.z_TD))[:, None] * np.array([2, -0.5])
    assert np.abs(curve.z_TD - line).max() < 1e-3


def test_over_the_apex_of_a_paraboloid_the_length_is_the_analytic_one() -> None:
    """Near its apex the geodesic of (z, |z|^2) is the parabola (x, x^2) itself."""
    curve = found(PARABOLOID, [-0.3, 0], [0.3, 0])
    assert curve.length == pytest.approx(0.3 * np.sqrt(1.36) + np.arcsinh(0.6) / 2, rel=5e-3)
    assert np.abs(curve.z_TD[:, 1]).max() < 1e-2


def test_around_a_paraboloid_it_keeps_clairauts_relation() -> None:
    """On a surface of revolution radius x sine of the angle to the meridian is constant along a geodesic."""
    curve = found(PARABOLOID, [-1, 1], [1, 1])
    assert curve.length < 0.9 * curve.straight_length
    assert curve.energy < curve.straight_energy
    points = np.concatenate([curve.z_TD, np.square(curve.z_TD).sum(axis=1, keepdims=True)], axis=1)
    steps = np.diff(points, axis=0)[8:-8]
    middles = 0.5 * (points[1:] + points[:-1])[8:-8]
    turning = (middles[:, 0] * steps[:, 1] - middles[:, 1] * steps[:, 0]) / np.linalg.norm(steps, axis=1)
    assert turning == pytest.approx(np.full(len(turning), turning.mean()), rel=0.02)


def test_it_goes_around_a_hill() -> None:
    curve = found(HILL, [-1, 0], [1, 0])
    assert curve.start == "grid"
    assert np.linalg.norm(curve.z_TD, axis=1).min() > 0.5
    assert curve.length < 0.4 * curve.straight_length
    # Around the hill no way is shorter than two tangents and an arc; this one may touch the foot of it.
    assert 2.0 < curve.length < 3.2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dimensions", [2, 5])
def test_the_energy_is_never_above_the_straight_line(make_snapshot: Any, seed: int, dimensions: int) -> None:
    from vae_explorer.latent.explorer import Explorer

    explorer = Explorer()
    explorer.adopt(make_snapshot(seed=seed, dimensions=dimensions))
    ends = np.random.default_rng(seed).normal(size=(2, dimensions)) * 1.5
    view = PLANE if dimensions == 2 else None
    curve = found(surface_of(explorer), ends[0], ends[1], view)
    assert curve.energy <= curve.straight_energy
    assert curve.length <= curve.straight_length
    assert curve.z_TD[[0, -1]] == pytest.approx(ends)
    steps = visual_steps(surface_of(explorer), curve.z_TD)
    assert curve.length**2 <= curve.energy * 1.05
    assert np.percentile(steps, 97) / np.percentile(steps, 3) < 1.2


@pytest.mark.parametrize("surface", [PARABOLOID, HILL], ids=["paraboloid", "hill"])
def test_the_speed_along_the_curve_is_constant(surface: Surface) -> None:
    curve = found(surface, [-1, 0.9], [1.1, 0.2])
    steps = visual_steps(surface, curve.z_TD)
    assert steps.max() < 1.1 * steps.mean()
    assert steps.min() > 0.9 * steps.mean()


@pytest.mark.parametrize("surface", [PARABOLOID, HILL], ids=["paraboloid", "hill"])
def test_there_and_back_are_the_same(surface: Surface) -> None:
    there, back = found(surface, [-1, 0.4], [1, 0.1]), found(surface, [1, 0.1], [-1, 0.4])
    assert there.length == pytest.approx(back.length, rel=1e-2)
    assert np.abs(there.z_TD - back.z_TD[::-1]).max() < 1e-6


def test_a_given_curve_is_a_start_where_the_view_does_not_hold_the_ends() -> None:
    ends = np.array([[-1.0, 0.0, 0.5], [1.0, 0.0, 0.5]])
    around = np.array([ends[0], [-0.7, 0.9, 0.5], [0.7, 0.9, 0.5], ends[1]])
    surface = lifted(lambda z: hill(z[:, :2]))
    curve = found(surface, *ends, view=PlaneView.of_dimensions(0, 1, np.zeros(3)), given_PD=around)
    assert curve.start == "given"
    assert np.linalg.norm(curve.z_TD[:, :2], axis=1).min() > 0.5
    assert curve.energy < curve.straight_energy


def test_both_ends_at_one_place() -> None:
    curve = found(PARABOLOID, [0.5, 0.5], [0.5, 0.5])
    assert curve.length == 0.0
    assert curve.z_TD == pytest.approx(np.full((len(curve.z_TD), 2), 0.5))


def test_one_dimension_has_only_one_way() -> None:
    surface = lifted(lambda z: torch.sin(3 * z[:, 0]))
    curve = found(surface, [-1], [1], view=LineView())
    assert curve.length == curve.straight_length
    steps = visual_steps(surface, curve.z_TD)
    assert steps.max() < 1.1 * steps.min()


def test_a_decoder_of_nothing_finite_leaves_the_straight_line() -> None:
    curve = found(lifted(lambda z: z[:, 0] * torch.nan), [-1, 0], [1, 0])
    assert curve.start == "straight"
    assert curve.z_TD[:, 0] == pytest.approx(np.linspace(-1, 1, len(curve.z_TD)))


def test_what_is_not_finite_is_walked_around() -> None:
    surface = lifted(lambda z: torch.where(z.square().sum(1) < 0.16, torch.nan, 0.0))
    way_PD, lengths = result_of(grid_way(surface, PLANE, MapRect(-2, -2, 2, 2), np.array([[-1.0, 0.0], [1.0, 0.0]])))
    assert np.linalg.norm(way_PD, axis=1).min() >= 0.4
    assert len(lengths) == len(way_PD) - 1
    assert lengths.sum() == pytest.approx(2 * np.sqrt(1 - 0.16) + 0.8 * np.arcsin(0.4), rel=0.04)


def test_distances_on_the_grid_are_isochrones() -> None:
    """On a flat surface the 16 directions make a circle to 3 %, also from a place between the nodes."""
    field = result_of(grid_distances(FLAT, PLANE, MapRect(-1, -1, 1, 1), np.array([0.213, -0.137])))
    x, y = np.meshgrid(field.x_C, field.y_R)
    true = np.hypot(x - 0.213, y + 0.137)
    far = true > 0.2
    assert (field.distance_RC[far] / true[far]).max() < 1.03
    assert (field.distance_RC / true).min() > 0.9999
    assert field.distance_RC.shape == true.shape


def test_a_long_step_of_the_grid_is_as_long_as_its_pictures_are_apart() -> None:
    way_PD, lengths = result_of(
        grid_way(HILL, PLANE, MapRect(-1.5, -1.5, 1.5, 1.5), np.array([[-1.0, 0.0], [1.0, 0.0]]))
    )
    with torch.no_grad():
        assert lengths.sum() == pytest.approx(step_lengths(HILL.embed(HILL.latents(way_PD))).sum(), rel=1e-5)


def test_the_grid_covers_the_ends_and_the_codes_near_them() -> None:
    ends = np.array([[-1.0, 0.0], [1.0, 0.0]])
    near = grid_rect(ends, None)
    assert near == MapRect(pytest.approx(-1.6), pytest.approx(-1.6), pytest.approx(1.6), pytest.approx(1.6))
    assert grid_rect(ends, MapRect(-3, -2, 9, 2)) == MapRect(
        pytest.approx(-3), pytest.approx(-2), pytest.approx(4), pytest.approx(2)
    )
    assert grid_rect(ends, MapRect(50, 50, 60, 60)).contains(near)
