"""Shortest curves on a decoder's surface: on a grid of the view's plane first, then refined as a spline.

(1) Dijkstra on the grid, every node joined to 16 neighbours, an edge as long as the straight step between its embedded
ends; from one node it gives the distance to all others, whose contours are isochrones. (2) A natural cubic spline in
the whole latent space, its ends fixed, minimises the discrete energy (T - 1) sum |f(c_t+1) - f(c_t)|^2 by L-BFGS (Shao,
Kumar, Fletcher, arXiv 1711.08014; Arvanitidis, Hansen, Hauberg, arXiv 1710.11379). The straight line is among the
starts and the energy only falls, so that it never ends above that of the straight line.

Everything here is a generator of short steps on the exploring thread.

Legend: T knots, K control points, D latent dimensions, R rows and C columns of the grid.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vae_explorer.latent.geometry import (
    Float64,
    Floats,
    Surface,
    at_equal_steps,
    curve_energy,
    embedded_in_steps,
    step_lengths_along,
)
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.neighbour_graph import Ints, WeightedGraph, shortest_ways, weighted_graph
from vae_explorer.latent.views import View

GRID_SIDE = 56
NUM_KNOTS = 48
_NUM_CONTROLS = 12
_NUM_DENSE = 193
_MOST_ITERATIONS = 60
_MEMORY = 8
# A relative fall below this, three times in a row, is none.
_ENOUGH = 1e-5

# One of each pair of opposite neighbours: rows down, columns to the right.
_OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (1, -2), (2, 1), (2, -1))


@dataclass(frozen=True, slots=True, eq=False)
class GridDistances:
    """Distances along the surface from one map point to every node of a grid, for isochrones.

    `x_C` and `y_R` are the columns' and rows' map coordinates (rows from the bottom); infinite where the decoder gives
    nothing finite.
    """

    rect: MapRect
    x_C: Float64
    y_R: Float64
    distance_RC: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Geodesic:
    """A curve of small energy between two latent points, sampled at equal steps of visual length, z_TD.

    Energies are over `NUM_KNOTS` knots, lengths over the dense samples; `start` is the candidate that was refined:
    "grid", "given" or "straight". Where the refined curve saved nothing, the curve is the straight line.
    """

    z_TD: Float64
    energy: float
    straight_energy: float
    length: float
    straight_length: float
    start: str


def grid_distances(
    surface: Surface, view: View, rect: MapRect, source_2: Floats
) -> Generator[None, None, GridDistances]:
    """Distances from a map point to all nodes of a grid over `rect`."""
    xy_M2, graph = yield from _grid_graph(surface, view, rect, np.asarray(source_2, dtype=np.float64)[None])
    ways = yield from shortest_ways(graph, GRID_SIDE**2)
    x_C, y_R = xy_M2[:GRID_SIDE, 0], xy_M2[: GRID_SIDE**2 : GRID_SIDE, 1]
    return GridDistances(rect, x_C, y_R, ways.distance_M[: GRID_SIDE**2].reshape(GRID_SIDE, GRID_SIDE))


def grid_way(
    surface: Surface, view: View, rect: MapRect, ends_22: Floats
) -> Generator[None, None, tuple[Float64, Float64]]:
    """The shortest way on the grid between two map points: latent points z_PD and the lengths of its steps.

    Empty where no way is finite.
    """
    xy_M2, graph = yield from _grid_graph(surface, view, rect, np.asarray(ends_22, dtype=np.float64))
    first = GRID_SIDE**2
    ways = yield from shortest_ways(graph, first, first + 1)
    nodes = ways.way_to(first + 1)
    return view.lift(xy_M2[nodes]) if nodes else np.zeros((0, view.num_dimensions)), np.diff(ways.distance_M[nodes])


def geodesic(
    surface: Surface,
    ends_2D: Floats,
    view: View | None = None,
    codes_box: MapRect | None = None,
    given_PD: Floats | None = None,
) -> Generator[None, None, Geodesic]:
    """The refined shortest curve between two latent points.

    A grid of `view` is searched where it holds both ends, over their box and the part of `codes_box` near it;
    `given_PD` is another curve to start from, such as the way through the data.
    """
    ends = np.asarray(ends_2D, dtype=np.float64)
    # From the lower end, so that there and back are the same curve.
    is_reversed = tuple(ends[0]) > tuple(ends[1])
    if is_reversed:
        ends = ends[::-1]
        given_PD = None if given_PD is None else np.asarray(given_PD)[::-1]
    straight_TD = _line(ends, _NUM_DENSE)
    straight_lengths = yield from step_lengths_along(surface, straight_TD)
    starts = {"straight": _line(ends, _NUM_CONTROLS)}
    if np.isfinite(straight_lengths).all():
        starts["even"] = at_equal_steps(straight_TD, straight_lengths, _NUM_CONTROLS)
    if view is not None and ends.shape[1] > 1 and all(view.holds(end_D) for end_D in ends):
        xy_22 = np.asarray(view.project(ends), dtype=np.float64)
        way_PD, lengths = yield from grid_way(surface, view, grid_rect(xy_22, codes_box), xy_22)
        if len(way_PD) > 1:
            starts["grid"] = at_equal_steps(way_PD, lengths, _NUM_CONTROLS)
    if given_PD is not None and len(given_PD) > 1:
        lengths = yield from step_lengths_along(surface, given_PD)
        starts["given"] = at_equal_steps(given_PD, lengths, _NUM_CONTROLS)
    energies = {}
    for name, controls_KD in starts.items():
        energies[name] = _energy(surface, controls_KD)
        yield None
    straight_energy = energies["straight"]
    start = min(energies, key=lambda name: energies[name] if np.isfinite(energies[name]) else np.inf)
    straight_length = float(straight_lengths.sum())
    nothing_saved = Geodesic(
        _turned(at_equal_steps(straight_TD, straight_lengths, _NUM_DENSE), is_reversed),
        straight_energy, straight_energy, straight_length, straight_length, "straight",
    )  # fmt: skip
    if not np.isfinite(energies[start]) or ends.shape[1] == 1:
        return nothing_saved
    controls_KD, energy = yield from _refined(surface, starts[start], energies[start])
    curve_TD = _spline(_NUM_DENSE) @ controls_KD
    lengths = yield from step_lengths_along(surface, curve_TD)
    length = float(lengths.sum())
    if not length <= straight_length:
        return nothing_saved
    evenly_TD = at_equal_steps(curve_TD, lengths, _NUM_DENSE)
    name = "straight" if start == "even" else start
    return Geodesic(_turned(evenly_TD, is_reversed), energy, straight_energy, length, straight_length, name)


def grid_rect(ends_22: Float64, codes_box: MapRect | None) -> MapRect:
    """Where a grid looks for ways: a square about the ends, 60 % larger, with what codes lie within four times it."""
    (left, bottom), (right, top) = ends_22.min(axis=0), ends_22.max(axis=0)
    side = max(right - left, top - bottom, 1e-6)
    square = MapRect.around((left + right) / 2, (bottom + top) / 2, side, side)
    near, far = square.grown(1.6), square.grown(4.0)
    if codes_box is None:
        return near
    within = MapRect(
        min(max(codes_box.left, far.left), far.right),
        min(max(codes_box.bottom, far.bottom), far.top),
        max(min(codes_box.right, far.right), far.left),
        max(min(codes_box.top, far.top), far.bottom),
    )
    return near.union(within)


def _grid_graph(
    surface: Surface, view: View, rect: MapRect, ends_K2: Float64
) -> Generator[None, None, tuple[Float64, WeightedGraph]]:
    """The grid's nodes row by row, then the ends, each joined to the 16 nodes about it; decoded row by row."""
    x = np.linspace(rect.left, rect.right, GRID_SIDE)
    y = np.linspace(rect.bottom, rect.top, GRID_SIDE)
    xy_M2 = np.concatenate([np.stack([np.tile(x, GRID_SIDE), np.repeat(y, GRID_SIDE)], axis=1), ends_K2])
    z_MD = view.lift(xy_M2)
    ends_KP = yield from embedded_in_steps(surface, z_MD[GRID_SIDE**2 :])
    about = [_about(x, y, end_2) for end_2 in ends_K2]
    from_E: list[Ints] = []
    to_E: list[Ints] = []
    lengths_E: list[Float64] = []

    def join(tails: Ints, heads: Ints, a_EP: Tensor, b_EP: Tensor) -> None:
        from_E.append(tails)
        to_E.append(heads)
        lengths_E.append(torch.linalg.vector_norm(a_EP - b_EP, dim=1).double().cpu().numpy())

    rows: deque[Tensor] = deque(maxlen=3)
    columns = np.arange(GRID_SIDE)
    for row in range(GRID_SIDE):
        rows.append((yield from embedded_in_steps(surface, z_MD[row * GRID_SIDE : (row + 1) * GRID_SIDE])))
        here_CP = rows[-1]
        for down, right in _OFFSETS:
            if down >= len(rows):
                continue
            c = columns[max(0, -right) : GRID_SIDE - max(0, right)]
            above = (row - down) * GRID_SIDE
            join(above + c, row * GRID_SIDE + c + right, rows[-1 - down][c], here_CP[c + right])
        for number, (near_rows, near_columns) in enumerate(about):
            if row in near_rows:
                tails = np.full(len(near_columns), GRID_SIDE**2 + number)
                join(
                    tails, row * GRID_SIDE + near_columns, ends_KP[number].expand(len(tails), -1), here_CP[near_columns]
                )
        yield None
    graph = weighted_graph(len(xy_M2), np.concatenate(from_E), np.concatenate(to_E), np.concatenate(lengths_E))
    yield None
    return xy_M2, graph


def _about(x: Float64, y: Float64, end_2: Float64) -> tuple[Ints, Ints]:
    """The four rows and the four columns of the grid that are nearest to a point."""
    nearest = [np.sort(np.argsort(np.abs(axis - at), kind="stable")[:4]) for axis, at in ((y, end_2[1]), (x, end_2[0]))]
    return nearest[0], nearest[1]


def _turned(curve_TD: Float64, is_reversed: bool) -> Float64:
    return np.ascontiguousarray(curve_TD[::-1]) if is_reversed else curve_TD


def _line(ends_2D: Float64, num: int) -> Float64:
    t_T1 = np.linspace(0.0, 1.0, num)[:, None]
    line: Float64 = ends_2D[0] * (1.0 - t_T1) + ends_2D[1] * t_T1
    return line


@lru_cache(maxsize=4)
def _spline(num_samples: int, num_controls: int = _NUM_CONTROLS) -> Float64:
    """The matrix (T, K) from control points to samples of the natural cubic spline through them, 0 <= t <= 1.

    Its second derivatives m solve h m_(i-1) / 6 + 2 h m_i / 3 + h m_(i+1) / 6 = (c_(i-1) - 2 c_i + c_(i+1)) / h.
    """
    spacing = 1.0 / (num_controls - 1)
    left, right = np.eye(num_controls), np.zeros((num_controls, num_controls))
    for i in range(1, num_controls - 1):
        left[i, i - 1 : i + 2] = spacing * np.array([1.0, 4.0, 1.0]) / 6.0
        right[i, i - 1 : i + 2] = np.array([1.0, -2.0, 1.0]) / spacing
    second_KK = np.linalg.solve(left, right)
    t = np.linspace(0.0, 1.0, num_samples) / spacing
    before_T = np.minimum(t.astype(np.int64), num_controls - 2)
    b = (t - before_T)[:, None]
    a = 1.0 - b
    identity = np.eye(num_controls)
    matrix: Float64 = (
        a * identity[before_T]
        + b * identity[before_T + 1]
        + ((a**3 - a) * second_KK[before_T] + (b**3 - b) * second_KK[before_T + 1]) * spacing**2 / 6.0
    )
    matrix.setflags(write=False)
    return matrix


def _energy(surface: Surface, controls_KD: Float64) -> float:
    with torch.no_grad():
        return curve_energy(surface.embed(surface.latents(_spline(NUM_KNOTS) @ controls_KD)))


def _refined(surface: Surface, controls_KD: Float64, energy: float) -> Generator[None, None, tuple[Float64, float]]:
    """Control points of lower energy, their ends fixed, and that energy."""
    matrix_TK = _spline(NUM_KNOTS)
    ends_TD = matrix_TK[:, [0, -1]] @ controls_KD[[0, -1]]
    inner_TK = matrix_TK[:, 1:-1]
    shape = controls_KD[1:-1].shape

    def evaluate(inner: Float64) -> tuple[float, Float64]:
        with torch.enable_grad():
            z_TD = surface.latents(ends_TD + inner_TK @ inner.reshape(shape)).requires_grad_()
            X_TP = surface.embed(z_TD)
            squares = (X_TP[1:] - X_TP[:-1]).square().sum(1, dtype=torch.float64).sum() * (len(X_TP) - 1)
            (slope_TD,) = torch.autograd.grad(squares, z_TD)
        return float(squares.detach()), (inner_TK.T @ slope_TD.double().cpu().numpy()).reshape(-1)

    reach = float(np.linalg.norm(controls_KD[-1] - controls_KD[0])) or 1.0
    inner = yield from _minimised(evaluate, controls_KD[1:-1].reshape(-1), 0.05 * reach)
    refined_KD = np.concatenate([controls_KD[:1], inner.reshape(shape), controls_KD[-1:]])
    refined_energy = _energy(surface, refined_KD)
    yield None
    return (refined_KD, refined_energy) if refined_energy <= energy else (controls_KD, energy)


def _minimised(
    evaluate: Callable[[Float64], tuple[float, Float64]], x: Float64, first_step: float
) -> Generator[None, None, Float64]:
    """L-BFGS with halving steps (Nocedal, Wright: Numerical Optimization, algorithms 7.4 and 3.1), one value a step.

    `first_step` is how far the first trial goes. Values only fall.
    """
    value, slope = evaluate(x)
    yield None
    pairs: deque[tuple[Float64, Float64]] = deque(maxlen=_MEMORY)
    num_still = 0
    for _ in range(_MOST_ITERATIONS):
        if not np.isfinite(slope).all() or not slope.any():
            break
        direction = _direction(slope, pairs) if pairs else -slope * first_step / float(np.linalg.norm(slope))
        descent = float(direction @ slope)
        if descent >= 0.0:
            pairs.clear()
            continue
        scale = 1.0
        for _ in range(12):
            trial = x + scale * direction
            trial_value, trial_slope = evaluate(trial)
            yield None
            if trial_value <= value + 1e-4 * scale * descent:
                break
            scale *= 0.5
        else:
            break
        change, bend = trial - x, trial_slope - slope
        if float(change @ bend) > 1e-10 * float(bend @ bend):
            pairs.append((change, bend))
        num_still = num_still + 1 if value - trial_value < _ENOUGH * value else 0
        x, value, slope = trial, trial_value, trial_slope
        if num_still == 3:
            break
    return x


def _direction(slope: Float64, pairs: deque[tuple[Float64, Float64]]) -> Float64:
    """Minus the slope times the inverse curvature that the last steps showed (two-loop recursion)."""
    q = slope.copy()
    shares = []
    for change, bend in reversed(pairs):
        share = float(change @ q) / float(change @ bend)
        q -= share * bend
        shares.append(share)
    change, bend = pairs[-1]
    q *= float(change @ bend) / float(bend @ bend)
    for (change, bend), share in zip(pairs, reversed(shares), strict=True):
        q += change * (share - float(bend @ q) / float(change @ bend))
    return -q
