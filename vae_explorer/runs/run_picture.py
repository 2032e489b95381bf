"""What a run has come to, in one small picture for its library: written at the end of each training, headless too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.runs import files
from vae_explorer.runs.png import png_bytes

if TYPE_CHECKING:
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.trainer import Trainer

END_PICTURE = "end.png"
_SIDE, _GAP = 4, 2
_SEED = 0
_GROUND = 128  # between pictures, neither ink nor paper

UInt8 = NDArray[np.uint8]


def keep_picture(trainer: Trainer, run: RunDirectory) -> None:
    """Write the picture into the run's samples. Where the model makes none, or it cannot be written, there is none."""
    try:
        pictures = pictures_of(trainer)
        if len(pictures):
            files.make_folder(run.samples_folder)
            files.write_bytes_atomic(run.samples_folder / END_PICTURE, png_bytes(tiled(pictures), {}))
    except (UserError, RuntimeError, MemoryError):
        return  # torch has no memory left (a RuntimeError), the disk is full, the model cannot: a run is worth more


def pictures_of(trainer: Trainer) -> UInt8:
    """Sixteen pictures, uint8 (16, H, W) or (16, H, W, 3): draws from the prior, or decoded codes where there is none.

    Empty where the model has neither. Nothing is drawn from the generators of training.
    """
    explorer, num = Explorer(), _SIDE * _SIDE
    explorer.show_images(trainer.dataset)
    explorer.adopt(trainer.snapshot())
    if explorer.record.has_prior:
        return explorer.sample(num, _SEED)[0]
    codes_ND = explorer.codes()
    if codes_ND is None:
        return np.empty((0, 1, 1), np.uint8)
    held_ND = codes_ND[np.isfinite(codes_ND).all(axis=1)]
    return explorer.decode(held_ND[:num].astype(np.float64)) if len(held_ND) >= num else np.empty((0, 1, 1), np.uint8)


def tiled(pictures: UInt8) -> UInt8:
    """The pictures in a square, with gaps."""
    _, height, width, *colour = pictures.shape
    shape: tuple[Any, ...] = (_SIDE * (height + _GAP) - _GAP, _SIDE * (width + _GAP) - _GAP, *colour)
    tiles = np.full(shape, _GROUND, np.uint8)
    for number, picture in enumerate(pictures[: _SIDE * _SIDE]):
        row, column = divmod(number, _SIDE)
        top, left = row * (height + _GAP), column * (width + _GAP)
        tiles[top : top + height, left : left + width] = picture
    return tiles
