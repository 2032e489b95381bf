"""Models of which everything is known, and evaluations of them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch

from vae_explorer.evaluation.evaluation import Evaluation
from vae_explorer.evaluation.images import ScoredImages
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.deterministic import Picture, PointCode
from vae_explorer.models.gaussian import DiagonalGaussian, standard_normal_log_prob
from vae_explorer.models.interface import LatentModel, LatentSpace


def pictures_of(stored_NCHW: torch.Tensor, protocol: str, **others: Any) -> ScoredImages:
    return ScoredImages(split="test", protocol=protocol, stored_NCHW=stored_NCHW, **others)


def evaluation_of(model: LatentModel, images: ScoredImages, **others: Any) -> Evaluation:
    return Evaluation(model=model, record=MODELS["vae"], images=images, **others)


class Known(LatentModel):
    """Nothing to train."""

    def objective(self, batch: Any, beta: Any, generator: Any) -> Any:
        raise NotImplementedError


class Constant(Known):
    """Decodes everything to one grey level."""

    latent_space = LatentSpace("euclidean", (1,))

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def encode(self, x_BCHW: torch.Tensor, condition: Any = None) -> PointCode:
        return PointCode(torch.zeros(len(x_BCHW), 1))

    def decode(self, z: Any, condition: Any = None) -> Picture:
        return Picture(torch.full((len(z), 1, 8, 8), self.level))


@dataclasses.dataclass
class UnitGaussian:
    """N(mean, 1) for each pixel."""

    mean_BCHW: torch.Tensor

    def log_prob(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return -0.5 * ((x_BCHW - self.mean_BCHW) ** 2 + math.log(2 * math.pi)).flatten(1).sum(1)

    def sample(self, generator: Any) -> torch.Tensor:
        return self.mean_BCHW


class LinearGaussian(Known):
    """x = W z + unit noise with orthogonal columns of W, whose posterior N(V W'x, V), V = (W'W + I)^-1, is diagonal.

    `encode` gives that posterior with its standard deviation times `width`.
    """

    def __init__(self, weight_PD: torch.Tensor, width: float = 1.0) -> None:
        super().__init__()
        self.weight_PD, self.width = weight_PD, width
        self.latent_space = LatentSpace("euclidean", (weight_PD.shape[1],))
        self.variance_D = 1.0 / (weight_PD.square().sum(0) + 1.0)

    def encode(self, x_BCHW: torch.Tensor, condition: Any = None) -> DiagonalGaussian:
        mean_BD = x_BCHW.flatten(1) @ self.weight_PD * self.variance_D
        return DiagonalGaussian(mean_BD, (self.width**2 * self.variance_D).log().expand_as(mean_BD))

    def decode(self, z: Any, condition: Any = None) -> UnitGaussian:
        return UnitGaussian((z @ self.weight_PD.T).unflatten(1, (1, 2, 2)))

    def log_prior(self, z: Any, condition: Any = None) -> torch.Tensor:
        return standard_normal_log_prob(z)
