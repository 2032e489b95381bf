"""Densities over the plane of two-dimensional data: that of the model, and the one the data were drawn from.

The density of a model with one or two latents is a sum over cells of the latent space. Where the decoder stretches
cells further than its sigma, points alone would leave holes, so each is spread by s = h/2 in every latent direction,
which the decoder carries over to first order:

    p(x) = sum_g p(z_g) h^d N(x; f(z_g), diag sigma^2(z_g) + s^2 J J')

With s = h/2 what is left of the lattice is a ripple of 1 %, and the prior is wider by 0.4 % than it says.

Legend: G cells of the latent space, R rows and C columns of the field, Q places of the plane.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.datasets.catalogue import DATASETS

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.datasets.points import PointDistribution
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.map_rect import MapRect
    from vae_explorer.models.interface import LatentModel

Float64 = NDArray[np.float64]

CELLS = 60
"""Rows and columns in which a density is worked out."""

LATENT_CELLS = {1: 257, 2: 65}
"""Numbers of latents for which there is a sum over cells, and how many cells a side it has."""

_LATENT_REACH = 4.2


@dataclass(frozen=True, slots=True, eq=False)
class GaussianCells:
    """A density of the plane as a sum of Gaussians: log weights (G,), means (G, 2), covariances (G, 2, 2), float64."""

    log_weight_G: Tensor
    mean_G2: Tensor
    covariance_G22: Tensor

    def log_density(self, x_Q2: Tensor) -> Tensor:
        """log p(x), (Q,), in nats, in one matrix product: the exponent is a polynomial of x."""
        covariance = self.covariance_G22
        determinant_G = covariance[:, 0, 0] * covariance[:, 1, 1] - covariance[:, 0, 1] ** 2
        a_G, b_G, c_G = (
            part / determinant_G for part in (covariance[:, 1, 1], -covariance[:, 0, 1], covariance[:, 0, 0])
        )
        u_G, v_G = self.mean_G2.T
        constant_G = self.log_weight_G - 0.5 * torch.log(determinant_G) - math.log(2 * math.pi)
        constant_G = constant_G - 0.5 * (a_G * u_G**2 + 2 * b_G * u_G * v_G + c_G * v_G**2)
        factors_6G = torch.stack(
            [-0.5 * a_G, -b_G, -0.5 * c_G, a_G * u_G + b_G * v_G, b_G * u_G + c_G * v_G, constant_G]
        )
        x_Q, y_Q = x_Q2.double().T
        powers_Q6 = torch.stack([x_Q**2, x_Q * y_Q, y_Q**2, x_Q, y_Q, torch.ones_like(x_Q)], 1)
        return torch.logsumexp(powers_Q6 @ factors_6G, 1)


@torch.inference_mode()
def latent_cells(network: LatentModel, dimensions: int, device: torch.device | str = "cpu") -> GaussianCells:
    """The density of a model with one or two latents and Gaussian pixels as a sum over cells of its latent space."""
    num = LATENT_CELLS[dimensions]
    side = torch.linspace(-_LATENT_REACH, _LATENT_REACH, num, device=device)
    spacing = 2 * _LATENT_REACH / (num - 1)
    z_GD = torch.cartesian_prod(*[side] * dimensions).reshape(-1, dimensions)
    decoded: Any = network.decode(z_GD)
    mean_G2 = decoded.mean_BCHW.flatten(1).double()
    variance_G2 = decoded.sigma.double().expand(decoded.mean_BCHW.shape).flatten(1).square()
    covariance_G22 = torch.diag_embed(variance_G2)
    mean = mean_G2.reshape(*[num] * dimensions, 2)
    for dimension in range(dimensions):
        (slope,) = torch.gradient(mean, spacing=spacing, dim=dimension)
        slope_G2 = slope.reshape(-1, 2)
        covariance_G22 = covariance_G22 + (spacing / 2) ** 2 * slope_G2[:, :, None] * slope_G2[:, None]
    log_weight_G = network.log_prior(z_GD).double() + dimensions * math.log(spacing)
    counts_G = z_GD.square().sum(1) <= _LATENT_REACH**2
    return GaussianCells(log_weight_G[counts_G], mean_G2[counts_G], covariance_G22[counts_G])


def places(rect: MapRect) -> Float64:
    """The centres of the field's cells, (Q, 2), row by row from the top."""
    x = rect.left + (np.arange(CELLS) + 0.5) * rect.width / CELLS
    y = rect.top - (np.arange(CELLS) + 0.5) * rect.height / CELLS
    return np.stack([np.tile(x, CELLS), np.repeat(y, CELLS)], axis=1)


def model_field(explorer: Explorer, rect: MapRect) -> Generator[None, None, Float64]:
    """p(x) of the model, under the condition that is chosen, (R, C); a row a step."""
    at_Q2 = torch.from_numpy(places(rect)).to(explorer.device)
    network = explorer.network
    cells = None if explorer.record.has_density else latent_cells(network, explorer.num_dimensions, explorer.device)

    def log_density(x_C2: Tensor) -> Tensor:
        return network.log_density(x_C2.float()[:, :, None, None]) if cells is None else cells.log_density(x_C2)

    rows = []
    for x_C2 in at_Q2.split(CELLS):
        with torch.inference_mode():
            log_p_C = log_density(x_C2)
            rows.append(log_p_C.exp().double().cpu().numpy())
        yield None
    field_RC: Float64 = np.nan_to_num(np.stack(rows), nan=0.0, posinf=0.0)
    return field_RC


def true_field(explorer: Explorer, rect: MapRect) -> Generator[None, None, Float64]:
    """p(x) of the distribution of the points, (R, C); kept, since it never changes."""
    known: tuple[MapRect, Float64] | None = explorer.lasting.get("true density")
    if known is None or known[0] != rect:
        true = known_distribution(explorer)
        assert true is not None
        rows = []
        for x_C2 in np.split(places(rect), CELLS):
            rows.append(np.exp(true.log_density(x_C2)))
            yield None
        known = (rect, np.stack(rows))
        explorer.lasting["true density"] = known
    return known[1]


def known_distribution(explorer: Explorer) -> PointDistribution | None:
    """What the points were drawn from, where that is known."""
    name = "" if explorer.dataset is None else explorer.dataset.name
    given = DATASETS[name].distribution if name in DATASETS else None
    return None if given is None else given()
