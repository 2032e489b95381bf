"""Paths between latent points, as a curve for the map and as frames: straight, spherical, through the data, geodesic.

All steps are short and on the exploring thread.

Legend: K pins, F frames, P points of the curve, N codes, D latent dimensions.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.codes_near import near_radius, num_near
from vae_explorer.latent.geodesics import geodesic
from vae_explorer.latent.geometry import (
    Float64,
    Floats,
    Metric,
    Surface,
    at_equal_steps,
    curve_metric,
    step_lengths_along,
    surface_of,
)
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.neighbour_graph import NeighbourGraph, neighbour_graph, way_between
from vae_explorer.latent.path_catalogue import FEWEST_FRAMES, MOST_FRAMES, PATH_METRICS, PATHS, SPEEDS, PathChoice

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.views import View

_POINTS_A_PIECE = 65
_POINTS_A_FRAME = 8
_FEWEST_POINTS, _MOST_POINTS = 193, 961
_DECODE_BATCH = 32
_ROUNDING = 1e-9

PieceOf = Generator[None, None, Float64]


@dataclass(frozen=True, slots=True, eq=False)
class StraightPath:
    """The straight lines between the same pins, at the same pace, for comparison: as in `PathResult`."""

    z_FD: Float64
    pictures_F: NDArray[np.uint8]
    visual_length_F: Float64


@dataclass(frozen=True, slots=True, eq=False)
class PathResult:
    """A path through latent points, finished.

    `z_FD` are the frames at equal latent or equal visual steps, `pictures_F` their pictures (uint8, (F, H, W) or
    (F, H, W, C)); `curve_PD` is the curve as it is drawn on the map, in order. Visual lengths are, in the `metric`
    "mean", roots of summed squares between mean pictures in [0, 1], in "fisher" those of the Fisher metric of p(x|z),
    added up along the curve: `visual_length_F` up to each frame, `length` of all of it, `straight_length` of the
    straight lines from pin to pin. `saved` is 1 - length / straight_length, below zero where the path is longer,
    exactly 0 for the straight lines themselves, NaN where a length is not finite.

    `num_near_F` counts the codes within `near_radius` of each frame, None for a model without codes; the radius is
    the median distance from a code to the 20th nearest other, so that 20 is what is usual among the data. `kind` is
    the kind the path is of, which is not the one asked for where `note`, one sentence, says why. `straight` are the
    straight lines, None where the path is straight itself.
    """

    z_FD: Float64
    curve_PD: Float64
    pictures_F: NDArray[np.uint8]
    visual_length_F: Float64
    length: float
    straight_length: float
    saved: float
    num_near_F: NDArray[np.int64] | None
    near_radius: float
    kind: str
    speed: str
    note: str = ""
    metric: Metric = "mean"
    straight: StraightPath | None = None


@dataclass(slots=True)
class _Notes:
    """What a path could not be, in the words for a person; the first counts."""

    kind: str
    text: str = ""

    def fall_back(self, text: str) -> None:
        self.kind = "straight"
        self.text = self.text or text


def path(
    explorer: Explorer, ends_KD: Floats, choice: PathChoice, view: View | None = None
) -> Generator[PathResult | None, None, None]:
    """The path through the pins in order; yields None between its steps and the `PathResult` last.

    Raises UserError for fewer than two pins, points that are not finite or of another space, and unknown names.
    """
    ends = _checked(explorer, ends_KD, choice)
    notes = _Notes(choice.kind)
    surface = surface_of(explorer, choice.metric)
    metric = curve_metric(surface, ends[0])
    if metric != choice.metric:
        notes.text = "Of this likelihood no lengths in the Fisher metric are known here: they are of mean pictures."
    yield None
    curve_PD = yield from _curve(explorer, surface, ends, choice, view, notes)
    num_points = min(max(_POINTS_A_FRAME * choice.num_frames, _FEWEST_POINTS), _MOST_POINTS)
    is_visual = choice.speed == "visual"
    paced_PD, lengths = yield from _paced(surface, curve_PD, num_points, is_visual)
    length = straight_length = float(lengths.sum())
    straight: StraightPath | None = None
    if not _is_straight(curve_PD, ends):
        # At the same pace: steps of another size measure another length of one and the same line.
        straight_PD, straight_lengths = yield from _paced(surface, ends, num_points, is_visual)
        straight_length = float(straight_lengths.sum())
        if choice.kind == "geodesic" and not choice.bends and not length <= straight_length:
            curve_PD = _evenly(ends, num_points)
            paced_PD, lengths, length = straight_PD, straight_lengths, straight_length
        else:
            straight = yield from _straight_path(explorer, straight_PD, straight_lengths, choice.num_frames)
    if not np.isfinite(length):
        notes.text = notes.text or "The decoder gives no finite pictures here, so visual lengths are unknown."
    z_FD, length_F = _frames(paced_PD, lengths, choice.num_frames)
    pictures_F = yield from _pictures(explorer, z_FD)
    radius = yield from near_radius(explorer)
    num_near_F = None if radius is None else (yield from num_near(explorer, z_FD, radius))
    if num_near_F is not None and (num_bare := int((num_near_F == 0).sum())):
        # The metric of mean pictures is flat outside the data, so a geodesic may take the way round.
        notes.text = notes.text or f"{num_bare} of {len(z_FD)} frames have no code near them: they are extrapolation."
    yield PathResult(
        z_FD=z_FD,
        curve_PD=_densified(curve_PD, num_points),
        pictures_F=pictures_F,
        visual_length_F=length_F,
        length=length,
        straight_length=straight_length,
        saved=0.0 if length == straight_length or straight_length == 0.0 else 1.0 - length / straight_length,
        num_near_F=num_near_F,
        near_radius=radius or 0.0,
        kind=notes.kind,
        speed=choice.speed,
        note=notes.text,
        metric=metric,
        straight=straight,
    )


def _frames(paced_PD: Float64, lengths: Float64, num_frames: int) -> tuple[Float64, Float64]:
    """The frames z_FD at equal steps of the pace, and the length up to each."""
    along_P = np.concatenate([[0.0], np.cumsum(lengths)])
    at_F = np.linspace(0.0, len(paced_PD) - 1.0, num_frames)
    return _between(paced_PD, at_F), np.interp(at_F, np.arange(len(paced_PD)), along_P)


def _pictures(explorer: Explorer, z_FD: Float64) -> Generator[None, None, NDArray[np.uint8]]:
    pictures = []
    for start in range(0, len(z_FD), _DECODE_BATCH):
        pictures.append(explorer.decode(z_FD[start : start + _DECODE_BATCH]))
        yield None
    return np.concatenate(pictures)


def _straight_path(
    explorer: Explorer, paced_PD: Float64, lengths: Float64, num_frames: int
) -> Generator[None, None, StraightPath]:
    z_FD, length_F = _frames(paced_PD, lengths, num_frames)
    pictures_F = yield from _pictures(explorer, z_FD)
    return StraightPath(z_FD, pictures_F, length_F)


def _checked(explorer: Explorer, ends_KD: Floats, choice: PathChoice) -> Float64:
    """The pins in float64; raises UserError where there is no path to make."""
    ends = np.asarray(ends_KD, dtype=np.float64)
    # Looked up for the UserError of an unknown name.
    PATHS[choice.kind], SPEEDS[choice.speed], PATH_METRICS[choice.metric]
    if ends.ndim != 2 or len(ends) < 2:
        raise UserError("A path needs two pins.", "Pin two places on the map.")
    dimensions = explorer.num_dimensions
    bends = [bend.z for bend in choice.bends]
    if ends.shape[1] != dimensions or any(len(z) != dimensions for z in bends):
        raise UserError(
            f"The pins belong to another latent space: this one has {dimensions} dimensions.", "Set the pins again."
        )
    if not (np.isfinite(ends).all() and np.isfinite(bends).all()):
        raise UserError("A pin of this path has coordinates that are not finite.", "Remove it and set it again.")
    if not FEWEST_FRAMES <= choice.num_frames <= MOST_FRAMES:
        raise UserError(
            f"A path cannot have {choice.num_frames} frames.", f"Choose {FEWEST_FRAMES} to {MOST_FRAMES} frames."
        )
    return ends


def _curve(
    explorer: Explorer, surface: Surface, ends_KD: Float64, choice: PathChoice, view: View | None, notes: _Notes
) -> PieceOf:
    """The whole curve, segment by segment; a bend splits its segment, a straight one runs smoothly through it."""
    pieces = [ends_KD[:1]]
    for segment in range(len(ends_KD) - 1):
        bends = [np.array(bend.z) for bend in choice.bends if bend.segment == segment]
        through = np.stack([ends_KD[segment], *bends, ends_KD[segment + 1]])
        if choice.kind == "straight":
            pieces.append(_smooth(through)[1:])
            continue
        for start in range(len(through) - 1):
            ends_2D = through[start : start + 2]
            if np.array_equal(ends_2D[0], ends_2D[1]):
                piece = ends_2D
            elif choice.kind == "spherical":
                piece = _spherical(ends_2D, notes)
            elif choice.kind == "graph":
                piece = yield from _through_data(explorer, ends_2D, notes)
            else:
                piece = yield from _geodesic(explorer, surface, ends_2D, view)
            pieces.append(piece[1:])
    return np.concatenate(pieces)


def _smooth(through_QD: Float64) -> Float64:
    """The straight line of two points; of more, the centripetal Catmull-Rom curve through them.

    Centripetal knots (Yuksel, Schaefer, Keyser 2011) make neither loops nor cusps.
    """
    if len(through_QD) == 2:
        return _evenly(through_QD, _POINTS_A_PIECE)
    points = through_QD[np.concatenate([[True], np.any(np.diff(through_QD, axis=0) != 0.0, axis=1)])]
    if len(points) < 3:
        return _evenly(through_QD[[0, -1]], _POINTS_A_PIECE)
    padded = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    knots = np.concatenate([[0.0], np.cumsum(np.sqrt(np.linalg.norm(np.diff(padded, axis=0), axis=1)))])
    parts = [points[:1]]
    for i in range(1, len(padded) - 2):
        t = np.linspace(knots[i], knots[i + 1], _POINTS_A_PIECE)[1:, None]
        level = [padded[i + offset] for offset in (-1, 0, 1, 2)]
        first = [_mix(level[j], level[j + 1], knots[i - 1 + j], knots[i + j], t) for j in range(3)]
        second = [_mix(first[j], first[j + 1], knots[i - 1 + j], knots[i + 1 + j], t) for j in range(2)]
        parts.append(_mix(second[0], second[1], knots[i], knots[i + 1], t))
    return np.concatenate(parts)


def _mix(a: Float64, b: Float64, at_a: float, at_b: float, t: Float64) -> Float64:
    mixed: Float64 = (a * (at_b - t) + b * (t - at_a)) / (at_b - at_a)
    return mixed


def _spherical(ends_2D: Float64, notes: _Notes) -> Float64:
    """Turns the direction at an even rate (slerp) and changes the radius evenly."""
    radii = np.linalg.norm(ends_2D, axis=1)
    t = np.linspace(0.0, 1.0, _POINTS_A_PIECE)[:, None]
    if radii.min() <= 1e-9 * max(radii.max(), 1.0):
        notes.fall_back("A pin at the origin has no direction to turn, so the path is straight.")
        return _evenly(ends_2D, _POINTS_A_PIECE)
    a, b = ends_2D / radii[:, None]
    angle = 2.0 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))
    if angle > np.pi - 1e-6:
        notes.fall_back("The pins lie opposite each other, with no one way around, so the path is straight.")
        return _evenly(ends_2D, _POINTS_A_PIECE)
    if angle < 1e-9:
        return _evenly(ends_2D, _POINTS_A_PIECE)
    turned = (np.sin((1.0 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    curve: Float64 = turned * (radii[0] * (1.0 - t) + radii[1] * t)
    curve[[0, -1]] = ends_2D
    return curve


def _through_data(explorer: Explorer, ends_2D: Float64, notes: _Notes) -> PieceOf:
    """The shortest way through the codes' graph, or the straight line where there are no codes."""
    codes_ND = explorer.codes()
    if codes_ND is None or not np.isfinite(codes_ND).all(axis=1).any():
        notes.fall_back("There are no codes to walk through, so the path is straight.")
        return _evenly(ends_2D, _POINTS_A_PIECE)
    known: NeighbourGraph | None = explorer.cache.get("neighbour graph")
    if known is None:
        known = yield from neighbour_graph(codes_ND)
        explorer.cache["neighbour graph"] = known
    if known.num_bridges and not notes.text:
        notes.text = (
            f"The codes fall into {known.num_bridges + 1} groups without neighbours in each other; "
            "they were joined by their nearest pairs."
        )
    return (yield from way_between(known, ends_2D))


def _geodesic(explorer: Explorer, surface: Surface, ends_2D: Float64, view: View | None) -> PieceOf:
    """The geodesic; where the view cannot hold it, it starts from the way through the data."""
    is_in_view = view is not None and view.num_dimensions == ends_2D.shape[1] and all(map(view.holds, ends_2D))
    codes_ND = explorer.codes()
    has_codes = codes_ND is not None and bool(np.isfinite(codes_ND).all(axis=1).any())
    given_PD = None
    if has_codes and not is_in_view and ends_2D.shape[1] > 1:
        given_PD = yield from _through_data(explorer, ends_2D, _Notes("graph"))
    box = _codes_box(codes_ND, view) if is_in_view and codes_ND is not None and view is not None else None
    found = yield from geodesic(surface, ends_2D, view if is_in_view else None, box, given_PD)
    curve_TD = found.z_TD.copy()
    curve_TD[[0, -1]] = ends_2D
    return curve_TD


def _codes_box(codes_ND: Floats, view: View) -> MapRect | None:
    """Where the middle 98 % of the codes stand, by at most some thousands of them."""
    chosen = codes_ND[:: max(len(codes_ND) // 4000, 1)]
    chosen = chosen[np.isfinite(chosen).all(axis=1)]
    if not len(chosen):
        return None
    (left, bottom), (right, top) = np.percentile(view.project(chosen), [1.0, 99.0], axis=0).tolist()
    return MapRect(left, bottom, right, top)


def _is_straight(curve_PD: Float64, ends_KD: Float64) -> bool:
    """Whether the curve is the straight lines from pin to pin: through the same points, no other one is as short."""
    length, shortest = (float(np.linalg.norm(np.diff(z_PD, axis=0), axis=1).sum()) for z_PD in (curve_PD, ends_KD))
    return length <= shortest * (1.0 + _ROUNDING)


def _evenly(points_QD: Float64, num: int) -> Float64:
    """`num` points of a polyline at equal latent steps."""
    return at_equal_steps(points_QD, np.linalg.norm(np.diff(points_QD, axis=0), axis=1), num)


def _densified(points_QD: Float64, num: int) -> Float64:
    """A polyline with all its points and others between, no more than about 1 / `num` of its length apart."""
    lengths = np.linalg.norm(np.diff(points_QD, axis=0), axis=1)
    parts = np.maximum(np.ceil(lengths / max(lengths.sum(), 1e-12) * num), 1).astype(np.int64)
    at = np.concatenate([[0.0], np.repeat(np.arange(len(parts)), parts) + _counted(parts) / np.repeat(parts, parts)])
    return _between(points_QD, at)


def _counted(parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 to n for every n of `parts`, one after the other."""
    ends = np.cumsum(parts)
    numbers: NDArray[np.int64] = np.arange(1, ends[-1] + 1) - np.repeat(ends - parts, parts)
    return numbers


def _between(curve_PD: Float64, at_F: Floats) -> Float64:
    """Points of the curve at fractional positions."""
    before = np.minimum(at_F.astype(np.int64), len(curve_PD) - 2)
    share = (at_F - before)[:, None]
    points: Float64 = curve_PD[before] * (1.0 - share) + curve_PD[before + 1] * share
    return points


def _paced(
    surface: Surface, curve_PD: Float64, num_points: int, is_visual: bool
) -> Generator[None, None, tuple[Float64, Float64]]:
    """The curve at equal latent or equal visual steps, and the visual lengths of its steps."""
    curve_PD = _evenly(curve_PD, num_points)
    lengths = yield from step_lengths_along(surface, curve_PD)
    # Once is exact only for a picture that changes evenly within a step; the second time mends that.
    for _ in range(2 if is_visual else 0):
        if not np.isfinite(lengths).all():
            break
        curve_PD = at_equal_steps(curve_PD, lengths, num_points)
        lengths = yield from step_lengths_along(surface, curve_PD)
    return curve_PD, lengths
