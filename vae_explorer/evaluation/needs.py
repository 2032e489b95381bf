"""Which measures can be taken of which model on which images, in sentences."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.errors import UserError
from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.generation import POINTS_SHAPE
from vae_explorer.models.gaussian import standard_normal_log_prob

if TYPE_CHECKING:
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.evaluation.record import Measure, Need
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.record import ModelRecord

MOST_PLANE_DIMENSIONS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is to be measured: a model on images, with the training images at hand or not."""

    record: ModelRecord
    model: LatentModel
    images: ScoredImages
    has_training: bool = False


def obstacle(measure: Measure, subject: Subject) -> str:
    """Why the measure cannot be taken of this subject, in a sentence; empty where it can."""
    for need in sorted(measure.needs):
        is_met, reason = _NEEDS[need]
        if not is_met(subject):
            words = reason.format(model=subject.record.name, protocol=subject.images.protocol)
            return f"{measure.title} cannot be measured here: {words}."
    return ""


def applicable(subject: Subject) -> tuple[Measure, ...]:
    """The measures that can be taken, in the registry's order."""
    return tuple(measure for measure in MEASURES if not obstacle(measure, subject))


def require(measure: Measure, subject: Subject) -> None:
    """Raise UserError, with the measures to choose from, where this one cannot be taken."""
    if reason := obstacle(measure, subject):
        others = ", ".join(item.name for item in applicable(subject))
        raise UserError(reason, f"Choose from: {others}." if others else "Train another model.")


def _has_standard_normal_prior(subject: Subject) -> bool:
    dimensions = subject.model.latent_space.dimensions
    if not (subject.record.has_prior and dimensions):
        return False
    image = subject.images.first(2)
    x_BCHW = image.x(0, image.num_images)
    z_BD = torch.linspace(-1.0, 1.5, len(x_BCHW), device=x_BCHW.device)[:, None].expand(-1, dimensions)
    with torch.inference_mode():
        condition = subject.model.condition_of(x_BCHW, image.labels(0, image.num_images))
        log_prior_B = subject.model.log_prior(z_BD, condition).float()
    return torch.allclose(log_prior_B, standard_normal_log_prob(z_BD), atol=1e-3)


def _is_plane(subject: Subject) -> bool:
    dimensions = subject.model.latent_space.dimensions
    return 1 <= dimensions <= MOST_PLANE_DIMENSIONS and subject.record.condition != "part"


_NEEDS: dict[Need, tuple[Callable[[Subject], bool], str]] = {
    "likelihood": (lambda subject: subject.record.has_likelihood, "model '{model}' has no likelihood"),
    "prior": (lambda subject: subject.record.has_prior, "model '{model}' has no prior"),
    "codes": (lambda subject: subject.record.has_codes, "model '{model}' has no codes"),
    "corruption": (lambda subject: subject.record.is_denoising, "model '{model}' is not trained to undo a corruption"),
    "told class": (lambda subject: subject.record.condition == "class", "model '{model}' is not told the class"),
    "given part": (
        lambda subject: subject.record.condition == "part",
        "model '{model}' is not given a part of a picture",
    ),
    "codebook": (lambda subject: subject.record.has_codebook, "model '{model}' has no codebook"),
    "Gaussian posterior": (
        lambda subject: subject.record.has_codes and subject.record.has_gaussian_posterior,
        "model '{model}' has no diagonal Gaussian posterior q(z|x)",
    ),
    "standard normal prior": (_has_standard_normal_prior, "the prior of model '{model}' is not N(0, I)"),
    "plane": (
        _is_plane,
        "it is for one or two latent dimensions, and for models that are not told a part of the picture",
    ),
    "more than two dimensions": (
        lambda subject: subject.model.latent_space.dimensions > MOST_PLANE_DIMENSIONS,
        "a latent space of at most two dimensions is seen whole, and no plane leaves anything of it out",
    ),
    "density": (lambda subject: subject.record.has_density, "model '{model}' has no closed form of log p(x)"),
    "likelihood protocol": (
        lambda subject: PROTOCOLS[subject.images.protocol].is_likelihood,
        "protocol '{protocol}' gives a score, not a likelihood",
    ),
    "pictures": (
        lambda subject: subject.images.image_shape != POINTS_SHAPE,
        "the items are points of the plane, not pictures",
    ),
    "labels": (lambda subject: subject.images.labels_N is not None, "the data set has no labels"),
    "factors": (
        lambda subject: subject.images.factors_NF is not None,
        "the data set does not know from which factors its pictures were made",
    ),
    "unseen images": (
        lambda subject: subject.images.split != "train",
        "it learns from training images and must be asked about others, so choose the split test or heldout",
    ),
    "trees": (
        lambda _: importlib.util.find_spec("sklearn") is not None,
        "its trees are grown with scikit-learn, which is not installed (pip install 'vae-explorer[trees]')",
    ),
    "training images": (lambda subject: subject.has_training, "it needs the training images, and they are not at hand"),
}
