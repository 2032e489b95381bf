"""Settings and record of the VQ-VAE; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.observation_config import ObservationConfig
from vae_explorer.models.record import ModelRecord, Term


@dataclass(frozen=True, kw_only=True)
class VQVAEConfig(ObservationConfig):
    """The VQ-VAE of van den Oord et al. with convolutional bodies, and its PixelCNN prior as a second stage."""

    num_codes: int = setting(
        256, label="Codes", minimum=2, maximum=4096, logarithmic=True, formula="k ∈ {1 … K}",
        help="Size K of the codebook: how many vectors a cell of the code grid can choose from.",
    )  # fmt: skip
    code_dimensions: int = setting(
        16, label="Code dimensions", minimum=1, maximum=512, formula="e_k ∈ R^D",
        help="Length of each vector of the codebook.",
    )  # fmt: skip
    codebook: str = setting(
        "ema", label="Codebook learns by", choices=("ema", "loss"),
        formula="e_k = mean of its z_e, or ‖sg(z_e) − e‖²",
        help="By moving averages of the encoder outputs that chose a code, or by the gradient of a loss of its own.",
    )  # fmt: skip
    commitment: float = setting(
        0.25, label="Commitment", minimum=0.0, maximum=100.0, logarithmic=True,
        formula="loss = −log p(x|z_q) + ‖sg(z_e) − e‖² + b · ‖z_e − sg(e)‖²",
        help="Weight b of the term that keeps the encoder near the codes it chose.",
    )  # fmt: skip
    codebook_epochs: int = setting(
        10, label="Codebook epochs", unit="epochs", minimum=1, maximum=100_000,
        help="Epochs of the first stage. What is left of the run's epochs then trains the prior on the code grids.",
    )  # fmt: skip
    halvings: int = setting(
        2, label="Halvings", minimum=0, maximum=6, formula="H′ = ⌈H / 2ⁿ⌉, W′ = ⌈W / 2ⁿ⌉",
        help="How often the encoder halves height and width; 2 make a 7 x 7 code grid of a 28 x 28 picture.",
    )  # fmt: skip
    body_channels: int = setting(
        64, label="Body channels", minimum=2, maximum=1024, advanced=True,
        help="Channels of the encoder and the decoder at the size of the code grid; half as many at larger sizes.",
    )  # fmt: skip
    residual_blocks: int = setting(
        2, label="Residual blocks", minimum=0, maximum=64, advanced=True,
        help="Residual blocks of the encoder, and of the decoder, at the size of the code grid.",
    )  # fmt: skip
    codebook_decay: float = setting(
        0.99, label="Codebook decay", minimum=0.0, maximum=0.9999, advanced=True,
        formula="N_k ← γ N_k + (1 − γ) n_k", help="How slowly the moving averages of the codebook forget, a step.",
    )  # fmt: skip
    prior_channels: int = setting(
        64, label="Prior channels", minimum=2, maximum=1024, advanced=True,
        help="Channels of the PixelCNN that learns the prior over code grids.",
    )  # fmt: skip
    prior_layers: int = setting(
        5, label="Prior layers", minimum=1, maximum=64, advanced=True,
        help="Gated layers of the PixelCNN; each lets a cell see one row and one column further.",
    )  # fmt: skip


VQVAE = ModelRecord(
    name="vqvae",
    title="VQ-VAE",
    summary="A grid of codes from a learned codebook, and a PixelCNN prior over such grids trained as a second stage.",
    reference="van den Oord, Vinyals, Kavukcuoglu, Neural Discrete Representation Learning, arXiv:1711.00937; "
    "van den Oord et al., Conditional Image Generation with PixelCNN Decoders, arXiv:1606.05328",
    config_type=VQVAEConfig,
    terms=(
        Term("elbo", "ELBO", "nats per image", "higher", "log p(x|z_q) + log p(k), uniform p(k) before its stage"),
        Term("reconstruction", "Reconstruction", "nats per image", "lower", "−log p(x|z_q)"),
        Term("code_cost", "Code cost", "nats per image", "lower", "−log p(k); H′W′ ln K before the prior's stage"),
        Term("commitment", "Commitment", "squared distance per image", "lower", "‖z_e − sg(e)‖²"),
        Term("perplexity", "Perplexity", "codes", "higher", "exp(−Σ p ln p); p over the batch, or all held-out images"),
        Term("prior_saving", "Saved by the prior", "% of H′W′ ln K", "higher", "100 (1 − code cost / H′W′ ln K)"),
    ),
    has_likelihood=True,
    has_prior=True,
    has_codes=False,
    has_gaussian_posterior=False,
    has_codebook=True,
    builder="vae_explorer.models.vqvae:build_vqvae",
    map_note="Latents are grids of codes, so a plane through them is not defined; the panel Codebook shows the codes, "
    "what each paints, and a grid to edit.",
    data_needs=frozenset({"pictures"}),
)
