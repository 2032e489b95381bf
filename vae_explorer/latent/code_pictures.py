"""The stored pictures of items at the places of their codes, where there is room for them.

Runs on the exploring thread. Legend: N items, C channels, H height, W width, P points.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

if TYPE_CHECKING:
    from vae_explorer.latent.drawing import LayerInk
    from vae_explorer.latent.explorer import Explorer

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

SIDES = (64.0, 48.0, 36.0, 28.0, 20.0)
"""Sides of the pictures that are tried, in logical pixels, from the largest."""

MOST_PICTURES = 400
SHARE_WITH_ROOM = 0.6
"""The share of the codes in sight for which there must be room before pictures replace points by themselves."""

_MOST_KEPT = 2_000
_MOST_CANDIDATES = 4_000
_GREATEST_KEPT_SIDE = 128
_BATCH = 64
_GROUND_ALPHA = 0.6


def most_with_room(pixel_P2: Floats, sides: tuple[float, ...]) -> Generator[None, None, tuple[float, NDArray[np.intp]]]:
    """The largest side at which enough pictures have room, and which points these are; a step a side.

    Returns the least side where none is large enough for `SHARE_WITH_ROOM` of the points.
    """
    chosen = np.zeros(0, dtype=np.intp)
    for side in sides:
        chosen = with_room(pixel_P2, side)
        if len(chosen) >= SHARE_WITH_ROOM * len(pixel_P2) or side == sides[-1]:
            return side, chosen
        yield None
    return sides[-1], chosen


def with_room(pixel_P2: Floats, side: float) -> NDArray[np.intp]:
    """Points at which squares of this side can stand without overlapping, first come first served, at most 400.

    In a fixed order of points the same item wins at every drawing. Of long lists only the first 4,000 are tried.
    """
    # Two squares overlap only if they are in neighbouring cells of a grid of their side.
    taken: dict[tuple[int, int], tuple[float, float]] = {}
    chosen = []
    for number, (x, y) in enumerate(pixel_P2[:_MOST_CANDIDATES].tolist()):
        column, row = int(x // side), int(y // side)
        for neighbour in _NEIGHBOURS:
            other = taken.get((column + neighbour[0], row + neighbour[1]))
            if other is not None and abs(other[0] - x) < side and abs(other[1] - y) < side:
                break
        else:
            taken[column, row] = (x, y)
            chosen.append(number)
            if len(chosen) == MOST_PICTURES:
                break
    return np.array(chosen, dtype=np.intp)


_NEIGHBOURS = tuple((dx, dy) for dx in (0, -1, 1) for dy in (0, -1, 1))


def prepared_tiles(
    explorer: Explorer, ids_P: NDArray[np.integer[Any]], side: int, ink: LayerInk
) -> Generator[None, None, UInt8]:
    """The pictures of these items, (P, height, width, 4) premultiplied, `side` pixels along the longer side.

    Grey pictures are drawn as ink on a translucent ground, so that they are light in a light window and dark in a dark
    one; colour pictures keep their colours. Pictures are kept by item id, at most 2,000.
    """
    kept: dict[int, torch.Tensor] = explorer.lasting.setdefault("code pictures", {})
    wanted = [int(item) for item in ids_P]
    missing = np.array([item for item in wanted if item not in kept], dtype=np.int64)
    for start in range(0, len(missing), _BATCH):
        part = missing[start : start + _BATCH]
        kept.update(zip(part.tolist(), _shrunk(explorer.pictures(part).cpu()), strict=True))
        yield None
    tiles = []
    for start in range(0, len(wanted), _BATCH):
        tiles.append(inked(resized(torch.stack([kept[item] for item in wanted[start : start + _BATCH]]), side), ink))
        yield None
    for item in list(kept)[: max(0, len(kept) - _MOST_KEPT)]:
        del kept[item]
    return np.concatenate(tiles) if tiles else np.zeros((0, side, side, 4), dtype=np.uint8)


def inked(pictures_NCHW: UInt8, ink: LayerInk) -> UInt8:
    """Stored pictures as premultiplied pixels (N, H, W, 4), bytes blue, green, red, alpha."""
    num, channels, height, width = pictures_NCHW.shape
    pixels = np.full((num, height, width, 4), 255, dtype=np.uint8)
    if channels == 1:
        level = np.arange(256) / 255.0
        alpha = _GROUND_ALPHA + (1.0 - _GROUND_ALPHA) * level
        low_3, high_3 = ink.ground_3.astype(np.float64), ink.text_3.astype(np.float64)
        table = np.empty((256, 4))
        table[:, :3] = (low_3 + (high_3 - low_3) * level[:, None]) * alpha[:, None]
        table[:, 3] = 255.0 * alpha
        return np.rint(table).astype(np.uint8)[pictures_NCHW[:, 0]]
    pixels[..., :3] = pictures_NCHW[:, [2, 1, 0]].transpose(0, 2, 3, 1)
    return pixels


def channels_last(pictures_NCHW: torch.Tensor) -> UInt8:
    """Stored pictures as they are shown elsewhere: (N, H, W) for one channel, else (N, H, W, C)."""
    pictures = pictures_NCHW[:, 0] if pictures_NCHW.shape[1] == 1 else pictures_NCHW.movedim(1, -1)
    return pictures.contiguous().cpu().numpy()


def resized(pictures_NCHW: torch.Tensor, side: int) -> UInt8:
    """uint8 pictures at another size, the longer side of `side` pixels."""
    height, width = pictures_NCHW.shape[2:]
    scale = side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    if size == (height, width):
        return pictures_NCHW.numpy()
    return functional.interpolate(pictures_NCHW, size, mode="bilinear", antialias=scale < 1).numpy()


def paste(pixels_HW4: UInt8, tile_HW4: UInt8, x: float, y: float, frame_4: UInt8, frame_width: int) -> None:
    """Lay a tile centred at the pixel (x, y) over the picture, with a frame; what hangs over the edge is cut off."""
    tile = tile_HW4.copy()
    for edge in (np.s_[:frame_width], np.s_[-frame_width:], np.s_[:, :frame_width], np.s_[:, -frame_width:]):
        tile[edge] = frame_4
    height, width = tile.shape[:2]
    top, left = round(y - height / 2), round(x - width / 2)
    first_row, first_column = max(0, -top), max(0, -left)
    last_row, last_column = min(height, pixels_HW4.shape[0] - top), min(width, pixels_HW4.shape[1] - left)
    if last_row > first_row and last_column > first_column:
        part = tile[first_row:last_row, first_column:last_column]
        pixels_HW4[top + first_row : top + last_row, left + first_column : left + last_column] = part


def _shrunk(pictures_NCHW: torch.Tensor) -> torch.Tensor:
    # Pictures much larger than they are ever drawn would fill memory.
    if max(pictures_NCHW.shape[2:]) <= _GREATEST_KEPT_SIDE:
        return pictures_NCHW
    return torch.from_numpy(resized(pictures_NCHW, _GREATEST_KEPT_SIDE))
