"""Measuring one of two runs on images that neither has learnt from, for numbers side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.comparison import MeasuredRun
from vae_explorer.evaluation.evaluate import measuring
from vae_explorer.evaluation.images import scored_images
from vae_explorer.evaluation.needs import Subject, obstacle
from vae_explorer.evaluation.side_by_side import HELDOUT_MEASURES, MeasuredSide

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.record import ModelRecord


def heldout_images(dataset: ImageDataset, protocol: str, ids_N: NDArray[np.int64]) -> ScoredImages:
    """Items that a run holds out, as it is scored on them under its protocol."""
    index_N = torch.from_numpy(ids_N).to(dataset.images.device)
    return scored_images(
        dataset.images, index_N, protocol, "heldout", labels_N=dataset.labels_N, num_classes=dataset.num_classes
    )


def measured_side(
    name: str,
    model: LatentModel,
    record: ModelRecord,
    dataset: str,
    images: ScoredImages,
    is_cancelled: Callable[[], bool] | None = None,
) -> MeasuredSide:
    """`HELDOUT_MEASURES` of a run on images that it has not learnt from; of every run with the same seed, so with the
    same draws.

    Raises `evaluation.Cancelled`, and UserError where there are no images.
    """
    subject = Subject(record, model, images)
    obstacles = {measure: obstacle(MEASURES[measure], subject) for measure in HELDOUT_MEASURES}
    names = [measure for measure, reason in obstacles.items() if not reason]
    items = measuring(model, record, images, measures=names, is_cancelled=is_cancelled) if names else ()
    run = MeasuredRun(name=name, dataset=dataset, protocol=images.protocol, measurements=tuple(items))
    return MeasuredSide(run, {measure: reason for measure, reason in obstacles.items() if reason})
