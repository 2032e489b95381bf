"""The decoded manifold as a background of the map: every lattice cell shows what its centre decodes to.

Runs on the exploring thread, in steps short enough that a click is never kept waiting: a coarse picture first
where nothing is known yet, then the cells from the middle outwards. Cells already decoded with the same
weights are kept, so that panning and small zooms decode only what came into sight.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vae_explorer.latent.drawing import LayerDrawing, Legend, Raster
from vae_explorer.latent.lattice import CellRange, level_for
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import shown_by

if TYPE_CHECKING:
    from vae_explorer.latent.drawing import LayerInk
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.layers import LayerRequest
    from vae_explorer.latent.views import View

UInt8 = NDArray[np.uint8]

# A step decodes for about this long; a click waits for at most one step.
_STEP_SECONDS = 0.006
_PARTIAL_SECONDS = 0.15
# Above this expected time for the sharp picture a coarse one is worth its own decoding.
_COARSE_WORTH_SECONDS = 0.05
_COARSER = 2

MOST_KEPT_BYTES = 32 << 20
"""Some forty blocks of 900 cells of 28 x 28 pixels."""


@dataclass(frozen=True, slots=True)
class ManifoldRequest:
    """What the manifold is asked to draw.

    `ink_C256` maps the decoded 0..255 of each output channel to the screen's, as uint8 (3, 256) in the order
    blue, green, red of the picture's bytes: it carries theme and opacity, so that the picture can be laid
    down without blending.
    """

    view: View
    rect: MapRect
    level: int
    pixels_per_unit: float
    ink_C256: UInt8


@dataclass(frozen=True, slots=True, eq=False)
class ManifoldPicture:
    """Part of the plane as premultiplied pixels (height, width, 4), bytes blue, green, red, alpha.

    Cells that are not decoded yet are transparent, and so are those whose centre shows no latent point of its own
    (`shown_by`); the picture is whole without the latter, but not opaque.
    """

    rect: MapRect
    level: int
    pixels: UInt8
    is_whole: bool
    is_opaque: bool
    is_coarse: bool


def draw(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
    """The layer `manifold`: the decoded manifold with one cell more on each side than is in sight."""
    scale = 1.0 / request.units_per_pixel
    level = level_for(scale / request.pixel_ratio, explorer.lasting.get("manifold level"))
    explorer.lasting["manifold level"] = level
    side = 2.0**level
    seen = request.rect
    rect = MapRect(seen.left - side, seen.bottom - side, seen.right + side, seen.top + side)
    num_channels = 1 if explorer.snapshot is None else explorer.snapshot.data_space.picture_shape[0]
    ink_C256 = manifold_ink(request.ink, num_channels, request.opacity)
    legend = _legend(num_channels)
    for picture in explorer.manifold.pictures(explorer, ManifoldRequest(request.view, rect, level, scale, ink_C256)):
        if picture is None:
            yield None
            continue
        yield LayerDrawing(
            picture.rect, (Raster(picture.rect, picture.pixels),), legend=legend, readout=_readout(picture, request),
            is_whole=picture.is_whole and not picture.is_coarse,
            extras={"is_coarse": picture.is_coarse, "is_opaque": picture.is_opaque, "level": level},
        )  # fmt: skip


def _legend(num_channels: int) -> Legend:
    """Ink says how strongly a pixel is on: from the panel's ground to the colour of its text."""
    entries = (("text", "a cell is the mean picture at its centre"),)
    if num_channels != 1:
        return Legend("Decoded manifold", "colours of the pixels themselves", entries=entries)
    return Legend("Decoded manifold", "mean of a pixel, from 0 (the ground) to 1 (ink)", entries=entries)


def _readout(picture: ManifoldPicture, request: LayerRequest) -> str:
    cells = CellRange.covering(request.rect, picture.level)
    side = 2.0**picture.level
    return f"{cells.num_rows * cells.num_columns:,} cells in sight, {side:g} map units wide"


def manifold_ink(ink: LayerInk, num_channels: int, opacity: float) -> UInt8:
    """Screen colours of decoded values 0..255: (3, 256) uint8, blue, green, red.

    Grey pictures are drawn as ink on the panel's ground, so that the map is light in a light window and dark in a dark
    one; colour pictures keep their colours and are thinned.
    """
    low_3 = ink.ground_3.astype(np.float64)
    high_3 = ink.text_3.astype(np.float64) if num_channels == 1 else np.full(3, 255.0)
    foot_3 = low_3 if num_channels == 1 else np.zeros(3)
    picture = foot_3[:, None] + (high_3 - foot_3)[:, None] * (np.arange(256) / 255.0)
    coloured: UInt8 = np.round(low_3[:, None] * (1 - opacity) + picture * opacity).astype(np.uint8)
    return coloured


class _Mosaic:
    """The cells of one block, decoded with one snapshot in one view; cells that show nothing are never decoded."""

    def __init__(self, key: tuple[int, View], cells: CellRange) -> None:
        self.key = key
        self.cells = cells
        self.pictures: UInt8 | None = None
        self.centres_N2 = cells.centres()
        self.is_shown = shown_by(key[1], self.centres_N2).reshape(cells.num_rows, cells.num_columns)
        self.is_decoded = np.zeros((cells.num_rows, cells.num_columns), dtype=bool)

    def take_from(self, other: _Mosaic) -> None:
        """Keep what the other block has already decoded."""
        shared = self.cells.shared_with(other.cells)
        if shared is None or other.pictures is None or other.key != self.key:
            return
        here, there = shared
        new = other.is_decoded[there] & ~self.is_decoded[here]
        if new.any():
            self._reserve(other.pictures.shape[2:])[here][new] = other.pictures[there][new]
            self.is_decoded[here] |= new

    @property
    def num_bytes(self) -> int:
        """What the decoded pictures take."""
        return 0 if self.pictures is None else self.pictures.nbytes

    def covers(self, other: _Mosaic) -> bool:
        """Whether this block is of the same level and has a cell for each of the other's."""
        return self.cells.level == other.cells.level and self.cells.rect.contains(other.cells.rect)

    @property
    def is_whole(self) -> bool:
        """Whether every cell that shows a latent point is decoded."""
        return bool((self.is_decoded | ~self.is_shown).all())

    def missing(self) -> NDArray[np.intp]:
        """The numbers of the cells yet to be decoded, from the middle outwards."""
        order = self.cells.centre_first()
        return order[(self.is_shown & ~self.is_decoded).reshape(-1)[order]]

    def put(self, flat_index: NDArray[np.intp], pictures_NHW: UInt8) -> None:
        """Fill cells by their number in the block."""
        rows, columns = np.divmod(flat_index, self.cells.num_columns)
        self._reserve(pictures_NHW.shape[1:])[rows, columns] = pictures_NHW
        self.is_decoded[rows, columns] = True

    def _reserve(self, picture_shape: tuple[int, ...]) -> UInt8:
        if self.pictures is None:
            self.pictures = np.zeros((*self.is_decoded.shape, *picture_shape), dtype=np.uint8)
        return self.pictures


class DecodedManifold:
    """Draws the manifold, and remembers the cells of the last blocks it drew with these weights in this view.

    Zooming out and back, or going there and back again, decodes nothing anew. The last block is always kept; older ones
    go when all together hold more than `MOST_KEPT_BYTES`, or other weights or another view come.
    """

    def __init__(self) -> None:
        self._mosaic: _Mosaic | None = None
        self._kept: list[_Mosaic] = []
        self._seconds_per_cell = 1e-4

    def pictures(self, explorer: Explorer, request: ManifoldRequest) -> Iterator[ManifoldPicture | None]:
        """Steps of one drawing: a picture when there is a new one to show, None when only time has passed.

        The last picture is whole. Abandon the iterator to cancel; what was decoded is kept.
        """
        if explorer.num_dimensions != request.view.num_dimensions:
            return
        key = (explorer.stamp, request.view)
        known = self._mosaic
        mosaic = _Mosaic(key, CellRange.covering(request.rect, request.level))
        self._kept = [kept for kept in self._kept if kept.key == key]
        for kept in reversed(self._kept):
            if kept.cells.level == request.level:
                mosaic.take_from(kept)
        missing = mosaic.missing()
        # A block drawn with other weights or at the same level still stands on the screen; only a jump needs
        # a coarse view.
        is_jump = known is None or known.key[1] != request.view or known.cells.level != request.level
        if is_jump and len(missing) * self._seconds_per_cell > _COARSE_WORTH_SECONDS:
            yield from self._coarse(explorer, request, key)
        self._mosaic = mosaic
        self._keep(mosaic)
        shown_at = time.perf_counter()
        while len(missing):
            batch = missing[: self._batch_size()]
            missing = missing[len(batch) :]
            mosaic.put(batch, self._decode(explorer, request.view, mosaic.centres_N2[batch]))
            if len(missing) and time.perf_counter() - shown_at > _PARTIAL_SECONDS:
                yield self._compose(mosaic, request, is_coarse=False)
                shown_at = time.perf_counter()
            elif len(missing):
                yield None
        self._drop_oldest()
        yield self._compose(mosaic, request, is_coarse=False)

    @property
    def num_kept_bytes(self) -> int:
        """What the blocks kept hold."""
        return sum(kept.num_bytes for kept in self._kept)

    def _keep(self, mosaic: _Mosaic) -> None:
        """The newest last; one whose cells the new block has taken over is not kept beside it."""
        inside = [kept for kept in self._kept if not mosaic.covers(kept)]
        self._kept = [*inside, mosaic]
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while len(self._kept) > 1 and self.num_kept_bytes > MOST_KEPT_BYTES:
            del self._kept[0]

    def _coarse(
        self, explorer: Explorer, request: ManifoldRequest, key: tuple[int, View]
    ) -> Iterator[ManifoldPicture | None]:
        mosaic = _Mosaic(key, CellRange.covering(request.rect.grown(1.3), request.level + _COARSER))
        order = mosaic.missing()
        while len(order):
            batch = order[: self._batch_size()]
            order = order[len(batch) :]
            mosaic.put(batch, self._decode(explorer, request.view, mosaic.centres_N2[batch]))
            if len(order):
                yield None
        yield self._compose(mosaic, request, is_coarse=True)

    def _batch_size(self) -> int:
        return int(min(max(_STEP_SECONDS / self._seconds_per_cell, 4), 512))

    def _decode(self, explorer: Explorer, view: View, xy_N2: NDArray[np.float64]) -> UInt8:
        start = time.perf_counter()
        pictures = explorer.decode(view.lift(xy_N2))
        seconds = (time.perf_counter() - start) / len(xy_N2)
        self._seconds_per_cell += 0.3 * (seconds - self._seconds_per_cell)
        return pictures

    @staticmethod
    def _compose(mosaic: _Mosaic, request: ManifoldRequest, *, is_coarse: bool) -> ManifoldPicture:
        cells = mosaic.cells
        width = max(1, round(cells.rect.width * request.pixels_per_unit))
        height = max(1, round(cells.rect.height * request.pixels_per_unit))
        if mosaic.pictures is None:
            nothing = np.zeros((height, width, 4), dtype=np.uint8)
            return ManifoldPicture(cells.rect, cells.level, nothing, mosaic.is_whole, False, is_coarse)
        is_opaque = bool(mosaic.is_decoded.all())
        pixels = resampled(tiled(mosaic.pictures), width, height)
        if pixels.ndim == 2:
            # One lookup of four bytes is several times faster than four lookups of one.
            opaque = np.full((1, 256), 255, dtype=np.uint8)
            ink = np.ascontiguousarray(np.concatenate([request.ink_C256, opaque]).T).view(np.uint32).reshape(-1)
            picture = np.take(ink, pixels).view(np.uint8).reshape(height, width, 4)
        else:
            picture = np.full((height, width, 4), 255, dtype=np.uint8)
            for channel in range(3):
                picture[..., channel] = np.take(request.ink_C256[channel], pixels[..., 2 - channel])
        if not is_opaque:
            row = (np.arange(height) * cells.num_rows) // height
            column = (np.arange(width) * cells.num_columns) // width
            picture *= mosaic.is_decoded[row][:, column][..., None]
        return ManifoldPicture(cells.rect, cells.level, picture, mosaic.is_whole, is_opaque, is_coarse)


def tiled(pictures: UInt8) -> UInt8:
    """Cells (rows, columns, H, W[, C]) as one image; oblong pictures are centred in square cells."""
    rows, columns, height, width = pictures.shape[:4]
    side = max(height, width)
    if height != width:
        above, before = (side - height) // 2, (side - width) // 2
        margins = [(0, 0), (0, 0), (above, side - height - above), (before, side - width - before)]
        pictures = np.pad(pictures, margins + [(0, 0)] * (pictures.ndim - 4))
    image = pictures.swapaxes(1, 2)
    return image.reshape(rows * side, columns * side, *pictures.shape[4:])


def resampled(image: UInt8, width: int, height: int) -> UInt8:
    """The image at another size, averaged when it shrinks and interpolated when it grows."""
    if image.shape[:2] == (height, width):
        return image
    planes = torch.from_numpy(np.ascontiguousarray(image))
    planes = planes[None, None] if image.ndim == 2 else planes.movedim(-1, 0)[None]
    shrinks = height < image.shape[0]
    resized = functional.interpolate(planes, (height, width), mode="bilinear", antialias=shrinks)
    return (resized[0, 0] if image.ndim == 2 else resized[0].movedim(0, -1)).contiguous().numpy()
