"""The models that there are, in the order of menus; free of torch, so that a form can be drawn before it is there."""

from __future__ import annotations

from vae_explorer.models.autoencoder_config import AUTOENCODER, DENOISING_AUTOENCODER, LINEAR_AUTOENCODER
from vae_explorer.models.beta_tcvae_config import BETA_TCVAE
from vae_explorer.models.beta_vae_config import BETA_VAE
from vae_explorer.models.cvae_config import CVAE
from vae_explorer.models.cvae_quadrants_config import CVAE_QUADRANTS
from vae_explorer.models.iwae_config import IWAE
from vae_explorer.models.lda_config import LDA
from vae_explorer.models.mixture_config import BERNOULLI_MIXTURE, GAUSSIAN_MIXTURE
from vae_explorer.models.pca_config import PCA, PPCA
from vae_explorer.models.record import ModelRecord
from vae_explorer.models.vae_config import VAE
from vae_explorer.models.vqvae_config import VQVAE
from vae_explorer.registry import Registry

MODELS: Registry[ModelRecord] = Registry("model")

for _record in (
    VAE,  # the first is what a file without a name means
    BETA_VAE,
    BETA_TCVAE,
    IWAE,
    CVAE,
    CVAE_QUADRANTS,
    PCA,
    PPCA,
    LDA,
    LINEAR_AUTOENCODER,
    AUTOENCODER,
    DENOISING_AUTOENCODER,
    GAUSSIAN_MIXTURE,
    BERNOULLI_MIXTURE,
    VQVAE,
):
    MODELS.add(_record)
