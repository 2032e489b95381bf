"""How the layers were shown the last time, as a table that the settings keep. GUI thread only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vae_explorer.config import from_table, to_table
from vae_explorer.errors import UserError
from vae_explorer.latent.layers import LAYERS

if TYPE_CHECKING:
    from vae_explorer.gui.map_session import MapSession


def layer_table(map_session: MapSession) -> dict[str, dict[str, Any]]:
    """How the layers are shown now, as plain values."""
    return {
        name: {"is_shown": state.is_shown, "opacity": state.opacity, "options": to_table(state.options)}
        for name, state in map_session.layers.items()
    }


def restore_layers(map_session: MapSession, table: Mapping[str, Any]) -> None:
    """Show layers as they were remembered; what is not understood stays as it is."""
    for name, kept in table.items():
        if name not in map_session.layers or not isinstance(kept, dict):
            continue
        state, record = map_session.layers[name], LAYERS[name]
        try:
            options: Any = from_table(record.options_type, kept.get("options", {}), name, "the remembered layers")
            opacity = min(max(float(kept.get("opacity", state.opacity)), 0.1), 1.0)
        except (UserError, TypeError, ValueError):
            continue
        is_shown = bool(kept.get("is_shown", state.is_shown))
        map_session.set_layer(name, is_shown=is_shown, opacity=opacity, options=options)
