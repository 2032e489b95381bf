"""Sprites: one shape a picture, drawn from five known factors, the oracle of what a latent dimension means.

Three shapes without any symmetry of rotation (drop, heart, crescent), 6 scales, 40 angles and 32 x 32 places: 737,280
binary pictures of 64 x 64 pixels, each of them different. A picture is put together when it is asked for, from 720
shapes that are drawn once, so the set takes 7 MB instead of 3 GB. After dSprites (Matthey et al. 2017), of which this
is no copy: scores on it are the program's own.

Legend: N items, B batch, F = 5 factors, T = 720 shapes at a scale and an angle, S = 64 pixels a side.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_explorer.datasets.image_dataset import RenderedSplit

if TYPE_CHECKING:
    from vae_explorer.datasets.catalogue import Split

SHAPES = ("drop", "heart", "crescent")
FACTOR_SIZES = (len(SHAPES), 6, 40, 32, 32)
"""Numbers of shapes, scales, angles, places to the right and places downwards."""

NUM_SPRITES = math.prod(FACTOR_SIZES)
NUM_TEST = 10_000
TEST_SEED = 20170101
"""Seed of the draw that decides which sprites are the test split; the others are the training source."""

SIDE = 64
_BOX = 32  # pixels a side of a drawn shape
_GREATEST_RADIUS = 15.5
_PADDED = SIDE + _BOX
_FINENESS = 3  # a pixel is on where most of 3 x 3 places in it are inside


class SpriteImages:
    """The store of some sprites by their numbers in the whole set; an `ImageStore`.

    Each shape lies in the middle of a dark square of 96 x 96; a picture is the part of 64 x 64 of it in which the shape
    stands at its place.
    """

    def __init__(self, sprite_N: Tensor, device: torch.device | str = "cpu") -> None:
        """`sprite_N`: int64 numbers from 0 to `NUM_SPRITES` - 1, the factors as digits, the first one foremost."""
        self.num_images = len(sprite_N)
        self.image_shape = (1, SIDE, SIDE)
        self._sprite_N = sprite_N.to(device)
        self.device = self._sprite_N.device
        padded = torch.zeros(len(templates()), _PADDED, _PADDED, dtype=torch.uint8)
        padded[:, _BOX:SIDE, _BOX:SIDE] = torch.from_numpy(templates()).mul(255)
        pixels = padded.flatten().to(self.device)
        # Every part of 64 x 64 that begins at some pixel, as a view: picking from it is eight times faster than picking
        # pixel by pixel.
        num_starts = len(pixels) - (SIDE - 1) * (_PADDED + 1)
        self._parts = pixels.as_strided((num_starts, SIDE, SIDE), (1, _PADDED, 1))

    def gather(self, index_B: Tensor) -> Tensor:
        """The pictures at `index_B`, uint8 (B, 1, 64, 64) of 0 and 255."""
        sprite_B = self._sprite_N.index_select(0, index_B)
        across, down = FACTOR_SIZES[3:]
        template_B = sprite_B // (across * down)
        x_B, y_B = sprite_B // down % across, sprite_B % down
        start_B = (template_B * _PADDED + _BOX - y_B) * _PADDED + _BOX - x_B
        return self._parts.index_select(0, start_B)[:, None]


def factors_of(sprite_N: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Shape, scale, angle, place to the right and place downwards of sprites, (N, 5), each counted from 0."""
    return np.stack(np.unravel_index(sprite_N, FACTOR_SIZES), axis=1).astype(np.uint8)


def load_sprites(split: Split) -> RenderedSplit:
    """One split; the numbers of the test sprites are a fixed draw, those of the training source all others."""
    order = np.random.RandomState(TEST_SEED).permutation(NUM_SPRITES)
    sprite_N = (order[:NUM_TEST] if split == "test" else np.sort(order[NUM_TEST:])).astype(np.int64)
    factors_NF = factors_of(sprite_N)
    digest = hashlib.sha256(np.packbits(templates()).tobytes())
    digest.update(sprite_N.astype("<i8").tobytes())

    def store(device: torch.device | str) -> SpriteImages:
        return SpriteImages(torch.from_numpy(sprite_N), device)

    return RenderedSplit(store, factors_NF[:, 0].astype(np.int64), factors_NF, digest.hexdigest())


@cache
def templates() -> NDArray[np.uint8]:
    """Every shape at every scale and angle, (T, 32, 32) of 0 and 1, in the order of the factors."""
    fine = (np.arange(_BOX * _FINENESS) + 0.5) / _FINENESS - _BOX / 2
    right, up = np.meshgrid(fine, -fine)
    drawn = []
    for inside in (_is_in_drop, _is_in_heart, _is_in_crescent):
        for radius in _GREATEST_RADIUS * np.linspace(0.5, 1.0, FACTOR_SIZES[1]):
            for angle in np.arange(FACTOR_SIZES[2]) * (2 * math.pi / FACTOR_SIZES[2]):
                u = (math.cos(angle) * right + math.sin(angle) * up) / radius
                v = (math.cos(angle) * up - math.sin(angle) * right) / radius
                share = inside(u, v).reshape(_BOX, _FINENESS, _BOX, _FINENESS).mean((1, 3))
                drawn.append(share > 0.5)
    return np.stack(drawn).astype(np.uint8)


# The shapes lie within the unit circle, u to the right and v upwards.


def _is_in_drop(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A disc with a point above it."""
    disc = u**2 + (v + 0.4) ** 2 < 0.6**2
    # The two tangents from the point (0, 1) to the disc touch it where v = -0.4 + 0.36 / 1.4.
    slope = 0.6 / math.sqrt(1.4**2 - 0.6**2)
    point = (np.abs(u) < (1 - v) * slope) & (v > -0.4 + 0.36 / 1.4) & (v < 1)
    return disc | point


def _is_in_heart(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The sextic (x^2 + y^2 - 1)^3 < x^2 y^3, scaled into the unit circle."""
    x, y = 1.35 * u, 1.35 * v + 0.05
    return (x**2 + y**2 - 1) ** 3 < x**2 * y**3


def _is_in_crescent(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A disc from which a smaller one is cut out below."""
    return (u**2 + v**2 < 1) & (u**2 + (v + 0.55) ** 2 > 0.8**2)
