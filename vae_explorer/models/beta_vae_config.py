"""Settings and record of the beta-VAE; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.record import GAUSSIAN_TERMS, ModelRecord
from vae_explorer.models.vae_config import VAEConfig


@dataclass(frozen=True, kw_only=True)
class BetaVAEConfig(VAEConfig):
    """The VAE with a heavier KL, or with a KL that is held at a capacity."""

    beta: float = setting(
        4.0, label="Beta", minimum=0.0, maximum=10_000.0, live=True, logarithmic=True,
        formula="loss = −E_q[log p(x|z)] + β · KL, or + β · |KL − C(t)|",
        help="Weight of the KL term; in the capacity form, where it is called gamma and is large, of the KL's distance "
             "from the capacity. Papers also give β J / D, for J latents and D pixels. Reported bounds are those at 1.",
    )  # fmt: skip
    kl_form: str = setting(
        "weighted", label="KL form", choices=("weighted", "capacity"),
        help="Weighted multiplies the KL by beta (Higgins et al., 2017); capacity holds it at C(t), which rises during "
             "training (Burgess et al., arXiv:1804.03599).",
    )  # fmt: skip
    capacity: float = setting(
        25.0, label="Capacity", unit="nats", minimum=0.0, maximum=10_000.0, formula="C(t) = C · min(1, t / ramp)",
        help="In the capacity form, the KL at the end of the ramp.",
    )  # fmt: skip
    capacity_ramp_images: int = setting(
        500_000, label="Capacity ramp", unit="images", minimum=1, maximum=1_000_000_000, logarithmic=True,
        help="In the capacity form, images over which the capacity rises from 0.",
    )  # fmt: skip


BETA_VAE = ModelRecord(
    name="beta-vae",
    title="Beta-VAE",
    summary="The VAE with its KL weighed by beta, or held at a capacity that rises during training.",
    reference="Higgins et al., beta-VAE, ICLR 2017; Burgess et al., arXiv:1804.03599",
    config_type=BetaVAEConfig,
    terms=GAUSSIAN_TERMS,
    has_likelihood=True,
    has_prior=True,
    has_codes=True,
    builder="vae_explorer.models.beta_vae:build_beta_vae",
    map_note="A place is a latent point z; its picture is the mean of p(x|z). Dimensions without KL change nothing.",
)
