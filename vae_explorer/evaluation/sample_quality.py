"""How near generated pictures are to real ones as a whole: Frechet distance, precision, recall, density, coverage.

Heusel et al., arXiv:1706.08500; Kynkaanniemi et al., arXiv:1904.06991; Naeem et al., arXiv:2002.09797; MODELS.md 6.7
and 6.8. Legend: N real pictures, M generated ones, F features, K neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.evaluation import Advance, Evaluation, Outcome, no_report
from vae_explorer.evaluation.features import FeatureSpace, feature_space
from vae_explorer.evaluation.generation import drawn_training, generated, pictures_words, real, require_enough
from vae_explorer.evaluation.neighbours import distance_blocks, nearest

if TYPE_CHECKING:
    from torch import Tensor

NUM_NEIGHBOURS = 5


def frechet_distance_of_samples(evaluation: Evaluation) -> Outcome:
    """Frechet distance between generated and measured pictures, with the same between real ones as its floor.

    The floor is that of as many training images against the same pictures; `floor_of_halves` that of the measured
    pictures' two halves, which is higher, since fewer pictures stand on either side.
    """
    space, real_NF, made_MF = _features(evaluation)
    require_enough(len(real_NF), 4, "images")
    other_NF = space.features(drawn_training(evaluation, len(real_NF))[0])
    half = len(real_NF) // 2  # every second one: files are often in an order of their own
    detail = {
        **_facts(evaluation, len(made_MF)), "floor": frechet_distance(real_NF, other_NF),
        "floor_of_halves": frechet_distance(real_NF[0 : 2 * half : 2], real_NF[1 : 2 * half : 2]),
    }  # fmt: skip
    return Outcome(value=frechet_distance(real_NF, made_MF), samples=evaluation.samples, detail=detail)


def frechet_distance(first_NF: Tensor, second_MF: Tensor) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2) of the Gaussians fitted to both."""
    mean_1, covariance_1 = first_NF.mean(0), torch.atleast_2d(torch.cov(first_NF.T))
    mean_2, covariance_2 = second_MF.mean(0), torch.atleast_2d(torch.cov(second_MF.T))
    # (S1 S2)^1/2 has the trace of (R S2 R)^1/2 with R = S1^1/2, which is symmetric and has no negative eigenvalue.
    values, vectors = torch.linalg.eigh(covariance_1)
    root = vectors * values.clamp_min(0.0).sqrt() @ vectors.T
    trace = torch.linalg.eigvalsh(root @ covariance_2 @ root).clamp_min(0.0).sqrt().sum()
    distance = (mean_1 - mean_2).square().sum() + covariance_1.trace() + covariance_2.trace() - 2 * trace
    return max(0.0, float(distance))


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far real and generated pictures cover one another; shares, but density, which may exceed 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision(evaluation: Evaluation) -> Outcome:
    """Share of generated pictures inside the real ones' balls."""
    found = _overlap(evaluation)
    return _share(evaluation, found.precision, evaluation.samples)


def recall(evaluation: Evaluation) -> Outcome:
    """Share of real pictures inside the generated ones' balls."""
    return _share(evaluation, _overlap(evaluation).recall, evaluation.images.num_images)


def density(evaluation: Evaluation) -> Outcome:
    """How many of K real balls a generated picture is in, over K."""
    found = _overlap(evaluation)
    return Outcome(
        value=found.density, samples=evaluation.samples, detail=_facts(evaluation, evaluation.samples) | _neighbours()
    )


def coverage(evaluation: Evaluation) -> Outcome:
    """Share of real pictures whose ball has a generated one in it."""
    return _share(evaluation, _overlap(evaluation).coverage, evaluation.images.num_images)


def overlap(
    real_NF: Tensor, made_MF: Tensor, num_neighbours: int = NUM_NEIGHBOURS, advance: Advance = no_report
) -> Overlap:
    """Precision, recall, density and coverage by balls to the K-th nearest neighbour of the same kind."""
    real_radius_N = nearest(real_NF, real_NF, num_neighbours, are_same=True, advance=advance)[0][:, -1]
    made_radius_M = nearest(made_MF, made_MF, num_neighbours, are_same=True, advance=advance)[0][:, -1]
    balls_M = torch.zeros(len(made_MF))
    recalled, covered = 0, 0
    for part, squared_BM in distance_blocks(real_NF, made_MF, advance):
        distance_BM = squared_BM.sqrt_()
        inside_BM = distance_BM < real_radius_N[part, None]
        balls_M += inside_BM.sum(0)
        covered += int(inside_BM.any(1).sum())
        recalled += int((distance_BM < made_radius_M).any(1).sum())
    return Overlap(
        precision=float((balls_M > 0).double().mean()),
        recall=recalled / len(real_NF),
        density=float(balls_M.double().mean()) / num_neighbours,
        coverage=covered / len(real_NF),
    )


def _overlap(evaluation: Evaluation) -> Overlap:
    def compute() -> Overlap:
        _, real_NF, made_MF = _features(evaluation)
        require_enough(len(real_NF), NUM_NEIGHBOURS + 1, "images")
        require_enough(len(made_MF), NUM_NEIGHBOURS + 1, "generated pictures")
        return overlap(real_NF, made_MF, advance=evaluation.advance)

    return evaluation.shared(("overlap", evaluation.samples), compute)


def _features(evaluation: Evaluation) -> tuple[FeatureSpace, Tensor, Tensor]:
    """The feature space, and the features of real (N, F) and generated pictures (M, F)."""
    space = feature_space(evaluation)
    real_NF = evaluation.shared("features of real pictures", lambda: space.features(real(evaluation.images)))
    made_MF = evaluation.shared(
        ("features of generated pictures", evaluation.samples), lambda: space.features(generated(evaluation))
    )
    return space, real_NF, made_MF


def _facts(evaluation: Evaluation, num_generated: int) -> dict[str, object]:
    return {"generated": num_generated, "pictures": pictures_words(evaluation), **feature_space(evaluation).detail()}


def _neighbours() -> dict[str, object]:
    return {"neighbours": NUM_NEIGHBOURS}


def _share(evaluation: Evaluation, share: float, num: int) -> Outcome:
    return Outcome(
        value=share, standard_error=math.sqrt(share * (1 - share) / num), samples=evaluation.samples,
        detail=_facts(evaluation, evaluation.samples) | _neighbours(),
    )  # fmt: skip
