"""One side of two runs side by side: its map, the item near a place, and what the run makes of an item.

Both sides are asked the same with an explorer each and are joined by item id; nothing here knows of the other one. The
plane is the latent space itself where that has one or two dimensions, else the PCA plane of the codes, which follows
the training without flipping. On the exploring threads.

Legend: N items, S draws, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.code_colours import label_look
from vae_explorer.latent.code_layer import CodeLayer, whole_extent
from vae_explorer.latent.code_raster import raster_codes
from vae_explorer.latent.drawing import LayerDrawing, Legend, Raster
from vae_explorer.latent.explorer import as_pictures
from vae_explorer.latent.picking import item_near
from vae_explorer.latent.point_pictures import shown_levels
from vae_explorer.latent.view_fitting import pca_plane
from vae_explorer.latent.views import LineView, PlaneView, View

if TYPE_CHECKING:
    from vae_explorer.latent.drawing import LayerInk
    from vae_explorer.latent.explorer import Explorer, UInt8
    from vae_explorer.latent.map_rect import MapRect
    from vae_explorer.models.interface import Likelihood

ITEM_DRAWS = 16
"""S, the draws from q(z|x) over which the reconstruction error of one item is averaged; the same in both runs."""

_ENCODED_TOGETHER = 500


@dataclass(frozen=True, slots=True, eq=False)
class SidePicture:
    """The codes of a side as a picture for its map, the plane they stand in, and which weights they are of.

    `extent` is what a map that shows all codes should show, `plane` says in words what the plane is.
    """

    drawing: LayerDrawing
    extent: MapRect
    axis_labels: tuple[str, str]
    plane: str
    run_name: str
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class ItemLook:
    """What a run makes of an item.

    `place` is where its code stands on the map of the run, None for a model without a map. `stored` is the picture as
    the data set has it, `seen` as the network sees it under the run's protocol, `decoded` the reconstruction from the
    posterior mean: uint8 (H, W) or (H, W, C). `reconstruction` is -E_q[log p(x|z)] over `ITEM_DRAWS` draws, `kl`
    KL(q(z|x) || p(z)), both in nats, None for a model that has none.
    """

    item: int
    place: tuple[float, float] | None
    stored: UInt8
    seen: UInt8
    decoded: UInt8
    reconstruction: float | None
    kl: float | None
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class SideSamples:
    """The first draws from the prior decoded, uint8 (N, H, W) or (N, H, W, C), or from the codes' ex-post density.

    `z_ND` are their latent points, None where these are no points of R^D.
    """

    pictures: UInt8
    z_ND: NDArray[np.float64] | None
    is_ex_post: bool
    step: int


def side_view(explorer: Explorer) -> View | None:
    """The plane of this side as of its snapshot; None for a model without latent points.

    Raises UserError where there are too few codes to fit a plane to.
    """
    num_dimensions = explorer.num_dimensions
    if not num_dimensions:
        return None
    if num_dimensions == 1:
        return LineView()
    if num_dimensions == 2:
        return PlaneView.of_dimensions(0, 1, np.zeros(2))
    if "side view" not in explorer.cache:
        codes_ND = explorer.codes()
        assert codes_ND is not None, "a model with latent points gives its codes to its snapshots"
        explorer.cache["side view"] = pca_plane(codes_ND, explorer.lasting.get("side view"))
        explorer.lasting["side view"] = explorer.cache["side view"]
    view: View = explorer.cache["side view"]
    return view


def draw_side(
    explorer: Explorer, rect: MapRect, width: int, height: int, pixel_ratio: float, ink: LayerInk
) -> SidePicture:
    """The codes in `rect` in the colours of their classes, so many device pixels wide and high.

    Raises UserError for a model without latent points, and as `side_view`.
    """
    view, snapshot = side_view(explorer), explorer.snapshot
    assert snapshot is not None
    placed = None if view is None else _layer(explorer).placed(explorer, view)
    if view is None or placed is None:
        raise UserError(f"The model “{explorer.record.title}” has no codes to show on a map.")
    look = label_look(explorer, ink, placed)
    if look is None:
        row_N, palette, legend = np.zeros(len(placed.order_N), dtype=np.uint16), ink.accent_4[None], Legend("Codes")
    else:
        row_N, palette, legend = look.row_N, look.palette_B4, look.legend
    pixels, num_shown = raster_codes(placed.xy_N2, row_N, rect, width, height, palette, pixel_ratio)
    readout = f"showing {num_shown:,} of {len(row_N):,} codes"
    drawing = LayerDrawing(rect, (Raster(rect, pixels),), legend=legend, readout=readout)
    extent = whole_extent(placed)
    return SidePicture(drawing, extent, view.axis_labels, _in_words(view), snapshot.run_name, snapshot.step)


def look_near(explorer: Explorer, xy: tuple[float, float], reach: float) -> ItemLook | None:
    """A look at the item whose code stands nearest to a place of the map; None where none is within `reach`."""
    view = side_view(explorer)
    found = None if view is None else item_near(explorer, view, xy, reach, _layer(explorer))
    return None if found is None else look_at(explorer, found[0])


@torch.inference_mode()
def look_at(explorer: Explorer, item: int) -> ItemLook:
    """A look at an item of the data set. Raises UserError for an id that is none, or without images."""
    dataset, snapshot = explorer.dataset, explorer.snapshot
    if dataset is None or snapshot is None:
        raise UserError("The images behind these codes are not loaded.", "Wait until the data set has been read.")
    if not 0 <= item < dataset.images.num_images:
        raise UserError(
            f"There is no image {item:,}.", f"Choose a number from 0 to {dataset.images.num_images - 1:,}."
        )  # fmt: skip
    ids = np.array([item])
    stored_BCHW = explorer.stored(ids)
    pictures = explorer.reconstruct(stored_BCHW, ids)
    reconstruction, kl = _terms(explorer, ids)
    return ItemLook(
        item, _place(explorer, item), _as_shown(stored_BCHW)[0], pictures[0][0], pictures[-1][0], reconstruction, kl,
        snapshot.step,
    )  # fmt: skip


def draw_samples(explorer: Explorer, num: int, seed: int) -> SideSamples:
    """The first `num` samples under a seed, with a generator of their own. Raises UserError as `Explorer.sample`."""
    assert explorer.snapshot is not None
    return SideSamples(*explorer.sample(num, seed), explorer.record.samples_ex_post, explorer.snapshot.step)


@torch.inference_mode()
def encode_items(explorer: Explorer, ids_B: NDArray[np.int64]) -> NDArray[np.float32]:
    """Posterior means of items, (B, D), as the explorer's snapshot sees them; whole rows NaN where not finite."""
    parts = []
    for start in range(0, len(ids_B), _ENCODED_TOGETHER):
        part = ids_B[start : start + _ENCODED_TOGETHER]
        parts.append(_mean(explorer, part))
    mean_BD = np.concatenate(parts)
    mean_BD[~np.isfinite(mean_BD).all(axis=1)] = np.nan
    return mean_BD


def _as_shown(stored_BCHW: torch.Tensor) -> UInt8:
    """Stored items as pictures, uint8 (B, H, W) or (B, H, W, C); points of the plane are drawn."""
    levels_BCHW = shown_levels(stored_BCHW)
    return as_pictures(levels_BCHW.to(torch.float32).div_(255))


def _layer(explorer: Explorer) -> CodeLayer:
    # Of its own: the map of the window shows the same codes in another plane, and each keeps one.
    layer: CodeLayer = explorer.lasting.setdefault("side codes", CodeLayer())
    return layer


def _place(explorer: Explorer, item: int) -> tuple[float, float] | None:
    try:
        view = side_view(explorer)
    except UserError:
        return None
    placed = None if view is None else _layer(explorer).placed(explorer, view)
    if view is None or placed is None:
        return None
    rank_N: NDArray[Any] | None = explorer.lasting.get("side ranks")
    if rank_N is None or len(rank_N) != len(placed.order_N):
        rank_N = explorer.lasting["side ranks"] = np.argsort(placed.order_N)
    xy_2 = placed.xy_N2[rank_N[item]]
    if not np.isfinite(xy_2).all():
        # Of a large set only a part is encoded beforehand, or as training comes by.
        xy_2 = view.project(_mean(explorer, np.array([item])))[0]
    x, y = xy_2.tolist()
    return (x, y) if np.isfinite(xy_2).all() else None


def _mean(explorer: Explorer, ids_B: NDArray[np.int64]) -> NDArray[np.float32]:
    x_BCHW = explorer.seen(ids_B)
    mean = explorer.network_for(x_BCHW, ids_B).encode(x_BCHW).mean
    assert isinstance(mean, torch.Tensor)
    return mean.float().cpu().numpy()


def _terms(explorer: Explorer, ids: NDArray[np.int64]) -> tuple[float | None, float | None]:
    """-E_q[log p(x|z)] and KL(q(z|x) || p(z)) of one item, in nats."""
    record = explorer.record
    if not (record.has_likelihood and record.has_prior):
        return None, None
    x_1CHW = explorer.seen(ids)
    network = explorer.network_for(x_1CHW, ids)
    kl = float(network.encode(x_1CHW).kl())
    x_SCHW = x_1CHW.expand(ITEM_DRAWS, -1, -1, -1)
    generator = torch.Generator(explorer.device).manual_seed(int(ids[0]))
    likelihood: Likelihood = network.decode(network.encode(x_SCHW).sample(generator))  # type: ignore[assignment]
    return -float(likelihood.log_prob(x_SCHW).double().mean()), kl


def _in_words(view: View) -> str:
    if isinstance(view, PlaneView) and view.explained is not None:
        share = 100 * sum(view.explained)
        return f"PCA plane with {share:.0f} % of the variance of {view.num_dimensions} dimensions"
    return "the latent line, height means nothing" if view.num_dimensions == 1 else "the latent plane itself"
