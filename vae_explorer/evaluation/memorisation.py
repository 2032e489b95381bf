"""Whether generated pictures are copies of training images; MODELS.md 6.9.

Legend: M generated pictures, T training images, H others, P pixels, F features.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.evaluation import Advance, Evaluation, Outcome, no_report
from vae_explorer.evaluation.features import feature_space
from vae_explorer.evaluation.generation import drawn_training, generated, pictures_words, real
from vae_explorer.evaluation.neighbours import nearest

if TYPE_CHECKING:
    from torch import Tensor

NUM_SUSPECTS = 8
NUM_CELLS = 10
LEAST_IN_CELL = 20
_CLUSTER_ROUNDS = 20


def neighbour_ratio(evaluation: Evaluation) -> Outcome:
    """Mean over generated pictures of the distance to the nearest training image over that to the nearest other one.

    Euclidean distances of pixels. As many of either are looked through, so that 1 means that training images are no
    nearer. `suspects` are the generated pictures with the lowest ratio, and the training image that is nearest to each.
    """
    made_MP, other_HP = generated(evaluation).flatten(1), real(evaluation.images).flatten(1)
    pictures, number_T = drawn_training(evaluation, len(other_HP))
    training_TP = pictures.flatten(1)
    to_training, index_M1 = nearest(made_MP, training_TP, 1, advance=evaluation.advance)
    to_other, _ = nearest(made_MP, other_HP[: len(training_TP)], 1, advance=evaluation.advance)
    ratio_M = (to_training / to_other.clamp_min(1e-6))[:, 0].double()
    suspects = [
        {
            "generated": int(i), "ratio": round(float(ratio_M[i]), 4),
            "training_image": int(number_T[index_M1[i, 0]]),
        }
        for i in ratio_M.argsort()[:NUM_SUSPECTS]
    ]  # fmt: skip
    detail = {
        "generated": len(made_MP), "pictures": pictures_words(evaluation), "compared_with": len(training_TP),
        "lowest": float(ratio_M.min()), "suspects": suspects,
    }  # fmt: skip
    return Outcome.mean_of(ratio_M, samples=evaluation.samples, detail=detail)


def data_copying(evaluation: Evaluation) -> Outcome:
    """Z_U of Meehan, Chaudhuri & Dasgupta, arXiv:2004.05675: far below 0 (-3) means copies, above 0 a poor fit.

    In the feature space of `features`, with cells by k-means of the training images; cells with fewer than 20 of
    either kind are left out.
    """
    space = feature_space(evaluation)
    assert evaluation.training is not None, "the measure needs training images"
    training_TF = space.features(real(evaluation.training(), advance=evaluation.advance))
    made_MF, other_HF = space.features(generated(evaluation)), space.features(real(evaluation.images))
    z, used = copying_score(made_MF, training_TF, other_HF, evaluation.seed, evaluation.advance)
    detail = {
        "generated": len(made_MF),
        "pictures": pictures_words(evaluation),
        "cells": used,
        "training_images": len(training_TF),
    }
    return Outcome(value=z, samples=evaluation.samples, detail=detail | space.detail())


def copying_score(
    made_MF: Tensor, training_TF: Tensor, other_HF: Tensor, seed: int = 0, advance: Advance = no_report
) -> tuple[float, int]:
    """Z_U averaged over cells by their share of the other images, and the number of cells that counted.

    Raises UserError where no cell has 20 pictures of both kinds.
    """
    # Of few pictures few cells, or none would hold enough.
    num_cells = min(len(made_MF), len(other_HF)) // (2 * LEAST_IN_CELL)
    centre_CF = cell_centres(training_TF, max(1, min(NUM_CELLS, num_cells, len(training_TF))), seed)
    made_distance_M = nearest(made_MF, training_TF, 1, advance=advance)[0][:, 0]
    other_distance_H = nearest(other_HF, training_TF, 1, advance=advance)[0][:, 0]
    made_cell_M, other_cell_H = (nearest(points, centre_CF, 1)[1][:, 0] for points in (made_MF, other_HF))
    total, weight, used = 0.0, 0, 0
    for cell in range(len(centre_CF)):
        made, other = made_distance_M[made_cell_M == cell], other_distance_H[other_cell_H == cell]
        if min(len(made), len(other)) >= LEAST_IN_CELL:
            total += len(other) * rank_sum_z(made, other)
            weight += len(other)
            used += 1
    if not used:
        raise UserError(
            f"No cell holds {LEAST_IN_CELL} generated and {LEAST_IN_CELL} real pictures.",
            "Take more images and more samples, or train the model further.",
        )
    return total / weight, used


def rank_sum_z(first_A: Tensor, second_B: Tensor) -> float:
    """Mann & Whitney's U of the first against the second as a z-score; below 0 where the first are smaller."""
    a, b = len(first_A), len(second_B)
    ordered_B = second_B.sort().values
    below = torch.searchsorted(ordered_B, first_A, right=False).double()
    below_or_same = torch.searchsorted(ordered_B, first_A, right=True).double()
    u = float((0.5 * (below + below_or_same)).sum())  # ties count half
    return (u - a * b / 2) / math.sqrt(a * b * (a + b + 1) / 12)


def cell_centres(points_TF: Tensor, num: int, seed: int) -> Tensor:
    """Centres of `num` cells by Lloyd's k-means from drawn points, (C, F)."""
    generator = torch.Generator().manual_seed(seed)
    centre_CF = points_TF[torch.randperm(len(points_TF), generator=generator)[:num]].clone()
    for _ in range(_CLUSTER_ROUNDS):
        cell_T = nearest(points_TF, centre_CF, 1)[1][:, 0]
        count_C = torch.bincount(cell_T, minlength=num)
        sum_CF = torch.zeros_like(centre_CF).index_add_(0, cell_T, points_TF)
        held = count_C > 0
        centre_CF[held] = sum_CF[held] / count_C[held, None]
    return centre_CF
