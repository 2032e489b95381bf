"""New or a copy? A decoded picture beside the training images and the held-out images that are nearest to it.

Runs on the exploring thread. Legend: C channels, H height, W width, P pixels, B images of a batch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.code_pictures import channels_last
from vae_explorer.latent.pacing import in_steps

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.latent.explorer import Explorer

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

NUM_NEAREST = 4

COPY_RATIO = 0.5
"""Below this ratio a picture is called very near to a training image."""

_FAIR_RATIO = 0.9
_PART_SEED = 0
_FIRST_IMAGES, _BATCH_VALUES = 256, 1_600_000


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """The nearest images of a picture and what they say. Distances are L2 over all pixel values, from 0 to 1 each.

    `train_ids` and `train_distances` are of the (at most 4) nearest training images, nearest first, with their stored
    `train_pictures`, (4, H, W) or (4, H, W, C); `heldout_*` are of the nearest held-out image, None without one.
    `ratio` is nearest training over nearest held-out distance. Because there are more training images than held-out
    ones it is below 1 even where nothing is copied; `fair_ratio` compares with a random part of the training images,
    as many as are held out (`num_fair`). `verdict` and `note` are sentences for a person.
    """

    train_ids: NDArray[np.int64]
    train_distances: NDArray[np.float64]
    train_pictures: UInt8
    heldout_id: int | None
    heldout_distance: float | None
    heldout_picture: UInt8 | None
    ratio: float | None
    fair_ratio: float | None
    num_fair: int
    verdict: str
    note: str


def novelty(explorer: Explorer, x_CHW: Floats) -> Iterator[Novelty | None]:
    """Compare a decoded picture in [0, 1] with all images: None between the steps, the answer last.

    Source: nearest training and test neighbours as a check of memorisation, Meehan et al. 2020, arXiv 2004.05675.
    Raises UserError without images, for a picture of another shape or one that is not finite.
    """
    dataset = explorer.dataset
    if dataset is None:
        raise UserError("The images behind these codes are not loaded.", "Wait until the data set has been read.")
    if tuple(np.shape(x_CHW)) != tuple(dataset.image_shape):
        raise UserError(
            f"The picture is of shape {' x '.join(map(str, np.shape(x_CHW)))}, the images are of "
            f"{' x '.join(map(str, dataset.image_shape))}.",
            "Compare a picture that this model decoded.",
        )
    if not np.isfinite(x_CHW).all():
        raise UserError("The picture holds values that are not finite.", "Compare another place of the map.")
    x_P = torch.from_numpy(np.array(x_CHW, dtype=np.float32)).reshape(1, -1).to(explorer.device)
    train_ids, heldout_ids = dataset.train_index_N.cpu().numpy(), dataset.heldout_index_N.cpu().numpy()
    train_N = yield from _distances(explorer, x_P, train_ids)
    heldout_N = yield from _distances(explorer, x_P, heldout_ids)
    order = np.argsort(train_N, kind="stable")[:NUM_NEAREST]
    num_fair = min(len(train_ids), len(heldout_ids))
    ratio = fair_ratio = heldout_id = heldout_distance = heldout_picture = None
    if len(heldout_ids) and len(train_ids):
        nearest = int(np.argmin(heldout_N))
        heldout_id, heldout_distance = int(heldout_ids[nearest]), float(heldout_N[nearest])
        heldout_picture = channels_last(explorer.pictures(heldout_ids[nearest : nearest + 1]))[0]
        part = np.random.default_rng(_PART_SEED).choice(len(train_ids), num_fair, replace=False)
        ratio = _ratio(float(train_N[order[0]]), heldout_distance)
        fair_ratio = _ratio(float(train_N[part].min()), heldout_distance)
    nearest_train = float(train_N[order[0]]) if len(order) else float("inf")
    train_pictures = channels_last(explorer.pictures(train_ids[order]))
    yield Novelty(
        train_ids[order].astype(np.int64), train_N[order], train_pictures, heldout_id, heldout_distance,
        heldout_picture, ratio, fair_ratio, num_fair, verdict(nearest_train, ratio, fair_ratio),
        _note(num_fair, len(train_ids), fair_ratio),
    )  # fmt: skip


def verdict(nearest_train: float, ratio: float | None, fair_ratio: float | None) -> str:
    """One sentence for a person from the nearest training distance and the two ratios."""
    if nearest_train == 0.0:
        return "Equal to a training image, pixel for pixel."
    if ratio is None or fair_ratio is None:
        return "No images are held out, so there is nothing to compare the distance with."
    if ratio >= 1.0:
        return "Nearer to the held-out images than to any training image: no sign of copying."
    if ratio < COPY_RATIO:
        return f"Very near to a training image (ratio {ratio:.1f}): compare them."
    if fair_ratio >= _FAIR_RATIO:
        return (
            f"No nearer to as many training images than to the held-out ones (ratio {ratio:.2f}): no sign of copying."
        )
    return f"Somewhat nearer to training images than to held-out ones (ratio {ratio:.2f}): compare them."


def _note(num_fair: int, num_train: int, fair_ratio: float | None) -> str:
    if fair_ratio is None:
        return ""
    return (
        f"Among {num_train:,} training images one is nearer than among {num_fair:,} held-out ones by number alone; "
        f"against {num_fair:,} of them, drawn at random, the ratio is {fair_ratio:.2f}."
    )


def _ratio(train: float, heldout: float) -> float:
    if heldout > 0.0:
        return train / heldout
    return 1.0 if train == 0.0 else float("inf")


def _distances(
    explorer: Explorer, x_P: Tensor, ids_N: NDArray[np.integer[Any]]
) -> Generator[None, None, NDArray[np.float64]]:
    distance_N = np.empty(len(ids_N))

    def measure(part: slice) -> None:
        # The direct difference, not by inner products: an image's distance to itself is exactly 0.
        stored_BCHW = explorer.stored(ids_N[part])
        unit = 1.0 if stored_BCHW.is_floating_point() else 255.0
        rows_BP = stored_BCHW.flatten(1).to(torch.float32).div_(unit)
        distance_N[part] = torch.linalg.vector_norm(rows_BP.sub_(x_P), dim=1).double().cpu().numpy()

    most = max(1, _BATCH_VALUES // x_P.shape[1])
    yield from in_steps(len(ids_N), measure, min(_FIRST_IMAGES, most), most)
    yield None
    return distance_N
