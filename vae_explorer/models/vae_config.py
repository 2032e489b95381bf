"""Settings and record of the variational autoencoder; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vae_explorer.config import setting
from vae_explorer.models.observation_config import ObservationConfig
from vae_explorer.models.record import BOUND_TERMS, ModelRecord

if TYPE_CHECKING:
    from vae_explorer.models.record import Builder

ACTIVATIONS = ("relu", "tanh", "gelu", "silu", "leaky_relu", "softplus")


@dataclass(frozen=True, slots=True, kw_only=True)
class VAEConfig(ObservationConfig):
    """The VAE of Kingma & Welling with MLP bodies; the decoder mirrors the encoder."""

    latent_dimensions: int = setting(
        2, label="Latent dimensions", minimum=1, maximum=512, formula="z ∈ R^d",
        help="Size of the latent space. With 2 the map shows all of it; with more it shows a plane through it.",
    )  # fmt: skip
    hidden_widths: tuple[int, ...] = setting(
        (512, 256, 128), label="Hidden widths", minimum=1, maximum=8192,
        help="Units of the encoder's hidden layers, from the image inwards; the decoder uses them in reverse.",
    )  # fmt: skip
    activation: str = setting(
        "relu", label="Activation", choices=ACTIVATIONS, help="The nonlinearity after every hidden layer."
    )
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
    start_at_mean_image: bool = setting(
        False, label="Start at mean image", advanced=True, formula="b = ln(x̄ / (1 − x̄))",
        help="Sets the decoder's last bias so that it starts at the mean training image, which need not be learned "
             "then. The formula is that of Bernoulli pixels.",
    )  # fmt: skip


def _builder() -> Builder:
    from vae_explorer.models.vae import build_vae

    return build_vae


VAE = ModelRecord(
    name="vae",
    title="Variational autoencoder",
    summary="Gaussian posterior, standard normal prior, the protocol's likelihood, on the evidence lower bound.",
    reference="Kingma & Welling, Auto-Encoding Variational Bayes, arXiv:1312.6114",
    config_type=VAEConfig,
    terms=BOUND_TERMS,
    has_likelihood=True,
    has_prior=True,
    has_codes=True,
    builder=_builder,
    map_note="A place is a latent point z; its picture is the mean of p(x|z).",
)
