"""PCA (Pearson 1901) and probabilistic PCA (Tipping & Bishop 1999), both from one pass over the data.

With U (P, d) the eigenvectors of the covariance for its d largest eigenvalues L, m the mean:

    PCA     y = U'(x - m),  x^ = m + U y
    PPCA    z ~ N(0, I),  x|z ~ N(W z + m, s2 I),  W = U (L - s2 I)^1/2,  s2 = mean of the discarded eigenvalues

This W has orthogonal columns, so that M = W'W + s2 I = L is diagonal, and so is the posterior
N(M^-1 W'(x - m), s2 M^-1). The bound is therefore the likelihood itself:

    log p(x) = -1/2 [P ln 2pi + ln|C| + (x - m)' C^-1 (x - m)],  C = W W' + s2 I

Legend: B batch, P numbers an item, D (d above) latent dimensions, C channels, H height, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vae_explorer.errors import SettingError
from vae_explorer.models.deterministic import Picture, PointCode
from vae_explorer.models.gaussian import LOG_TWO_PI, DiagonalGaussian, standard_normal_log_prob
from vae_explorer.models.gaussian_pixels import Gaussian
from vae_explorer.models.interface import Batch, Latents, Objective
from vae_explorer.models.scatter import ScatterModel, coordinate_axes, require_scatter, with_fixed_signs

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.pca_config import PCAConfig, PPCAConfig

NOISE_FLOOR = 1e-6
"""Least variance of the noise: a density has no upper bound where it may vanish."""


class PrincipalComponents(ScatterModel):
    """What PCA and probabilistic PCA share: mean, loadings (unit rows) and variances, from a scatter matrix."""

    def __init__(self, latent_dimensions: int, data_space: DataSpace) -> None:
        super().__init__(latent_dimensions, data_space)
        axes_DP = coordinate_axes(latent_dimensions, data_space.num_pixels)
        self.loadings_DP = nn.Parameter(axes_DP, requires_grad=False)
        self.variance_D = nn.Parameter(torch.ones(latent_dimensions), requires_grad=False)
        self.rest_variance = nn.Parameter(torch.tensor(0.05), requires_grad=False)

    @torch.no_grad()
    def solve(self) -> None:
        """Mean, loadings and variances of what has been taken up; `rest_variance` is the mean discarded eigenvalue."""
        dimensions = len(self.loadings_DP)
        eigenvalues_P, vectors_PP = torch.linalg.eigh(self.scatter.covariance_PP)
        self.mean_P.copy_(self.scatter.mean_P)
        self.loadings_DP.copy_(with_fixed_signs(vectors_PP[:, -dimensions:].flip(-1).T))
        self.variance_D.copy_(eigenvalues_P[-dimensions:].flip(-1).clamp(min=0.0))
        rest_P = eigenvalues_P[:-dimensions]
        self.rest_variance.copy_(rest_P.mean().clamp(min=0.0) if len(rest_P) else torch.zeros(()))

    def scores(self, x_BCHW: Tensor) -> Tensor:
        """y = U'(x - m), (B, D)."""
        return (x_BCHW.flatten(1) - self.mean_P) @ self.loadings_DP.T

    def pictures(self, y_BD: Tensor) -> Tensor:
        """m + U y, (B, C, H, W); may leave [0, 1]."""
        pictures_BCHW: Tensor = (self.mean_P + y_BD @ self.loadings_DP).unflatten(-1, self.image_shape)
        return pictures_BCHW


class PCA(PrincipalComponents):
    """Scores and the plane that they span; no distribution."""

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> PointCode:
        """The scores."""
        return PointCode(self.scores(x_BCHW))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Picture:
        """The point of the plane, exactly; affine in z, so pictures far out leave [0, 1]."""
        assert isinstance(z, Tensor)
        return Picture(self.pictures(z))

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """The squared error of the batch under the weights as they are."""
        y_BD = self.scores(batch.x_BCHW)
        error = (batch.x_BCHW - self.pictures(y_BD)).square().flatten(1).sum(-1).mean()
        return Objective(loss=error, terms={"squared_error": error.detach()}, codes_BD=y_BD.detach())


class ProbabilisticPCA(PrincipalComponents):
    """The latent Gaussian model; weights of maximum likelihood, exact posterior."""

    @property
    def noise_variance(self) -> Tensor:
        """s2, 0-d, at least `NOISE_FLOOR`."""
        return self.rest_variance.clamp(min=NOISE_FLOOR)

    @property
    def precision_D(self) -> Tensor:
        """The diagonal of M = W'W + s2 I: the d largest eigenvalues."""
        return torch.maximum(self.variance_D, self.noise_variance)

    @property
    def scale_D(self) -> Tensor:
        """The lengths of the columns of W."""
        return (self.precision_D - self.noise_variance).sqrt()

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> DiagonalGaussian:
        """The exact posterior; its variance is the same for every picture."""
        mean_BD = self.scores(x_BCHW) * self.scale_D / self.precision_D
        log_variance_D = torch.log(self.noise_variance / self.precision_D)
        return DiagonalGaussian(mean_BD, log_variance_D.expand_as(mean_BD))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Gaussian:
        """N(W z + m, s2 I)."""
        assert isinstance(z, Tensor)
        return Gaussian(self.pictures(z * self.scale_D), 0.5 * torch.log(self.noise_variance))

    def log_prior(self, z: Latents, condition: Tensor | None = None) -> Tensor:
        """log N(z; 0, I), (B,)."""
        assert isinstance(z, Tensor)
        return standard_normal_log_prob(z)

    def sample_prior(self, num: int, generator: torch.Generator | None, condition: Tensor | None = None) -> Tensor:
        """(num, D) draws from N(0, I)."""
        return torch.randn(num, *self.latent_space.shape, generator=generator, device=self.mean_P.device)

    def log_density(self, x_BCHW: Tensor) -> Tensor:
        """log p(x) in closed form, (B,) float64, in nats."""
        noise, precision_D = self.noise_variance.double(), self.precision_D.double()
        centred_BP = x_BCHW.flatten(1).double() - self.mean_P
        y_BD = centred_BP @ self.loadings_DP.T.double()
        # C^-1 = (I - U (1 - s2 / L) U') / s2, and |C| is the product of its eigenvalues.
        square_B = (centred_BP.square().sum(-1) - y_BD.square() @ (1 - noise / precision_D)) / noise
        num_rest = centred_BP.shape[1] - len(precision_D)
        log_determinant = precision_D.log().sum() + num_rest * noise.log()
        return -0.5 * (centred_BP.shape[1] * LOG_TWO_PI + log_determinant + square_B)

    def expected_reconstruction(self, x_BCHW: Tensor, posterior: DiagonalGaussian) -> Tensor:
        """-E_q[log p(x|z)] in closed form, (B,) float64: the error at the mean and the spread that W gives to q."""
        noise, scale_D = self.noise_variance.double(), self.scale_D.double()
        mean_BD, variance_BD = posterior.mean.double(), posterior.log_variance.double().exp()
        decoded_BP = self.mean_P + (mean_BD * scale_D) @ self.loadings_DP.double()
        error_B = (x_BCHW.flatten(1).double() - decoded_BP).square().sum(-1)
        spread_B = (variance_BD * scale_D.square()).sum(-1)
        return 0.5 * (decoded_BP.shape[1] * (LOG_TWO_PI + noise.log()) + (error_B + spread_B) / noise)

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """The bound and the likelihood, both in closed form: they are the same number, because q is exact."""
        posterior = self.encode(batch.x_BCHW)
        reconstruction = self.expected_reconstruction(batch.x_BCHW, posterior).mean()
        kl_D = posterior.kl_per_dimension().double().mean(0)
        kl = kl_D.sum()
        nll = -self.log_density(batch.x_BCHW).mean()
        return Objective(
            loss=reconstruction + beta * kl,
            terms={"elbo": -(reconstruction + kl), "reconstruction": reconstruction, "kl": kl, "nll": nll},
            kl_D=kl_D,
            codes_BD=posterior.mean.detach(),
        )


def build_pca(config: PCAConfig, data_space: DataSpace) -> PCA:
    """The builder of the record `pca`. Raises SettingError where the items have fewer numbers than components."""
    require_scatter(data_space, "PCA")
    _require_dimensions(config.latent_dimensions, data_space.num_pixels)
    return PCA(config.latent_dimensions, data_space)


def build_ppca(config: PPCAConfig, data_space: DataSpace) -> ProbabilisticPCA:
    """The builder of the record `ppca`. Raises SettingError where no direction is left for the noise."""
    require_scatter(data_space, "Probabilistic PCA")
    _require_dimensions(config.latent_dimensions, data_space.num_pixels - 1)
    return ProbabilisticPCA(config.latent_dimensions, data_space)


def _require_dimensions(latent_dimensions: int, most: int) -> None:
    if latent_dimensions > most:
        raise SettingError(
            "model.latent_dimensions",
            f"{latent_dimensions} latent dimensions are more than this data set allows.",
            f"Choose at most {most}.",
        )
