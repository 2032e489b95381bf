"""The trainer: an iterator of events.

    trainer = Trainer(config, dataset)
    for event in trainer.run(control): ...

Whoever pulls the iterator owns the thread it runs in. It never yields inside `no_grad`, `inference_mode` or
`autocast`, since the mode would leak to the consumer.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import torch

from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.snapshot import Snapshot, take_snapshot
from vae_explorer.training.batches import EpochOrder
from vae_explorer.training.events import Event, SettingChanged, Started, TrainingState, Validated
from vae_explorer.training.following import dismiss, lead, tell_settings
from vae_explorer.training.frames import FrameTaking
from vae_explorer.training.hardware import (
    choose_device,
    choose_num_threads,
    choose_precision,
    device_title,
    generator_for,
    num_cores,
)
from vae_explorer.training.heldout import effective_beta, encode_items, mean_training_image, measure_heldout
from vae_explorer.training.loop import TrainingLoop
from vae_explorer.training.processes import ONLY, LostProcessError, Processes
from vae_explorer.training.schedules import beta_factor, learning_rate_factor
from vae_explorer.training.shared_step import SharedStep, StepCalledOff
from vae_explorer.training.state_check import require_fitting
from vae_explorer.training.step import (
    CapturedStep,
    FittedStep,
    TrainingStep,
    flat_optimiser_state,
    load_flat_optimiser_state,
)
from vae_explorer.training.weight_average import WeightAverage

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.training.control import Control
    from vae_explorer.training.run_config import RunConfig

_OWN = "own_weights."
"""Before the names of the weights that are trained, where the model of a state holds their average."""

LIVE_PATHS = ("training.learning_rate", "model.beta")


class Trainer:
    """One training of one model on one data set.

    Built and run in the same thread. `dataset` must lie on the device that `choose_device(config.training.device)`
    gives. `spare_cores` are left to others where the number of threads is chosen here; a window spares one. Of several
    `processes` the first runs and the others `following.follow`.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: ImageDataset,
        run_name: str = "",
        *,
        spare_cores: int = 0,
        processes: Processes = ONLY,
    ) -> None:
        self._spare_cores = spare_cores
        self.processes = processes
        self.config = config
        self.dataset = dataset
        self.run_name = run_name
        self.record = MODELS[config.model_name]
        self.device = choose_device(config.training.device)
        # Closed forms need every digit: nothing of a fitted model is worked out in bfloat16.
        wish = "float32" if self.record.is_fitted else config.training.precision
        self.precision = choose_precision(wish, self.device)
        seed = config.training.seed
        self.data_space = DataSpace(
            dataset.image_shape, dataset.num_classes, config.data.protocol, len(dataset.train_index_N)
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = build_model(config.model_name, config.model, self.data_space)
        model.start_from(mean_training_image(dataset))
        self.model = model.to(self.device)
        dimensions = self.model.latent_space.dimensions
        codes = None
        if self.record.has_codes:
            # An item that was never encoded has no place on the map, rather than one at the origin.
            codes = torch.full((dataset.images.num_images, dimensions), torch.nan, device=self.device)
        decay = config.training.ema_decay
        average = WeightAverage(self.model, decay) if decay > 0 and not self.record.is_fitted else None
        self.step = self._make_step(self.model, codes, average)
        self.order = EpochOrder(
            dataset.train_index_N, config.training.batch_size, generator_for(self.device, _stream(seed, 1))
        )
        self.learning_rate = config.training.learning_rate
        self.beta: float = getattr(config.model, "beta", 1.0)
        self.num_steps = 0
        self.images_seen = 0
        self.seconds = 0.0
        self.next_validation = 0  # images seen
        self.last_validation: dict[str, float] = {}
        self.num_threads = 0

    def _make_step(
        self, model: LatentModel, codes: torch.Tensor | None, average: WeightAverage | None = None
    ) -> TrainingStep:
        seed = self.config.training.seed
        kind: Callable[..., TrainingStep] = FittedStep if self.record.is_fitted else TrainingStep
        if self.processes.are_several:
            kind = partial(SharedStep, processes=self.processes)
        return kind(
            model,
            self.dataset,
            protocol=self.config.data.protocol,
            term_names=tuple(term.name for term in self.record.terms if not term.is_heldout_only),
            precision=self.precision,
            gradient_clip_norm=self.config.training.gradient_clip_norm,
            adam_beta2=self.config.training.adam_beta2,
            noise=generator_for(self.device, _stream(seed, 2)),
            data_noise=generator_for(self.device, _stream(seed, 3)),
            codes_ND=codes,
            average=average,
        )

    @property
    def total_images(self) -> int:
        """Images that the whole run will see."""
        return self.config.training.epochs * len(self.dataset.train_index_N)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run, those taken included; a fork may have begun with batches of another size."""
        epochs, rest = divmod(max(self.total_images - self.images_seen, 0), len(self.dataset.train_index_N))
        return self.num_steps + epochs * self.order.steps_per_epoch - (-rest // self.config.training.batch_size)

    @property
    def is_done(self) -> bool:
        """Whether every epoch has been trained."""
        return self.images_seen >= self.total_images

    @property
    def epoch(self) -> float:
        """Passes over the training images so far."""
        return self.images_seen / len(self.dataset.train_index_N)

    def encoded_snapshot(self) -> Snapshot:
        """The model as it stands with the codes of every item; for the map before training starts, or goes on."""
        if not self.record.is_fitted:  # whose codes every snapshot works out where the weights are new
            encode_items(self.step, _stream(self.config.training.seed, 4))
        return self.snapshot()

    def run(self, control: Control) -> Iterator[Event]:
        """Train until the epochs are done or `control` says stop; the last event is `Finished`."""
        step = self._runnable_step()
        if self.processes.are_several:
            lead(self)
        yield self._started()
        yield from TrainingLoop(self, control, step).run()

    def choose_threads(self) -> None:
        """Set the number of CPU threads of the steps to come, for the calling thread."""
        # A continued run keeps its number of threads, on which the last digit of every sum depends.
        wish = self.config.training.num_threads or self.num_threads
        if self.record.is_fitted:
            # A trial would work out eigenvalues, or be as long as an epoch, again and again.
            wish = wish or max(1, num_cores() - self._spare_cores)
        if self.processes.are_several:
            # Trials of several at the same time would only disturb one another.
            wish = wish or max(1, num_cores() // self.processes.num_local)
        self.num_threads = choose_num_threads(wish, self.device, self._spare_cores, self._trial_step)

    def _runnable_step(self) -> Callable[[torch.Tensor], torch.Tensor]:
        self.choose_threads()
        if self.device.type == "cuda" and not self.record.is_fitted and not self.processes.are_several:
            return CapturedStep(self.step, self.config.training.batch_size)
        return self.step

    def _trial_step(self) -> Callable[[], object]:
        step = self._make_step(copy.deepcopy(self.model), None)
        index_B = self.dataset.train_index_N[: self.config.training.batch_size]
        return lambda: step(index_B)

    def _started(self) -> Started:
        return Started(
            config=self.config,
            run_name=self.run_name,
            device=str(self.device),
            device_name=device_title(self.device),
            precision=str(self.precision).removeprefix("torch."),
            num_threads=self.num_threads,
            num_processes=self.processes.num,
            num_parameters=sum(p.numel() for p in self.model.parameters()),
            effective_beta=effective_beta(self.step, self.beta, getattr(self.config.model, "free_bits", 0.0)),
            num_train=len(self.dataset.train_index_N),
            num_heldout=len(self.dataset.heldout_index_N),
            steps_per_epoch=self.order.steps_per_epoch,
            total_steps=self.total_steps,
            start_step=self.num_steps,
        )

    def take_step(self, step: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Train on the next batch and return the row of the step. Where it cannot be taken together with the other
        processes (`SharedStep`), everything is as before it.
        """
        self.fill_schedules()
        index_B = self.order.next_batch()
        try:
            row = step(index_B)
        except (LostProcessError, StepCalledOff):
            self.order.put_back(len(index_B))
            raise
        self.num_steps += 1
        self.images_seen += len(index_B)
        if self.order.is_at_end and self.step.end_epoch() and isinstance(step, CapturedStep):
            step.forget()
        return row

    def dismiss_others(self) -> None:
        """After the last step. Raises LostProcessError where another process is not there any more."""
        if self.processes.are_several:
            dismiss(self)

    def fill_schedules(self) -> None:
        """Write the learning rate and beta of the coming step where the step reads them."""
        factor = learning_rate_factor(self.config.training.learning_rate_schedule, self.images_seen, self.total_images)
        self.step.learning_rate.fill_(self.learning_rate * factor)
        self.step.beta.fill_(self.current_beta)
        if self.step.average is not None:
            self.step.average.prepare(self.num_steps)

    @property
    def current_beta(self) -> float:
        """Beta of the coming step: the value asked for times its warm-up or its place in a cycle."""
        model = self.config.model
        warmup, cycles = getattr(model, "beta_warmup_images", 0), getattr(model, "beta_cycles", 0)
        return self.beta * beta_factor(self.images_seen, self.total_images, warmup, cycles)

    def live_value(self, path: str) -> float:
        """What a live setting is now."""
        assert path in LIVE_PATHS, f"{path} cannot be changed in a running training"
        value: float = getattr(self, path.split(".")[1])
        return value

    def change(self, path: str, value: float) -> SettingChanged:
        """Set a live setting; returns the event that says so."""
        old = self.live_value(path)
        setattr(self, path.split(".")[1], value)
        if self.processes.are_several:
            tell_settings(self)
        return SettingChanged(
            path=path, old=old, new=value, step=self.num_steps, images_seen=self.images_seen, seconds=self.seconds
        )

    def snapshot(self) -> Snapshot:
        """The model as it stands, with the codes of each item's last visit; of a fitted model, whose weights jump, with
        the codes of now.
        """
        if isinstance(self.step, FittedStep) and self.step.has_new_weights():
            encode_items(self.step, _stream(self.config.training.seed, 4))
        return take_snapshot(
            self.step.looked_at,
            self.step.codes_ND,
            run_name=self.run_name,
            model_name=self.config.model_name,
            model_config=self.config.model,
            data_space=self.data_space,
            step=self.num_steps,
            images_seen=self.images_seen,
            beta=self.current_beta,
        )

    def validate(self, index_N: torch.Tensor | None = None) -> Validated:
        """Measure on the held-out images, or on the items of these ids."""
        index_N = self.dataset.heldout_index_N if index_N is None else index_N
        found = measure_heldout(
            self.step,
            index_N,
            _stream(self.config.training.seed, 5),
            decomposes=any(term.is_heldout_only for term in self.record.terms),
        )
        self.last_validation = found.terms
        return Validated(
            step=self.num_steps,
            epoch=self.epoch,
            images_seen=self.images_seen,
            seconds=self.seconds,
            terms=found.terms,
            kl_D=None if found.kl_D is None else found.kl_D.numpy(),
            active_units=found.active_units,
            num_images=len(index_N),
        )

    def frame_taking(self) -> FrameTaking:
        """What takes the frames of a training that begins here."""
        return FrameTaking(
            self.step,
            wanted=self.config.recording.lookback_images,
            batch_size=self.config.training.batch_size,
            steps_per_epoch=self.order.steps_per_epoch,
            start_step=self.num_steps,
            seed=_stream(self.config.training.seed, 6),
        )

    def state(self) -> TrainingState | None:
        """Everything needed to continue, copied to the CPU; None where a weight is not finite."""
        with torch.no_grad():
            model = _on_cpu(self.step.looked_at)
            # Training goes on from the weights themselves, not from their average.
            own = {} if self.step.average is None else {_OWN + name: v for name, v in _on_cpu(self.model).items()}
            if not all(bool(torch.isfinite(value).all()) for value in (*model.values(), *own.values())):
                return None
            tensors = own | {
                "permutation": self.order.permutation_N.to("cpu", copy=True),
                "order_generator": self.order.generator.get_state(),
                "noise_generator": self.step.noise.get_state(),
                "data_noise_generator": self.step.data_noise.get_state(),
            }
            return TrainingState(
                model=model,
                optimiser=flat_optimiser_state(self.step.optimiser),
                tensors=tensors,
                progress={
                    "step": self.num_steps,
                    "epoch": self.epoch,
                    "position": self.order.position,
                    "images_seen": self.images_seen,
                    "seconds": self.seconds,
                    "learning_rate": self.learning_rate,
                    "beta": self.beta,
                    "next_validation": self.next_validation,
                    "num_threads": self.num_threads,
                    "num_processes": self.processes.num,
                }
                | self._heldout_score(),
            )

    def _restore_generator(self, generator: torch.Generator, state: TrainingState, name: str) -> None:
        kept = state.tensors[name]
        if _fits_generator(generator, kept):
            generator.set_state(kept)
        else:  # of another kind of device: a stream of its own, which no earlier step has drawn from
            generator.manual_seed(_stream(self.config.training.seed + 1 + int(state.progress["step"]), len(name)))

    def _heldout_score(self) -> dict[str, float]:
        """What the newest held-out check says of the weights in one number, by which the best checkpoint is kept.

        Nothing where there was no check, or its number is not finite.
        """
        judge = next((term for term in self.record.terms if term.better != "neither"), None)
        value = self.last_validation.get(judge.name) if judge is not None else None
        if judge is None or value is None or not math.isfinite(value):
            return {}
        return {"heldout_loss": -value if judge.better == "higher" else value}

    def restore(self, state: TrainingState) -> None:
        """Go back to a state taken from a trainer of the same configuration and data.

        From there on everything comes out as if it had never stopped, on the CPU bit for bit; on another kind of device
        than the state was left by, with other noise. Raises UserError for a state of something else.
        """
        require_fitting(self, state)
        self.step.looked_at.load_state_dict(dict(state.model))
        if self.step.average is not None:
            own = {name.removeprefix(_OWN): v for name, v in state.tensors.items() if name.startswith(_OWN)}
            self.model.load_state_dict(own)
        load_flat_optimiser_state(self.step.optimiser, state.optimiser)
        self.order.permutation_N = state.tensors["permutation"].to(self.device)
        self._restore_generator(self.order.generator, state, "order_generator")
        self._restore_generator(self.step.noise, state, "noise_generator")
        self._restore_generator(self.step.data_noise, state, "data_noise_generator")
        progress = state.progress
        self.num_steps, self.images_seen = int(progress["step"]), int(progress["images_seen"])
        self.order.position = int(progress["position"])
        self.seconds = float(progress["seconds"])
        self.learning_rate, self.beta = float(progress["learning_rate"]), float(progress["beta"])
        self.next_validation = int(progress.get("next_validation", self.images_seen))
        # Among another number of processes another number of threads is right.
        is_alike = int(progress.get("num_processes", 1)) == self.processes.num
        self.num_threads = int(progress.get("num_threads", 0)) if is_alike else 0


def _fits_generator(generator: torch.Generator, kept: torch.Tensor) -> bool:
    return kept.dtype == torch.uint8 and kept.shape == generator.get_state().shape


def _on_cpu(model: LatentModel) -> dict[str, torch.Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}


def _stream(seed: int, number: int) -> int:
    """A seed of its own for each purpose, so that drawing from one never shifts another."""
    return (seed * 1_000_003 + number * 7_919) % (2**63 - 1)
