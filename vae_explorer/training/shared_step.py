"""A training step that several processes take together, each on its rows of the batch.

Whatever is averaged over images is averaged over the parts by their size, so the step is that of one process but for
the rounding of sums. Noise is drawn for the whole batch everywhere (`draws`), a codebook sees the whole batch
(`Batch.whole`), and what looks at a batch in another way cannot be shared (`require_shareable`).
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from vae_explorer.draws import Part, PartGenerator
from vae_explorer.errors import SettingError
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.codebook import Codebook
from vae_explorer.training.step import TrainingStep

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.models.interface import Batch, LatentModel, Objective
    from vae_explorer.training.processes import Processes
    from vae_explorer.training.run_config import RunConfig


class StepCalledOff(Exception):
    """The first process took the step back, since it has something to say."""


class SharedStep(TrainingStep):
    """The step of `TrainingStep`, on any device, with the others.

    Where it raises LostProcessError, StepCalledOff or anything else, weights, buffers and generators are as before.
    `calls_off` is for the first process: its next step is computed by all, and then taken back by all.
    """

    calls_off = False

    def __init__(
        self,
        model: LatentModel,
        *args: Any,
        processes: Processes,
        noise: torch.Generator,
        data_noise: torch.Generator,
        **more: Any,
    ) -> None:
        self._draws = (PartGenerator.in_state_of(noise), PartGenerator.in_state_of(data_noise))
        super().__init__(model, *args, noise=self._draws[0], data_noise=self._draws[1], **more)
        self.processes = processes
        self._part = processes.part_of(1)
        codebooks = [module.codes_KD for module in model.modules() if isinstance(module, Codebook)]
        self._changed_by_objective = [*model.buffers(), *codebooks]

    def __call__(self, index_B: Tensor) -> Tensor:
        """As `TrainingStep.__call__`, of the ids of the whole batch; the row and the codes are those of all of it."""
        before = [tensor.detach().clone() for tensor in self._changed_by_objective]
        states = [generator.get_state() for generator in self._draws]
        try:
            return super().__call__(index_B)
        except BaseException:
            with torch.no_grad():
                for tensor, value in zip(self._changed_by_objective, before, strict=True):
                    tensor.copy_(value)
            for generator, state in zip(self._draws, states, strict=True):
                generator.set_state(state)
            raise

    def training_batch(self, index_B: Tensor) -> Batch:
        """The rows of this process."""
        self._part = self.processes.part_of(len(index_B))
        for generator in self._draws:
            generator.part = self._part
        batch = self.batch_of(self._part.of(index_B), self.data_noise)
        return dataclasses.replace(batch, gather=partial(self._whole, self._part))

    def of_whole_batch(self, objective: Objective) -> Objective:
        """Gradients, loss, terms and codes of all parts, in one exchange."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        kl = [] if objective.kl_D is None else [objective.kl_D]
        means = [*gradients, objective.loss.detach(), *objective.terms.values(), *kl]
        sums = torch.cat([value.float().flatten() for value in means])
        # Not times 0, which would keep what is not finite.
        sums = sums.mul_(self._part.share) if self._part.counts else torch.zeros_like(sums)
        codes = [] if objective.codes_BD is None else [self._among_zeros(self._part, objective.codes_BD.float())]
        goes_on = sums.new_full((1,), float(self.processes.is_first and not self.calls_off))
        everything = torch.cat([sums, *(rows.flatten() for rows in codes), goes_on])
        self.processes.add_up(everything)
        if not bool(everything[-1]):
            raise StepCalledOff
        found = everything.split([value.numel() for value in (*means, *codes, goes_on)])
        for gradient, value in zip(gradients, found, strict=False):
            gradient.copy_(value.view_as(gradient))
        loss, *rest = found[len(gradients) :]
        terms = {name: value.squeeze(0) for name, value in zip(objective.terms, rest, strict=False)}
        return dataclasses.replace(
            objective,
            loss=loss.squeeze(0),
            terms=terms,
            kl_D=rest[len(terms)] if kl else None,
            codes_BD=found[len(means)].view_as(codes[0]) if codes else None,
        )

    def _whole(self, part: Part, rows_B: Tensor) -> Tensor:
        whole_B = self._among_zeros(part, rows_B)
        self.processes.add_up(whole_B)
        return whole_B

    def _among_zeros(self, part: Part, rows_B: Tensor) -> Tensor:
        whole_B = rows_B.new_zeros(part.whole, *rows_B.shape[1:])
        if part.counts:
            part.of(whole_B).copy_(rows_B)
        return whole_B


def require_shareable(config: RunConfig) -> None:
    """Raise SettingError where a step is more than means over images, so that parts of a batch do not make it."""
    record, model = MODELS[config.model_name], config.model
    alone = "train it in one process, without torchrun"
    obstacles = (
        (
            record.is_fitted, "model.name",
            f"The model “{record.title}” is worked out from all images at once and not by gradients",
            f"It takes seconds to minutes: {alone}",
        ),
        (
            record.name == "beta-tcvae", "model.name",
            f"The loss of “{record.title}” compares each image with all others of the batch",
            f"Choose beta-vae, or {alone}",
        ),
        (
            getattr(model, "normalisation", "") == "batch", "model.normalisation",
            "Batch normalisation needs the whole batch in one process", f"Choose layer, or {alone}",
        ),
        (
            getattr(model, "free_bits", 0.0) > 0, "model.free_bits",
            "Free bits are counted on the KL of the whole batch", f"Set them to 0, or {alone}",
        ),
        (
            config.data.protocol == "gaussian" and getattr(model, "gaussian_variance", "") == "optimal",
            "model.gaussian_variance", "The optimal variance is that of the whole batch", f"Choose learned, or {alone}",
        ),
    )  # fmt: skip
    for is_met, key, message, hint in obstacles:
        if is_met:
            raise SettingError(key, f"{message}, so several processes cannot share it.", f"{hint}.")
