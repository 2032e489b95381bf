"""What the colour of each code says: its class, a value of its image, or nothing. On the exploring thread.

Legend: N items in the order of drawing, B colours.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.code_values import (
    UNKNOWN_ROW,
    VALUES,
    distance_values,
    prepared_values,
    ramp_palette,
    ramp_rows,
    ramp_ticks,
    value_range,
)
from vae_explorer.latent.drawing import Legend

if TYPE_CHECKING:
    from vae_explorer.latent.code_layer import PlacedCodes
    from vae_explorer.latent.drawing import LayerInk, UInt8
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.layers import LayerRequest

UInt16 = NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class CodeLook:
    """The colour of each code, in the order of drawing, as a row of `palette_B4` (opaque), and what is said about it.

    `notes` are parts of the read-out. `is_ramp` says that the palette is a ramp of `RAMP_STEPS` and one colour for what
    has no value; `is_unfinished` that values are missing or old and another drawing would compute more.
    """

    row_N: UInt16
    palette_B4: UInt8
    legend: Legend
    notes: tuple[str, ...] = ()
    is_ramp: bool = False
    is_unfinished: bool = False


def prepared_look(
    explorer: Explorer, request: LayerRequest, placed: PlacedCodes, colour_by: str
) -> Generator[None, None, CodeLook]:
    """Colours by `label`, `none` or a value, in steps; images without labels have one colour. Raises UserError where
    the model has no such value or the images are not loaded.
    """
    if colour_by == "label":
        labelled = label_look(explorer, request.ink, placed)
        if labelled is not None:
            return labelled
    notes: tuple[str, ...] = ()
    is_unfinished = False
    if colour_by in VALUES:
        known = yield from prepared_values(explorer, colour_by)
        value_N, title, unit = known.value_N, VALUES[colour_by], "nats"
        is_unfinished = not known.is_current
        if known.num_known < len(value_N):
            notes = (f"values of {known.num_known:,} of {len(value_N):,}",)
        if known.oldest_step < known.newest_step:
            notes = (*notes, f"as of step {known.oldest_step:,} to {known.newest_step:,}")
    elif colour_by == "distance":
        distance_N = yield from distance_values(explorer, request.view)
        assert distance_N is not None
        value_N, title, unit = distance_N, "Distance from the view", "latent units"
    else:
        row_N = np.zeros(len(placed.order_N), dtype=np.uint16)
        return CodeLook(row_N, request.ink.accent_4[None], Legend("Codes", entries=(("accent", "all images"),)))
    palette_B4 = ramp_palette(request.ink.ramp_256, _muted(request.ink))
    span = value_range(value_N)
    if len(value_N) != len(placed.order_N) or span is None:
        row_N = np.full(len(placed.order_N), UNKNOWN_ROW, dtype=np.uint16)
        return CodeLook(row_N, palette_B4, Legend(title, unit, "sequential"), notes, True, is_unfinished)
    row_N = ramp_rows(value_N, *span)[placed.order_N]
    entries = (("muted", "not known yet"),) if not np.isfinite(value_N).all() else ()
    legend = Legend(title, unit, "sequential", ramp_ticks(*span), entries)
    return CodeLook(row_N, palette_B4, legend, notes, True, is_unfinished)


def label_look(explorer: Explorer, ink: LayerInk, placed: PlacedCodes) -> CodeLook | None:
    """Colours by class; None for images without labels."""
    dataset, num_colours = explorer.dataset, len(ink.classes_K4)
    if dataset is None or dataset.labels_N is None or len(dataset.labels_N) != len(placed.order_N):
        return None
    key = ("label rows", num_colours)
    row_N: UInt16 | None = explorer.lasting.get(key)
    if row_N is None:
        row_N = (dataset.labels_N.cpu().numpy() % num_colours).astype(np.uint16)[placed.order_N]
        explorer.lasting[key] = row_N
    entries = tuple((f"class:{number % num_colours}", name) for number, name in enumerate(dataset.class_names))
    return CodeLook(row_N, ink.classes_K4, Legend("Class", entries=entries))


def _muted(ink: LayerInk) -> UInt8:
    muted_3 = np.rint(0.55 * ink.ground_3 + 0.45 * ink.text_3)
    return np.append(muted_3, 255).astype(np.uint8)
