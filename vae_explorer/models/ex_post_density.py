"""A density that is fitted to the codes of a model afterwards, so that a model without prior can be sampled.

A Gaussian mixture with full covariances by EM, as in Ghosh et al., From variational to deterministic autoencoders,
arXiv:1903.12436. It is no part of the model: nothing in training knows of it, so its samples are called ex-post.

Legend: N codes, D latent dimensions, K components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vae_explorer.errors import UserError
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.gaussian_mixture import GaussianMixture
from vae_explorer.models.interface import Batch
from vae_explorer.models.mixture_config import GaussianMixtureConfig

if TYPE_CHECKING:
    from torch import Tensor

NUM_COMPONENTS = 10
MOST_CODES = 5000
"""Codes that are fitted, evenly chosen: ten components of 20 dimensions have 2,300 numbers."""

NUM_STEPS = 15
STEPS_AFTER_STEPS = 3
"""EM steps from the data, and from the density of weights a little older."""

TITLE = f"Gaussian mixture of {NUM_COMPONENTS} fitted to the codes"


class ExPostDensity:
    """p(z) of a mixture of `NUM_COMPONENTS` Gaussians, or of fewer where there are fewer codes."""

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture = mixture

    def sample(self, num: int, generator: torch.Generator | None) -> Tensor:
        """(num, D) draws, float32."""
        component_N = self.mixture.sample_prior(num, generator)
        return self.mixture.decode(component_N).sample(generator).flatten(1)

    def log_prob(self, z_ND: Tensor) -> Tensor:
        """log p(z), (N,) float64, in nats."""
        return self.mixture.log_density(z_ND[:, :, None, None])


@torch.no_grad()
def fit_ex_post_density(codes_ND: Tensor, earlier: ExPostDensity | None = None) -> ExPostDensity:
    """The density of at most `MOST_CODES` of these codes, evenly chosen; those that are not finite are left out.

    `earlier` is where EM starts from, such as the density of the last look. Deterministic: nothing is drawn from
    torch's global generator. Raises UserError where there are fewer than two codes.
    """
    codes_ND = codes_ND[torch.isfinite(codes_ND).all(1)]
    if len(codes_ND) < 2:
        raise UserError("There are too few codes to fit a density to.", "Train the model first.")
    if len(codes_ND) > MOST_CODES:
        codes_ND = codes_ND[torch.linspace(0, len(codes_ND) - 1, MOST_CODES, device=codes_ND.device).long()]
    num, dimensions = codes_ND.shape
    components = min(NUM_COMPONENTS, num)
    if earlier is not None and earlier.mixture.mean_KP.shape == (components, dimensions):
        mixture, num_steps = earlier.mixture, STEPS_AFTER_STEPS
    else:
        config = GaussianMixtureConfig(num_components=components)
        # Not drawn from torch's generator, from which another thread may be drawing the weights of a run.
        with torch.device("meta"):
            mixture = GaussianMixture(config, DataSpace((dimensions, 1, 1), protocol="gaussian", num_items=num))
        mixture.to_empty(device=codes_ND.device)
        for tensor in (*mixture.parameters(), *mixture.buffers()):
            tensor.zero_()
        num_steps = NUM_STEPS
    batch = Batch(codes_ND[:, :, None, None], torch.arange(num, device=codes_ND.device))
    for _ in range(num_steps):
        mixture.learn(batch)
        mixture.end_epoch()
    return ExPostDensity(mixture)
