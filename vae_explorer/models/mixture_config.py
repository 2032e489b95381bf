"""Settings and records of the mixtures that are fitted by EM; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.record import BOUND_TERMS, ModelRecord, Term

COVARIANCES = ("full", "tied", "diagonal", "spherical")


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianMixtureConfig:
    """How many Gaussians, and of which shape."""

    num_components: int = setting(
        8, label="Components", minimum=1, maximum=10_000, logarithmic=True,
        formula="p(x) = Σ_k π_k N(x; μ_k, Σ_k)", help="Number of Gaussians; at most as many as there are items.",
    )  # fmt: skip
    covariance: str = setting(
        "full", label="Covariances", choices=COVARIANCES, formula="Σ_k",
        help="Full: an ellipse each. Tied: one ellipse for all. Diagonal: axes along the coordinates. "
        "Spherical: a circle each.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BernoulliMixtureConfig:
    """How many pictures of probabilities, and how they are smoothed."""

    num_components: int = setting(
        10, label="Components", minimum=1, maximum=10_000, logarithmic=True,
        formula="p(x) = Σ_k π_k Π_i μ_ki^x_i (1 − μ_ki)^(1 − x_i)",
        help="Number of pictures of probabilities; at most as many as there are images.",
    )  # fmt: skip
    smoothing: float = setting(
        0.1, label="Smoothing", minimum=0.0, maximum=100.0, advanced=True, formula="μ = (Σ r x + a) / (Σ r + 2a)",
        help="Counts added to both values of each pixel, so that one that was never on may still come on. "
        "With 0, each step raises the likelihood itself.",
    )  # fmt: skip


_TERMS = (
    Term("log_likelihood", "Log-likelihood", "nats per image", "higher", "log Σ_k π_k p(x|k)"),
    *BOUND_TERMS,
)

GAUSSIAN_MIXTURE = ModelRecord(
    name="gaussian-mixture",
    title="Gaussian mixture",
    summary="Which of K Gaussians made each item, by EM: one pass over the data is one step.",
    reference="Dempster, Laird & Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977",
    config_type=GaussianMixtureConfig,
    terms=_TERMS,
    has_likelihood=True,
    has_prior=True,
    has_codes=False,
    builder="vae_explorer.models.gaussian_mixture:build_gaussian_mixture",
    map_note="Its latent is the number of a component: samples and reconstructions are the components' means, and the "
    "plane of two-dimensional data shows density and responsibilities.",
    data_needs=frozenset({"reals"}),
    is_fitted=True,
    has_density=True,
    has_gaussian_posterior=False,
)

BERNOULLI_MIXTURE = ModelRecord(
    name="bernoulli-mixture",
    title="Mixture of Bernoullis",
    summary="Which of K pictures of probabilities made each binary image, by EM: one pass is one step.",
    reference="Bishop, Pattern Recognition and Machine Learning, 2006, section 9.3.3",
    config_type=BernoulliMixtureConfig,
    terms=_TERMS,
    has_likelihood=True,
    has_prior=True,
    has_codes=False,
    builder="vae_explorer.models.bernoulli_mixture:build_bernoulli_mixture",
    map_note="Its latent is the number of a component: samples and reconstructions are the components' pictures.",
    data_needs=frozenset({"binary pixels"}),
    is_fitted=True,
    has_density=True,
    has_gaussian_posterior=False,
)
