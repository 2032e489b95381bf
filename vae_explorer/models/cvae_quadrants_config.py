"""Settings and record of the conditional VAE that completes a picture of which quadrants are given; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.body_config import ACTIVATIONS, LatentConfig
from vae_explorer.models.observation_config import ObservationConfig
from vae_explorer.models.record import DECOMPOSITION_TERMS, ModelRecord, Term


@dataclass(frozen=True, kw_only=True)
class CVAEQuadrantsConfig(ObservationConfig, LatentConfig):
    """A CVAE for structured output: x is the given part, y the rest."""

    given_quadrants: int = setting(
        1, label="Given quadrants", minimum=1, maximum=3,
        help="Which part of the picture is given: 1 is the lower left quadrant, 2 the left half, 3 all but the lower "
             "right quadrant. The rest is predicted, and only the rest is scored.",
    )  # fmt: skip
    hidden_widths: tuple[int, ...] = setting(
        (500, 500), label="Hidden widths", minimum=1, maximum=8192,
        help="Units of the hidden layers, from the picture inwards, of each of the four networks.",
    )  # fmt: skip
    activation: str = setting(
        "relu", label="Activation", choices=ACTIVATIONS, help="The nonlinearity after every hidden layer."
    )
    baseline_epochs: int = setting(
        5, label="Baseline epochs", minimum=1, maximum=1000,
        help="For so many epochs only the baseline learns, which predicts the rest without latents; then it stays as "
             "it is, and the other networks learn what it cannot know.",
    )  # fmt: skip
    beta: float = setting(
        1.0, label="Beta", minimum=0.0, maximum=1000.0, live=True, logarithmic=True,
        formula="loss = −E_q[log p(y|x,z)] + β · KL(q(z|x,y) ‖ p(z|x))",
        help="Weight of the KL term. At 1 the loss is the negative ELBO; reported bounds are always those at 1.",
    )  # fmt: skip
    beta_warmup_images: int = setting(
        0, label="Beta warm-up", unit="images", minimum=0, maximum=1_000_000_000, advanced=True,
        formula="β(t) = β · min(1, t / warm-up)",
        help="Beta rises linearly from 0 over this many images, those of the baseline's epochs included.",
    )  # fmt: skip


CVAE_QUADRANTS = ModelRecord(
    name="cvae-quadrants",
    title="Conditional VAE, quadrants given",
    summary="Completes a picture of which one, two or three quadrants are given, in as many ways as there are.",
    reference="Sohn, Lee & Yan, Learning Structured Output Representation using Deep Conditional Generative Models, "
    "NeurIPS 2015",
    config_type=CVAEQuadrantsConfig,
    terms=(
        Term("elbo", "ELBO", "nats per image", "higher", "E_q[log p(y|x,z)] − KL(q(z|x,y) ‖ p(z|x))"),
        Term("reconstruction", "Reconstruction", "nats per image", "lower", "−E_q[log p(y|x,z)]"),
        Term("kl", "KL", "nats per image", "lower", "KL(q(z|x,y) ‖ p(z|x))"),
        Term("baseline", "Baseline", "nats per image", "lower", "−log p(y|x) without latents"),
        *DECOMPOSITION_TERMS,
    ),
    has_likelihood=True,
    has_prior=True,
    has_codes=True,
    builder="vae_explorer.models.cvae_quadrants:build_cvae_quadrants",
    map_note="A place is a latent point z; its picture is the given part of an image with the mean of p(y|x,z) beside.",
    data_needs=frozenset({"pictures"}),
    condition="part",
)
