"""Requests for layers, and what a layer answers, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from vae_explorer.latent.drawing import LayerDrawing, LayerInk
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.layers import LAYERS, Focus, LayerRequest
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import LineView, PlaneView, View

RECT = MapRect(-3.0, -2.0, 3.0, 2.0)


def first_view(num_dimensions: int) -> View:
    """The view a model is first shown in: the line for D = 1, else dimensions 1 and 2 through the origin."""
    if num_dimensions == 1:
        return LineView()
    return PlaneView.of_dimensions(0, 1, np.zeros(num_dimensions))


def make_ink() -> LayerInk:
    ramp = np.stack([np.arange(256), np.arange(256), 255 - np.arange(256), np.full(256, 255)], axis=1).astype(np.uint8)
    classes = np.array([[9, 0, 0, 255], [0, 9, 0, 255], [0, 0, 9, 255]], dtype=np.uint8)
    accent = np.array([200, 100, 0, 255], dtype=np.uint8)
    return LayerInk(
        np.array([20, 20, 20], np.uint8), np.array([240, 240, 240], np.uint8), accent, classes, ramp, ramp[::-1].copy(),
        True,
    )  # fmt: skip


def make_request(
    explorer: Explorer, options: Any = None, focus: Focus | None = None, rect: MapRect = RECT, view: View | None = None
) -> LayerRequest:
    view = view or first_view(explorer.num_dimensions)
    return LayerRequest(view, rect, 300, 200, 1.0, make_ink(), options=options, focus=focus or Focus())


def drawings(name: str, explorer: Explorer, request: LayerRequest) -> list[LayerDrawing]:
    """All that the layer shows; the last is whole."""
    shown = [step for step in LAYERS[name].draw(explorer, request) if step is not None]
    assert shown
    assert shown[-1].is_whole
    assert shown[-1].rect.contains(request.rect)
    return shown
