"""The program from Python, for notebooks and scripts: `import vae_explorer as vx`.

    run = vx.train({"preset": "tutorial-2d", "training.epochs": 5}, "my-run")
    run = vx.open_run("my-run")
    codes = run.encode(images)

Pictures and latents go in and come out as numpy arrays. Legend: N items, C channels, H height, W width, D latent
dimensions.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.datasets.protocols import apply_protocol, fixed_draw
from vae_explorer.errors import UserError
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.ex_post_density import fit_ex_post_density
from vae_explorer.notebook_arguments import numbers_in, path_of, whole_number
from vae_explorer.runs.beginning import run_from
from vae_explorer.runs.checkpoint import LoadedModel, model_from_run
from vae_explorer.runs.ending import Ending
from vae_explorer.runs.history import read_metrics
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory, read_any_config
from vae_explorer.runs.run_images import load_run_images, load_training_images
from vae_explorer.runs.start_weights import read_start_weights
from vae_explorer.training.control import Control
from vae_explorer.training.hardware import choose_device
from vae_explorer.training.run_config import RunConfig, default_config, load_preset, preset_names, with_value
from vae_explorer.training.trainer import Trainer

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.record import ModelRecord
    from vae_explorer.runs.history import Metrics

Config: TypeAlias = "RunConfig | str | PathLike[str] | Mapping[str, object]"
Float32 = NDArray[np.float32]

_PRESET = "preset"
_CHOSEN_FIRST = ("model.name", "data.dataset")  # which other settings there are depends on them
_SHOWN_SEED = 0
_AT_ONCE = 1000
_LARGEST = 2**63 - 1
_MOST_SAMPLES = 10_000_000


def train(
    config: Config, run_dir: str | PathLike[str] | None = None, *, weights: str | PathLike[str] | None = None
) -> Run:
    """Train to the end and return the run, which is recorded in `run_dir` or, without it, in a new folder.

    `config` is a preset's name, a TOML file or another run's folder, or a mapping of settings such as
    `{"preset": "tutorial", "training.epochs": 5}`, which changes a preset (without the word, the default one).
    `weights` is a safetensors file to start from. An interrupt (Ctrl+C, the stop button of a notebook) ends training
    after the step in hand, saved.

    Raises:
        UserError: a setting, the data, the device or the folder cannot be used, the numbers ran away, or the last
            checkpoint could not be written.
    """
    resolved = _resolved(config)
    start = None if weights is None else read_start_weights(path_of(weights, "weights"), resolved)
    folder = None if run_dir is None else path_of(run_dir, "run_dir")
    dataset = load_training_images(resolved, choose_device(resolved.training.device))
    directory = RunDirectory.create(resolved, folder)
    control, ending = Control(), Ending()
    try:
        trainer = Trainer(resolved, dataset, directory.name)
        with (
            _stopping_on_interrupt(control.stop),
            contextlib.closing(record(run_from(start, trainer, control, directory), directory)) as events,
        ):
            for event in events:
                ending.look(event, control)
    except BaseException:
        directory.discard_unused()
        raise
    ending.raise_if_bad(directory)
    return Run(directory)


def open_run(path: str | PathLike[str]) -> Run:
    """The run in that folder. Raises FileError where there is none that this version can read."""
    return Run(RunDirectory.open(path_of(path, "path")))


class Run:
    """A run on disk: its curves, and its model as of the newest checkpoint when it was first asked for.

    Methods raise UserError where the model cannot do it or what they are given does not fit, and FileError where the
    run has no checkpoint yet or a damaged one.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def __repr__(self) -> str:
        config = self.config
        return f"<Run {self.name}: {config.model_name} on {config.data.dataset}, {config.data.protocol}>"

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._directory.path

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self._directory.name

    @property
    def config(self) -> RunConfig:
        """The complete configuration."""
        return self._directory.config

    @property
    def metrics(self) -> Metrics:
        """The curves so far: `run.metrics.of("heldout")["elbo"]` is an array with a number a report."""
        return read_metrics(self._directory)

    @property
    def model(self) -> LatentModel:
        """The network itself, in evaluation mode, for everything that the methods do not do."""
        return self._loaded.model

    @property
    def step(self) -> int:
        """The step of the model's checkpoint."""
        return self._loaded.step

    def images(self, split: str = "test", limit: int | None = None) -> tuple[Float32, NDArray[np.int64] | None]:
        """The first `limit` pictures of a split (`test`, `heldout` or `train`) as the model sees them, (N, C, H, W),
        and their classes, (N,), or None where the data set has none.
        """
        images = load_run_images(self.config, str(split), "cpu")
        num = images.num_images
        if limit is not None:
            num = min(whole_number(limit, "limit", 1, _LARGEST), num)
        labels = images.labels(0, num)
        return images.x(0, num).numpy(), None if labels is None else labels.numpy()

    def encode(self, images: ArrayLike, condition: ArrayLike | None = None) -> NDArray[Any]:
        """Where pictures are encoded to: the means of q(z|x), (N, D), or of a codebook grids of codes.

        Floating numbers are what the model sees, in [0, 1]; uint8 grey levels 0..255 become that under the run's
        protocol. Of one channel (N, H, W) will do. A model that is told the class is told `condition`, (N,) or one
        number for all.
        """
        x_NCHW = self._pictures(images)
        told = self.model.condition_of(x_NCHW, None) if self._record.condition == "part" else None
        if self._record.condition == "class":
            told = self._classes(condition, len(x_NCHW))
        with torch.inference_mode():
            parts = [
                cast("Tensor", self.model.encode(x_BCHW, told_B).mean) for x_BCHW, told_B in _batches(x_NCHW, told)
            ]
        return torch.cat(parts).cpu().numpy()

    def decode(self, z: ArrayLike, condition: ArrayLike | None = None) -> Float32:
        """The mean pictures of latents as `encode` gives them, (N, C, H, W).

        A model that is told the class is told `condition`, (N,) or one number for all; one that is told a part of the
        picture takes that from pictures (N, C, H, W).
        """
        shape = self.model.latent_space.shape
        z_N = torch.as_tensor(numbers_in(z, "Latents"), device=self._device)
        if z_N.shape[1:] != shape:
            raise UserError(
                f"Latents of the shape {tuple(z_N.shape)} are not of this model.",
                f"Give an array of the shape {('N', *shape)}.".replace("'", ""),
            )
        if not bool(torch.isfinite(z_N).all()):
            raise UserError("Latents hold numbers that are not finite.", "Give finite ones.")
        z_N = z_N.float() if self.model.latent_space.kind == "euclidean" else self._codes(z_N)
        with torch.inference_mode():
            told = self._told(condition, len(z_N))
            parts = [self.model.decode(z_B, told_B).mean_BCHW for z_B, told_B in _batches(z_N, told)]
        return torch.cat(parts).float().cpu().numpy()

    def sample(self, num: int, seed: int = 0, condition: ArrayLike | None = None) -> Float32:
        """The mean pictures of draws from the prior, (N, C, H, W); the same seed gives the same.

        A model without prior is sampled from a density that is fitted to the codes of its training images. A model that
        is told the class is told `condition`, or without it each class in turn; one that is told a part, those of
        pictures (N, C, H, W), or without them of held-out ones.
        """
        num, seed = whole_number(num, "num", 1, _MOST_SAMPLES), whole_number(seed, "seed", 0, _LARGEST)
        if not self._record.can_be_sampled:
            raise UserError(f"Pictures cannot be drawn from “{self._record.title}”.", "Take a model with a prior.")
        generator = torch.Generator(self._device).manual_seed(seed)
        with torch.inference_mode():
            told = self._told_in_turn(num) if condition is None else self._told(condition, num)
            if self._record.samples_ex_post:
                codes_ND = torch.from_numpy(self.encode(self.images("train")[0])).to(self._device)
                z_N = fit_ex_post_density(codes_ND).sample(num, generator)
            else:
                z_N = cast("Tensor", self.model.sample_prior(num, generator, told))
            parts = [self.model.decode(z_B, told_B).mean_BCHW for z_B, told_B in _batches(z_N, told)]
        return torch.cat(parts).float().cpu().numpy()

    @cached_property
    def _loaded(self) -> LoadedModel:
        return model_from_run(self.path, choose_device("auto"))

    @property
    def _record(self) -> ModelRecord:
        return MODELS[self.config.model_name]

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _pictures(self, images: ArrayLike) -> Tensor:
        """What the model sees of them, float32 (N, C, H, W) on its device."""
        space = DataSpace(DATASETS[self.config.data.dataset].image_shape)
        image_shape = space.image_shape
        stored = torch.as_tensor(numbers_in(images, "Pictures"), device=self._device)
        if stored.ndim == 3 and image_shape[0] == 1:
            stored = stored.unsqueeze(1)
        if stored.shape[1:] != image_shape or not (stored.is_floating_point() or stored.dtype == torch.uint8):
            kind = str(stored.dtype).removeprefix("torch.")
            raise UserError(
                f"Pictures of the shape {tuple(stored.shape)} and the type {kind} are not what this model takes.",
                f"Give floats in [0, 1] or uint8, of the shape {('N', *image_shape)}.".replace("'", ""),
            )
        if stored.is_floating_point():
            seen = stored.float()
            is_pixels = self.config.data.protocol != "gaussian" and not space.is_plane
            if not bool(torch.isfinite(seen).all()) or (is_pixels and not bool(((seen >= 0) & (seen <= 1)).all())):
                raise UserError(
                    "Pictures hold numbers that no pixel has.",
                    "Give finite floats in [0, 1], or grey levels from 0 to 255 as uint8.",
                )
            return seen
        return apply_protocol(self.config.data.protocol, stored, fixed_draw(stored, _SHOWN_SEED))

    def _codes(self, z_N: Tensor) -> Tensor:
        num_codes = self.model.latent_space.num_codes
        if z_N.is_floating_point() or (z_N.numel() and not 0 <= int(z_N.min()) <= int(z_N.max()) < num_codes):
            raise UserError("These are no codes of this model.", f"Give whole numbers from 0 to {num_codes - 1}.")
        return z_N.long()

    def _told(self, condition: ArrayLike | None, num: int) -> Tensor | None:
        """What the model is told of so many latents."""
        match self._record.condition:
            case "class":
                return self._classes(condition, num)
            case "part":
                if condition is None:
                    raise UserError("This model is told a part of every picture.", "Give condition=pictures.")
                x_NCHW = self._pictures(condition)
                x_NCHW = x_NCHW.expand(num, -1, -1, -1) if len(x_NCHW) == 1 else x_NCHW
                if len(x_NCHW) != num:
                    raise UserError(f"{len(x_NCHW)} pictures are given for {num} items.", "Give one, or one an item.")
                return self.model.condition_of(x_NCHW, None)
            case _:
                if condition is not None:
                    raise UserError("This model is told nothing beside its latents.", "Leave condition out.")
                return None

    def _classes(self, condition: ArrayLike | None, num: int) -> Tensor:
        num_classes = DATASETS[self.config.data.dataset].num_classes
        hint = f"Give condition=classes, whole numbers from 0 to {num_classes - 1}, one for all or one an item."
        if condition is None:
            raise UserError("This model is told the class of every item.", hint)
        classes = numbers_in(condition, "Classes")
        if not np.issubdtype(classes.dtype, np.integer) or classes.ndim > 1 or (classes.ndim and len(classes) != num):
            raise UserError(f"These are not the classes of {num} items.", hint)
        if classes.size and not 0 <= classes.min() <= classes.max() < num_classes:
            raise UserError("There is no such class.", hint)
        return torch.as_tensor(classes.astype(np.int64), device=self._device).expand(num)

    def _told_in_turn(self, num: int) -> Tensor | None:
        match self._record.condition:
            case "class":
                return torch.arange(num, device=self._device) % DATASETS[self.config.data.dataset].num_classes
            case "part":
                split = "heldout" if self.config.data.heldout_images else "train"
                shown, _ = self.images(split, num)
                return self._told(np.resize(shown, (num, *shown.shape[1:])), num)
            case _:
                return None


def _resolved(config: Config) -> RunConfig:
    match config:
        case RunConfig():
            return config
        case Mapping():
            settings: dict[Any, object] = dict(config)
            preset = settings.pop(_PRESET, None)
            strange = [path for path in settings if not isinstance(path, str)]
            if strange:
                raise UserError(f"{strange[0]!r:.80} names no setting.", "Write it as in 'training.epochs'.")
            resolved = default_config() if preset is None else load_preset(str(preset)).config
            for path in sorted(settings, key=lambda path: path not in _CHOSEN_FIRST):
                resolved = with_value(resolved, path, settings[path])
            return resolved
        case str() if config in preset_names():
            return load_preset(config).config
        case str() | PathLike():
            return read_any_config(path_of(config, "config"))
        case _:
            raise UserError(
                f"A configuration is no value of the type {type(config).__name__}.",
                "Give a preset's name, a file or folder, or a mapping such as {'training.epochs': 5}.",
            )


def _batches(values_N: Tensor, told_N: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    for start in range(0, max(1, len(values_N)), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        yield values_N[part], None if told_N is None else told_N[part]


@contextlib.contextmanager
def _stopping_on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGINT instead of raising KeyboardInterrupt; only the main thread hears of signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)
