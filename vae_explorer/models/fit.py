"""Which models can be trained on which data, in sentences; free of torch, so that a form can say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vae_explorer.errors import SettingError

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.record import DataNeed, ModelRecord

BINARY_PROTOCOLS = ("dynamic", "static", "threshold")
"""Protocols under which every pixel is 0 or 1."""

_NEEDS: dict[DataNeed, tuple[Callable[[DataSpace], bool], str, str]] = {
    "labels": (
        lambda data: data.num_classes > 1,
        "needs labels, and this data set has none",
        "Choose a data set with classes, such as mnist, or a model without labels.",
    ),
    "pictures": (
        lambda data: not data.is_plane,
        "is for pictures, and this data set holds points of the plane",
        "Choose a data set of pictures, such as mnist, or a VAE with an MLP.",
    ),
    "points": (
        lambda data: data.is_plane,
        "is for points of the plane, and this data set holds pictures",
        "Choose a two-dimensional data set, such as eight-gaussians.",
    ),
    "binary pixels": (
        lambda data: data.protocol in BINARY_PROTOCOLS,
        "needs pixels that are 0 or 1",
        f"Choose the protocol {', '.join(BINARY_PROTOCOLS[:-1])} or {BINARY_PROTOCOLS[-1]}.",
    ),
    "reals": (
        lambda data: data.protocol == "gaussian",
        "takes pixels as real numbers with a Gaussian density",
        "Choose the protocol gaussian.",
    ),
}


def obstacle_to_training(record: ModelRecord, data_space: DataSpace) -> tuple[str, str] | None:
    """Why this model cannot be trained on such data, and what to do; None where it can."""
    for need in sorted(record.data_needs):
        if need == "binary pixels" and data_space.is_plane:
            need = "pictures"  # no protocol would mend that
        is_met, reason, hint = _NEEDS[need]
        if not is_met(data_space):
            return f"The model “{record.title}” {reason}.", hint
    return None


def require_fit(record: ModelRecord, data_space: DataSpace) -> None:
    """Raise SettingError, which the form shows at the model, where the model cannot be trained on such data."""
    obstacle = obstacle_to_training(record, data_space)
    if obstacle is not None:
        raise SettingError("model.name", *obstacle)
