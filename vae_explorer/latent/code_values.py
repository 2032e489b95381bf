"""A value for every item: ELBO, reconstruction and KL in nats, and the distance from the view.

The first three take an encoding and a decoding each, so they are computed a little at every drawing and kept by item
id over snapshots: a new snapshot replaces them in rolling order and throws none away. On the exploring thread.

Legend: N items, B batch, D latent dimensions.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.code_raster import fair_order
from vae_explorer.models.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    from vae_explorer.latent.drawing import UInt8
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.views import View
    from vae_explorer.models.interface import Likelihood

Float32 = NDArray[np.float32]

VALUES: dict[str, str] = {"elbo": "ELBO", "reconstruction": "Reconstruction", "kl": "KL"}
"""Values of an item that come from the network, by name, with their titles; all in nats."""

DRAWING_SECONDS = 0.04
"""Time for new values in one drawing; the next drawing goes on."""

RAMP_STEPS = 256
UNKNOWN_ROW = RAMP_STEPS
"""Row of a ramp's palette for items without a value, after the ramp itself."""

_STEP_SECONDS = 0.006
# Items that share one seed of noise: the batch may be any number of these, an item's draw is always the same.
_BLOCK = 64
_MOST_BLOCKS = 16
_LOW, _HIGH = 0.02, 0.98
_RANGE_SAMPLE = 20_000
_DISTANCE_CHUNK = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class ItemValues:
    """A value by item id, NaN where it is not known yet, and between which steps' weights they were computed.

    `is_current` says that all are of the adopted snapshot.
    """

    value_N: Float32
    num_known: int
    oldest_step: int
    newest_step: int
    is_current: bool


class _Kept:
    """The values of all items, computed in a fixed shuffled order, round and round."""

    def __init__(self, network: tuple[object, ...], num_items: int) -> None:
        self.network = network
        self.values = {name: np.full(num_items, np.nan, dtype=np.float32) for name in VALUES}
        self.step_N = np.full(num_items, -1, dtype=np.int64)
        self.order_N = fair_order(num_items)
        self.stamp = 0
        self.num_known = 0
        self._block = 0
        self._num_blocks = -(-num_items // _BLOCK)
        self._due = 0
        self._seconds_per_block = 1e-3

    def is_current(self, stamp: int) -> bool:
        return self.stamp == stamp and self._due == 0

    def advance(self, explorer: Explorer) -> None:
        """One step: the next few blocks with the adopted weights."""
        if self.stamp != explorer.stamp:
            self.stamp, self._due = explorer.stamp, self._num_blocks
        wanted = int(min(max(_STEP_SECONDS / self._seconds_per_block, 1), _MOST_BLOCKS))
        num_blocks = min(wanted, self._due, self._num_blocks - self._block)
        start = time.perf_counter()
        ids_B = self.order_N[self._block * _BLOCK : (self._block + num_blocks) * _BLOCK]
        self._put(explorer, ids_B, range(self._block, self._block + num_blocks))
        self._seconds_per_block += 0.3 * ((time.perf_counter() - start) / num_blocks - self._seconds_per_block)
        self._block = (self._block + num_blocks) % self._num_blocks
        self._due -= num_blocks

    @torch.inference_mode()
    def _put(self, explorer: Explorer, ids_B: NDArray[np.intp], blocks: range) -> None:
        assert explorer.snapshot is not None
        x_BCHW = explorer.seen(ids_B)
        network = explorer.network_for(x_BCHW, ids_B)
        posterior = explorer.posterior(x_BCHW, ids_B)
        kl_B = posterior.kl()
        self.values["kl"][ids_B] = kl_B.float().cpu().numpy()
        if explorer.record.has_likelihood:
            likelihood: Likelihood = network.decode(_fixed_sample(posterior, blocks))  # type: ignore[assignment]
            log_prob_B = likelihood.log_prob(x_BCHW)
            self.values["reconstruction"][ids_B] = -log_prob_B.float().cpu().numpy()
            self.values["elbo"][ids_B] = (log_prob_B - kl_B).float().cpu().numpy()
        self.num_known += int(np.count_nonzero(self.step_N[ids_B] < 0))
        self.step_N[ids_B] = explorer.snapshot.step


def prepared_values(
    explorer: Explorer, name: str, seconds: float = DRAWING_SECONDS
) -> Generator[None, None, ItemValues]:
    """Go on computing for at most so many seconds, in steps of about 6 ms; returns (`yield from`) what is known.

    One draw of z an image, always the same. Source: Kingma & Welling 2013, equation 10, with L = 1. Raises UserError
    without images, or for a model that has no such value.
    """
    kept = _kept(explorer, name)
    spent = 0.0
    while spent < seconds and not kept.is_current(explorer.stamp):
        start = time.perf_counter()
        kept.advance(explorer)
        spent += time.perf_counter() - start
        yield None
    return _known(kept, explorer, name)


def complete_values(explorer: Explorer, name: str) -> Generator[None, None, Float32]:
    """Compute until every item has a value, of whichever snapshot; returns (N,) by item id. Raises as above."""
    kept = _kept(explorer, name)
    while kept.num_known < len(kept.step_N):
        kept.advance(explorer)
        yield None
    return kept.values[name].copy()


def known_values(explorer: Explorer, name: str) -> ItemValues | None:
    """What is known without computing anything; None where nothing is."""
    kept = explorer.lasting.get("item values")
    if not isinstance(kept, _Kept) or kept.network != _network(explorer) or not kept.num_known:
        return None
    return _known(kept, explorer, name)


def distance_values(explorer: Explorer, view: View) -> Generator[None, None, Float32 | None]:
    """How far each code lies from the view's surface, in latent units, (N,) by item id; None without fitting codes.

    Kept for the last view, until the next snapshot: a tour has twenty views a second.
    """
    codes_ND = explorer.codes()
    if codes_ND is None or codes_ND.shape[1] != view.num_dimensions:
        return None
    known: tuple[View, Float32] | None = explorer.cache.get("distance")
    if known is not None and known[0] == view:
        return known[1]
    distance_N = np.empty(len(codes_ND), dtype=np.float32)
    for start in range(0, len(codes_ND), _DISTANCE_CHUNK):
        with np.errstate(invalid="ignore", over="ignore"):
            chunk = slice(start, start + _DISTANCE_CHUNK)
            distance_N[chunk] = view.distance(codes_ND[chunk])
        yield None
    explorer.cache["distance"] = (view, distance_N)
    return distance_N


def value_range(value_N: NDArray[np.floating[Any]]) -> tuple[float, float] | None:
    """The 2nd and the 98th percentile of the finite values; None where there are none."""
    # A part of an even spread over all items will do; labels and order in the file do not matter to it.
    sample = value_N[:: len(value_N) // _RANGE_SAMPLE + 1]
    finite = sample[np.isfinite(sample)]
    if not len(finite):
        finite = value_N[np.isfinite(value_N)]
    if not len(finite):
        return None
    low, high = np.quantile(finite.astype(np.float64), [_LOW, _HIGH])
    return float(low), float(high)


def ramp_rows(value_N: NDArray[np.floating[Any]], low: float, high: float) -> NDArray[np.uint16]:
    """The row of the ramp for each value, clipped to its ends; `UNKNOWN_ROW` where the value is not finite."""
    if high > low:
        with np.errstate(invalid="ignore"):
            part_N = np.clip((value_N - low) * ((RAMP_STEPS - 1) / (high - low)) + 0.5, 0, RAMP_STEPS - 1)
    else:
        part_N = np.full(len(value_N), RAMP_STEPS // 2, dtype=np.float32)
    known_N = np.isfinite(value_N)
    return np.where(known_N, np.where(known_N, part_N, 0), UNKNOWN_ROW).astype(np.uint16)


def ramp_ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Ticks at both ends and in the middle of a clipped ramp, with as many digits as tell them apart."""
    if not high > low:
        return ((0.5, f"{low:.3g}".replace("-", "−")),)
    decimals = int(np.clip(1 - np.floor(np.log10(high - low)), 0, 6))
    texts = [f"{value:,.{decimals}f}".replace("-", "−") for value in (low, (low + high) / 2, high)]
    return (0.0, f"≤ {texts[0]}"), (0.5, texts[1]), (1.0, f"≥ {texts[2]}")


def ramp_palette(ramp_256: UInt8, muted_4: UInt8) -> UInt8:
    """The ramp and, last, the colour of what has no value yet: (257, 4)."""
    return np.concatenate([ramp_256, muted_4[None]]).astype(np.uint8)


def _kept(explorer: Explorer, name: str) -> _Kept:
    dataset = explorer.dataset
    if dataset is None or not dataset.images.num_images:
        raise UserError("The images behind these codes are not loaded.", "Wait until the data set has been read.")
    record = explorer.record
    if not record.has_prior or (name != "kl" and not record.has_likelihood):
        raise UserError(
            f"The model “{record.title}” has no {VALUES[name]} of an image.",
            "Colour by label, or choose another model.",
        )
    network = _network(explorer)
    kept = explorer.lasting.get("item values")
    assert explorer.snapshot is not None
    if (
        not isinstance(kept, _Kept)
        or kept.network != network
        or len(kept.step_N) != dataset.images.num_images
        # The same run begun anew.
        or kept.step_N.max() > explorer.snapshot.step
    ):
        kept = _Kept(network, dataset.images.num_images)
        explorer.lasting["item values"] = kept
    return kept


def _network(explorer: Explorer) -> tuple[object, ...]:
    snapshot = explorer.snapshot
    assert snapshot is not None
    return snapshot.run_name, snapshot.model_name, snapshot.model_config, snapshot.protocol


def _known(kept: _Kept, explorer: Explorer, name: str) -> ItemValues:
    steps = kept.step_N[kept.step_N >= 0]
    oldest, newest = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
    return ItemValues(kept.values[name].copy(), kept.num_known, oldest, newest, kept.is_current(explorer.stamp))


def _fixed_sample(posterior: DiagonalGaussian, blocks: range) -> torch.Tensor:
    mean_BD = posterior.mean
    noise = [torch.randn(_BLOCK, mean_BD.shape[1], generator=torch.Generator().manual_seed(block)) for block in blocks]
    noise_BD = torch.cat(noise)[: len(mean_BD)].to(mean_BD)
    return mean_BD + posterior.standard_deviation * noise_BD
