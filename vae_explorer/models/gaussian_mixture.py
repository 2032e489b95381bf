"""The Gaussian mixture by EM, for points of the plane and other items of few numbers.

    p(x) = sum_k pi_k N(x; m_k, S_k)

S_k is held as a scale: a lower triangular L with L L' = S for `full` (one each) and `tied` (one for all), standard
deviations for `diagonal` and `spherical`. Its eigenvalues have a floor, and of all covariances above it those of the M
step are the most probable ones, so that the likelihood rises all the same.

Legend: B batch, K components, P numbers an item, J covariances: K, or 1 where they are tied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vae_explorer.errors import SettingError
from vae_explorer.models.gaussian import LOG_TWO_PI
from vae_explorer.models.interface import Latents
from vae_explorer.models.mixture import LEAST_ITEMS, Mixture, component_of, require_components, squared_distances

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.mixture_config import GaussianMixtureConfig

VARIANCE_FLOOR = 1e-6
"""Least eigenvalue of a covariance: on a single point the likelihood has no upper bound."""

LEAST_FIRST_SHARE = 0.01
"""Components start with at least this share of the variance of all items."""

OFFSETS_AT_ONCE = 2**22
"""Numbers in the offsets of items from all means that are held at once: 34 MB in float64."""

MOST_COVARIANCE_NUMBERS = 2**25
"""Numbers in all covariances together: 268 MB in float64."""


@dataclass(frozen=True)
class ComponentGaussians:
    """p(x|k) for a component number an item."""

    mixture: GaussianMixture
    component_B: Tensor

    @property
    def mean_BCHW(self) -> Tensor:
        """The components' means."""
        return self.mixture.mean_KP[self.component_B].reshape(-1, *self.mixture.image_shape).float()

    def log_prob(self, x_BCHW: Tensor) -> Tensor:
        """log N(x; m_k, S_k), (B,) float64, in nats."""
        log_components_BK = self.mixture.log_components(x_BCHW.flatten(1).double())
        return log_components_BK.gather(1, self.component_B[:, None])[:, 0]

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """A draw from each component; not confined to [0, 1]."""
        mean_BP = self.mixture.mean_KP[self.component_B]
        noise_BP = torch.randn(mean_BP.shape, generator=generator, device=mean_BP.device, dtype=mean_BP.dtype)
        spread_BP = self.mixture.spread(noise_BP, self.component_B)
        return (mean_BP + spread_BP).reshape(-1, *self.mixture.image_shape).float()


class GaussianMixture(Mixture):
    """Means and scales of K Gaussians."""

    first_KP: Tensor
    second: Tensor

    def __init__(self, config: GaussianMixtureConfig, data_space: DataSpace) -> None:
        super().__init__(config.num_components, data_space)
        self.covariance = config.covariance
        numbers, components = data_space.num_pixels, config.num_components
        shapes = {
            "full": (components, numbers, numbers),
            "tied": (1, numbers, numbers),
            "diagonal": (components, numbers),
            "spherical": (components, 1),
        }
        shape = shapes[config.covariance]
        self.is_matrix = len(shape) == 3
        scale = torch.zeros(shape, dtype=torch.float64) if self.is_matrix else torch.ones(shape, dtype=torch.float64)
        if self.is_matrix:
            # On the meta device, where the explorer builds, `torch.eye` would import seconds of Python first.
            scale.diagonal(dim1=-2, dim2=-1).fill_(1.0)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.register_buffer("first_KP", torch.zeros(components, numbers, dtype=torch.float64))
        self.register_buffer("second", torch.zeros(shape, dtype=torch.float64))

    @property
    def rows_at_once(self) -> int:
        """As many as `OFFSETS_AT_ONCE` allows."""
        return max(1, OFFSETS_AT_ONCE // self.mean_KP.numel())

    @property
    def covariances_KPP(self) -> Tensor:
        """S_k, (K, P, P) float64."""
        components, numbers = self.mean_KP.shape
        if self.is_matrix:
            return (self.scale @ self.scale.mT).expand(components, numbers, numbers)
        return torch.diag_embed(self.scale.square().expand(components, numbers))

    def log_components(self, x_BP: Tensor) -> Tensor:
        """log N(x; m_k, S_k), (B, K)."""
        numbers = self.mean_KP.shape[1]
        offset_KBP = x_BP - self.mean_KP[:, None]
        if self.is_matrix:
            white_KPB: Tensor = torch.linalg.solve_triangular(self.scale, offset_KBP.mT, upper=False)
            square_KB = white_KPB.square().sum(1)
            log_scale_K: Tensor = self.scale.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        else:
            square_KB = (offset_KBP / self.scale[:, None]).square().sum(-1)
            log_scale_K = self.scale.log().expand(-1, numbers).sum(-1)
        return -0.5 * (square_KB.T + numbers * LOG_TWO_PI) - log_scale_K

    def spread(self, noise_BP: Tensor, component_B: Tensor) -> Tensor:
        """White noise (B, P) with the covariance of these components."""
        scale = self.scale[torch.zeros_like(component_B) if self.covariance == "tied" else component_B]
        return (scale @ noise_BP[:, :, None])[:, :, 0] if self.is_matrix else scale * noise_BP

    def decode(self, z: Latents, condition: Tensor | None = None) -> ComponentGaussians:
        """N(m_k, S_k)."""
        return ComponentGaussians(self, component_of(z))

    def place(self, seed_KP: Tensor, x_BP: Tensor) -> None:
        """Round Gaussians on the seeds, as wide as items are far from the nearest seed."""
        some_BP = x_BP[:1000]
        nearest = squared_distances(some_BP, seed_KP).amin(-1).mean() / x_BP.shape[1]
        of_all = x_BP.var(0, correction=0).mean()
        width = torch.maximum(nearest, LEAST_FIRST_SHARE * of_all).clamp(min=VARIANCE_FLOOR).sqrt()
        self.mean_KP[: len(seed_KP)] = seed_KP
        eye_PP = torch.eye(x_BP.shape[1], dtype=torch.float64, device=x_BP.device)
        self.scale.copy_(width * eye_PP if self.is_matrix else width.expand_as(self.scale))

    def take_up(self, x_BP: Tensor, r_BK: Tensor) -> None:
        """First and second moments about the means as they are, which keeps all digits of a narrow component."""
        offset_KBP = x_BP - self.mean_KP[:, None]
        weighted_KBP = r_BK.T[:, :, None] * offset_KBP
        self.first_KP += weighted_KBP.sum(1)
        match self.covariance:
            case "full":
                self.second += weighted_KBP.mT @ offset_KBP
            case "tied":
                self.second += weighted_KBP.flatten(0, 1).T @ offset_KBP.flatten(0, 1)
            case "diagonal":
                self.second += (weighted_KBP * offset_KBP).sum(1)
            case _:
                self.second += (weighted_KBP * offset_KBP).sum(1).mean(-1, keepdim=True)

    def maximise(self) -> None:
        """Means and covariances of the moments. A component without items keeps its own."""
        is_there_K1 = (self.r_sum_K > LEAST_ITEMS)[:, None]
        items_K1 = self.r_sum_K.clamp(min=LEAST_ITEMS)[:, None]
        shift_KP = torch.where(is_there_K1, self.first_KP / items_K1, 0.0)
        self.mean_KP.add_(shift_KP)
        match self.covariance:
            case "full":
                found_KPP = self.second / items_K1[:, :, None] - shift_KP[:, :, None] * shift_KP[:, None]
                self.scale.copy_(torch.where(is_there_K1[:, :, None], lower_root(found_KPP), self.scale))
            case "tied":
                between_PP = (items_K1 * shift_KP).T @ shift_KP
                self.scale.copy_(lower_root((self.second - between_PP) / self.r_sum_K.sum()))
            case "diagonal":
                found_KP = (self.second / items_K1 - shift_KP.square()).clamp(min=VARIANCE_FLOOR)
                self.scale.copy_(torch.where(is_there_K1, found_KP.sqrt(), self.scale))
            case _:
                mean_square_K1 = shift_KP.square().mean(-1, keepdim=True)
                found_K1 = (self.second / items_K1 - mean_square_K1).clamp(min=VARIANCE_FLOOR)
                self.scale.copy_(torch.where(is_there_K1, found_K1.sqrt(), self.scale))
        self.first_KP.zero_()
        self.second.zero_()


def lower_root(covariance_JPP: Tensor) -> Tensor:
    """The lower triangular L with L L' = S after every eigenvalue of S was raised to `VARIANCE_FLOOR`, (J, P, P).

    Of all covariances whose eigenvalues are not below the floor this is the most probable one, given moments S.
    """
    symmetric_JPP = 0.5 * (covariance_JPP + covariance_JPP.mT)
    eigenvalues_JP, vectors_JPP = torch.linalg.eigh(symmetric_JPP)
    root_JPP = vectors_JPP * eigenvalues_JP.clamp(min=VARIANCE_FLOOR).sqrt()[:, None]
    # S = A A' and A' = Q R give L = R', which never takes the root of a number that rounding made negative.
    lower_JPP: Tensor = torch.linalg.qr(root_JPP.mT).R.mT
    return lower_JPP * torch.where(lower_JPP.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0)[:, None]


def build_gaussian_mixture(config: GaussianMixtureConfig, data_space: DataSpace) -> GaussianMixture:
    """The builder of the record `gaussian-mixture`.

    Raises SettingError for more components than items, and for more covariances than fit in memory.
    """
    require_components(config.num_components, data_space)
    numbers = data_space.num_pixels
    matrices = {"full": config.num_components, "tied": 1}.get(config.covariance, 0)
    if matrices * numbers**2 > MOST_COVARIANCE_NUMBERS:
        raise SettingError(
            "model.covariance",
            f"{matrices:,} covariances of {numbers:,} × {numbers:,} numbers do not fit in memory.",
            "Choose diagonal covariances, or fewer components.",
        )
    return GaussianMixture(config, data_space)
