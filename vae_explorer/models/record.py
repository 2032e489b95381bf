"""What a model says of itself, as a frozen record; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

DataNeed = Literal["labels", "pictures", "points", "binary pixels", "reals"]
Condition = Literal["", "class", "part"]


@dataclass(frozen=True, slots=True)
class Term:
    """One number of a model's objective that is drawn as a curve; averaged over images.

    `is_heldout_only` terms are no part of a training step: they are measured at each held-out check.
    """

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher", "neither"]
    formula: str
    is_heldout_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """What everything outside `models/` may know of a model without building it.

    `map_note` says in one sentence what a place on the map is for this model, and where the map has nothing to show,
    what there is instead. `condition` is what the model is told beside the picture: its class, or a part of it.
    `is_fitted` models work out their weights from statistics of the data (closed form, EM) instead of by gradients.
    """

    name: str
    title: str
    summary: str
    reference: str
    config_type: type[Any]
    terms: tuple[Term, ...]
    has_likelihood: bool  # decode gives a likelihood p(x|z), not only a picture
    has_prior: bool  # samples can be drawn from p(z)
    has_codes: bool  # encode gives a point of R^d that the map can show
    builder: str  # "module:function" of (config, data space); call it through `building.build_model`
    map_note: str
    data_needs: frozenset[DataNeed] = frozenset()
    condition: Condition = ""
    is_fitted: bool = False
    has_density: bool = False  # log_density gives log p(x) itself, in closed form
    has_gaussian_posterior: bool = True  # q(z|x) is a diagonal Gaussian in R^d; layers of the map stand on it
    is_denoising: bool = False  # trained to undo `corrupted`
    has_codebook: bool = False  # encode gives a grid of codes, `codebook.codes_KD` are their vectors

    @property
    def samples_ex_post(self) -> bool:
        """Whether samples come from a density that is fitted to the codes afterwards (`ex_post_density`)."""
        return self.has_codes and not self.has_prior

    @property
    def can_be_sampled(self) -> bool:
        """From its prior, or ex-post."""
        return self.has_prior or self.samples_ex_post


BOUND_TERMS = (
    Term("elbo", "ELBO", "nats per image", "higher", "E_q[log p(x|z)] − KL(q(z|x) ‖ p(z))"),
    Term("reconstruction", "Reconstruction", "nats per image", "lower", "−E_q[log p(x|z)]"),
    Term("kl", "KL", "nats per image", "lower", "KL(q(z|x) ‖ p(z))"),
)

DECOMPOSITION_TERMS = (
    Term(
        "mutual_information", "Mutual information", "nats per image", "neither",
        "I(x;z) = E[log q(z|x) − log q(z)], q(z) the mean of the N held-out posteriors; never above ln N",
        is_heldout_only=True,
    ),
    Term(
        "total_correlation", "Total correlation", "nats per image", "neither",
        "KL(q(z) ‖ ∏ q(z_j)) = E[log q(z) − Σ log q(z_j)]", is_heldout_only=True,
    ),
    Term(
        "dimension_wise_kl", "Dimension-wise KL", "nats per image", "neither",
        "Σ KL(q(z_j) ‖ p(z_j)); with the two above it makes up the KL", is_heldout_only=True,
    ),
)  # fmt: skip
"""KL = mutual information + total correlation + dimension-wise KL (Chen et al., arXiv:1802.04942), of q(z|x) diagonal
Gaussian, in coordinates in which the prior is N(0, I); `aggregate_posterior.decompose_kl` measures them."""

GAUSSIAN_TERMS = BOUND_TERMS + DECOMPOSITION_TERMS
"""What a model with a diagonal Gaussian posterior and the prior N(0, I) reports."""
