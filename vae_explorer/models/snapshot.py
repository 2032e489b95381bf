"""Snapshots: weights to look at, in memory, stamped, never mutated.

Live weights belong to the training thread. A snapshot clones them on their device; whoever looks copies it into a
network of its own (`latent.explorer`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.interface import LatentModel

_stamps = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """One look at a model in training.

    `data_space` says what the network was built for. `codes_ND` holds the posterior mean of every item of the training
    source by item id (float32, on the device), as of the item's last visit, a whole row NaN before the first or where
    it is not finite; None for a model without codes. `stamp` grows with every snapshot taken in this process. `told` is
    what places of the map are decoded under where the record has a condition: the number of a class, or the id of the
    item whose part is given.
    """

    run_name: str
    model_name: str
    model_config: Any
    data_space: DataSpace
    step: int
    images_seen: int
    beta: float
    weights: Mapping[str, Tensor]
    codes_ND: Tensor | None
    stamp: int
    told: int = 0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.data_space.image_shape

    @property
    def protocol(self) -> str:
        """How stored pictures become what the network sees."""
        return self.data_space.protocol


def with_told(snapshot: Snapshot, told: int) -> Snapshot:
    """The same weights looked at under another condition: another look, with a stamp of its own."""
    return replace(snapshot, told=told, stamp=next(_stamps))


def model_of(snapshot: Snapshot) -> LatentModel:
    """A network in evaluation mode with the snapshot's own weights, which are never to be changed.

    Made on the meta device, so that no number is drawn from the generator that a training may be using.
    """
    from vae_explorer.models.building import build_model

    with torch.device("meta"):
        model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
    model.load_state_dict(dict(snapshot.weights), assign=True)
    return model.requires_grad_(False).eval()


def take_snapshot(
    model: LatentModel,
    codes_ND: Tensor | None,
    *,
    run_name: str,
    model_name: str,
    model_config: Any,
    data_space: DataSpace,
    step: int,
    images_seen: int,
    beta: float,
) -> Snapshot:
    """Clone weights, buffers and codes; called by the thread that owns them, between two steps."""
    with torch.no_grad():
        weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        codes = None
        if codes_ND is not None:
            # Codes of a step that was skipped may not be finite in part: such an item has no place on the map.
            is_known_N1 = torch.isfinite(codes_ND).all(1, keepdim=True)
            codes = torch.where(is_known_N1, codes_ND, torch.nan)
    return Snapshot(
        run_name=run_name, model_name=model_name, model_config=model_config, data_space=data_space, step=step,
        images_seen=images_seen, beta=beta, weights=weights, codes_ND=codes, stamp=next(_stamps),
    )  # fmt: skip
