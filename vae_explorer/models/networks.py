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


class PreciseLinear(nn.Linear):
    """A linear layer that computes in float32 under autocast too.

    For codes: bfloat16 has 8 bits, so that a map of them shows a lattice as soon as one looks closely.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs) in the parameters' type."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(full_precision(x))


def full_precision(x: Tensor) -> Tensor:
    """The tensor in float32 where autocast left it in bfloat16: the bound and the KL need more digits than that has."""
    return x.float() if x.dtype == torch.bfloat16 else x


def activation_module(name: str) -> nn.Module:
    """The nonlinearity of that name (`body_config.ACTIVATIONS`)."""
    return _ACTIVATIONS[name]()


def normalisation_module(name: str, channels: int) -> nn.Module | None:
    """The normalisation of that name (`body_config.NORMALISATIONS`) over (B, channels, ...); None for `none`."""
    match name:
        case "batch":
            return BatchNormalisation(channels)
        case "layer":
            return nn.GroupNorm(1, channels)
        case _:
            return None


class BatchNormalisation(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation (Ioffe & Szegedy, arXiv:1502.03167) of (B, channels) and (B, channels, H, W) alike.

    Outside training it uses its running averages, so that a picture's code does not depend on its neighbours; so it
    does with a single value a channel, which has no variance (the last batch of an epoch may be one picture).
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - the base class's word
        """Any number of places is fine."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, each channel with mean 0 and variance 1 before its own scale and shift."""
        if self.training and x.numel() == x.shape[1]:
            return torch.nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(x)


def multilayer_perceptron(widths: Sequence[int], activation: str, output: type[nn.Linear] = nn.Linear) -> nn.Sequential:
    """Linear layers from `widths[0]` inputs to `widths[-1]` outputs with the activation between, none at the end.

    `output` is the kind of the last layer. Weights are drawn as `nn.Linear` draws them: uniform within 1/sqrt(inputs).
    """
    layers: list[nn.Module] = []
    *hidden, last = pairwise(widths)
    for inputs, outputs in hidden:
        layers += (nn.Linear(inputs, outputs), _ACTIVATIONS[activation]())
    return nn.Sequential(*layers, output(*last))
