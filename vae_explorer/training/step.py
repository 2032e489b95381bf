"""One training step: gather, objective, backward, Adam, and one row of numbers that stays on the device.

Nothing here waits for the device: whether a step was finite is decided there, and the row is read with the others of
its chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from vae_explorer.datasets.protocols import apply_protocol
from vae_explorer.models.interface import Batch

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.models.interface import LatentModel, Objective
    from vae_explorer.training.weight_average import WeightAverage

OWN_COLUMNS = ("beta", "learning_rate", "gradient_norm", "skipped")
"""What a row holds after the model's terms; `skipped` is 1 where the step was not finite and changed nothing."""

WARMUP_STEPS = 3
"""Steps before capture, which CUDA graphs need so that every lazy allocation has happened."""


class TrainingStep:
    """Eager step on any device.

    `learning_rate` and `beta` are 0-d tensors on the device that the loop fills before each step.
    """

    def __init__(
        self,
        model: LatentModel,
        dataset: ImageDataset,
        *,
        protocol: str,
        term_names: tuple[str, ...],
        precision: torch.dtype,
        gradient_clip_norm: float,
        adam_beta2: float,
        noise: torch.Generator,
        data_noise: torch.Generator,
        codes_ND: Tensor | None,
        average: WeightAverage | None = None,
    ) -> None:
        self.device = next(model.parameters()).device
        self.model = model
        self.dataset = dataset
        self.protocol = protocol
        self.term_names = term_names
        self.precision = precision
        self.gradient_clip_norm = gradient_clip_norm
        self.noise = noise
        self.data_noise = data_noise
        self.codes_ND = codes_ND
        self.average = average
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.learning_rate = torch.zeros((), device=self.device)
        self.beta = torch.ones((), device=self.device)
        self.optimiser = make_optimiser(self.parameters, self.learning_rate, adam_beta2) if self.parameters else None
        self.kl_D: Tensor | None = None

    @property
    def looked_at(self) -> LatentModel:
        """The network that is measured, shown and kept: the averaged one where there is an average."""
        return self.model if self.average is None else self.average.model

    def _statistics(self) -> dict[str, Tensor]:
        """What the model takes up beside its gradients (running means and the like)."""
        return {name: buffer for name, buffer in self.model.named_buffers() if buffer.is_floating_point()}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a row's numbers."""
        return self.term_names + OWN_COLUMNS

    def __call__(self, index_B: Tensor) -> Tensor:
        """Train on the items of these ids; returns the row, float32 (columns,), on the device."""
        batch = self.training_batch(index_B)
        statistics = {name: buffer.clone() for name, buffer in self._statistics().items()}
        with self.autocast():
            objective = self.model.objective(batch, self.beta, self.noise)
        for parameter in self.parameters:
            parameter.grad = None
        objective.loss.backward()
        with torch.no_grad():
            objective = self.of_whole_batch(objective)
            norm = self._gradient_norm()
            skipped = 1.0 - torch.isfinite(norm + objective.loss.detach()).float()
            self._shorten_gradients(norm)
            # The fused Adam reads `found_inf` on the device and leaves weights, moments and count alone where it is
            # 1: the door that torch's own gradient scaler uses, and the only one that skips a step without waiting
            # for the device.
            assert self.optimiser is not None
            self.optimiser.found_inf = skipped  # type: ignore[attr-defined]
            self.optimiser.step()
            for name, buffer in self._statistics().items():
                buffer.copy_(torch.where(skipped > 0, statistics[name], buffer))
            if self.average is not None:
                self.average.take_in(self.model)
            return self.row_of(index_B, objective, norm, skipped)

    def batch_of(self, index_B: Tensor, data_noise: torch.Generator) -> Batch:
        """The items of these ids as the model sees them."""
        x_BCHW = apply_protocol(self.protocol, self.dataset.images.gather(index_B), data_noise)
        labels = self.dataset.labels_N
        return Batch(x_BCHW, index_B, None if labels is None else labels.index_select(0, index_B))

    def training_batch(self, index_B: Tensor) -> Batch:
        """What of these items this process works on: all of them."""
        return self.batch_of(index_B, self.data_noise)

    def of_whole_batch(self, objective: Objective) -> Objective:
        """The objective and, in place, the gradients of all items, after those of `training_batch`: the same."""
        return objective

    def row_of(self, index_B: Tensor, objective: Objective, norm: Tensor, skipped: Tensor) -> Tensor:
        """Keep the codes and the KL that the step computed anyway, so that the map of all items is free."""
        if self.codes_ND is not None and objective.codes_BD is not None:
            self.codes_ND.index_copy_(0, index_B, objective.codes_BD.float())
        self.kl_D = objective.kl_D
        terms = [objective.terms[name].float() for name in self.term_names]
        return torch.stack([*terms, self.beta, self.learning_rate, norm, skipped])

    def end_epoch(self) -> bool:
        """After each pass over the training images; True where the coming steps do something else."""
        return self.model.end_epoch()

    def autocast(self) -> torch.autocast:
        """Matrix products in the run's precision, everything else in float32."""
        low = self.precision != torch.float32
        return torch.autocast(self.device.type, dtype=self.precision if low else torch.bfloat16, enabled=low)

    def _gradient_norm(self) -> Tensor:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        return norm

    def _shorten_gradients(self, norm: Tensor) -> None:
        if self.gradient_clip_norm > 0:
            factor = torch.clamp(self.gradient_clip_norm / (norm + 1e-6), max=1.0)
            torch._foreach_mul_([p.grad for p in self.parameters if p.grad is not None], factor)


class FittedStep(TrainingStep):
    """A step of a model that is fitted from statistics of the data: no gradient and no optimiser."""

    _version = -1

    def __call__(self, index_B: Tensor) -> Tensor:
        """Let the model take up the items of these ids; returns the row as `TrainingStep.__call__`."""
        with torch.no_grad():
            objective = self.model.learn(self.batch_of(index_B, self.data_noise))
            zero = torch.zeros((), device=self.device)
            return self.row_of(index_B, objective, zero, zero)

    def has_new_weights(self) -> bool:
        """Whether the weights were worked out anew since this was last asked; True the first time."""
        version = sum(parameter._version for parameter in self.model.parameters())
        is_new, self._version = version != self._version, version
        return is_new


def make_optimiser(parameters: list[torch.nn.Parameter], learning_rate: Tensor, beta2: float) -> torch.optim.Adam:
    """Fused Adam whose learning rate is a tensor on the device, so that a captured step can follow a schedule."""
    on_cuda = learning_rate.device.type == "cuda"
    return torch.optim.Adam(parameters, lr=learning_rate, betas=(0.9, beta2), fused=True, capturable=on_cuda)


class CapturedStep:
    """The same step recorded once as a CUDA graph and replayed: one launch instead of about a hundred.

    Only whole batches are replayed; the shorter last one of an epoch runs eagerly.
    """

    def __init__(self, step: TrainingStep, batch_size: int) -> None:
        self.step = step
        self.batch_size = batch_size
        self._index_B = torch.zeros(batch_size, dtype=torch.int64, device=step.device)
        self._row: Tensor | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._eager_steps = 0

    def __call__(self, index_B: Tensor) -> Tensor:
        """As `TrainingStep.__call__`; the row is overwritten by the next call."""
        if len(index_B) != self.batch_size:
            return self.step(index_B)
        if self._graph is None:
            if self._eager_steps < WARMUP_STEPS:
                self._eager_steps += 1
                return self._on_side_stream(index_B)
            self._capture()
        self._index_B.copy_(index_B)
        assert self._graph is not None
        assert self._row is not None
        self._graph.replay()
        return self._row

    def forget(self) -> None:
        """Record anew at the next step, because steps do something else from now on."""
        self._graph, self._row, self._eager_steps = None, None, 0

    def _on_side_stream(self, index_B: Tensor) -> Tensor:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            row = self.step(index_B)
        torch.cuda.current_stream().wait_stream(stream)
        return row

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        for generator in (self.step.noise, self.step.data_noise):
            graph.register_generator_state(generator)
        # Other threads (the explorer's) may use the device meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._row = self.step(self._index_B)
        self._graph = graph


def flat_optimiser_state(optimiser: torch.optim.Optimizer | None) -> dict[str, Tensor]:
    """The moments and counts as CPU tensors by `parameter number.name`, as a checkpoint keeps them."""
    if optimiser is None:
        return {}
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": value.detach().to("cpu", copy=True)
        for number, entries in state.items()
        for name, value in entries.items()
    }


def load_flat_optimiser_state(optimiser: torch.optim.Optimizer | None, flat: Mapping[str, Tensor]) -> None:
    """The inverse of `flat_optimiser_state`, in place; the parameters' order must be the same."""
    if optimiser is None:
        return
    restored = optimiser.state_dict()
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        number, name = key.split(".", 1)
        entries.setdefault(int(number), {})[name] = value.clone()
    learning_rates = [group["lr"] for group in optimiser.param_groups]
    optimiser.load_state_dict({**restored, "state": entries})
    for group, learning_rate in zip(optimiser.param_groups, learning_rates, strict=True):
        group["lr"] = learning_rate  # loading copies the tensor that the loop fills
