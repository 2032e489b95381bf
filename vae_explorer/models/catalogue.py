"""The models that there are, as frozen records; free of torch, so that a form can be drawn before torch is imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vae_explorer.models.vae_config import VAEConfig
from vae_explorer.registry import Registry

if TYPE_CHECKING:
    from vae_explorer.models.interface import LatentModel

Builder = Callable[[Any, tuple[int, int, int], int], "LatentModel"]


@dataclass(frozen=True, slots=True)
class Term:
    """One number of a model's objective that is drawn as a curve; averaged over images."""

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"]
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """What everything outside `models/` may know of a model without building it."""

    name: str
    title: str
    summary: str
    reference: str
    config_type: type[Any]
    terms: tuple[Term, ...]
    has_likelihood: bool  # decode gives a likelihood p(x|z), not only a picture
    has_prior: bool  # samples can be drawn from p(z)
    has_codes: bool  # encode gives a point of R^d that the map can show
    builder: Callable[[], Builder]  # imports torch; call it through `building.build_model`


def _vae_builder() -> Builder:
    from vae_explorer.models.vae import build_vae

    return build_vae


MODELS: Registry[ModelRecord] = Registry("model")

BOUND_TERMS = (
    Term("elbo", "ELBO", "nats per image", "higher", "E_q[log p(x|z)] − KL(q(z|x) ‖ p(z))"),
    Term("reconstruction", "Reconstruction", "nats per image", "lower", "−E_q[log p(x|z)]"),
    Term("kl", "KL", "nats per image", "lower", "KL(q(z|x) ‖ p(z))"),
)

MODELS.add(
    ModelRecord(
        name="vae",
        title="Variational autoencoder",
        summary="Gaussian posterior, standard normal prior and Bernoulli pixels, trained on the evidence lower bound.",
        reference="Kingma & Welling, Auto-Encoding Variational Bayes, arXiv:1312.6114",
        config_type=VAEConfig,
        terms=BOUND_TERMS,
        has_likelihood=True,
        has_prior=True,
        has_codes=True,
        builder=_vae_builder,
    )
)
