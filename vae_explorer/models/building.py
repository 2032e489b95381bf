"""From a record and its configuration to a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.models.interface import LatentModel


def build_model(name: str, config: Any, image_shape: tuple[int, int, int], num_classes: int) -> LatentModel:
    """A freshly initialised model on the CPU, drawn from torch's global generator; raises UserError for an unknown
    name.
    """
    return MODELS[name].builder()(config, image_shape, num_classes)
