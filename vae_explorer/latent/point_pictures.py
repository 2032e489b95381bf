"""Points of the plane as small pictures, for all places that show what an item looks like.

A picture is the square of the plane that holds a point set's data, x to the right and y upwards: a bright dot where
the point lies, over faint axes through the origin. Legend: N items, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vae_explorer.datasets.points import REACH
from vae_explorer.models.data_space import POINT_PICTURE_SIDE

_DOT_SIGMA = 0.9  # pixels
_AXIS_LEVEL = 0.16


def drawn(x_NCHW: Tensor) -> Tensor:
    """What is shown of items: points (N, 2, 1, 1) as float pictures (N, 1, 28, 28) in [0, 1], pictures as they are.

    A point that lies outside of the square is drawn at its nearest edge; one that is not finite is not drawn.
    """
    if x_NCHW.shape[1:] != (2, 1, 1):
        return x_NCHW
    pixel_S = torch.arange(POINT_PICTURE_SIDE, device=x_NCHW.device) + 0.5
    at_N2 = x_NCHW.flatten(1).float().clamp(-REACH, REACH) * (POINT_PICTURE_SIDE / (2 * REACH))
    across_NS = torch.exp(-0.5 * ((pixel_S - POINT_PICTURE_SIDE / 2 - at_N2[:, :1]) / _DOT_SIGMA) ** 2)
    down_NS = torch.exp(-0.5 * ((pixel_S - POINT_PICTURE_SIDE / 2 + at_N2[:, 1:]) / _DOT_SIGMA) ** 2)
    dot_NHW = torch.nan_to_num(down_NS[:, :, None] * across_NS[:, None, :]) * 1.25
    is_axis_S = (pixel_S - POINT_PICTURE_SIDE / 2).abs() < 1
    axes_HW = _AXIS_LEVEL * (is_axis_S[:, None] | is_axis_S).float()
    return torch.maximum(dot_NHW, axes_HW).clamp(max=1.0)[:, None]


def shown_levels(stored_NCHW: Tensor) -> Tensor:
    """Stored items as uint8 pictures: points are drawn, pictures stay as they are."""
    if not stored_NCHW.is_floating_point():
        return stored_NCHW
    return (drawn(stored_NCHW) * 255.0 + 0.5).to(torch.uint8)
