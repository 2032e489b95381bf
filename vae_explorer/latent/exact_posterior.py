"""The exact posterior p(z|x) of one picture in one or two latent dimensions, by quadrature on cells that grow finer
where the mass is.

    p(z|x) = p(x|z) p(z) / p(x),   log p(x) = log sum_g p(x|z_g) p(z_g) h_g^d          (MODELS.md 5.5, 6.3, 6.12)

The midpoint rule on a regular grid is as good as exact for a smooth peak as soon as a cell is no wider than about the
peak's sigma (its error falls like exp(-2 pi^2 sigma^2 / h^2)), so cells that hold mass are divided until they are.

Legend: N cells, P points, D latent dimensions. All sums are in float64.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.pacing import in_steps
from vae_explorer.models.likelihoods import pairwise_log_prob

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.models.interface import LatentModel, Likelihood

Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

HALF_WIDTH = 6.0
"""Outside +-6 the prior N(0, I) has a mass of 4e-9 in two dimensions; where an image has mass there, the box is wider.
"""
MOST_DIMENSIONS = 2

_COARSE_SIDE = {1: 512, 2: 48}
_MASS_MARGIN = 16.0
# A cell counts as resolved when minus the second difference of log p over it, (h / sigma)^2, is below this: the error
# of the midpoint rule is then 4e-6 of the mass.
_RESOLVED = 1.5
# Only cells this near to the largest decide whether the grid is fine enough.
_DECIDING_MARGIN = 7.0
_MOST_LEVELS = 6
_MOST_CELLS = 12_000
_BEYOND_SIGMAS = 8.0
# A cell at an edge of the box this near to the largest says that mass lies beyond: exp(-12) of it is 6e-6 a cell.
_EDGE_MARGIN = 12.0
_WIDER = 1.5
_FARTHEST = 60.0
_Q_NODES = {1: 40, 2: 20}
# What a coarse grid may keep of decoded pictures for the next image looked at under the same weights.
_MOST_KEPT_BYTES = 48 << 20
_MOST_ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class ExactPosterior:
    """p(z|x) of one picture on cells of several sizes.

    `log_weight_N` is the log of each cell's mass (they sum to 1), `size_N` its edge. `log_evidence` is log p(x) and
    `kl_from_q` is KL(q || p(z|x)) = log p(x) - ELBO, both in nats. `sigma_D` is the standard deviation.
    """

    points_ND: Float64
    log_weight_N: Float64
    size_N: Float64
    log_evidence: float
    mean_D: Float64
    sigma_D: Float64
    kl_from_q: float

    def density_at(self, z_PD: Floats) -> Float64:
        """p(z|x) relative to its largest value, (P,) in 0..1, interpolated on the finest cells; 0 beside them."""
        size = float(self.size_N.min())
        finest = self.size_N < 1.5 * size
        log_density_N = self.log_weight_N[finest]
        cells = _Cells(self.points_ND[finest], size, np.exp(log_density_N - log_density_N.max()))
        at_PD = (np.asarray(z_PD, dtype=np.float64) - cells.corner_D) / size
        low_PD = np.floor(at_PD).astype(np.int64)
        part_PD = at_PD - low_PD
        density_P = np.zeros(len(at_PD))
        for corner in np.ndindex(*(2,) * at_PD.shape[1]):
            share_P = np.where(np.array(corner) == 1, part_PD, 1.0 - part_PD).prod(axis=1)
            density_P += share_P * np.nan_to_num(cells.at(low_PD + np.array(corner)))
        return density_P

    def extent(self) -> tuple[Float64, Float64]:
        """Lower and upper corner of the box outside which the density is below a thousandth of its largest value."""
        log_density_N = self.log_weight_N - self.points_ND.shape[1] * np.log(self.size_N)
        held = log_density_N > log_density_N.max() - math.log(1000.0)
        half_N1 = self.size_N[held, None] / 2
        return (self.points_ND[held] - half_N1).min(axis=0), (self.points_ND[held] + half_N1).max(axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class CoarseGrid:
    """The first cells and what they decode to under one set of weights, the same for every picture."""

    points_ND: Float64
    size: float
    log_prior_N: Float64
    likelihoods: tuple[Likelihood, ...]


def prepared_coarse_grid(model: LatentModel, image_shape: tuple[int, ...]) -> Generator[None, None, CoarseGrid | None]:
    """Decode the cells of +-6 in short steps, to be kept for as long as the weights stay.

    None where the decoded pictures are too large to keep (then each posterior decodes them itself).
    """
    dimensions = _dimensions(model)
    side = _COARSE_SIDE[dimensions]
    if side**dimensions * math.prod(image_shape) * 4 > _MOST_KEPT_BYTES:
        return None
    points_ND, size = _box(np.full(dimensions, -HALF_WIDTH), np.full(dimensions, HALF_WIDTH), side)
    likelihoods: list[Likelihood] = []
    log_prior: list[Float64] = []

    @torch.no_grad()
    def decode(part: slice) -> None:
        z_ND = _as_tensor(model, points_ND[part])
        likelihoods.append(cast("Likelihood", model.decode(z_ND)))
        log_prior.append(model.log_prior(z_ND).double().cpu().numpy())

    yield from in_steps(len(points_ND), decode, most=_MOST_ROWS)
    return CoarseGrid(points_ND, size, np.concatenate(log_prior), tuple(likelihoods))


def exact_posterior(
    model: LatentModel, x_CHW: Tensor, mean_D: Floats, sigma_D: Floats, coarse: CoarseGrid | None = None
) -> Generator[None, None, ExactPosterior]:
    """p(z|x) of a picture as the network sees it, in steps of about 5 ms; the return value of the generator.

    Args:
        model: has a likelihood and a prior and one or two latent dimensions; its weights are not changed.
        x_CHW: the picture on the model's device.
        mean_D: of q(z|x), which says where to look closely, and whose KL is measured.
        sigma_D: of q(z|x).
        coarse: from `prepared_coarse_grid` with the same weights.

    Raises:
        UserError: more than two dimensions, or q or p(x|z) is not finite.
    """
    dimensions = _dimensions(model)
    mean = np.asarray(mean_D, dtype=np.float64)
    sigma = np.asarray(sigma_D, dtype=np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(sigma).all() and (sigma > 0).all()):
        raise UserError("The posterior of this image is not finite.", "Look at an earlier state of the run.")
    x_BCHW = x_CHW[None].float()

    # E_q[log p(x, z) - log q(z)] by Gauss-Hermite quadrature: exact where log p(x, z) is a polynomial.
    nodes_ND, share_N = _gauss_hermite(mean, sigma, _Q_NODES[dimensions])
    at_nodes_N = yield from _log_joint(model, x_BCHW, nodes_ND)
    entropy = float(np.log(sigma).sum() + 0.5 * dimensions * (1.0 + math.log(2.0 * math.pi)))
    elbo = float(share_N @ at_nodes_N) + entropy

    low_D = np.clip(np.minimum(-HALF_WIDTH, mean - _BEYOND_SIGMAS * sigma), -_FARTHEST, -HALF_WIDTH)
    high_D = np.clip(np.maximum(HALF_WIDTH, mean + _BEYOND_SIGMAS * sigma), HALF_WIDTH, _FARTHEST)
    is_usual_box = bool((low_D == -HALF_WIDTH).all() and (high_D == HALF_WIDTH).all())
    if coarse is not None and is_usual_box:
        points_ND, size = coarse.points_ND, coarse.size
        log_joint_N = (yield from _log_likelihood(coarse.likelihoods, x_BCHW)) + coarse.log_prior_N
    else:
        points_ND, size = _box(low_D, high_D, _COARSE_SIDE[dimensions])
        log_joint_N = yield from _log_joint(model, x_BCHW, points_ND)
    while True:
        # Mass at an edge goes on beyond it, as that of an outlier's image where q stops short of it.
        below_D, above_D = _edges_with_mass(points_ND, log_joint_N, low_D, high_D, size)
        wider_low_D = np.where(below_D, np.maximum(low_D * _WIDER, -_FARTHEST), low_D)
        wider_high_D = np.where(above_D, np.minimum(high_D * _WIDER, _FARTHEST), high_D)
        if (wider_low_D == low_D).all() and (wider_high_D == high_D).all():
            break
        low_D, high_D = wider_low_D, wider_high_D
        points_ND, size = _box(low_D, high_D, _COARSE_SIDE[dimensions])
        log_joint_N = yield from _log_joint(model, x_BCHW, points_ND)

    finished: list[tuple[Float64, Float64, float]] = []
    for _ in range(_MOST_LEVELS):
        slope_N, bend_N = _differences(points_ND, log_joint_N, size)
        best = max(float(log_joint_N.max()), float(at_nodes_N.max()))
        # Half a cell along the slope: a narrow peak between the centres of cells is not missed.
        most_N = log_joint_N + 0.5 * slope_N
        near_q_N = (np.abs(points_ND - mean) <= 3.0 * sigma + size / 2).all(axis=1)
        # Around q only until the cells are as fine as q itself: a wide q may lie over a thin posterior.
        is_q_relevant = at_nodes_N.max() > best - _MASS_MARGIN and size > float(sigma.min())
        decides_N = most_N > best - _DECIDING_MARGIN
        is_fine = bool((bend_N[decides_N] <= _RESOLVED).all()) and (
            log_joint_N.max() > at_nodes_N.max() - _DECIDING_MARGIN
        )
        if is_fine:
            break
        divided_N = (most_N > best - _MASS_MARGIN) | (near_q_N & is_q_relevant)
        factor = 2 if float(bend_N[decides_N].max(initial=0.0)) <= 4.0 * _RESOLVED else 4
        if divided_N.sum() * factor**dimensions > _MOST_CELLS:
            factor = 2
        if divided_N.sum() * factor**dimensions > _MOST_CELLS:
            break
        finished.append((points_ND[~divided_N], log_joint_N[~divided_N], size))
        points_ND, size = _divided(points_ND[divided_N], size, factor), size / factor
        log_joint_N = yield from _log_joint(model, x_BCHW, points_ND)
    finished.append((points_ND, log_joint_N, size))

    all_points_ND = np.concatenate([points for points, _, _ in finished])
    size_N = np.concatenate([np.full(len(points), edge) for points, _, edge in finished])
    mass_N = np.concatenate([values for _, values, _ in finished]) + dimensions * np.log(size_N)
    log_evidence = _log_sum_exp(mass_N)
    if not math.isfinite(log_evidence):
        raise UserError("The likelihood of this image is not finite.", "Look at an earlier state of the run.")
    log_weight_N = mass_N - log_evidence
    weight_N = np.exp(log_weight_N)
    log_weight_N -= math.log(weight_N.sum())
    weight_N /= weight_N.sum()
    exact_mean_D = weight_N @ all_points_ND
    exact_sigma_D = np.sqrt(weight_N @ (all_points_ND - exact_mean_D) ** 2)
    return ExactPosterior(
        all_points_ND, log_weight_N, size_N, log_evidence, exact_mean_D, exact_sigma_D, log_evidence - elbo
    )


def _dimensions(model: LatentModel) -> int:
    dimensions = model.latent_space.dimensions
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise UserError(
            "The exact posterior can be computed for one or two latent dimensions only.",
            "Train a model with two latent dimensions to see it.",
        )
    return dimensions


def _as_tensor(model: LatentModel, z_ND: Floats) -> Tensor:
    parameter = next(model.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    return torch.from_numpy(np.ascontiguousarray(z_ND, dtype=np.float32)).to(device)


def _log_joint(model: LatentModel, x_BCHW: Tensor, points_ND: Float64) -> Generator[None, None, Float64]:
    """log p(x|z) + log p(z), (N,), of the one picture."""
    values_N = np.empty(len(points_ND))

    @torch.no_grad()
    def evaluate(part: slice) -> None:
        z_ND = _as_tensor(model, points_ND[part])
        log_joint_BG = pairwise_log_prob(cast("Likelihood", model.decode(z_ND)), x_BCHW) + model.log_prior(z_ND)
        values_N[part] = log_joint_BG[0].double().cpu().numpy()

    yield from in_steps(len(points_ND), evaluate, most=_MOST_ROWS)
    yield None
    return np.where(np.isnan(values_N), -np.inf, values_N)


def _log_likelihood(likelihoods: tuple[Likelihood, ...], x_BCHW: Tensor) -> Generator[None, None, Float64]:
    values: list[Float64] = []

    @torch.no_grad()
    def evaluate(part: slice) -> None:
        values.extend(pairwise_log_prob(kept, x_BCHW)[0].double().cpu().numpy() for kept in likelihoods[part])

    yield from in_steps(len(likelihoods), evaluate, first=1)
    yield None
    log_prob_N = np.concatenate(values)
    return np.where(np.isnan(log_prob_N), -np.inf, log_prob_N)


def _box(low_D: Float64, high_D: Float64, side: int) -> tuple[Float64, float]:
    """Centres of equal cells that cover the box, `side` of them along its longest edge, and their edge."""
    size = float((high_D - low_D).max()) / side
    axes = [
        low + size * (np.arange(math.ceil((high - low) / size - 1e-9)) + 0.5)
        for low, high in zip(low_D, high_D, strict=True)
    ]
    return np.stack([axis.reshape(-1) for axis in np.meshgrid(*axes, indexing="ij")], axis=1), size


def _edges_with_mass(
    points_ND: Float64, log_joint_N: Float64, low_D: Float64, high_D: Float64, size: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each axis whether a cell at the lower and at the upper edge of the box holds mass that counts."""
    has_mass_N1 = (log_joint_N > log_joint_N.max() - _EDGE_MARGIN)[:, None]
    below_D = (has_mass_N1 & (points_ND < low_D + size)).any(axis=0)
    # The last cell may reach over the edge.
    above_D = (has_mass_N1 & (points_ND > high_D - size)).any(axis=0)
    return below_D, above_D


def _divided(points_ND: Float64, size: float, factor: int) -> Float64:
    """The centres of the `factor`^D parts of every cell."""
    step = (np.arange(factor) + 0.5) / factor - 0.5
    offsets = np.stack([axis.reshape(-1) for axis in np.meshgrid(*[step] * points_ND.shape[1], indexing="ij")], axis=1)
    parts: Float64 = (points_ND[:, None] + size * offsets).reshape(-1, points_ND.shape[1])
    return parts


class _Cells:
    """Values of cells of one size, found by their place: sorted keys, for the cells may be few and far apart."""

    def __init__(self, points_ND: Float64, size: float, values_N: Float64) -> None:
        self.corner_D = points_ND.min(axis=0)
        self.cell_ND = np.rint((points_ND - self.corner_D) / size).astype(np.int64)
        self._shape = self.cell_ND.max(axis=0) + 1
        keys_N = self._key(self.cell_ND)
        order = np.argsort(keys_N)
        self._keys_N, self._values_N = keys_N[order], values_N[order]

    def at(self, cell_PD: NDArray[np.int64]) -> Float64:
        """The values of these cells, (P,); nan where there is none."""
        inside_P = ((cell_PD >= 0) & (cell_PD < self._shape)).all(axis=1)
        keys_P = self._key(cell_PD[inside_P])
        found_P = np.minimum(np.searchsorted(self._keys_N, keys_P), len(self._keys_N) - 1)
        values_P = np.full(len(cell_PD), np.nan)
        values_P[inside_P] = np.where(self._keys_N[found_P] == keys_P, self._values_N[found_P], np.nan)
        return values_P

    def _key(self, cell_PD: NDArray[np.int64]) -> NDArray[np.int64]:
        key: NDArray[np.int64] = cell_PD[:, 0]
        for axis in range(1, cell_PD.shape[1]):
            key = key * self._shape[axis] + cell_PD[:, axis]
        return key


def _differences(points_ND: Float64, values_N: Float64, size: float) -> tuple[Float64, Float64]:
    """How far the values change over a cell, (N,), and minus the strongest second difference, (N,).

    Where a neighbour is missing, the slope of the other side stands for its own.
    """
    # A likelihood of zero somewhere must not turn its neighbours' differences into nan.
    finite_N = np.isfinite(values_N)
    here_N = np.where(finite_N, values_N, values_N[finite_N].min(initial=0.0))
    cells = _Cells(points_ND, size, here_N)
    unit = np.eye(points_ND.shape[1], dtype=np.int64)
    slope_N = np.zeros(len(here_N))
    bends = []
    for step in unit:
        forward, backward = cells.at(cells.cell_ND + step) - here_N, here_N - cells.at(cells.cell_ND - step)
        first = np.nan_to_num(np.where(np.isnan(forward), backward, forward))
        second = np.nan_to_num(np.where(np.isnan(backward), forward, backward))
        slope_N += np.maximum(np.abs(first), np.abs(second))
        bends.append(second - first)
    if len(bends) == 1:
        return slope_N, bends[0]
    along, across = unit[0] + unit[1], unit[0] - unit[1]
    mixed_N = 0.25 * (
        cells.at(cells.cell_ND + along) - cells.at(cells.cell_ND + across)
        - cells.at(cells.cell_ND - across) + cells.at(cells.cell_ND - along)
    )  # fmt: skip
    # The larger eigenvalue of the 2 x 2 matrix of second differences.
    half_sum_N, half_difference_N = (bends[0] + bends[1]) / 2, (bends[0] - bends[1]) / 2
    return slope_N, half_sum_N + np.hypot(half_difference_N, np.nan_to_num(mixed_N))


def _gauss_hermite(mean_D: Float64, sigma_D: Float64, num: int) -> tuple[Float64, Float64]:
    """Nodes (N, D) and weights (N,) of the expectation under N(mean, diag sigma^2)."""
    node, weight = np.polynomial.hermite_e.hermegauss(num)
    weight = weight / weight.sum()
    axes = np.meshgrid(*[node] * len(mean_D), indexing="ij")
    shares = np.meshgrid(*[weight] * len(mean_D), indexing="ij")
    nodes_ND = np.stack([axis.reshape(-1) for axis in axes], axis=1) * sigma_D + mean_D
    return nodes_ND, np.prod([share.reshape(-1) for share in shares], axis=0)


def _log_sum_exp(values_N: Float64) -> float:
    largest = float(values_N.max())
    return largest + math.log(float(np.exp(values_N - largest).sum())) if math.isfinite(largest) else largest
