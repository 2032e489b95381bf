"""Settings and records of PCA and probabilistic PCA; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.record import BOUND_TERMS, ModelRecord, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class PCAConfig:
    """How many principal components."""

    latent_dimensions: int = setting(
        2, label="Latent dimensions", minimum=1, maximum=512, formula="x = x̄ + U y,  y ∈ R^d",
        help="Number of principal components, those of largest variance first.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PPCAConfig:
    """How many dimensions of the latent Gaussian."""

    latent_dimensions: int = setting(
        2, label="Latent dimensions", minimum=1, maximum=512, formula="x = x̄ + W z + ε,  z ~ N(0, I),  ε ~ N(0, σ² I)",
        help="Size of the latent space; everything beside these directions is white noise to the model.",
    )  # fmt: skip


SQUARED_ERROR = Term("squared_error", "Squared error", "squared error per image", "lower", "‖x − x̂‖²")

PCA = ModelRecord(
    name="pca",
    title="PCA",
    summary="The plane of largest variance, worked out in one pass over the data.",
    reference="Pearson, On lines and planes of closest fit to systems of points in space, 1901",
    config_type=PCAConfig,
    terms=(SQUARED_ERROR,),
    has_likelihood=False,
    has_prior=False,
    has_codes=True,
    builder="vae_explorer.models.pca:build_pca",
    map_note="A place is a pair of scores; its picture is the point of the plane itself, so decoding is exact.",
    is_fitted=True,
    has_gaussian_posterior=False,
)

PPCA = ModelRecord(
    name="ppca",
    title="Probabilistic PCA",
    summary="The linear Gaussian model behind PCA by maximum likelihood in closed form; its posterior is exact.",
    reference="Tipping & Bishop, Probabilistic principal component analysis, 1999",
    config_type=PPCAConfig,
    terms=(
        *BOUND_TERMS,
        Term("nll", "NLL", "nats per image", "lower", "½ [P ln 2π + ln |C| + (x − x̄)ᵀ C⁻¹ (x − x̄)],  C = W Wᵀ + σ² I"),
    ),
    has_likelihood=True,
    has_prior=True,
    has_codes=True,
    builder="vae_explorer.models.pca:build_ppca",
    map_note="A place is a latent point z; its picture is x̄ + W z. The posterior's ellipse is the same everywhere.",
    data_needs=frozenset({"reals"}),
    is_fitted=True,
    has_density=True,
)
