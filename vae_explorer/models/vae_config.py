"""Settings and record of the variational autoencoder; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.body_config import BodyConfig, LatentConfig
from vae_explorer.models.observation_config import ObservationConfig
from vae_explorer.models.record import GAUSSIAN_TERMS, ModelRecord


@dataclass(frozen=True, kw_only=True)
class GaussianVAEConfig(ObservationConfig, BodyConfig, LatentConfig):
    """What all models with a diagonal Gaussian posterior and the prior N(0, I) can be told."""

    beta: float = setting(
        1.0, label="Beta", minimum=0.0, maximum=1000.0, live=True, logarithmic=True,
        formula="loss = −E_q[log p(x|z)] + β · KL(q(z|x) ‖ p(z))",
        help="Weight of the KL term. At 1 the loss is the negative ELBO; reported bounds are always those at 1.",
    )  # fmt: skip
    beta_warmup_images: int = setting(
        0, label="Beta warm-up", unit="images", minimum=0, maximum=1_000_000_000, advanced=True,
        formula="β(t) = β · min(1, t / warm-up)",
        help="Beta rises linearly from 0 over this many images, which keeps latent dimensions from collapsing early.",
    )  # fmt: skip
    beta_cycles: int = setting(
        0, label="Beta cycles", minimum=0, maximum=1000, advanced=True,
        formula="β(t) = β · min(1, 2 τ), τ the part of the cycle that is over",
        help="In so many equal cycles over the run, beta rises from 0 in the first half and stays in the second "
             "(cyclical annealing, arXiv:1903.10145, which takes 4). 0 switches them off; they replace the warm-up.",
    )  # fmt: skip
    start_at_mean_image: bool = setting(
        False, label="Start at mean image", advanced=True, formula="b = ln(x̄ / (1 − x̄))",
        help="Sets the decoder's last bias so that training starts at the mean image, or where the body has one bias "
             "a colour at its mean pixel. The formula is that of Bernoulli pixels.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VAEConfig(GaussianVAEConfig):
    """The VAE of Kingma & Welling."""

    free_bits: float = setting(
        0.0, label="Free bits", unit="nats per dimension", minimum=0.0, maximum=100.0, advanced=True,
        formula="Σ_j max(λ, KL_j), KL_j averaged over the batch",
        help="KL that each latent dimension may have for nothing, so that it does not collapse (arXiv:1606.04934). "
             "Reported bounds are without it.",
    )  # fmt: skip


VAE = ModelRecord(
    name="vae",
    title="Variational autoencoder",
    summary="Gaussian posterior, standard normal prior, the protocol's likelihood, on the evidence lower bound.",
    reference="Kingma & Welling, Auto-Encoding Variational Bayes, arXiv:1312.6114",
    config_type=VAEConfig,
    terms=GAUSSIAN_TERMS,
    has_likelihood=True,
    has_prior=True,
    has_codes=True,
    builder="vae_explorer.models.vae:build_vae",
    map_note="A place is a latent point z; its picture is the mean of p(x|z).",
)
