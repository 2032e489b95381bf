"""Which data a model can be trained on, from its record."""

from __future__ import annotations

from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.record import ModelRecord


def protocol_for(record: ModelRecord) -> str:
    """A protocol that the model can be trained under."""
    if record.data_needs & {"reals", "points"}:
        return "gaussian"
    return "threshold" if "binary pixels" in record.data_needs else "grey"


def data_space_for(record: ModelRecord) -> DataSpace:
    """Tiny pictures of three classes, or points of the plane where the model is for nothing else."""
    shape = (2, 1, 1) if "points" in record.data_needs else (1, 8, 8)
    return DataSpace(shape, 3, protocol_for(record))
