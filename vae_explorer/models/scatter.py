"""One pass over the data for models that need only its mean and its scatter matrix.

Legend: B batch, C channels, H height, W width, P numbers an item (pixels times channels).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vae_explorer.errors import SettingError
from vae_explorer.models.interface import Batch, LatentModel, LatentSpace, Objective

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace

MOST_NUMBERS = 4096
"""Numbers an item for which a scatter matrix is kept: 134 MB in float64, and 15 s of eigenvalues on a slow core."""

MOST_NUMBERS_LIVE = 1024
"""Up to here eigenvalues take less than a second, so the map is worked out anew on the way through the first pass."""


class Scatter(nn.Module):
    """Number, sum and sum of outer products of the items of the first pass, in float64.

    They are buffers, so a checkpoint in the middle of the pass carries them. Later passes add nothing: no item counts
    twice.
    """

    num_items: Tensor
    num_batches: Tensor
    is_whole: Tensor
    sum_P: Tensor
    outer_PP: Tensor

    def __init__(self, num_numbers: int) -> None:
        super().__init__()
        self.register_buffer("num_items", torch.zeros((), dtype=torch.float64))
        self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64))
        self.register_buffer("is_whole", torch.zeros((), dtype=torch.int64))
        self.register_buffer("sum_P", torch.zeros(num_numbers, dtype=torch.float64))
        self.register_buffer("outer_PP", torch.zeros(num_numbers, num_numbers, dtype=torch.float64))

    def take_up(self, x_BP: Tensor) -> bool:
        """Add a batch, (B, P), of the first pass; True where now is a time to work out weights from what is there.

        Those times come at doubling distances: after 1, 2, 4, ... batches.
        """
        x_BP = x_BP.double()
        self.num_items += len(x_BP)
        self.num_batches += 1
        self.sum_P += x_BP.sum(0)
        self.outer_PP.addmm_(x_BP.T, x_BP)
        batches = int(self.num_batches)
        return batches & (batches - 1) == 0 and len(self.sum_P) <= MOST_NUMBERS_LIVE

    def end_pass(self) -> bool:
        """The pass is over; True where it was the first one."""
        if self.is_whole:
            return False
        self.is_whole.fill_(1)
        return True

    @property
    def mean_P(self) -> Tensor:
        """The mean of what was taken up."""
        return self.sum_P / self.num_items

    @property
    def covariance_PP(self) -> Tensor:
        """The covariance of what was taken up, divided by the number of items (maximum likelihood)."""
        mean_P = self.mean_P
        return self.outer_PP / self.num_items - torch.outer(mean_P, mean_P)


class ScatterModel(LatentModel):
    """A model whose weights are solved for, with what its first pass over the data took up."""

    def __init__(self, latent_dimensions: int, data_space: DataSpace) -> None:
        super().__init__()
        numbers = data_space.num_pixels
        self.image_shape = data_space.image_shape
        self.latent_space = LatentSpace("euclidean", (latent_dimensions,))
        self.scatter = Scatter(numbers)
        self.mean_P = nn.Parameter(torch.full((numbers,), 0.5), requires_grad=False)

    def solve(self) -> None:
        """Work out the weights of what has been taken up."""
        raise NotImplementedError

    def take_up(self, batch: Batch) -> bool:
        """Add a batch of the first pass; True where now is a time to solve."""
        return self.scatter.take_up(batch.x_BCHW.flatten(1))

    def start_from(self, mean_CHW: Tensor) -> None:
        """The centre before the first batch."""
        self.mean_P.copy_(mean_CHW.flatten())

    def learn(self, batch: Batch) -> Objective:
        """Take up the batch in the first pass; weights follow at doubling numbers of batches."""
        if not self.scatter.is_whole and self.take_up(batch):
            self.solve()
        return self.objective(batch, batch.x_BCHW.new_ones(()), None)

    def end_epoch(self) -> bool:
        """After the first pass, the weights of all of it."""
        is_first = self.scatter.end_pass()
        if is_first:
            self.solve()
        return is_first


def require_scatter(data_space: DataSpace, title: str) -> None:
    """Raise SettingError where items have too many numbers for a scatter matrix."""
    numbers = data_space.num_pixels
    if numbers > MOST_NUMBERS:
        raise SettingError(
            "data.dataset",
            f"{title} needs a matrix of {numbers:,} × {numbers:,} numbers, which is more than it can work out.",
            f"Choose a data set of at most {MOST_NUMBERS:,} numbers an item, or an autoencoder.",
        )


def with_fixed_signs(axes_DP: Tensor) -> Tensor:
    """The rows, each turned so that its entry of largest size is positive: an axis has no sign of its own."""
    largest_D1 = axes_DP.abs().argmax(-1, keepdim=True)
    return axes_DP * torch.where(axes_DP.gather(-1, largest_D1) < 0, -1.0, 1.0)


def coordinate_axes(num_axes: int, num_numbers: int) -> Tensor:
    """Orthonormal rows (num_axes, num_numbers) to look through before the first batch: coordinates evenly spread."""
    axes_DP = torch.zeros(num_axes, num_numbers)
    for number, axis_P in enumerate(axes_DP):
        axis_P[(2 * number + 1) * num_numbers // (2 * num_axes)] = 1.0
    return axes_DP
