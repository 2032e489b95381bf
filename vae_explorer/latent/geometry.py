"""Geometry of a decoder: its pull-back metric, and the lengths of curves as they look.

Two metrics. "mean": G = J_mu' J_mu of the mean pictures (plus J_s' J_s where the likelihood has a sigma of its own), in
which the length of a step is the root of summed squares between pictures in [0, 1] (Arvanitidis, Hansen, Hauberg, arXiv
1710.11379, equation 5). "fisher": G = J_t' I J_t of the parameters t of p(x|z) with their Fisher information I
(Arvanitidis et al., arXiv 2106.05367), in which a small step of length s changes p(x|z) by a KL of s^2 / 2 nats. A
likelihood that does not give its Fisher information is measured in mean space, and the result says so.

Legend: N points, P outputs of the decoder, D latent dimensions, K tangents (1 or 2).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_explorer.errors import is_out_of_memory
from vae_explorer.latent.pacing import in_steps
from vae_explorer.latent.path_catalogue import Metric as Metric

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.models.interface import Decoded

Floats = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]
Decode = Callable[[Tensor], "Decoded"]

_FIRST_BATCH, _MOST_BATCH = 32, 256
# Of the latent coordinate along the tangent: balances the rounding of float32 against the third derivative.
_DIFFERENCE = 5e-3


@runtime_checkable
class HasSigma(Protocol):
    """A likelihood with a standard deviation a pixel that depends on z."""

    @property
    def sigma_BCHW(self) -> Tensor:
        """Standard deviations, in units of pictures in [0, 1]."""


@runtime_checkable
class HasFisher(Protocol):
    """A likelihood whose Fisher information is known in closed form."""

    def fisher_coordinates(self) -> tuple[Tensor, Tensor]:
        """Parameters of p(x|z), (N, P), and the root of their information, which is diagonal, broadcastable to it."""


@runtime_checkable
class HasFisherEmbedding(Protocol):
    """A likelihood for whose parameters there may be coordinates in which the Fisher metric is Euclidean."""

    def fisher_embedding(self) -> Tensor | None:
        """Those coordinates, (N, P); None where there are none."""


@dataclass(frozen=True, slots=True)
class Surface:
    """A decoder as a surface in the space of pictures or of distributions, measured in one metric.

    Its pull-back is in `metric` where `metric_of` says so, curves are where `curve_metric` does; else in mean space.

    `decode` takes z_ND float32 on `device`.
    """

    decode: Decode
    metric: Metric = "mean"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def latents(self, z_ND: Floats) -> Tensor:
        """Latent points as the decoder takes them."""
        return torch.from_numpy(np.ascontiguousarray(z_ND, dtype=np.float32)).to(self.device)

    def embed(self, z_ND: Tensor) -> Tensor:
        """Points X_NP whose Euclidean distances are the lengths of small steps; differentiable."""
        return embedding(self.decode(z_ND), self.metric)


def surface_of(explorer: Explorer, metric: Metric = "mean") -> Surface:
    """The surface of the explorer's network as of its snapshot. Raises UserError before the first one."""
    return Surface(explorer.network.decode, metric, explorer.device)


def metric_of(decoded: Decoded, wanted: Metric) -> Metric:
    """The metric that can be had: Fisher where the likelihood gives its information, else mean space."""
    return "fisher" if wanted == "fisher" and isinstance(decoded, HasFisher) else "mean"


def curve_metric(surface: Surface, z_D: Floats) -> Metric:
    """The metric in which curves on the surface are measured, by what its decoder gives at one point.

    Fisher where its coordinates are known in which it is Euclidean: Bernoulli pixels, and Gaussian ones of one sigma.
    """
    if surface.metric == "mean":
        return "mean"
    with torch.no_grad():
        return "mean" if _fisher_embedding(surface.decode(surface.latents(z_D[None]))) is None else "fisher"


def _fisher_embedding(decoded: Decoded) -> Tensor | None:
    return decoded.fisher_embedding() if isinstance(decoded, HasFisherEmbedding) else None


def embedding(decoded: Decoded, metric: Metric = "mean") -> Tensor:
    """X_NP with the lengths of curves: Fisher coordinates, or mean pictures, and sigmas where they depend on z."""
    fisher_NP = _fisher_embedding(decoded) if metric == "fisher" else None
    if fisher_NP is not None:
        return fisher_NP
    mean_NP = decoded.mean_BCHW.flatten(1)
    if isinstance(decoded, HasSigma):
        return torch.cat([mean_NP, decoded.sigma_BCHW.flatten(1)], dim=1)
    return mean_NP


@dataclass(frozen=True, slots=True, eq=False)
class PullBack:
    """The metric tensor along K tangents at N points, float64; `metric` is the one that could be had."""

    G_NKK: Float64
    metric: Metric


def pull_back(decode: Decode, z_ND: Tensor, u_ND: Tensor, v_ND: Tensor | None, metric: Metric) -> PullBack:
    """G of a decoder along the tangents u and v (or u alone) at every point, in one step.

    The decoder maps rows independently, so one derivative with a tangent a row is a column of all Jacobians. Central
    differences stand in where an operator cannot be differentiated twice.
    """
    tangents = (u_ND,) if v_ND is None else (u_ND, v_ND)
    try:
        columns, used = _pushed_exactly(decode, z_ND, tangents, metric)
    except (NotImplementedError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        columns, used = _pushed_by_differences(decode, z_ND, tangents, metric)
    G_NKK = torch.stack([torch.stack([(a * b).sum(1, dtype=torch.float64) for b in columns], 1) for a in columns], 1)
    return PullBack(G_NKK.cpu().numpy(), used)


def pull_back_in_steps(
    surface: Surface, z_ND: Floats, u_ND: Floats, v_ND: Floats | None
) -> Generator[None, None, PullBack]:
    """`pull_back` of many points in short steps; the generator's return value."""
    num_tangents = 1 if v_ND is None else 2
    G_NKK = np.empty((len(z_ND), num_tangents, num_tangents))
    metric = surface.metric

    def work(part: slice) -> None:
        nonlocal metric
        v = None if v_ND is None else surface.latents(v_ND[part])
        pulled = pull_back(surface.decode, surface.latents(z_ND[part]), surface.latents(u_ND[part]), v, surface.metric)
        G_NKK[part], metric = pulled.G_NKK, pulled.metric

    yield from in_steps(len(z_ND), work, _FIRST_BATCH, _MOST_BATCH)
    return PullBack(G_NKK, metric)


def _weighted(decoded: Decoded, metric: Metric) -> tuple[Tensor, Tensor]:
    """What is differentiated, (N, P), and the weight of its derivative."""
    if metric == "fisher" and isinstance(decoded, HasFisher):
        return decoded.fisher_coordinates()
    outputs_NP = embedding(decoded)
    return outputs_NP, outputs_NP.new_ones(())


def _pushed_exactly(
    decode: Decode, z_ND: Tensor, tangents: Sequence[Tensor], metric: Metric
) -> tuple[list[Tensor], Metric]:
    """Columns J t for each tangent t, as the derivative along t of J'w with respect to w.

    Twice as fast as `torch.func.jvp`, which decodes anew for each tangent; and the first forward rule of a bias makes
    torch import its compiler, for a second or two in which a click would wait.
    """
    with torch.enable_grad():
        z_ND = z_ND.detach().requires_grad_()
        decoded = decode(z_ND)
        outputs_NP, weight_NP = _weighted(decoded, metric)
        w_NP = torch.zeros_like(outputs_NP, requires_grad=True)
        # Of sums: for weights given apart torch imports a symbolic algebra system to compare two shapes.
        (pulled_ND,) = torch.autograd.grad((outputs_NP * w_NP).sum(), z_ND, create_graph=True)
        columns = [torch.autograd.grad((pulled_ND * t_ND).sum(), w_NP, retain_graph=True)[0] for t_ND in tangents]
    with torch.no_grad():
        return [column_NP * weight_NP for column_NP in columns], metric_of(decoded, metric)


def _pushed_by_differences(
    decode: Decode, z_ND: Tensor, tangents: Sequence[Tensor], metric: Metric
) -> tuple[list[Tensor], Metric]:
    columns, used = [], metric
    with torch.no_grad():
        for t_ND in tangents:
            step_N1 = _DIFFERENCE / t_ND.norm(dim=1, keepdim=True).clamp_min(1e-12)
            above, below = decode(z_ND + step_N1 * t_ND), decode(z_ND - step_N1 * t_ND)
            (above_NP, weight_above), (below_NP, weight_below) = _weighted(above, metric), _weighted(below, metric)
            columns.append((above_NP - below_NP) / (2.0 * step_N1) * (0.5 * (weight_above + weight_below)))
            used = metric_of(above, metric)
    return columns, used


def magnification(G_NKK: Floats) -> Float64:
    """The magnification factor sqrt(det G), (N,): picture area per map area, or length per length where K = 1."""
    G = np.asarray(G_NKK, dtype=np.float64)
    factor: Float64 = np.sqrt(np.maximum(G[..., 0, 0] if G.shape[-1] == 1 else _determinant(G), 0.0))
    return factor


def _determinant(G_N22: Float64) -> Float64:
    determinant: Float64 = G_N22[..., 0, 0] * G_N22[..., 1, 1] - G_N22[..., 0, 1] * G_N22[..., 1, 0]
    return determinant


def tissot_covariance(G_N22: Floats) -> Float64:
    """G^-1, (N, 2, 2): its one-sigma ellipse holds the steps of length 1. NaN where G has no inverse."""
    G = np.asarray(G_N22, dtype=np.float64)
    determinant = _determinant(G)
    adjugate = np.stack(
        [np.stack([G[..., 1, 1], -G[..., 0, 1]], axis=-1), np.stack([-G[..., 1, 0], G[..., 0, 0]], axis=-1)], axis=-2
    )
    covariance: Float64 = adjugate / np.where(determinant > 0.0, determinant, np.nan)[..., None, None]
    return covariance


def step_lengths(X_TP: Tensor) -> Float64:
    """Lengths of the steps of a polyline of embedded points, (T - 1,) float64.

    Their sum is the curve's length: the integral of sqrt(c' G c') dt as T grows.
    """
    lengths: Float64 = torch.linalg.vector_norm(X_TP[1:].double() - X_TP[:-1].double(), dim=1).cpu().numpy()
    return lengths


def curve_energy(X_TP: Tensor) -> float:
    """Energy of an embedded curve sampled evenly in 0 <= t <= 1: the integral of c' G c' dt as T grows.

    Never below the squared length, which it meets at constant speed.
    """
    steps = step_lengths(X_TP)
    return float(len(steps) * np.square(steps).sum())


def embedded_in_steps(surface: Surface, z_ND: Floats) -> Generator[None, None, Tensor]:
    """`Surface.embed` of many points in short steps; the generator's return value."""
    parts: list[Tensor] = []

    def work(part: slice) -> None:
        with torch.no_grad():
            parts.append(surface.embed(surface.latents(z_ND[part])))

    yield from in_steps(len(z_ND), work, _FIRST_BATCH, _MOST_BATCH)
    return torch.cat(parts)


def step_lengths_along(surface: Surface, z_TD: Floats) -> Generator[None, None, Float64]:
    """`step_lengths` of a latent polyline of two points or more, in short steps; the generator's return value."""
    lengths = np.empty(len(z_TD) - 1)

    def work(part: slice) -> None:
        with torch.no_grad():
            lengths[part] = step_lengths(surface.embed(surface.latents(z_TD[part.start : part.stop + 1])))

    yield from in_steps(len(lengths), work, _FIRST_BATCH, _MOST_BATCH)
    return lengths


def at_equal_steps(z_TD: Floats, lengths: Floats, num: int) -> Float64:
    """`num` points of a polyline, from its first to its last, at equal steps of a length given for each segment."""
    z = np.asarray(z_TD, dtype=np.float64)
    along_T = np.concatenate([[0.0], np.cumsum(lengths)])
    if not np.isfinite(along_T[-1]) or along_T[-1] <= 0.0:
        along_T = np.linspace(0.0, 1.0, len(z))
    wanted = np.linspace(0.0, along_T[-1], num)
    points: Float64 = np.stack([np.interp(wanted, along_T, z[:, axis]) for axis in range(z.shape[1])], axis=1)
    points[0], points[-1] = z[0], z[-1]
    return points
