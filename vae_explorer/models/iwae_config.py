"""Settings and record of the importance weighted autoencoder; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.record import GAUSSIAN_TERMS, ModelRecord, Term
from vae_explorer.models.vae_config import GaussianVAEConfig


@dataclass(frozen=True, kw_only=True)
class IWAEConfig(GaussianVAEConfig):
    """The VAE's network on a tighter bound. There are no free bits: its loss has no KL term to give them to."""

    importance_samples: int = setting(
        5, label="Importance samples", minimum=1, maximum=5000, logarithmic=True, formula="k",
        help="Latent points decoded for each image in each step. The bound grows tighter with them, and a step dearer.",
    )  # fmt: skip
    beta: float = setting(
        1.0, label="Beta", minimum=0.0, maximum=1000.0, live=True, logarithmic=True,
        formula="w = p(x|z) (p(z) / q(z|x))^β",
        help="Power of prior over posterior in the weights, for a warm-up. At 1 the loss is the negative bound itself; "
             "reported bounds are always those at 1.",
    )  # fmt: skip


IWAE = ModelRecord(
    name="iwae",
    title="Importance weighted autoencoder",
    summary="The VAE's network on the tighter bound of k importance samples an image.",
    reference="Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, arXiv:1509.00519",
    config_type=IWAEConfig,
    terms=(
        Term("iwae", "IWAE bound", "nats per image", "higher", "E[log 1/k Σ_i p(x, z_i) / q(z_i|x)], z_i ~ q(z|x)"),
        *GAUSSIAN_TERMS,
    ),
    has_likelihood=True,
    has_prior=True,
    has_codes=True,
    builder="vae_explorer.models.iwae:build_iwae",
    map_note="A place is a latent point z; its picture is the mean of p(x|z). The posterior shown is the proposal "
    "q(z|x), which is wider than a VAE's; what the bound stands on is q weighted by p(x, z)/q(z|x).",
)
