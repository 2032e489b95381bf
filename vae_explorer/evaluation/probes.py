"""What can be read off the codes: a linear probe and the five nearest neighbours; MODELS.md 6.10.

Both learn on posterior means of training images and are asked about images that the probe has not seen.
Legend: N images asked about, M training images, D latent dimensions, K classes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.evaluation import Evaluation, Outcome, posteriors
from vae_explorer.evaluation.neighbours import nearest

if TYPE_CHECKING:
    from torch import Tensor

RIDGE = 1e-3
"""The penalty on the squared weights, as a share of the mean variance of a code."""

NUM_NEIGHBOURS = 5
NEIGHBOUR_REFERENCES = 10_000


def linear_probe(evaluation: Evaluation) -> Outcome:
    """Accuracy of the class with the largest ridge regression from the codes."""
    code_MD, label_M, code_ND, label_N = _codes_and_labels(evaluation)
    predicted_N = ridge_classes(code_MD, label_M, code_ND, evaluation.images.num_classes)
    return accuracy(predicted_N, label_N, {"learned_on": len(code_MD), "ridge": RIDGE})


def nearest_neighbour_probe(evaluation: Evaluation) -> Outcome:
    """Accuracy of the vote of the five nearest of 10,000 training codes."""
    code_MD, label_M, code_ND, label_N = _codes_and_labels(evaluation)
    code_MD, label_M = code_MD[:NEIGHBOUR_REFERENCES], label_M[:NEIGHBOUR_REFERENCES]
    num = min(NUM_NEIGHBOURS, len(code_MD))
    _, index_NK = nearest(code_ND, code_MD, num, advance=evaluation.advance)
    predicted_N = vote(label_M[index_NK], evaluation.images.num_classes)
    return accuracy(predicted_N, label_N, {"references": len(code_MD), "neighbours": num})


def accuracy(predicted_N: Tensor, label_N: Tensor, detail: dict[str, object]) -> Outcome:
    """The share that is right with its binomial standard error."""
    share = float((predicted_N == label_N).double().mean())
    return Outcome(value=share, standard_error=math.sqrt(share * (1 - share) / len(label_N)), detail=detail)


def ridge_classes(code_MD: Tensor, label_M: Tensor, code_ND: Tensor, num_classes: int) -> Tensor:
    """The class of the largest output of a ridge regression of one-hot labels on codes with a bias, (N,)."""
    mean_D = code_MD.mean(0)
    centred_MD = code_MD - mean_D
    target_MK = torch.nn.functional.one_hot(label_M, num_classes).double()
    share_K = target_MK.mean(0)
    covariance_DD = centred_MD.T @ centred_MD / len(centred_MD)
    penalty = RIDGE * float(covariance_DD.diagonal().mean()) + torch.finfo(torch.float64).tiny
    covariance_DD = covariance_DD + penalty * torch.eye(len(covariance_DD), dtype=torch.float64)
    weight_DK = torch.linalg.solve(covariance_DD, centred_MD.T @ (target_MK - share_K) / len(centred_MD))
    predicted_N: Tensor = ((code_ND - mean_D) @ weight_DK + share_K).argmax(1)
    return predicted_N


def vote(label_NK: Tensor, num_classes: int) -> Tensor:
    """The most frequent label of each row, (N,); where two are, that of the nearer neighbour."""
    counts_NC = torch.nn.functional.one_hot(label_NK, num_classes).double().cumsum(1)
    # A label that had its votes earlier stands before one that reached as many later.
    winner_N: Tensor = (counts_NC[:, -1] + 1e-6 * counts_NC.sum(1)).argmax(1)
    return winner_N


def _codes_and_labels(evaluation: Evaluation) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training codes (M, D) and labels (M,), then codes (N, D) and labels (N,) to be asked about; on the CPU."""

    def learned_on() -> tuple[Tensor, Tensor]:
        assert evaluation.training is not None, "the measure needs training images"
        training = evaluation.training()
        code_MD, _ = posteriors(evaluation.model, training, evaluation.advance)
        assert training.labels_N is not None, "the measure needs labels"
        return code_MD, training.labels_N.cpu()

    code_MD, label_M = evaluation.shared("training codes", learned_on)
    code_ND, _ = evaluation.posteriors()
    labels_N = evaluation.images.labels_N
    assert labels_N is not None, "the measure needs labels"
    return code_MD, label_M, code_ND, labels_N.cpu()
