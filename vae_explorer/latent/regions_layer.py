"""The layer of the regions: to which class the codes around each place belong.

Runs on the exploring thread, step by step. Legend: M labelled codes, P places, K classes, D latent dimensions.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vae_explorer.errors import UserError
from vae_explorer.latent.drawing import LayerDrawing, Legend, Raster, Word
from vae_explorer.latent.field_raster import lattice_points, lattice_shape
from vae_explorer.latent.layers import RegionsOptions
from vae_explorer.latent.pacing import in_steps

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.layers import LayerRequest

Float32 = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.int64]

MOST_CODES = 8_000
_CELLS_ACROSS = 72
_NUM_CHECKED = 1_000
_FIRST_PLACES, _MOST_PLACES = 32, 512
_PIXELS_A_CELL = 6
_MOST_OPAQUE = 0.95
# In pixels: about what a strong letter and its halo take, and how far a name may stand from its median.
_LETTER_WIDTH, _HALO, _LINE_HEIGHT, _FARTHEST_NUDGE = 8.0, 4.0, 16.0, 14.0
_TOUCHING = 0.5
_NUDGES = 40
# More names than this are not legible in any arrangement.
_MOST_NUDGED = 64


@dataclass(frozen=True, slots=True, eq=False)
class LabelledCodes:
    """Evenly chosen items with a label and a finite code: `point_MD` is where distances between them are measured, and
    `xy_M2` where they stand on the map.
    """

    point_MD: Float32
    xy_M2: Float32
    label_M: Ids
    num_classes: int


def draw(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
    """The class of most of the k nearest codes of each place; None between the steps, one drawing last.

    Nearness is measured on the map for one or two latent dimensions, else in the whole latent space at `lift(xy)`.
    Source: Cover & Hart 1967. Raises UserError where there are no labels or no codes.
    """
    codes = labelled_codes(explorer, request)
    if codes is None:
        return
    yield None
    options = request.options if isinstance(request.options, RegionsOptions) else RegionsOptions()
    k = min(options.neighbours, max(1, len(codes.label_M) - 1))
    rows, columns = lattice_shape(request.rect, _CELLS_ACROSS)
    place_PD = _places(request, lattice_points(request.rect, rows, columns), codes.point_MD.shape[1])
    share_PK = yield from prepared_votes(place_PD, codes, k)
    raster = yield from _raster(request, share_PK.reshape(rows, columns, -1))
    own_share, num_checked = yield from _own_share(explorer, request, codes, k)
    names = _names(explorer, codes.num_classes)
    num_colours = len(request.ink.classes_K4)
    yield LayerDrawing(
        request.rect, (raster,), words=kept_apart(class_words(codes, names), request),
        legend=Legend("Class of the nearest codes", entries=tuple(
            (f"class:{number % num_colours}", name) for number, name in enumerate(names)
        )),
        readout=f"k = {k} · {100 * own_share:.0f} % of {num_checked:,} codes lie in their own region",
        extras={"own_share": own_share},
    )  # fmt: skip


def labelled_codes(explorer: Explorer, request: LayerRequest) -> LabelledCodes | None:
    """At most 8,000 codes with their labels; None where the codes do not fit the view. Raises UserError as `draw`."""
    dataset, codes_ND = explorer.dataset, explorer.codes()
    if dataset is None or dataset.labels_N is None:
        raise UserError("These images have no labels.", "Hide the layer, or choose a data set with classes.")
    if codes_ND is None:
        raise UserError(
            f"The model “{explorer.record.title}” has no codes in a space that a plane could show.",
            "Hide the layer, or choose another model.",
        )
    if codes_ND.shape[1] != request.view.num_dimensions or len(codes_ND) != len(dataset.labels_N):
        return None
    ids_M = np.linspace(0, len(codes_ND) - 1, min(MOST_CODES, len(codes_ND))).astype(np.int64)
    ids_M = ids_M[np.isfinite(codes_ND[ids_M]).all(axis=1)]
    if not len(ids_M):
        raise UserError("No image has a finite code.", "Wait until training has recovered, or start it again.")
    placed = request.view.place if codes_ND.shape[1] > 1 else request.view.project
    xy_M2 = np.asarray(placed(codes_ND[ids_M]), dtype=np.float32)
    is_placed_M = np.isfinite(xy_M2).all(axis=1)
    ids_M, xy_M2 = ids_M[is_placed_M], xy_M2[is_placed_M]
    if not len(ids_M):
        raise UserError("No code has a place in this view.", "Choose another view.")
    num_dimensions = codes_ND.shape[1]
    # A line has no second coordinate to be near in.
    point_MD = codes_ND[ids_M] if num_dimensions > 2 else xy_M2[:, :num_dimensions]
    label_M = dataset.labels_N.cpu().numpy()[ids_M].astype(np.int64)
    num_classes = max(dataset.num_classes, len(dataset.class_names), int(label_M.max()) + 1)
    return LabelledCodes(np.ascontiguousarray(point_MD), xy_M2, label_M, num_classes)


def prepared_votes(
    place_PD: Floats, codes: LabelledCodes, k: int, own_P: NDArray[np.integer[Any]] | None = None
) -> Generator[None, None, Float32]:
    """The share of each class among the k nearest codes of each place, (P, K), in steps.

    `own_P` are the numbers of codes that have no vote at their own place.
    """
    place = torch.from_numpy(np.ascontiguousarray(place_PD, dtype=np.float32))
    point = torch.from_numpy(codes.point_MD)
    label = torch.from_numpy(codes.label_M)
    share_PK = torch.zeros(len(place), codes.num_classes)

    def vote(part: slice) -> None:
        # The direct way, not by inner products: those lose what separates points that are near each other.
        distance = torch.cdist(place[part], point, compute_mode="donot_use_mm_for_euclid_dist")
        if own_P is not None:
            distance[torch.arange(len(distance)), torch.from_numpy(own_P[part])] = float("inf")
        nearest = distance.topk(k, dim=1, largest=False, sorted=False).indices
        share_PK[part].scatter_add_(1, label[nearest], torch.full(nearest.shape, 1.0 / k))

    yield from in_steps(len(place), vote, _FIRST_PLACES, _MOST_PLACES)
    votes: Float32 = share_PK.numpy()
    return votes


def class_words(codes: LabelledCodes, names: tuple[str, ...]) -> tuple[Word, ...]:
    """The name of each class at the median of its codes, in map coordinates."""
    words = []
    for number, name in enumerate(names):
        xy_P2 = codes.xy_M2[codes.label_M == number]
        if len(xy_P2):
            x, y = np.median(xy_P2.astype(np.float64), axis=0).tolist()
            words.append(Word(x, y, name, is_strong=True))
    return tuple(words)


def kept_apart(words: tuple[Word, ...], request: LayerRequest) -> tuple[Word, ...]:
    """Words that would lie on each other are moved by at most 14 pixels, the shorter way apart; others stay."""
    if not 1 < len(words) <= _MOST_NUDGED:
        return words
    rect = request.rect
    unit_2 = np.array([rect.width / max(request.width, 1), rect.height / max(request.height, 1)]) * request.pixel_ratio
    home_W2 = np.array([[word.x, word.y] for word in words]) / unit_2
    size_W2 = np.array([[_LETTER_WIDTH * len(word.text) + _HALO, _LINE_HEIGHT] for word in words])
    reach_WW2 = 0.5 * (size_W2[:, None] + size_W2)
    order_WW = np.sign(np.subtract.outer(np.arange(len(words)), np.arange(len(words))))
    nudge_W2 = np.zeros_like(home_W2)
    for _ in range(_NUDGES):
        place_W2 = home_W2 + nudge_W2
        offset_WW2 = place_W2[:, None] - place_W2
        overlap_WW2 = reach_WW2 - np.abs(offset_WW2)
        least_WW = overlap_WW2.min(axis=2) * (order_WW != 0)
        if least_WW.max() < _TOUCHING:
            break
        is_shorter_WW2 = np.stack([overlap_WW2[..., 0] <= overlap_WW2[..., 1]] * 2, axis=2) ^ [False, True]
        # Of two in the same place the first goes left or down.
        away_WW2 = np.where(offset_WW2 == 0.0, order_WW[..., None], np.sign(offset_WW2))
        nudge_W2 += (0.5 * np.maximum(least_WW, 0.0)[..., None] * away_WW2 * is_shorter_WW2).sum(axis=1)
        length_W1 = np.linalg.norm(nudge_W2, axis=1, keepdims=True)
        nudge_W2 *= np.minimum(1.0, _FARTHEST_NUDGE / np.maximum(length_W1, 1e-9))
    moved_W2 = nudge_W2 * unit_2
    return tuple(
        replace(word, x=word.x + x, y=word.y + y) for word, (x, y) in zip(words, moved_W2.tolist(), strict=True)
    )


def _places(request: LayerRequest, xy_P2: Floats, num_dimensions: int) -> Floats:
    if request.view.num_dimensions > 2:
        return request.view.lift(xy_P2)
    return xy_P2[:, :num_dimensions]


def _own_share(
    explorer: Explorer, request: LayerRequest, codes: LabelledCodes, k: int
) -> Generator[None, None, tuple[float, int]]:
    key = (request.view, k)
    known: tuple[float, int] | None = explorer.cache.setdefault("own region", {}).get(key)
    if known is None:
        num = len(codes.label_M)
        own_P = np.linspace(0, num - 1, min(_NUM_CHECKED, num)).astype(np.int64)
        if num < 2:
            return 0.0, num
        share_PK = yield from prepared_votes(codes.point_MD[own_P], codes, k, own_P)
        known = float(np.mean(share_PK.argmax(axis=1) == codes.label_M[own_P])), len(own_P)
        explorer.cache["own region"] = {key: known}
    return known


def _raster(request: LayerRequest, share_HWK: Float32) -> Generator[None, None, Raster]:
    rows, columns, num_classes = share_HWK.shape
    share = torch.from_numpy(share_HWK).permute(2, 0, 1)[None]
    colours = request.ink.classes_K4[np.arange(num_classes) % len(request.ink.classes_K4), :3].astype(np.float32)
    # Winners are found at twice the resolution and averaged: borders are sharp, and smooth to the eye.
    fine_rows, fine_columns = 2 * _PIXELS_A_CELL * rows, 2 * _PIXELS_A_CELL * columns
    pixels = np.empty((fine_rows // 2, fine_columns // 2, 4), dtype=np.uint8)
    wide = functional.interpolate(share, (rows, fine_columns), mode="bilinear")[0]
    row_at = np.clip((np.arange(fine_rows) + 0.5) / (2 * _PIXELS_A_CELL) - 0.5, 0, rows - 1)
    above = np.minimum(row_at.astype(np.int64), max(rows - 2, 0))
    weight = torch.from_numpy((row_at - above).astype(np.float32))[None, :, None]

    def paint(part: slice) -> None:
        fine = slice(2 * part.start, 2 * part.stop)
        top, below = wide[:, above[fine]], wide[:, np.minimum(above[fine] + 1, rows - 1)]
        greatest, winner = torch.lerp(top, below, weight[:, fine]).max(dim=0)
        chance = 1.0 / num_classes if num_classes > 1 else 0.0
        alpha = _MOST_OPAQUE * np.clip((greatest.numpy() - chance) / (1.0 - chance), 0.0, 1.0)
        colour = colours[winner.numpy()] * alpha[..., None]
        both = np.concatenate([colour, 255.0 * alpha[..., None]], axis=2)
        pixels[part] = np.rint((both[::2, ::2] + both[1::2, ::2] + both[::2, 1::2] + both[1::2, 1::2]) / 4)

    yield from in_steps(len(pixels), paint, 8, 64)
    return Raster(request.rect, pixels, is_smooth=True)


def _names(explorer: Explorer, num_classes: int) -> tuple[str, ...]:
    assert explorer.dataset is not None
    return tuple(explorer.dataset.class_name(number) for number in range(num_classes))
