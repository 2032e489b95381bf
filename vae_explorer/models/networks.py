"""Bodies of encoders and decoders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}


def full_precision(x: Tensor) -> Tensor:
    """The tensor in float32 where autocast left it in bfloat16: the bound and the KL need more digits than that has."""
    return x.float() if x.dtype == torch.bfloat16 else x


def multilayer_perceptron(widths: Sequence[int], activation: str) -> nn.Sequential:
    """Linear layers from `widths[0]` inputs to `widths[-1]` outputs with the activation between, none at the end.

    Weights are drawn as `nn.Linear` draws them: uniform within 1/sqrt(inputs).
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        if layers:
            layers.append(_ACTIVATIONS[activation]())
        layers.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*layers)
