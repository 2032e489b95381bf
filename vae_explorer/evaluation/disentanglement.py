"""Whether each known factor of the pictures has a latent dimension of its own: MIG, SAP and DCI; MODELS.md 6.6.

Legend: N images, D latent dimensions, F factors, V values of a factor, R histogram bins.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.evaluation import Evaluation, Outcome

if TYPE_CHECKING:
    from torch import Tensor

NUM_BINS = 20
NUM_TREES = 50
MOST_IMAGES_OF_TREES = 5000


def mutual_information_gap(evaluation: Evaluation) -> Outcome:
    """MIG of Chen et al., arXiv:1802.04942: mean over factors of (I_1 - I_2) / H, histograms of 20 bins of mu.

    20 bins tell at most ln 20 nats, so that a factor of more values than that stays below 1 however well it is told.
    """
    mean_ND, factors_NF, names = _codes_and_factors(evaluation)
    gap_F = information_gaps(mean_ND, factors_NF)
    return _over_factors(gap_F, names, {"bins": NUM_BINS, "highest_possible": highest_gap(factors_NF)})


def highest_gap(factors_NF: Tensor) -> float:
    """The MIG of a representation that tells all factors as well as `NUM_BINS` bins can."""
    entropies = [float(_entropy(torch.bincount(factor_N).double())) for factor_N in factors_NF.T]
    told = [min(1.0, math.log(NUM_BINS) / entropy) for entropy in entropies if entropy > 0]
    return sum(told) / max(len(told), 1)


def attribute_predictability(evaluation: Evaluation) -> Outcome:
    """SAP of Kumar et al., arXiv:1711.00848: mean gap between the two dimensions that alone tell a factor best."""
    mean_ND, factors_NF, names = _codes_and_factors(evaluation)
    score_DF = single_scores(mean_ND, factors_NF)
    return _over_factors(_gaps(score_DF), names, {"classifier": "nearest class mean on one dimension"})


def dci_disentanglement(evaluation: Evaluation) -> Outcome:
    """How far each dimension tells of one factor only; Eastwood & Williams 2018."""
    return _dci(evaluation, "disentanglement")


def dci_completeness(evaluation: Evaluation) -> Outcome:
    """How far each factor is told by one dimension only."""
    return _dci(evaluation, "completeness")


def dci_informativeness(evaluation: Evaluation) -> Outcome:
    """How much of the factors all dimensions tell together: accuracy of the trees."""
    return _dci(evaluation, "informativeness")


def information_gaps(mean_ND: Tensor, factors_NF: Tensor) -> Tensor:
    """(I_1 - I_2) / H of each factor, (F,): the two dimensions with the most information on it, over its entropy."""
    information_DF = torch.stack([_informations(code_N, factors_NF) for code_N in _binned(mean_ND).T])
    entropy_F = torch.stack([_entropy(torch.bincount(factor_N).double()) for factor_N in factors_NF.T])
    return _gaps(information_DF) / entropy_F


def single_scores(mean_ND: Tensor, factors_NF: Tensor) -> Tensor:
    """Accuracy of the class whose mean is nearest, for each dimension alone and each factor, (D, F).

    In one dimension that is the linear classifier. It learns on one half of the images and is asked about the other.
    """
    half = len(mean_ND) // 2
    scores = []
    for factor_N in factors_NF.T:
        _, value_N = factor_N.unique(return_inverse=True)
        learned_V = torch.nn.functional.one_hot(value_N[:half], int(value_N.max()) + 1).double()
        count_V = learned_V.sum(0)
        mean_VD = (learned_V.T @ mean_ND[:half]) / count_V.clamp_min(1.0)[:, None]
        mean_VD[count_V == 0] = math.inf
        found_ND = (mean_ND[half:, None, :] - mean_VD).abs().argmin(1)
        scores.append((found_ND == value_N[half:, None]).double().mean(0))
    return torch.stack(scores, dim=1)


def concentration(weight_GI: Tensor) -> Tensor:
    """1 less the entropy of each row over its largest, (G,): 1 where one entry has all, 0 where all are alike."""
    share_GI = weight_GI / weight_GI.sum(1, keepdim=True).clamp_min(1e-12)
    if weight_GI.shape[1] == 1:
        return torch.ones(len(weight_GI), dtype=weight_GI.dtype)
    entropy_G: Tensor = -torch.special.xlogy(share_GI, share_GI).sum(1)
    return 1.0 - entropy_G / math.log(weight_GI.shape[1])


def dci_scores(importance_DF: Tensor) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix."""
    weight_D, weight_F = importance_DF.sum(1), importance_DF.sum(0)
    total = float(importance_DF.sum())
    if total == 0.0:
        return 0.0, 0.0
    return (
        float((concentration(importance_DF) * weight_D).sum()) / total,
        float((concentration(importance_DF.T) * weight_F).sum()) / total,
    )


def _dci(evaluation: Evaluation, part: str) -> Outcome:
    mean_ND, factors_NF, names = _codes_and_factors(evaluation)

    def grow() -> tuple[Tensor, Tensor]:
        return tree_importances(mean_ND, factors_NF, evaluation)

    importance_DF, accuracy_F = evaluation.shared("tree importances", grow)
    disentanglement, completeness = dci_scores(importance_DF)
    value = {
        "disentanglement": disentanglement, "completeness": completeness,
        "informativeness": float(accuracy_F.mean()),
    }[part]  # fmt: skip
    detail = {
        "trees": NUM_TREES, "per_factor_accuracy": _named(names, accuracy_F),
        "importance": {name: [round(float(v), 4) for v in importance_DF[:, f]] for f, name in enumerate(names)},
    }  # fmt: skip
    return Outcome(value=value, n=min(len(mean_ND), MOST_IMAGES_OF_TREES), detail=detail)


def tree_importances(mean_ND: Tensor, factors_NF: Tensor, evaluation: Evaluation) -> tuple[Tensor, Tensor]:
    """Importance of each dimension for each factor, (D, F), and the accuracy on the half not learned from, (F,).

    By random forests, as in the paper; of scikit-learn, since trees are a trade of their own. Each split may look at
    all dimensions: with the usual few of them, dimensions that tell nothing would get a share.
    """
    from sklearn.ensemble import RandomForestClassifier

    code_ND = mean_ND[:MOST_IMAGES_OF_TREES].numpy()
    half = len(code_ND) // 2
    importances, accuracies = [], []
    for number, factor_N in enumerate(factors_NF[: len(code_ND)].numpy().T):
        evaluation.advance(number, factors_NF.shape[1])
        forest: Any = RandomForestClassifier(NUM_TREES, max_features=None, random_state=evaluation.seed, n_jobs=1)
        forest.fit(code_ND[:half], factor_N[:half])
        importances.append(np.asarray(forest.feature_importances_, dtype=np.float64))
        accuracies.append(float((forest.predict(code_ND[half:]) == factor_N[half:]).mean()))
    return torch.from_numpy(np.stack(importances, axis=1)), torch.tensor(accuracies, dtype=torch.float64)


def _codes_and_factors(evaluation: Evaluation) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Posterior means (N, D) and the factors that vary (N, F) with their names."""
    mean_ND, _ = evaluation.posteriors()
    factors_NF = evaluation.images.factors_NF
    assert factors_NF is not None, "the measure needs factors"
    factors_NF = factors_NF.cpu()
    varies = [f for f in range(factors_NF.shape[1]) if len(factors_NF[:, f].unique()) > 1]
    if not varies or len(mean_ND) < 2 * NUM_BINS:
        raise UserError(
            "These images are too few, or no factor varies over them.", "Take more images, or choose another split."
        )
    names = evaluation.images.factor_names or tuple(f"factor {f}" for f in range(factors_NF.shape[1]))
    return mean_ND, factors_NF[:, varies], tuple(names[f] for f in varies)


def _binned(mean_ND: Tensor) -> Tensor:
    """The number of the bin of each code, (N, D); 20 bins of equal width from the least to the largest."""
    least_D, largest_D = mean_ND.amin(0), mean_ND.amax(0)
    width_D = (largest_D - least_D).clamp_min(torch.finfo(torch.float64).tiny)
    return ((mean_ND - least_D) / width_D * NUM_BINS).long().clamp_max(NUM_BINS - 1)


def _informations(code_N: Tensor, factors_NF: Tensor) -> Tensor:
    """I(code; factor) of one binned code and each factor, (F,), in nats."""
    found = []
    for factor_N in factors_NF.T:
        num_values = int(factor_N.max()) + 1
        joint_RV = torch.bincount(code_N * num_values + factor_N, minlength=NUM_BINS * num_values).double()
        joint_RV = joint_RV.view(NUM_BINS, num_values)
        found.append(_entropy(joint_RV.sum(1)) + _entropy(joint_RV.sum(0)) - _entropy(joint_RV.flatten()))
    return torch.stack(found)


def _entropy(counts: Tensor) -> Tensor:
    share = counts / counts.sum()
    entropy: Tensor = -torch.special.xlogy(share, share).sum()
    return entropy


def _gaps(score_DF: Tensor) -> Tensor:
    """The largest less the second largest over dimensions, (F,); the largest where there is one dimension."""
    ordered_DF = score_DF.sort(0, descending=True).values
    return ordered_DF[0] - ordered_DF[1] if len(ordered_DF) > 1 else ordered_DF[0]


def _over_factors(value_F: Tensor, names: tuple[str, ...], detail: dict[str, Any]) -> Outcome:
    return Outcome(value=float(value_F.mean()), detail={"per_factor": _named(names, value_F), **detail})


def _named(names: tuple[str, ...], value_F: Tensor) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(names, value_F, strict=True)}
