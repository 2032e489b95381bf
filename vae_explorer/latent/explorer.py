"""The explorer: decodes, encodes and samples with a network of its own, as of the last snapshot it adopted.

It belongs to one thread, the exploring thread in the window or whoever asks in a script; nothing it does
touches live weights, a generator of the training, or gradients. Pictures leave it as uint8 numpy, (N, H, W)
for one channel and (N, H, W, C) for more.

Legend: N items, B batch, C channels, H height, W width, D latent dimensions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.datasets.protocols import apply_protocol, fixed_draw
from vae_explorer.errors import UserError
from vae_explorer.latent.code_layer import CodeLayer
from vae_explorer.latent.manifold import DecodedManifold
from vae_explorer.latent.point_pictures import drawn, shown_levels
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.conditioned import under
from vae_explorer.models.ex_post_density import ExPostDensity, fit_ex_post_density
from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.gaussian_pixels import Gaussian

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.models.interface import LatentModel, Latents
    from vae_explorer.models.record import ModelRecord
    from vae_explorer.models.snapshot import Snapshot

UInt8 = NDArray[np.uint8]

DISPLAY_SEED = 0
"""Seed of what is drawn only to be looked at."""
Float32 = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]

# Latent points decoded in one call: enough to fill the cores, little enough to stay in their caches.
_DECODE_BATCH = 512

MAX_SAMPLES = 400
_GRIDS_TOGETHER = 50


class Explorer:
    """A network copy to look through. `snapshot` is the last one adopted, None before the first.

    `dataset` holds the images of its codes, None before one is shown. `cache` keeps what was derived from this
    snapshot and these images and is emptied with them; `lasting` outlives snapshots of one run, for what must not jump
    between them. `drawn` counts the calls of each layer.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.dataset: ImageDataset | None = None
        self.cache: dict[Hashable, Any] = {}
        self.lasting: dict[Hashable, Any] = {}
        self.drawn: Counter[str] = Counter()
        self.manifold = DecodedManifold()
        self.code_layer = CodeLayer()
        self._model: LatentModel | None = None
        self._built_for: tuple[object, ...] = ()
        self._codes_ND: Float32 | None = None

    def adopt(self, snapshot: Snapshot) -> None:
        """Look through these weights from now on. The snapshot is copied, never changed."""
        device = next(iter(snapshot.weights.values())).device
        built_for = (snapshot.model_name, snapshot.model_config, snapshot.data_space, device)
        if self._model is None or built_for != self._built_for:
            # On the meta device nothing is drawn: an initialisation here would take numbers from torch's
            # global generator, from which the training thread may be drawing the weights of a run at this
            # very moment.
            with torch.device("meta"):
                model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
            weights = {name: value.clone() for name, value in snapshot.weights.items()}
            model.load_state_dict(weights, assign=True)
            model.requires_grad_(False)
            model.eval()
            self._model, self._built_for = model, built_for
        else:
            self._model.load_state_dict(dict(snapshot.weights))
        before, self.snapshot = self.snapshot, snapshot
        if before is not None and _network_of(before) != _network_of(snapshot):
            self.lasting.clear()
        self._codes_ND = None
        self.cache.clear()

    def show_images(self, dataset: ImageDataset | None) -> None:
        """The images whose codes the snapshots hold; another set empties what was derived from the last."""
        if dataset is not self.dataset:
            self.dataset = dataset
            self.cache.clear()
            self.lasting.clear()

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
        """Posterior means z_BD of uint8 pictures that are no items, such as a person's own."""
        seen_BCHW = self._seen(images_BCHW)
        mean = self.network_for(seen_BCHW).encode(seen_BCHW).mean
        if not isinstance(mean, torch.Tensor):
            raise UserError(
                "This model encodes a picture to several levels.",
                "Choose a model with a single latent point.",
            )
        return mean.float().cpu().numpy()

    @property
    def network(self) -> LatentModel:
        """The network as places of the map are decoded: under the condition that is chosen, where it has one.

        In evaluation mode, no gradients on its weights. Raises UserError before the first snapshot.
        """
        if "network" not in self.cache:
            self.cache["network"] = under(self._network(), self._chosen_condition())
        network: LatentModel = self.cache["network"]
        return network

    def network_for(self, x_BCHW: Tensor, ids_B: NDArray[np.integer[Any]] | None = None) -> LatentModel:
        """The network told what belongs to these pictures as it sees them, row by row.

        Items of the data set, by their ids, have their own class or part; other pictures their own part, and the class
        that is chosen.
        """
        model = self._network()
        if not self.record.condition:
            return model
        with torch.no_grad():
            if self.record.condition == "class":
                if ids_B is None:
                    return self.network
                return under(model, self._labels_of(ids_B))
            return under(model, model.condition_of(x_BCHW, None))

    @torch.inference_mode()
    def decode_under_each_class(self, z_D: Floats) -> UInt8:
        """One latent point decoded as class 0, class 1 and so on, (K, H, W[, C]); the model's condition is a class."""
        label_K = torch.arange(self._adopted().data_space.num_classes, device=self._device())
        z_KD = torch.from_numpy(np.asarray(z_D, dtype=np.float32)).to(self._device()).expand(len(label_K), -1)
        return as_pictures(self._network().decode(z_KD, label_K).mean_BCHW)

    @property
    def device(self) -> torch.device:
        """Where the network lives."""
        return self._device()

    def stored(self, ids_B: NDArray[np.integer[Any]]) -> Tensor:
        """Items as stored, uint8 (float32 for points) (B, C, H, W) on the network's device.

        Raises UserError without images.
        """
        if self.dataset is None:
            raise UserError("The images behind these codes are not loaded.", "Wait until the data set has been read.")
        store = self.dataset.images
        index_B = torch.as_tensor(np.asarray(ids_B, dtype=np.int64), device=store.device)
        return store.gather(index_B).to(self._device())

    def pictures(self, ids_B: NDArray[np.integer[Any]]) -> Tensor:
        """What is shown of stored items, uint8 (B, C, H, W): pictures as they are, points of the plane drawn."""
        return shown_levels(self.stored(ids_B))

    def seen(self, ids_B: NDArray[np.integer[Any]]) -> Tensor:
        """What the network sees of these items under the run's protocol, float32 (B, C, H, W) in [0, 1]."""
        return self._seen(self.stored(ids_B))

    def posterior(self, x_BCHW: Tensor, ids_B: NDArray[np.integer[Any]] | None = None) -> DiagonalGaussian:
        """q(z|x) of pictures as the network sees them, told what `network_for` says.

        Raises UserError where q is no Gaussian in R^d.
        """
        posterior = self.network_for(x_BCHW, ids_B).encode(x_BCHW)
        if not isinstance(posterior, DiagonalGaussian):
            raise UserError(
                f"The model “{self.record.title}” has no Gaussian posterior.", "Choose a variational autoencoder."
            )
        return posterior

    @torch.inference_mode()
    def reconstruct(self, images_BCHW: Tensor, ids_B: NDArray[np.integer[Any]] | None = None) -> tuple[UInt8, ...]:
        """What the network sees of uint8 pictures under the run's protocol, and their decoded posterior means.

        Of a denoising model three: the pictures, what it is shown of them, and what it makes of that. A model with a
        condition is told what `network_for` says; `ids_B` are those of items.
        """
        seen_BCHW = self._seen(images_BCHW)
        network = self.network_for(seen_BCHW, ids_B)
        generator = torch.Generator(self._device()).manual_seed(DISPLAY_SEED)
        shown_BCHW = self._network().corrupted(seen_BCHW, generator)
        given_BCHW = seen_BCHW if shown_BCHW is None else shown_BCHW
        decoded = as_pictures(network.decode(network.encode(given_BCHW).mean).mean_BCHW)
        return (as_pictures(seen_BCHW), *(() if shown_BCHW is None else (as_pictures(shown_BCHW),)), decoded)

    def _chosen_condition(self) -> Tensor | None:
        """(1, ...) of the class, or of the item, that the adopted snapshot was told."""
        snapshot, kind = self._adopted(), self.record.condition
        if not kind:
            return None
        if kind == "class":
            told = snapshot.told if snapshot.told < snapshot.data_space.num_classes else 0
            return torch.tensor([told], device=self._device())
        if self.dataset is None:
            raise UserError("The images behind these codes are not loaded.", "Wait until the data set has been read.")
        told = snapshot.told if snapshot.told < self.dataset.images.num_images else 0
        with torch.no_grad():
            return self._network().condition_of(self.seen(np.array([told])), None)

    def _labels_of(self, ids_B: NDArray[np.integer[Any]]) -> Tensor:
        if self.dataset is None or self.dataset.labels_N is None:
            raise UserError("The classes of these images are not loaded.", "Wait until the data set has been read.")
        labels_N = self.dataset.labels_N
        index_B = torch.as_tensor(np.asarray(ids_B, dtype=np.int64), device=labels_N.device)
        return labels_N.index_select(0, index_B).to(self._device())

    def _seen(self, images_BCHW: Tensor) -> Tensor:
        # The same draw for every picture and each time: an item looks alike alone, in a batch, and at every step.
        images_BCHW = images_BCHW.to(self._device())
        return apply_protocol(self._adopted().protocol, images_BCHW, fixed_draw(images_BCHW, DISPLAY_SEED))

    @torch.inference_mode()
    def sample(self, num: int, seed: int) -> tuple[UInt8, NDArray[np.float64] | None]:
        """The first `num` (at most 400) draws from the prior decoded, by a generator of their own, and their points.

        Of a model without prior they are draws from the ex-post density of its codes. The points z_ND are None where
        latents are not points of R^D. Raises UserError for a model with neither prior nor codes.
        """
        first = self.drawn_latents(num, seed)
        z_ND = None
        if isinstance(first, torch.Tensor) and first.shape[1:] == (self.num_dimensions,):
            z_ND = first.double().cpu().numpy()
        return as_pictures(self.network.decode(first).mean_BCHW), z_ND

    @torch.inference_mode()
    def drawn_latents(self, num: int, seed: int) -> Latents:
        """The first `num` (at most 400) draws from the prior, or from the ex-post density of the codes.

        Raises UserError for a model with neither prior nor codes.
        """
        model = self.network
        if not self.record.can_be_sampled:
            raise UserError(
                f"The model “{self.record.title}” has no prior to sample from.", "Choose a variational model."
            )
        generator = torch.Generator(self._device()).manual_seed(seed)
        if self.record.samples_ex_post:
            return self._ex_post_density().sample(MAX_SAMPLES, generator)[:num]
        # Drawn as whole blocks, so that the i-th is the same however many are shown. Grids of codes are drawn cell by
        # cell, which takes too long for more than are wanted.
        is_slow = model.latent_space.kind == "codes"
        block = _GRIDS_TOGETHER if is_slow else MAX_SAMPLES
        num_blocks = -(-num // block) if is_slow else 1
        z = model.sample_prior(block, generator)
        for _ in range(num_blocks - 1):
            more = model.sample_prior(block, generator)
            assert isinstance(z, torch.Tensor)
            assert isinstance(more, torch.Tensor)
            z = torch.cat((z, more))
        return z[:num] if isinstance(z, torch.Tensor) else tuple(level[:num] for level in z)

    @torch.inference_mode()
    def log_prior(self, z_ND: Floats) -> NDArray[np.float64] | None:
        """log p(z) in nats, (N,); None for a model without a prior."""
        if not self.record.has_prior:
            return None
        z = torch.from_numpy(np.ascontiguousarray(z_ND, dtype=np.float32)).to(self._device())
        return self.network.log_prior(z).double().cpu().numpy()

    @torch.inference_mode()
    def noise_sigma(self, z_ND: Floats) -> NDArray[np.float64] | None:
        """Sigma of the white noise that a draw adds to each decoded mean, (N,), the root mean square over pixels.

        None for a likelihood that adds none.
        """
        if self._adopted().protocol != "gaussian":
            return None  # without decoding once more at every move of the mouse
        z = torch.from_numpy(np.ascontiguousarray(z_ND, dtype=np.float32)).to(self._device())
        decoded = self.network.decode(z)
        if not isinstance(decoded, Gaussian):
            return None
        variance_NP = decoded.sigma.square().expand_as(decoded.mean_BCHW).flatten(1)
        return variance_NP.double().mean(1).sqrt().cpu().numpy()

    def codes(self) -> Float32 | None:
        """The posterior mean of every item by item id, (N, D) float32; None for a model without codes."""
        codes = self._adopted().codes_ND
        if self._codes_ND is None and codes is not None:
            self._codes_ND = codes.detach().float().cpu().numpy()
        return self._codes_ND

    def _ex_post_density(self) -> ExPostDensity:
        """Fitted to the codes of this snapshot, starting from the density of the last one of this run."""
        known: ExPostDensity | None = self.cache.get("ex-post density")
        if known is None:
            codes_ND = self._adopted().codes_ND
            assert codes_ND is not None, "a model with codes gives them to its snapshots"
            known = fit_ex_post_density(codes_ND.float(), self.lasting.get("ex-post density"))
            self.cache["ex-post density"] = self.lasting["ex-post density"] = known
        return known

    def _mean(self, z_ND: Tensor) -> Tensor:
        model = self.network
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


def _network_of(snapshot: Snapshot) -> tuple[object, ...]:
    return snapshot.run_name, snapshot.model_name, snapshot.model_config


def as_pictures(x_NCHW: Tensor) -> UInt8:
    """Float pictures in [0, 1] as uint8 numpy, (N, H, W) for one channel, else (N, H, W, C).

    Points of the plane are drawn as pictures of the plane (`point_pictures`).
    """
    pixels = (drawn(x_NCHW).clamp(0.0, 1.0) * 255.0 + 0.5).to(torch.uint8)
    pixels = pixels[:, 0] if pixels.shape[1] == 1 else pixels.movedim(1, -1)
    return pixels.contiguous().cpu().numpy()
