"""Kernel distance between generated and real pictures, for data without labels (Binkowski et al., arXiv:1801.01401).

The squared maximum mean discrepancy under the kernel k(x, y) = (x.y / F + 1)^3, without bias, so that it is near 0
and may be below for pictures of one distribution, however few. Features are those of a convolutional network whose
weights were drawn once from a fixed seed and never trained; they are scaled to unit variance over the real pictures.

Legend: N real pictures, M generated ones, F features, C channels.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from vae_explorer.evaluation.evaluation import Evaluation, Outcome
from vae_explorer.evaluation.generation import drawn_training, generated, pictures_words, real, require_enough

if TYPE_CHECKING:
    from torch import Tensor

SEED = 20180104
CHANNELS = (32, 64, 64)
SUBSET = 1000
"""Pictures of a block; the value is the mean over blocks, and its error their spread (Binkowski et al., section 4)."""


def kernel_distance_of_samples(evaluation: Evaluation) -> Outcome:
    """KID of generated against measured pictures, with that of as many training images as its floor."""
    pictures, made = real(evaluation.images), generated(evaluation)
    require_enough(min(len(pictures), len(made)), 4, "pictures")
    network, digest = random_network(pictures.shape[1])
    real_NF, made_MF = features(network, pictures), features(network, made)
    other_NF = features(network, drawn_training(evaluation, len(real_NF))[0])
    scale_F = real_NF.std(0).clamp_min(1e-6)
    value, error = by_blocks(real_NF / scale_F, made_MF / scale_F)
    floor, _ = by_blocks(real_NF / scale_F, other_NF / scale_F)
    detail = {
        "kernel_floor": floor, "generated": len(made), "pictures": pictures_words(evaluation),
        "features": "random convolutional network", "feature_digest": digest,
    }  # fmt: skip
    return Outcome(value=value, standard_error=error, samples=evaluation.samples, detail=detail)


def kernel_distance(first_NF: Tensor, second_MF: Tensor) -> float:
    """MMD^2 without bias: pairs of a picture with itself are left out."""
    within_first, within_second = _kernel(first_NF, first_NF), _kernel(second_MF, second_MF)
    num, other = len(first_NF), len(second_MF)
    first = (within_first.sum() - within_first.diagonal().sum()) / (num * (num - 1))
    second = (within_second.sum() - within_second.diagonal().sum()) / (other * (other - 1))
    return float(first + second - 2 * _kernel(first_NF, second_MF).mean())


def by_blocks(first_NF: Tensor, second_MF: Tensor) -> tuple[float, float | None]:
    """The mean over blocks of `SUBSET` pictures, and its standard error where there are at least two."""
    num = min(len(first_NF), len(second_MF))
    size = min(SUBSET, num)
    # Every so many-th one: files are often in an order of their own.
    blocks = num // size
    values = [
        kernel_distance(first_NF[:num][block::blocks][:size], second_MF[:num][block::blocks][:size])
        for block in range(blocks)
    ]
    mean = sum(values) / blocks
    if blocks < 2:
        return mean, None
    variance = sum((value - mean) ** 2 for value in values) / (blocks - 1)
    return mean, math.sqrt(variance / blocks)


def random_network(channels: int) -> tuple[nn.Sequential, str]:
    """Three strided convolutions with weights drawn from `SEED`, averaged to 2 x 2 places; and their digest."""
    generator = torch.Generator().manual_seed(SEED)
    layers: list[nn.Module] = []
    digest = hashlib.sha256()
    for inputs, outputs in zip((channels, *CHANNELS), CHANNELS, strict=False):
        layer = nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, stride=2, padding=1)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * math.sqrt(2 / (9 * inputs)))
            layer.bias.zero_()
        digest.update(layer.weight.detach().numpy().tobytes())
        layers += (layer, nn.LeakyReLU(0.2))
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten()).eval().requires_grad_(False)
    return network, digest.hexdigest()[:12]


def features(network: nn.Module, pictures_NCHW: Tensor) -> Tensor:
    """(N, F) float64 on the CPU."""
    with torch.inference_mode():
        return torch.cat([network(x_BCHW.float()) for x_BCHW in pictures_NCHW.split(SUBSET)]).double()


def _kernel(first_NF: Tensor, second_MF: Tensor) -> Tensor:
    return (first_NF @ second_MF.T / first_NF.shape[1] + 1.0) ** 3
