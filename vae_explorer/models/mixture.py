"""Mixtures fitted by EM (Dempster, Laird & Rubin 1977): a component k of K made the item, and nobody saw which.

    p(x) = sum_k pi_k p(x|k),   r_k(x) = p(k|x) = pi_k p(x|k) / p(x)

E: responsibilities r under the weights as they are, by log-sum-exp, summed up over the batches of an epoch. M: at its
end, new weights from those sums. So one epoch is one EM step, and with a batch as large as the data one training step
is. With q = r the bound is the likelihood itself:

    log p(x) = E_r[log p(x|k)] - KL(r || pi)

Everything is kept in float64, where a step that is right never lowers the likelihood by more than rounding.

Legend: B batch, K components, P numbers an item.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vae_explorer.errors import SettingError
from vae_explorer.models.interface import Batch, LatentModel, Latents, LatentSpace, Likelihood, Objective

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace

LEAST_ITEMS = 1e-8
"""A component that is answerable for less than this many items keeps its shape; its weight goes to zero."""

MOST_CANDIDATES = 2000
"""Items of the first batch among which the first means are chosen, or K where that is more."""


@dataclass(frozen=True)
class Responsibilities:
    """The exact posterior p(k|x) of a batch. A component's number stands where other models have z, (B, 1, 1) int64."""

    log_r_BK: Tensor
    log_weight_K: Tensor

    @property
    def mean(self) -> Tensor:
        """The most probable component, (B, 1, 1)."""
        return self.log_r_BK.argmax(-1)[:, None, None]

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """A draw of the component, (B, 1, 1)."""
        return torch.multinomial(self.log_r_BK.exp(), 1, generator=generator)[:, :, None]

    def log_prob(self, z: Tensor, /) -> Tensor:
        """log p(k|x), (B,)."""
        return self.log_r_BK.gather(1, z.flatten(1))[:, 0]

    def kl(self) -> Tensor:
        """KL(p(k|x) || pi), (B,)."""
        return expectation(self.log_r_BK, self.log_r_BK - self.log_weight_K)


def expectation(log_r_BK: Tensor, value_BK: Tensor) -> Tensor:
    """sum_k r_k v_k, (B,), in which a component that is impossible counts nothing, whatever its value."""
    r_BK = log_r_BK.exp()
    return torch.where(r_BK > 0, r_BK * value_BK, 0.0).sum(-1)


class Mixture(LatentModel):
    """What mixtures share: first means from the data, the E step, the sums of an epoch, the bound.

    A subclass says how probable an item is under each component, what it sums up beside the responsibilities, and what
    follows from the sums.
    """

    seed: Tensor
    num_seeds: Tensor
    seed_KP: Tensor
    r_sum_K: Tensor

    def __init__(self, num_components: int, data_space: DataSpace) -> None:
        super().__init__()
        self.image_shape = data_space.image_shape
        self.latent_space = LatentSpace("codes", (1, 1), num_codes=num_components)
        shape = (num_components, data_space.num_pixels)
        self.weight_K = _weights(torch.full((num_components,), 1.0 / num_components))
        self.mean_KP = _weights(torch.full(shape, 0.5))
        # On the meta device, where the explorer builds, `torch.randint` would import seconds of Python first.
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64).random_(2**31))
        self.register_buffer("num_seeds", torch.zeros((), dtype=torch.int64))
        self.register_buffer("seed_KP", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("r_sum_K", torch.zeros(num_components, dtype=torch.float64))

    @abstractmethod
    def log_components(self, x_BP: Tensor) -> Tensor:
        """log p(x|k), (B, K) float64, of items (B, P) float64."""

    @abstractmethod
    def place(self, seed_KP: Tensor, x_BP: Tensor) -> None:
        """First components around these items of the data, of which (B, P) are more."""

    @abstractmethod
    def take_up(self, x_BP: Tensor, r_BK: Tensor) -> None:
        """Add items with their responsibilities to the sums of this epoch; `r_sum_K` is seen to."""

    @abstractmethod
    def maximise(self) -> None:
        """New components from the sums of this epoch, which it empties; `r_sum_K` and weights are seen to."""

    @property
    def rows_at_once(self) -> int:
        """Items that are worked on together, which bounds memory and changes no number but by rounding."""
        return 4096

    @property
    def num_components(self) -> int:
        """K."""
        return len(self.weight_K)

    @property
    def log_weight_K(self) -> Tensor:
        """log pi; minus infinity for a component that is out."""
        return self.weight_K.log()

    def start_from(self, mean_CHW: Tensor) -> None:
        """Until items are there to start from, every component stands at the mean."""
        self.mean_KP.copy_(mean_CHW.flatten().expand_as(self.mean_KP))

    # --- what it says of items

    def log_joint(self, x_BP: Tensor) -> Tensor:
        """log pi_k + log p(x|k), (B, K) float64, of items (B, P)."""
        parts = [self.log_components(part_BP) for part_BP in self._parts(x_BP)]
        return torch.cat(parts) + self.log_weight_K

    def log_density(self, x_BCHW: Tensor) -> Tensor:
        """log p(x), (B,) float64, in nats."""
        return torch.logsumexp(self.log_joint(x_BCHW.flatten(1)), -1)

    def responsibilities(self, x_BCHW: Tensor) -> Tensor:
        """p(k|x), (B, K) float64; rows sum to 1."""
        return torch.softmax(self.log_joint(x_BCHW.flatten(1)), -1)

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> Responsibilities:
        """p(k|x)."""
        return Responsibilities(torch.log_softmax(self.log_joint(x_BCHW.flatten(1)), -1), self.log_weight_K)

    @abstractmethod
    def decode(self, z: Latents, condition: Tensor | None = None) -> Likelihood:
        """p(x|k) of component numbers (B, 1, 1); its mean is the component's mean."""

    def log_prior(self, z: Latents, condition: Tensor | None = None) -> Tensor:
        """log pi_k, (B,)."""
        return self.log_weight_K[component_of(z)]

    def sample_prior(self, num: int, generator: torch.Generator | None, condition: Tensor | None = None) -> Tensor:
        """(num, 1, 1) component numbers drawn with their weights."""
        return torch.multinomial(self.weight_K, num, replacement=True, generator=generator)[:, None, None]

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """The likelihood and the bound with q = p(k|x), which is the same number."""
        return self._objective(self.log_joint(batch.x_BCHW.flatten(1)), beta)

    def _objective(self, log_joint_BK: Tensor, beta: Tensor) -> Objective:
        log_density_B = torch.logsumexp(log_joint_BK, -1)
        log_r_BK = log_joint_BK - log_density_B[:, None]
        log_weight_K = self.log_weight_K
        reconstruction = -expectation(log_r_BK, log_joint_BK - log_weight_K).mean()
        kl = expectation(log_r_BK, log_r_BK - log_weight_K).mean()
        terms = {
            "log_likelihood": log_density_B.mean(),
            "elbo": -(reconstruction + kl),
            "reconstruction": reconstruction,
            "kl": kl,
        }
        return Objective(loss=reconstruction + beta * kl, terms=terms)

    # --- EM

    def learn(self, batch: Batch) -> Objective:
        """The E step of a batch under the weights of this epoch; before the first, components are placed on items."""
        x_BP = batch.x_BCHW.flatten(1).double()
        if self.num_seeds < self.num_components:
            self._plant(x_BP)
        log_joint_BK = self.log_joint(x_BP)
        if self.num_seeds == self.num_components:
            r_BK = torch.softmax(log_joint_BK, -1)
            self.r_sum_K += r_BK.sum(0)
            for part_BP, r_part_BK in zip(self._parts(x_BP), self._parts(r_BK), strict=True):
                self.take_up(part_BP, r_part_BK)
        return self._objective(log_joint_BK, x_BP.new_ones(()))

    @torch.no_grad()
    def end_epoch(self) -> bool:
        """The M step."""
        total = self.r_sum_K.sum()
        if total == 0:  # the components are not all placed yet
            return False
        self.maximise()
        self.weight_K.copy_(self.r_sum_K / total)
        self.r_sum_K.zero_()
        return True

    def _parts(self, x_BP: Tensor) -> tuple[Tensor, ...]:
        if torch.compiler.is_compiling():  # an exported graph is for any number of items, and so of one part
            return (x_BP,)
        return tuple(torch.split(x_BP, self.rows_at_once))

    @torch.no_grad()
    def _plant(self, x_BP: Tensor) -> None:
        """Place components on items of this batch, all at once where it holds enough, else as many as it holds.

        All at once, they are drawn far from one another (k-means++: Arthur & Vassilvitskii 2007). Until all stand,
        those that do share the weight, and no item counts.
        """
        number, planted = self.num_components, int(self.num_seeds)
        if planted == 0 and len(x_BP) >= number:
            chosen_KP = self._far_apart(x_BP[: max(MOST_CANDIDATES, number)])
        else:
            chosen_KP = x_BP[: number - planted]
        after = planted + len(chosen_KP)
        self.seed_KP[planted:after] = chosen_KP
        self.num_seeds.fill_(after)
        self.weight_K.zero_()
        self.weight_K[:after] = 1.0 / after
        self.place(self.seed_KP[:after], x_BP)

    def _far_apart(self, x_BP: Tensor) -> Tensor:
        # Drawn on the CPU, so that a seed means the same on every device.
        generator = torch.Generator().manual_seed(int(self.seed))
        chosen = [int(torch.randint(len(x_BP), (), generator=generator))]
        square_B = squared_distances(x_BP, x_BP[chosen])[:, 0]
        for _ in range(self.num_components - 1):
            mass_B = square_B.cpu().cumsum(0)
            if mass_B[-1] > 0:
                target = torch.rand((), generator=generator, dtype=torch.float64) * mass_B[-1]
                pick = min(int(torch.searchsorted(mass_B, target, right=True)), len(x_BP) - 1)
            else:  # every item is on a component already
                pick = int(torch.randint(len(x_BP), (), generator=generator))
            chosen.append(pick)
            square_B = torch.minimum(square_B, squared_distances(x_BP, x_BP[pick : pick + 1])[:, 0])
        return x_BP[chosen]


def component_of(z: Latents) -> Tensor:
    """Component numbers (B,) from latents (B, 1, 1)."""
    assert isinstance(z, Tensor)
    return z.flatten()


def squared_distances(x_BP: Tensor, y_KP: Tensor) -> Tensor:
    """Squared distances (B, K), worked out as differences: exactly 0 for equal rows."""
    return torch.stack([(x_BP - y_P).square().sum(-1) for y_P in y_KP], -1)


def require_components(num_components: int, data_space: DataSpace) -> None:
    """Raise SettingError for more components than items, where the number of items is known."""
    if 0 < data_space.num_items < num_components:
        raise SettingError(
            "model.num_components",
            f"{num_components:,} components are more than the {data_space.num_items:,} items to learn from.",
            f"Choose at most {data_space.num_items:,}.",
        )


def _weights(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value.double(), requires_grad=False)
