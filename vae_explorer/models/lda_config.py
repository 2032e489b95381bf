"""Settings and record of linear discriminant analysis; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting
from vae_explorer.models.pca_config import SQUARED_ERROR
from vae_explorer.models.record import ModelRecord, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class LDAConfig:
    """How many discriminants."""

    latent_dimensions: int = setting(
        2, label="Latent dimensions", minimum=1, maximum=512, formula="S_b a = λ S_w a",
        help="Number of discriminants, those that separate the classes best first; at most one fewer than classes.",
    )  # fmt: skip


LDA = ModelRecord(
    name="lda",
    title="LDA",
    summary="The directions that separate the classes best against the scatter within them, from one pass.",
    reference="Fisher, The use of multiple measurements in taxonomic problems, 1936; Rao 1948",
    config_type=LDAConfig,
    terms=(
        Term("accuracy", "Accuracy", "share of images", "higher", "argmax_k log N(x; m_k, S_w) + log π_k = label"),
        SQUARED_ERROR,
    ),
    has_likelihood=False,
    has_prior=False,
    has_codes=True,
    builder="vae_explorer.models.lda:build_lda",
    map_note="A place is a pair of discriminants; its picture is a regression onto discriminants, not an inverse.",
    data_needs=frozenset({"labels"}),
    is_fitted=True,
    has_gaussian_posterior=False,
)
