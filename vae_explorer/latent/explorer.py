"""The explorer: decodes, encodes and samples with a network of its own, as of the last snapshot it adopted.

It belongs to one thread, the exploring thread in the window or whoever asks in a script; nothing it does
touches live weights, a generator of the training, or gradients. Pictures leave it as uint8 numpy, (N, H, W)
for one channel and (N, H, W, C) for more.

Legend: N items, B batch, C channels, H height, W width, D latent dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.datasets.protocols import apply_protocol
from vae_explorer.errors import UserError
from vae_explorer.latent.code_layer import CodeLayer
from vae_explorer.latent.manifold import DecodedManifold
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.models.catalogue import ModelRecord
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.snapshot import Snapshot

UInt8 = NDArray[np.uint8]

DISPLAY_SEED = 0
"""Seed of what is drawn only to be looked at."""
Float32 = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]

# Latent points decoded in one call: enough to fill the cores, little enough to stay in their caches.
_DECODE_BATCH = 512

# Prior samples are always drawn as one block of this many, so that the i-th is the same however many are
# shown.
MAX_SAMPLES = 400


class Explorer:
    """A network copy to look through. `snapshot` is the last one adopted, None before the first."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.manifold = DecodedManifold()
        self.code_layer = CodeLayer()
        self._model: LatentModel | None = None
        self._built_for: tuple[object, ...] = ()
        self._codes_ND: Float32 | None = None

    def adopt(self, snapshot: Snapshot) -> None:
        """Look through these weights from now on. The snapshot is copied, never changed."""
        device = next(iter(snapshot.weights.values())).device
        built_for = (
            snapshot.model_name, snapshot.model_config, snapshot.image_shape, snapshot.num_classes, device,
        )  # fmt: skip
        if self._model is None or built_for != self._built_for:
            # On the meta device nothing is drawn: an initialisation here would take numbers from torch's
            # global generator, from which the training thread may be drawing the weights of a run at this
            # very moment.
            with torch.device("meta"):
                model = build_model(
                    snapshot.model_name, snapshot.model_config, snapshot.image_shape, snapshot.num_classes
                )
            weights = {name: value.clone() for name, value in snapshot.weights.items()}
            model.load_state_dict(weights, assign=True)
            model.requires_grad_(False)
            model.eval()
            self._model, self._built_for = model, built_for
        else:
            self._model.load_state_dict(dict(snapshot.weights))
        self.snapshot = snapshot
        self._codes_ND = None

    @property
    def stamp(self) -> int:
        """The stamp of the adopted snapshot, 0 before the first."""
        return 0 if self.snapshot is None else self.snapshot.stamp

    @property
    def record(self) -> ModelRecord:
        """The record of the adopted model."""
        return MODELS[self._adopted().model_name]

    @property
    def num_dimensions(self) -> int:
        """D, or 0 for a model whose latents are not points of R^D."""
        self._adopted()
        assert self._model is not None
        return self._model.latent_space.dimensions

    @torch.inference_mode()
    def decode_mean(self, z_ND: Floats) -> Float32:
        """The decoder's mean pictures, (N, C, H, W) float32 in [0, 1]."""
        z = torch.from_numpy(np.ascontiguousarray(z_ND, dtype=np.float32)).to(self._device())
        return self._mean(z).cpu().numpy()

    @torch.inference_mode()
    def decode(self, z_ND: Floats) -> UInt8:
        """Pictures of latent points, uint8, rounded from the decoder's mean."""
        z = torch.from_numpy(np.ascontiguousarray(z_ND, dtype=np.float32)).to(self._device())
        return as_pictures(self._mean(z))

    @torch.inference_mode()
    def encode(self, images_BCHW: Tensor) -> Float32:
        """Posterior means z_BD of uint8 pictures."""
        model = self._network()
        mean = model.encode(self._seen(images_BCHW)).mean
        if not isinstance(mean, torch.Tensor):
            raise UserError(
                "This model encodes a picture to several levels.",
                "Choose a model with a single latent point.",
            )
        return mean.float().cpu().numpy()

    @torch.inference_mode()
    def reconstruct(self, images_BCHW: Tensor) -> tuple[UInt8, UInt8]:
        """What the network sees of uint8 pictures under the run's protocol, and their decoded posterior means."""
        model = self._network()
        seen_BCHW = self._seen(images_BCHW)
        return as_pictures(seen_BCHW), as_pictures(model.decode(model.encode(seen_BCHW).mean).mean_BCHW)

    def _seen(self, images_BCHW: Tensor) -> Tensor:
        # The same draw each time, so that a binarised picture does not flicker while the model learns.
        noise = torch.Generator(device=self._device()).manual_seed(DISPLAY_SEED)
        return apply_protocol(self._adopted().protocol, images_BCHW.to(self._device()), noise)

    @torch.inference_mode()
    def sample(self, num: int, seed: int) -> UInt8:
        """The first `num` (at most 400) decoded draws from the prior, by a generator of their own.

        Raises UserError for a model without a prior.
        """
        model = self._network()
        if not self.record.has_prior:
            raise UserError(
                f"The model “{self.record.title}” has no prior to sample from.", "Choose a variational model."
            )
        generator = torch.Generator(self._device()).manual_seed(seed)
        z = model.sample_prior(MAX_SAMPLES, generator)
        first = z[:num] if isinstance(z, torch.Tensor) else tuple(level[:num] for level in z)
        return as_pictures(model.decode(first).mean_BCHW)

    @torch.inference_mode()
    def log_prior(self, z_ND: Floats) -> NDArray[np.float64] | None:
        """log p(z) in nats, (N,); None for a model without a prior."""
        if not self.record.has_prior:
            return None
        z = torch.from_numpy(np.ascontiguousarray(z_ND, dtype=np.float32)).to(self._device())
        return self._network().log_prior(z).double().cpu().numpy()

    def codes(self) -> Float32 | None:
        """The posterior mean of every item by item id, (N, D) float32; None for a model without codes."""
        codes = self._adopted().codes_ND
        if self._codes_ND is None and codes is not None:
            self._codes_ND = codes.detach().float().cpu().numpy()
        return self._codes_ND

    def _mean(self, z_ND: Tensor) -> Tensor:
        model = self._network()
        if len(z_ND) <= _DECODE_BATCH:
            return model.decode(z_ND).mean_BCHW
        return torch.cat([model.decode(z_BD).mean_BCHW for z_BD in torch.split(z_ND, _DECODE_BATCH)])

    def _adopted(self) -> Snapshot:
        if self.snapshot is None:
            raise UserError("There is no model to look at yet.", "Wait until the model has been prepared.")
        return self.snapshot

    def _network(self) -> LatentModel:
        self._adopted()
        assert self._model is not None
        return self._model

    def _device(self) -> torch.device:
        return next(self._network().parameters()).device


def as_pictures(x_NCHW: Tensor) -> UInt8:
    """Float pictures in [0, 1] as uint8 numpy, (N, H, W) for one channel, else (N, H, W, C)."""
    pixels = (x_NCHW.clamp(0.0, 1.0) * 255.0 + 0.5).to(torch.uint8)
    pixels = pixels[:, 0] if pixels.shape[1] == 1 else pixels.movedim(1, -1)
    return pixels.contiguous().cpu().numpy()
