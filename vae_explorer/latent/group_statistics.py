"""What the members of a group have in common and where they differ, as numbers and as pictures.

Runs on the exploring thread. Legend: G members, C channels, H height, W width, D latent dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.code_pictures import channels_last
from vae_explorer.latent.code_values import known_values
from vae_explorer.latent.pacing import in_steps

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.latent.explorer import Explorer

UInt8 = NDArray[np.uint8]
Float64 = NDArray[np.float64]

MOST_SHOWN = 200
_FIRST_IMAGES, _MOST_IMAGES = 64, 2_000


@dataclass(frozen=True, slots=True, eq=False)
class GroupStatistics:
    """A group of items, summed up. Pictures are uint8, (H, W) for one channel, else (H, W, C).

    `shown_ids_G` are at most 200 members, evenly chosen, with `pictures`, (G, H, W) or (G, H, W, C). `mean_code_D` is
    the mean of the members' finite codes and `decoded_mean` what it decodes to, both None where there are none.
    `mean_picture` is the mean of the members' stored pictures, and `variance_picture` their variance at each pixel,
    scaled so that its greatest is white: there the standard deviation is `greatest_deviation` (of grey levels from 0
    to 1). `class_counts` has a number a class, () without labels. `mean_elbo` is in nats, over the `num_valued` members
    whose ELBO is known, None where there are none.
    """

    num: int
    shown_ids_G: NDArray[np.int64]
    pictures: UInt8
    mean_code_D: Float64 | None
    decoded_mean: UInt8 | None
    mean_picture: UInt8
    variance_picture: UInt8
    greatest_deviation: float
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    mean_elbo: float | None
    num_valued: int


def group_statistics(explorer: Explorer, ids: NDArray[np.integer[Any]]) -> Iterator[GroupStatistics | None]:
    """Sum up the items `ids`: None between the steps, the statistics last.

    Raises UserError for an empty group, without images, or for items that the images do not have.
    """
    ids_N = np.unique(np.asarray(ids, dtype=np.int64))
    dataset = explorer.dataset
    if not len(ids_N):
        raise UserError("The group is empty.", "Select at least one image first.")
    if dataset is None:
        raise UserError("The images behind these codes are not loaded.", "Wait until the data set has been read.")
    if ids_N[0] < 0 or ids_N[-1] >= dataset.images.num_images:
        raise UserError("The group holds images that this data set does not have.", "Select again.")
    shape = explorer.pictures(ids_N[:1]).shape[1:]
    num_pixels = int(np.prod(shape))
    sum_P = torch.zeros(num_pixels, dtype=torch.float64)
    square_P = torch.zeros(num_pixels, dtype=torch.float64)

    def add(part: slice) -> None:
        # Whole numbers up to 255 squared add up exactly.
        rows = explorer.pictures(ids_N[part]).flatten(1).to(torch.float32)
        sum_P.add_(rows.sum(0, dtype=torch.float64).cpu())
        square_P.add_(rows.square_().sum(0, dtype=torch.float64).cpu())

    yield from in_steps(len(ids_N), add, _FIRST_IMAGES, _MOST_IMAGES)
    mean_P = sum_P / len(ids_N)
    variance_P = (square_P / len(ids_N) - mean_P.square()).clamp_min(0.0)
    greatest = float(variance_P.max())
    yield None
    shown_ids = ids_N[np.linspace(0, len(ids_N) - 1, min(MOST_SHOWN, len(ids_N))).astype(np.int64)]
    pictures = channels_last(explorer.pictures(shown_ids))
    yield None
    mean_code_D, decoded_mean = _mean_code(explorer, ids_N)
    names, counts = _class_counts(dataset, ids_N)
    mean_elbo, num_valued = _mean_elbo(explorer, ids_N)
    scaled_P = variance_P * (255.0 / greatest) if greatest > 0 else variance_P
    mean_picture, variance_picture = channels_last(
        torch.stack([mean_P, scaled_P]).add_(0.5).clamp_(0, 255).to(torch.uint8).view(2, *shape)
    )
    yield GroupStatistics(
        num=len(ids_N), shown_ids_G=shown_ids, pictures=pictures, mean_code_D=mean_code_D, decoded_mean=decoded_mean,
        mean_picture=mean_picture, variance_picture=variance_picture, greatest_deviation=greatest**0.5 / 255.0,
        class_names=names, class_counts=counts, mean_elbo=mean_elbo, num_valued=num_valued,
    )  # fmt: skip


def _mean_code(explorer: Explorer, ids_N: NDArray[np.int64]) -> tuple[Float64 | None, UInt8 | None]:
    codes_ND = explorer.codes()
    if codes_ND is None or ids_N[-1] >= len(codes_ND):
        return None, None
    codes = codes_ND[ids_N].astype(np.float64)
    finite = codes[np.isfinite(codes).all(axis=1)]
    if not len(finite):
        return None, None
    mean_D = finite.mean(axis=0)
    return mean_D, explorer.decode(mean_D[None])[0]


def _class_counts(dataset: ImageDataset, ids_N: NDArray[np.int64]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if dataset.labels_N is None:
        return (), ()
    labels = dataset.labels_N.cpu().numpy()[ids_N]
    counts = np.bincount(labels[labels >= 0], minlength=len(dataset.class_names))
    names = tuple(dataset.class_name(number) for number in range(len(counts)))
    return names, tuple(counts.tolist())


def _mean_elbo(explorer: Explorer, ids_N: NDArray[np.int64]) -> tuple[float | None, int]:
    known = known_values(explorer, "elbo")
    if known is None:
        return None, 0
    values = known.value_N[ids_N].astype(np.float64)
    finite = values[np.isfinite(values)]
    return (float(finite.mean()), len(finite)) if len(finite) else (None, 0)
