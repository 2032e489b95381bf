"""Settings and records of the autoencoders without a distribution: linear, plain, denoising; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.body_config import BodyConfig, LatentConfig
from vae_explorer.models.pca_config import SQUARED_ERROR
from vae_explorer.models.record import ModelRecord, Term

ERRORS = ("squared", "cross-entropy")
CORRUPTIONS = ("masking", "gaussian", "salt-and-pepper")


@dataclass(frozen=True, kw_only=True)
class LinearAutoencoderConfig(LatentConfig):
    """A plane through the data, found by gradients."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(BodyConfig, LatentConfig):
    """An encoder to points, a decoder to pictures."""

    error: str = setting(
        "squared", label="Error", choices=ERRORS, formula="‖x − f(g(x))‖²  or  −Σ x ln x̂ + (1 − x) ln(1 − x̂)",
        help="What is minimised, summed over pixels. Cross-entropy is for pictures, whose pixels are in [0, 1].",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DenoisingConfig(AutoencoderConfig):
    """An autoencoder that is shown corrupted pictures and must give back the clean ones."""

    corruption: str = setting(
        "masking", label="Corruption", choices=CORRUPTIONS,
        help="Masking sets pixels to 0, salt and pepper to 0 or 1, Gaussian adds noise; anew at every visit.",
    )  # fmt: skip
    corrupted_share: float = setting(
        0.25, label="Corrupted share", minimum=0.0, maximum=1.0, formula="v",
        help="Probability that masking or salt and pepper touches a pixel. At 0 this is the plain autoencoder.",
    )  # fmt: skip
    noise_sigma: float = setting(
        0.3, label="Noise", minimum=0.0, maximum=100.0, formula="x̃ = x + σ ε",
        help="Standard deviation of the Gaussian noise, in units of the data; acts under that corruption only.",
    )  # fmt: skip
    corrupted_weight: float = setting(
        1.0, label="Weight of corrupted pixels", minimum=0.0, maximum=1000.0, logarithmic=True, advanced=True,
        help="Weight of the pixels that were touched against the others in the loss; 1 treats all alike.",
    )  # fmt: skip


CLEAN_ERROR = Term("clean_squared_error", "Error on clean input", "squared error per image", "lower", "‖x − f(g(x))‖²")
DENOISING_ERROR = Term("squared_error", "Denoising error", "squared error per image", "lower", "‖x − f(g(x̃))‖²")
_EX_POST = "samples are drawn from a density that is fitted to the codes afterwards"


LINEAR_AUTOENCODER = ModelRecord(
    name="linear-autoencoder",
    title="Linear autoencoder",
    summary="Two linear maps trained on the squared error; they find the plane of PCA, not its axes.",
    reference="Bourlard & Kamp, Auto-association by multilayer perceptrons and singular value decomposition, 1988",
    config_type=LinearAutoencoderConfig,
    terms=(SQUARED_ERROR,),
    has_likelihood=False,
    has_prior=False,
    has_codes=True,
    builder="vae_explorer.models.autoencoder:build_linear_autoencoder",
    map_note=f"A place is a code on axes of any scale and angle; its picture is affine in it; {_EX_POST}.",
    has_gaussian_posterior=False,
)

AUTOENCODER = ModelRecord(
    name="autoencoder",
    title="Autoencoder",
    summary="An encoder to points and a decoder to pictures, trained on the reconstruction error alone.",
    reference="Hinton & Salakhutdinov, Reducing the dimensionality of data with neural networks, 2006",
    config_type=AutoencoderConfig,
    terms=(SQUARED_ERROR,),
    has_likelihood=False,
    has_prior=False,
    has_codes=True,
    builder="vae_explorer.models.autoencoder:build_autoencoder",
    map_note=f"A place is a code on a scale of its own; far from the codes decoding is extrapolation; {_EX_POST}.",
    has_gaussian_posterior=False,
)

DENOISING_AUTOENCODER = ModelRecord(
    name="denoising-autoencoder",
    title="Denoising autoencoder",
    summary="An autoencoder that is shown corrupted pictures and learns to give the clean ones back.",
    reference="Vincent et al., Stacked denoising autoencoders, 2010; Alain & Bengio, arXiv:1211.4246",
    config_type=DenoisingConfig,
    terms=(DENOISING_ERROR, CLEAN_ERROR),
    has_likelihood=False,
    has_prior=False,
    has_codes=True,
    builder="vae_explorer.models.denoising_autoencoder:build_denoising_autoencoder",
    map_note=f"A place is the code of a clean picture; far from the codes decoding is extrapolation; {_EX_POST}.",
    has_gaussian_posterior=False,
    is_denoising=True,
)
