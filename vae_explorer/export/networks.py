"""The encoder and the decoder of a trained model as networks from tensors to tensors, for use outside of the program.

    encoder    x (B, C, H, W)  ->  mean (B, D) and log_variance (B, D) where q(z|x) is a diagonal Gaussian,
                                   code (B, D) where a picture has one point,
                                   codes (B, R, W), int64, of a codebook,
                                   responsibilities (B, K) of a mixture's components
    decoder    z               ->  mean_image (B, C, H, W); z is what `LatentModel.decode` takes

A model that is told the class is told it as a second input, `condition`, int64 (B,). One that is told a part of the
picture takes it out of x itself; its decoder's `condition` is a picture (B, C, H, W), of which that part alone counts.

Legend: B batch, C channels, H height, W width, D latent dimensions, R rows and W columns of a grid, K components.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.mixture import Responsibilities

if TYPE_CHECKING:
    from vae_explorer.models.interface import LatentModel, Posterior
    from vae_explorer.models.record import Condition, ModelRecord

PartName = Literal["encoder", "decoder"]
Network = Callable[..., "tuple[Tensor, ...]"]
"""Takes the inputs of a part one after the other."""

_MODEL = "model."


class EncoderNetwork(nn.Module):
    """What a model makes of a picture, as tensors."""

    def __init__(self, model: LatentModel, kind: Condition) -> None:
        super().__init__()
        self.model = model
        self.kind = kind

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, ...]:
        """As the top of this module says."""
        told = self.model.condition_of(x, None) if self.kind == "part" else condition
        return tuple(_encoded(self.model.encode(x, told)).values())


class DecoderNetwork(nn.Module):
    """What a model makes of latents: the mean picture."""

    def __init__(self, model: LatentModel, kind: Condition) -> None:
        super().__init__()
        self.model = model
        self.kind = kind

    def forward(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, ...]:
        """As the top of this module says."""
        if self.kind == "part" and condition is not None:
            condition = self.model.condition_of(condition, None)
        return (self.model.decode(z, condition).mean_BCHW,)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """An encoder or a decoder with real inputs and what the program itself makes of them, by name.

    `network` holds the weights that this part uses and no others.
    """

    name: PartName
    network: nn.Module
    inputs: Mapping[str, Tensor]
    expected: Mapping[str, Tensor]

    def weights(self) -> dict[str, Tensor]:
        """Weights and buffers under the names that they have in the model."""
        return {name.removeprefix(_MODEL): value for name, value in self.network.state_dict().items()}

    def first(self, num: int) -> Part:
        """The same part on the first so many inputs."""
        inputs = {name: value[:num] for name, value in self.inputs.items()}
        return Part(self.name, self.network, inputs, {name: value[:num] for name, value in self.expected.items()})


@torch.no_grad()
def part_of(
    name: PartName, model: LatentModel, record: ModelRecord, x_BCHW: Tensor, label_B: Tensor | None = None
) -> Part:
    """The encoder or decoder of a model in evaluation mode, tried on these pictures as the model sees them."""
    told = model.condition_of(x_BCHW, label_B) if record.condition else None
    posterior = model.encode(x_BCHW, told)
    inputs: dict[str, Tensor] = {"x": x_BCHW}
    expected = _encoded(posterior)
    network: nn.Module = EncoderNetwork(model, record.condition)
    if name == "decoder":
        z = cast("Tensor", posterior.mean)
        inputs = {"z": z}
        expected = {"mean_image": model.decode(z, told).mean_BCHW}
        network = DecoderNetwork(model, record.condition)
    if record.condition == "class":
        inputs["condition"] = cast("Tensor", label_B)
    elif record.condition == "part" and name == "decoder":
        inputs["condition"] = x_BCHW
    return Part(name, _trimmed(network, inputs), inputs, expected)


def _encoded(posterior: Posterior) -> dict[str, Tensor]:
    match posterior:
        case DiagonalGaussian():
            return {"mean": posterior.mean, "log_variance": posterior.log_variance}
        case Responsibilities():
            return {"responsibilities": posterior.log_r_BK.exp()}
        case _:
            mean = cast("Tensor", posterior.mean)
            return {"code" if mean.is_floating_point() else "codes": mean}


class _Looked(TorchFunctionMode):
    """Remembers which tensors torch was asked anything about."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[int] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        for tensor in _tensors_in((args, kwargs or {})):
            self.found.add(id(tensor))
        return func(*args, **(kwargs or {}))


def _tensors_in(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors_in(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors_in(item)


def _trimmed(network: nn.Module, inputs: Mapping[str, Tensor]) -> nn.Module:
    """A copy without the weights and buffers that its work does not touch: those of the other part, of a prior."""
    trimmed = copy.deepcopy(network).eval().requires_grad_(False)
    with _Looked() as looked:
        trimmed(**inputs)
    for module in trimmed.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and id(tensor) not in looked.found:
                    tensors[name] = None
    return trimmed
