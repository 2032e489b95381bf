"""Settings and record of the conditional variational autoencoder that is told the class; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.record import DECOMPOSITION_TERMS, ModelRecord, Term
from vae_explorer.models.vae_config import VAEConfig


@dataclass(frozen=True, kw_only=True)
class CVAEConfig(VAEConfig):
    """A VAE whose encoder and decoder are told the class."""

    prior: str = setting(
        "standard", label="Prior", choices=("standard", "learned"), formula="p(z|y) = N(m(y), diag s²(y))",
        help="The prior of a class: N(0, I) for all, so that z says what the class does not; or a learned Gaussian for "
             "each class.",
    )  # fmt: skip


CVAE = ModelRecord(
    name="cvae",
    title="Conditional VAE, class given",
    summary="Encoder and decoder are told the class, so that the latents say everything else, such as the handwriting.",
    reference="Kingma, Rezende, Mohamed & Welling, Semi-supervised Learning with Deep Generative Models, "
    "arXiv:1406.5298; Sohn, Lee & Yan, Learning Structured Output Representation using Deep Conditional Generative "
    "Models, NeurIPS 2015",
    config_type=CVAEConfig,
    terms=(
        Term("elbo", "ELBO", "nats per image", "higher", "E_q[log p(x|z,y)] − KL(q(z|x,y) ‖ p(z|y))"),
        Term("reconstruction", "Reconstruction", "nats per image", "lower", "−E_q[log p(x|z,y)]"),
        Term("kl", "KL", "nats per image", "lower", "KL(q(z|x,y) ‖ p(z|y))"),
        *DECOMPOSITION_TERMS,
    ),
    has_likelihood=True,
    has_prior=True,
    has_codes=True,
    builder="vae_explorer.models.cvae:build_cvae",
    map_note="A place is a latent point z; its picture is the mean of p(x|z,y) under the class y that is chosen.",
    data_needs=frozenset({"labels"}),
    condition="class",
)
