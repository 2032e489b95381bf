"""From a record and its configuration to a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.fit import require_fit
from vae_explorer.registry import function_at

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.interface import LatentModel


def build_model(name: str, config: Any, data_space: DataSpace) -> LatentModel:
    """A freshly initialised model on the CPU, drawn from torch's global generator.

    Raises UserError for an unknown name, and where the model cannot be trained on such data.
    """
    record = MODELS[name]
    require_fit(record, data_space)
    model: LatentModel = function_at(record.builder)(config, data_space)
    return model
