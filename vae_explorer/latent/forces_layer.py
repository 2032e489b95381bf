"""The layer `forces`: what pulls on the mean of q(z|x), the reconstruction one way and the KL the other.

    reconstruction   -d/dm E_q[-log p(x|z)] = E_e[d/dz log p(x|z)],  z = m + s e      (arXiv 1312.6114, equation 10)
    KL               -beta d/dm KL(q || p) = -beta (m - m_p) / s_p^2, and so -beta m where p(z) = N(0, I)

in nats per latent unit. The expectation is over four draws that belong to the item, two and their mirror images, so
that arrows do not tremble. Runs on the exploring thread.

Legend: N items, B batch, S draws, D latent dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.code_raster import fair_order
from vae_explorer.latent.drawing import LayerDrawing, Legend, Role, Strokes
from vae_explorer.latent.layers import ForcesOptions
from vae_explorer.latent.pacing import in_steps
from vae_explorer.latent.posterior_layer import item_heights
from vae_explorer.models.conditioned import Conditioned, under

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.layers import LayerRequest
    from vae_explorer.latent.map_rect import MapRect
    from vae_explorer.latent.views import View
    from vae_explorer.models.interface import Likelihood

Float64 = NDArray[np.float64]
Ids = NDArray[np.int64]

_NUM_DRAWS = 4
_NOISE_SEED = 0
# Items share noise with every 4,093rd other one (a prime: neighbours in no usual order of a data set).
_NOISE_ROWS = 4093
_WANTED_PIXELS = 42.0
_WANTED_PERCENTILE = 90.0
_SHORTEST_PIXELS = 1.5
_MOST_ROWS = 64
# Of a latent coordinate, for the derivative of a view; and the ratio of slopes below which a view sees a line only.
_DIFFERENCE, _FLAT = 1e-4, 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Forces:
    """The gradients of some items as of one snapshot, in nats per latent unit: what they pull towards.

    `mean_ND` is the mean of q(z|x); `kl_ND` is the pull of the KL at beta 1.
    """

    mean_ND: Float64
    reconstruction_ND: Float64
    kl_ND: Float64


def draw(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
    """Two arrows at each of some codes in sight. Another beta is drawn at once: the gradients are kept.

    Raises UserError without images or codes, and for a model without a likelihood, a prior or a Gaussian posterior.
    """
    view, rect = request.view, request.rect
    if explorer.num_dimensions != view.num_dimensions:
        yield LayerDrawing(rect)
        return
    if not (explorer.record.has_likelihood and explorer.record.has_prior):
        raise UserError(
            f"The model “{explorer.record.title}” has no bound whose parts could pull.",
            "Choose a variational autoencoder.",
        )
    if not view.is_exact:
        raise UserError("An overview has no directions in which arrows could point.", "Choose another view.")
    options = request.options if isinstance(request.options, ForcesOptions) else ForcesOptions()
    ids_N = _in_sight(explorer, view, rect, options.num_codes)
    forces = yield from gradients(explorer, ids_N)
    yield _drawing(explorer, request, ids_N, forces)


def balance_words(mean_ND: Float64, pull_ND: Float64, kl_ND: Float64, beta: float) -> str:
    """How the reconstruction's pull compares with the KL's, along the mean and in length.

    Where training has come to rest, no change of the encoder helps, and so not a scaling of all means by one factor:
    then sum_n m_n . pull_n = -beta sum_n m_n . kl_n, and their ratio is 1. Single arrows need not cancel even then:
    their excess is what the encoder cannot give every image its own (the amortisation gap), and so lengths do not tell.
    """
    outward_N, inward_N = (mean_ND * pull_ND).sum(axis=1), -beta * (mean_ND * kl_ND).sum(axis=1)
    if not inward_N.sum() > 0:
        return "Nothing opposes the reconstruction"
    ratio = float(outward_N.sum() / inward_N.sum())
    error = float(np.sqrt(np.square(outward_N - ratio * inward_N).sum()) / inward_N.sum())
    lengths = float(np.linalg.norm(pull_ND, axis=1).sum() / (beta * np.linalg.norm(kl_ND, axis=1).sum()))
    return (
        f"outward reconstruction / inward β KL = {ratio:.2f} ± {error:.2f} (balanced at 1) · lengths {lengths:.2g} : 1"
    )


def gradients(explorer: Explorer, ids_N: Ids) -> Generator[None, None, Forces]:
    """The two pulls on these items, in short steps; those known from this snapshot are not computed again."""
    known: dict[int, tuple[Float64, Float64, Float64]] = explorer.cache.setdefault("forces", {})
    missing_N = np.array([item for item in ids_N.tolist() if item not in known], dtype=np.int64)

    def evaluate(part: slice) -> None:
        ids_B = missing_N[part]
        known.update(zip(ids_B.tolist(), zip(*_pulls(explorer, ids_B), strict=True), strict=True))

    yield from in_steps(len(missing_N), evaluate, first=8, most=_MOST_ROWS)
    if not len(ids_N):
        return Forces(*np.zeros((3, 0, explorer.num_dimensions)))
    return Forces(*(np.stack(parts) for parts in zip(*(known[item] for item in ids_N.tolist()), strict=True)))


def _pulls(explorer: Explorer, ids_B: Ids) -> tuple[Float64, Float64, Float64]:
    """Mean of q(z|x), pull of the reconstruction and of the KL at beta 1, each (B, D)."""
    x_BCHW = explorer.seen(ids_B)
    network = explorer.network_for(x_BCHW, ids_B)
    with torch.no_grad():
        posterior = explorer.posterior(x_BCHW, ids_B)
        prior = posterior.prior
        kl_BD = -posterior.mean if prior is None else (prior.mean - posterior.mean) / prior.standard_deviation.square()
        noise_BSD = _noise(explorer)[torch.from_numpy(ids_B) % _NOISE_ROWS].to(x_BCHW.device)
        z_BSD = posterior.mean[:, None] + posterior.standard_deviation[:, None] * noise_BSD
    # Not in inference mode: the thread's other work may have left tensors that gradients must not meet.
    with torch.inference_mode(False), torch.enable_grad():
        z_ND = z_BSD.detach().clone().flatten(0, 1).requires_grad_()
        x_NCHW = x_BCHW.detach().clone().repeat_interleave(_NUM_DRAWS, dim=0)
        if isinstance(network, Conditioned):
            network = under(network.model, network.condition.clone().repeat_interleave(_NUM_DRAWS, dim=0))
        log_prob: Tensor = cast("Likelihood", network.decode(z_ND)).log_prob(x_NCHW).sum()
        (gradient_ND,) = torch.autograd.grad(log_prob, z_ND)
    force_BD = gradient_ND.unflatten(0, (len(ids_B), _NUM_DRAWS)).mean(1)
    mean, force, kl = (part.double().cpu().numpy() for part in (posterior.mean, force_BD, kl_BD))
    return mean, force, kl


def _noise(explorer: Explorer) -> Tensor:
    """(rows, S, D): the same for an item whatever it is drawn with, and mirrored, so that its mean is zero."""
    key = ("noise of forces", explorer.num_dimensions)
    if key not in explorer.lasting:
        generator = torch.Generator().manual_seed(_NOISE_SEED)
        half = torch.randn(_NOISE_ROWS, _NUM_DRAWS // 2, explorer.num_dimensions, generator=generator)
        explorer.lasting[key] = torch.cat([half, -half], dim=1)
    noise: Tensor = explorer.lasting[key]
    return noise


def _in_sight(explorer: Explorer, view: View, rect: MapRect, num: int) -> Ids:
    """The first items in a fixed shuffled order whose codes are in sight, so that most stay when the map moves."""
    codes_ND = explorer.codes()
    if codes_ND is None:
        raise UserError("This state of the run holds no codes.", "Continue the training for a moment.")
    if explorer.dataset is None:
        raise UserError("The images behind these codes are not loaded.", "Wait until the data set has been read.")
    known: dict[Any, Ids] = explorer.cache.setdefault("forces in sight", {})
    key = (view, rect, num)
    if key not in known:
        with np.errstate(invalid="ignore"):
            xy_N2 = np.asarray(view.place(codes_ND))
            is_in_sight_N = (
                (xy_N2[:, 0] >= rect.left) & (xy_N2[:, 0] <= rect.right)
                & (xy_N2[:, 1] >= rect.bottom) & (xy_N2[:, 1] <= rect.top)
            )  # fmt: skip
        is_in_sight_N[explorer.dataset.images.num_images :] = False
        order = explorer.lasting.get("fair order")
        if order is None or len(order) != len(codes_ND):
            order = explorer.lasting["fair order"] = fair_order(len(codes_ND))
        known.clear()
        known[key] = order[is_in_sight_N[order]][:num].astype(np.int64)
    return known[key]


def _drawing(explorer: Explorer, request: LayerRequest, ids_N: Ids, forces: Forces) -> LayerDrawing:
    view, rect = request.view, request.rect
    finite_N = np.isfinite(forces.mean_ND).all(axis=1) & np.isfinite(forces.reconstruction_ND).all(axis=1)
    mean_ND, pull_ND, kl_ND = (part[finite_N] for part in (forces.mean_ND, forces.reconstruction_ND, forces.kl_ND))
    base_N2 = np.array(view.project(mean_ND), dtype=np.float64)
    if view.num_dimensions == 1:
        base_N2[:, 1] = item_heights(view, ids_N[finite_N])
    reconstruction_N2, kl_N2 = _in_view(view, mean_ND, pull_ND, kl_ND)
    shown_N = np.isfinite(np.concatenate([base_N2, reconstruction_N2, kl_N2], axis=1)).all(axis=1)
    if not shown_N.any():
        said = "No codes in sight." if not len(ids_N) else "The gradients are not finite."
        return LayerDrawing(rect, legend=_legend(0.0, request.pixel_ratio), readout=said)
    base_N2, reconstruction_N2, kl_N2 = base_N2[shown_N], reconstruction_N2[shown_N], kl_N2[shown_N]
    # The scale is that of the snapshot's own beta: when a person moves beta, one arrow changes and not both.
    beta = request.focus.beta
    own_beta = 1.0 if explorer.snapshot is None else explorer.snapshot.beta
    lengths = np.concatenate([np.hypot(*reconstruction_N2.T), own_beta * np.hypot(*kl_N2.T)])
    usual = float(np.percentile(lengths, _WANTED_PERCENTILE))
    pixels = _WANTED_PIXELS * request.pixel_ratio / max(usual, 1e-12)  # device pixels a nat per unit
    units = pixels * request.units_per_pixel
    shortest = _SHORTEST_PIXELS * request.pixel_ratio * request.units_per_pixel
    strokes = (
        _arrows(base_N2, beta * units * kl_N2, shortest, "text"),
        _arrows(base_N2, units * reconstruction_N2, shortest, "positive"),
    )
    balance = balance_words(mean_ND[shown_N], pull_ND[shown_N], kl_ND[shown_N], beta)
    readout = f"{balance} · β = {beta:g} · {len(base_N2):,} codes"
    return LayerDrawing(rect, (), strokes, (), _legend(pixels, request.pixel_ratio), readout)


def _in_view(view: View, mean_ND: Float64, *vectors_ND: Float64) -> list[Float64]:
    """Vectors at the means as the view shows them, (N, 2): its direction on the map, the length in latent units.

    The direction is that of J g, J being the derivative of `project` at the mean; the length is that of the part of g
    which the view sees, J^+ J g. So an arrow is as long as its force wherever it stands, also where a map unit is not a
    latent one, as in the inverse-CDF square.
    """
    num, dimensions = mean_ND.shape
    shifts_DD = _DIFFERENCE * np.eye(dimensions)
    with np.errstate(invalid="ignore"):
        ahead_ND2, behind_ND2 = (
            np.asarray(
                view.project((mean_ND[:, None] + sign * shifts_DD).reshape(-1, dimensions)), dtype=np.float64
            ).reshape(num, dimensions, 2)
            for sign in (1.0, -1.0)
        )
        jacobian_N2D = np.swapaxes(ahead_ND2 - behind_ND2, 1, 2) / (2.0 * _DIFFERENCE)
    is_finite_N11 = np.isfinite(jacobian_N2D).all(axis=(1, 2), keepdims=True)
    inverse_ND2 = np.linalg.pinv(np.where(is_finite_N11, jacobian_N2D, 0.0), rcond=_FLAT)
    shown = []
    for vector_ND in vectors_ND:
        moved_N2 = np.einsum("nkd,nd->nk", jacobian_N2D, vector_ND)
        length_N = np.linalg.norm(np.einsum("ndk,nk->nd", inverse_ND2, moved_N2), axis=1)
        map_length_N = np.linalg.norm(moved_N2, axis=1)
        shown.append(moved_N2 * (length_N / np.where(map_length_N > 0.0, map_length_N, 1.0))[:, None])
    return shown


def _arrows(base_N2: Float64, vector_N2: Float64, shortest: float, role: Role) -> Strokes:
    # A head on an arrow shorter than itself would say more than is there.
    long_N = np.hypot(vector_N2[:, 0], vector_N2[:, 1]) > shortest
    xy_P2 = np.stack([base_N2, base_N2 + vector_N2], axis=1)[long_N].reshape(-1, 2)
    return Strokes(xy_P2, np.arange(0, len(xy_P2), 2), role=role, width=1.4, opacity=0.9, has_heads=True)


def _legend(pixels: float, pixel_ratio: float) -> Legend:
    """`pixels`: device pixels a nat per unit."""
    entries: list[tuple[Role, str]] = [("positive", "reconstruction"), ("text", "β × KL")]
    logical = pixels / max(pixel_ratio, 1e-6)
    if logical > 0.0:
        # A round number of nats whose arrow is about as long as most.
        exact = _WANTED_PIXELS / logical
        power = 10.0 ** math.floor(math.log10(exact))
        nats = power * max(step for step in (1, 2, 5) if step * power <= exact * 1.0001)
        entries.append(("muted", f"{nats:g} nats per unit ⟶ {nats * logical:.0f} px"))
    return Legend("Forces on the mean of q", "nats per latent unit", entries=tuple(entries))
