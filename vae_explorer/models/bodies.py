"""Bodies of encoders and decoders, chosen by name: MLP, convolutional, residual (He et al., arXiv:1512.03385).

Any picture size goes in and the same comes back: each convolutional stage halves a side, rounding up, and the decoder
cuts off what doubling gave too much.

Legend: B batch, C channels, H height, W width, F numbers that an encoder puts out or a decoder takes in.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

from vae_explorer.errors import SettingError
from vae_explorer.models.networks import PreciseLinear, activation_module, normalisation_module

if TYPE_CHECKING:
    from vae_explorer.models.body_config import BodyConfig

Shape = tuple[int, int, int]


def encoder_body(config: BodyConfig, image_shape: Shape, outputs: int) -> nn.Sequential:
    """A network from pictures (B, C, H, W) to `outputs` numbers, (B, F), in float32 under autocast too.

    Raises:
        SettingError: the body is for pictures and these are points of the plane, or it has no stage.
    """
    if config.body == "mlp":
        widths = (math.prod(image_shape), *config.hidden_widths)
        return _FromPictures(*_hidden_layers(config, widths), PreciseLinear(widths[-1], outputs))
    sizes = _sizes(config, image_shape)
    layers: list[nn.Module] = []
    for inputs, channels in zip((image_shape[0], *config.channels), config.channels, strict=False):
        layers += _stage(config, nn.Conv2d(inputs, channels, 3, stride=2, padding=1), channels)
    bottom = config.channels[-1] * math.prod(sizes[-1])
    return nn.Sequential(*layers, nn.Flatten(), PreciseLinear(bottom, outputs))


def decoder_body(config: BodyConfig, inputs: int, image_shape: Shape) -> nn.Sequential:
    """A network from (B, F) to raw outputs (B, C, H, W), float32; its last layer has the bias of the raw outputs.

    `image_shape` is that of the raw outputs, so C counts the numbers that an observation model takes for each pixel.

    Raises:
        SettingError: as `encoder_body`.
    """
    if config.body == "mlp":
        widths = (inputs, *reversed(config.hidden_widths))
        hidden = _hidden_layers(config, widths)
        return _ToPictures(image_shape, *hidden, nn.Linear(widths[-1], math.prod(image_shape)))
    *finer, bottom = _sizes(config, image_shape)
    *_, deepest = config.channels
    layers: list[nn.Module] = [
        nn.Linear(inputs, deepest * math.prod(bottom)),
        nn.Unflatten(1, (deepest, *bottom)),
        *_stage(config, None, deepest),
    ]
    outwards = tuple(reversed(config.channels))
    for previous, channels, size in zip(outwards, outwards[1:], reversed(finer[1:]), strict=False):
        layers += _stage(config, DoublingConvolution(previous, channels, size), channels)
    return nn.Sequential(*layers, DoublingConvolution(outwards[-1], image_shape[0], finer[0]))


def _hidden_layers(config: BodyConfig, widths: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += _finished(config, nn.Linear(inputs, outputs), outputs)
    return layers


def _stage(config: BodyConfig, first: nn.Module | None, channels: int) -> list[nn.Module]:
    """A convolution that changes the resolution and, in the residual body, blocks that do not."""
    blocks = config.blocks_per_stage if config.body == "residual" else 0
    return [*_finished(config, first, channels), *(ResidualBlock(config, channels) for _ in range(blocks))]


def _finished(config: BodyConfig, layer: nn.Module | None, channels: int) -> list[nn.Module]:
    """A layer with normalisation and activation after it."""
    normalised = normalisation_module(config.normalisation, channels)
    parts = (layer, normalised, activation_module(config.activation))
    return [part for part in parts if part is not None]


def _sizes(config: BodyConfig, image_shape: Shape) -> list[tuple[int, int]]:
    """(H, W) of the picture and after each stage."""
    if not config.channels:
        raise SettingError(
            "model.channels", f"The {config.body} body has no stage.", "Name the channels of each, such as 32, 64."
        )
    _, height, width = image_shape
    if height == width == 1:
        raise SettingError(
            "model.body",
            f"The {config.body} body is for pictures, and this data set holds points of the plane.",
            "Choose the body mlp.",
        )
    sizes = [(height, width)]
    for _ in config.channels:
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.append((height, width))
    return sizes


class _FromPictures(nn.Sequential):
    """Layers on flattened pictures; the flattening is no layer, so that weights keep their numbers."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F)."""
        h_BF = x_BCHW.flatten(1)
        for layer in self:
            h_BF = layer(h_BF)
        return h_BF


class _ToPictures(nn.Sequential):
    """Layers whose outputs are given the shape of pictures."""

    def __init__(self, image_shape: Shape, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self._image_shape = image_shape

    def forward(self, z_BF: Tensor) -> Tensor:
        """(B, F) -> (B, C, H, W)."""
        for layer in self:
            z_BF = layer(z_BF)
        return z_BF.reshape(-1, *self._image_shape)


class DoublingConvolution(nn.ConvTranspose2d):
    """A transposed convolution to twice the size, cut to `size`: kernel 4 at stride 2 lays no chequerboard."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)
        self._height, self._width = size

    def forward(self, x_BCHW: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, C, H/2 rounded up, W/2 rounded up) -> (B, C, H, W)."""
        doubled: Tensor = super().forward(x_BCHW, output_size)
        return doubled[..., : self._height, : self._width]


class ResidualBlock(nn.Module):
    """a(h + f(h)) with two 3 x 3 convolutions in f; the size stays."""

    def __init__(self, config: BodyConfig, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_finished(config, nn.Conv2d(channels, channels, 3, padding=1), channels),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.normalisation = normalisation_module(config.normalisation, channels) or nn.Identity()
        self.activation = activation_module(config.activation)

    def forward(self, h_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        found: Tensor = self.activation(h_BCHW + self.normalisation(self.body(h_BCHW)))
        return found
