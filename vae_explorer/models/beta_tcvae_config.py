"""Settings and record of the beta-TC-VAE; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.record import GAUSSIAN_TERMS, ModelRecord
from vae_explorer.models.vae_config import GaussianVAEConfig

_FORMULA = "loss = −E_q[log p(x|z)] + α · I(x;z) + β · TC + γ · Σ_j KL(q(z_j) ‖ p(z_j))"


@dataclass(frozen=True, kw_only=True)
class BetaTCVAEConfig(GaussianVAEConfig):
    """The VAE with a weight for each of the three parts of its KL. With all three at 1 it is the VAE."""

    beta: float = setting(
        6.0, label="Beta", minimum=0.0, maximum=1000.0, live=True, logarithmic=True, formula=_FORMULA,
        help="Weight of the total correlation, which holds the latent dimensions apart; warm-up and cycles act on it. "
             "Reported bounds are those with all weights at 1.",
    )  # fmt: skip
    alpha: float = setting(
        1.0, label="Alpha", minimum=0.0, maximum=1000.0, advanced=True, formula=_FORMULA,
        help="Weight of the mutual information between picture and code.",
    )  # fmt: skip
    gamma: float = setting(
        1.0, label="Gamma", minimum=0.0, maximum=1000.0, advanced=True, formula=_FORMULA,
        help="Weight of the dimension-wise KL, which holds each dimension near the prior.",
    )  # fmt: skip


BETA_TCVAE = ModelRecord(
    name="beta-tcvae",
    title="Beta-TC-VAE",
    summary="The VAE with a heavier weight on the total correlation alone, so that dimensions become independent.",
    reference="Chen et al., Isolating Sources of Disentanglement in Variational Autoencoders, arXiv:1802.04942",
    config_type=BetaTCVAEConfig,
    terms=GAUSSIAN_TERMS,
    has_likelihood=True,
    has_prior=True,
    has_codes=True,
    builder="vae_explorer.models.beta_tcvae:build_beta_tcvae",
    map_note="A place is a latent point z; its picture is the mean of p(x|z). Dimensions without KL change nothing.",
)
