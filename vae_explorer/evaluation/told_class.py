"""Whether a model that is told the class draws pictures of it, as a network that has learnt the labels sees them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.evaluation import Outcome
from vae_explorer.evaluation.features import label_network
from vae_explorer.evaluation.generation import generated, pictures_words, real

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.evaluation import Evaluation


def told_class(evaluation: Evaluation) -> Outcome:
    """The share of generated pictures in which the network finds the class that the model was told (MODELS.md 4.10).

    `detail` holds the share of real pictures that it gets right, which is as much as can be asked for.
    """
    network, digest = label_network(evaluation)
    images = evaluation.images
    labels_N = images.labels_N
    assert labels_N is not None, "the measure needs labels"
    labels_N = labels_N.cpu()
    pictures = generated(evaluation)
    told_S = labels_N[torch.arange(len(pictures)) % len(labels_N)]
    share = _share(network, pictures, told_S)
    of_real = _share(network, real(images), labels_N)
    error = math.sqrt(share * (1 - share) / len(pictures))
    detail = {
        "pictures": pictures_words(evaluation), "share_of_real": of_real, "features": "the classifier trained here",
        "feature_digest": digest,
    }  # fmt: skip
    return Outcome(value=share, standard_error=error, samples=len(pictures), n=len(pictures), detail=detail)


@torch.inference_mode()
def _share(network: torch.nn.Module, pictures_NCHW: Tensor, label_N: Tensor) -> float:
    found = torch.cat([network(x_BCHW).argmax(1) for x_BCHW in pictures_NCHW.split(1000)])
    return float((found == label_N).double().mean())
