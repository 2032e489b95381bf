"""Words for how long a path is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vae_explorer.gui.widgets.map_frame import number_text
from vae_explorer.latent.path_catalogue import PATH_METRICS

if TYPE_CHECKING:
    from vae_explorer.latent.paths import PathResult

_SAME_LENGTH = 0.25  # per cent: nearer than lengths measured in steps can be told apart


def length_text(result: PathResult) -> str:
    """How long the path is to the eye, against the straight one."""
    if not np.isfinite(result.saved):
        return f"{_name(result)} unknown"
    text = f"{_name(result)} {_length(result.length)}"
    if result.straight_length == 0.0 < result.length:
        return f"{text} (straight 0)"
    percent = 100 * abs(result.saved)
    if percent < _SAME_LENGTH:
        return f"{text}: as long as the straight line"
    amount = f"{percent:.0f} %" if percent >= 0.95 else f"{percent:.1f} %"
    return f"{text} (straight {_length(result.straight_length)}): {amount} {'saved' if result.saved > 0 else 'longer'}"


def _name(result: PathResult) -> str:
    return PATH_METRICS[result.metric].words


def _length(value: float) -> str:
    """To three digits, as far as lengths measured in steps are known."""
    return number_text(value, 1 if value >= 9.95 else 2)


def length_details(result: PathResult) -> str:
    """What the numbers of a path mean, with units."""
    length, straight = number_text(result.length, 2), number_text(result.straight_length, 2)
    name = PATH_METRICS[result.metric].words
    text = f"{name[:1].upper()}{name[1:]} {length}, straight {straight}: "
    if result.metric == "fisher":
        text += (
            "the distances from one distribution p(x|z) to the next in the Fisher metric, added up along the path and "
            "along the straight lines from pin to pin. A small step of length 1 is a KL of ½ nat."
        )
    else:
        text += (
            "the distances from one mean picture to the next, added up along the path and along the straight lines "
            "from pin to pin. A distance is the root of the summed squares of the differences of pixel values from "
            "0 to 1."
        )
    if result.num_near_F is None:
        return text
    radius = number_text(result.near_radius, 3)
    return (
        f"{text}\nCodes near: within {radius} of the frame in latent units, the median distance from a code to its "
        "20th nearest other; 20 are usual among the data."
    )
