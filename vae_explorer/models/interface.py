"""What every latent-variable model gives to the trainer, the explorer and the measures.

Legend of shapes: B batch, N items, C channels, H height, W width, D latent dimensions, S importance samples, K codes or
classes, L levels. Pictures are float in [0, 1]; log-probabilities and divergences are in nats, summed over pixels and
latents, one number an image.

The latents `z` of a model are what its `LatentSpace` says: one tensor (a point of R^d, a grid of code indices, a
sequence of points) or, for a hierarchy, a tuple of them from the top level down.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from torch import nn

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vae_explorer.models.gaussian import DiagonalGaussian

Latents: TypeAlias = "Tensor | tuple[Tensor, ...]"


@dataclass(frozen=True, slots=True)
class LatentSpace:
    """Where the latents live: R^d, a grid of codes, a sequence, or levels of these.

    `shape` is that of one item's latents: (d,) for `euclidean`, (rows, columns) for `codes`, (length, d) for
    `sequence`, () for `hierarchy`, whose `levels` say the rest from the top down. `num_codes` is the size of a
    codebook.
    """

    kind: Literal["euclidean", "codes", "sequence", "hierarchy"]
    shape: tuple[int, ...] = ()
    num_codes: int = 0
    levels: tuple[LatentSpace, ...] = ()

    @property
    def dimensions(self) -> int:
        """Number of coordinates of a point of R^d; 0 where the space is of another kind."""
        return self.shape[0] if self.kind == "euclidean" else 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch on the device: pictures under the run's protocol, item ids, and labels where the data set has them.

    Where several processes share it, these are the rows of this one, and `gather` makes the whole of any rows.
    """

    x_BCHW: Tensor
    index_B: Tensor
    label_B: Tensor | None = None
    gather: Callable[[Tensor], Tensor] | None = None

    def whole(self, rows_B: Tensor) -> Tensor:
        """What all processes that share the batch have of this, in the order of its rows, without gradients.

        For statistics that are no mean over images; they must all ask in the same order.
        """
        return rows_B.detach() if self.gather is None else self.gather(rows_B.detach())


@dataclass(frozen=True, slots=True)
class Objective:
    """What one step minimises and what it reports.

    `loss` and `terms` are 0-d tensors averaged over the batch; `terms` has the names of the record's terms and never
    contains beta. `kl_D` is the KL per latent dimension and `codes_BD` the posterior means, both detached, where the
    model has them. `standardised` are the posteriors where those are diagonal Gaussians, detached and in coordinates in
    which the prior is N(0, I), so that a held-out check can decompose the KL (`record.DECOMPOSITION_TERMS`).
    `code_counts_K` is how often each code of a codebook was used, for the term `perplexity`, which over many batches is
    that of all their counts and not the mean of theirs.
    """

    loss: Tensor
    terms: Mapping[str, Tensor]
    kl_D: Tensor | None = None
    codes_BD: Tensor | None = None
    standardised: DiagonalGaussian | None = None
    code_counts_K: Tensor | None = None


class Posterior(Protocol):
    """q(z|x) of a batch."""

    @property
    def mean(self) -> Latents:
        """The centre of q, which the map shows."""

    def sample(self, generator: torch.Generator | None) -> Latents:
        """One reparameterised draw an image."""

    def log_prob(self, z: Any, /) -> Tensor:
        """log q(z|x), shape (B,), of latents of the model's own kind."""

    def kl(self) -> Tensor:
        """KL(q(z|x) || p(z)), shape (B,)."""


class Decoded(Protocol):
    """What a latent point looks like. A plain autoencoder gives no more than this."""

    @property
    def mean_BCHW(self) -> Tensor:
        """Pictures in [0, 1]; under the protocol `gaussian` a linear mean may leave it, and points are anywhere."""


class Likelihood(Decoded, Protocol):
    """p(x|z) of a batch of latents."""

    def log_prob(self, x_BCHW: Tensor, /) -> Tensor:
        """log p(x|z), shape (B,)."""

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """A draw of pictures, (B, C, H, W), of the values that the protocol's pictures have."""


class LatentModel(nn.Module, ABC):
    """A model that the trainer can train and the map can decode.

    `condition` is what the model is told beside the picture, as its record's `condition` says: class numbers, int64
    (B,), or a given part of the picture; None for most. It is what `condition_of` makes of an item.
    """

    latent_space: LatentSpace
    has_effective_beta: bool = True
    """Whether the loss is a reconstruction plus a weight times the KL, so that the weight can be measured."""

    def condition_of(self, x_BCHW: Tensor, label_B: Tensor | None) -> Tensor | None:
        """What the model is told of these items; None for a model without condition."""
        return None

    def start_from(self, mean_CHW: Tensor) -> None:
        """Take what the first weights may know of the data: the mean of the training images, in [0, 1]."""

    @abstractmethod
    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """The loss and the terms of one step; `beta` is a 0-d tensor so that a captured step can follow it."""

    @abstractmethod
    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> Posterior:
        """q(z|x)."""

    @abstractmethod
    def decode(self, z: Latents, condition: Tensor | None = None) -> Decoded:
        """p(x|z) where the record says `has_likelihood`, else a picture."""

    def log_prior(self, z: Latents, condition: Tensor | None = None) -> Tensor:
        """log p(z), or log p(z|condition), shape (B,), where the record says `has_prior`."""
        raise TypeError(f"{type(self).__name__} has no prior")

    def sample_prior(self, num: int, generator: torch.Generator | None, condition: Tensor | None = None) -> Latents:
        """Draws from p(z), or p(z|condition), on the parameters' device, where the record says `has_prior`."""
        raise TypeError(f"{type(self).__name__} has no prior")

    def log_density(self, x_BCHW: Tensor) -> Tensor:
        """log p(x) in closed form, (B,) float64, where the record says `has_density`."""
        raise TypeError(f"{type(self).__name__} has no closed form of log p(x)")

    def corrupted(self, x_BCHW: Tensor, generator: torch.Generator | None) -> Tensor | None:
        """What a denoising model is shown in place of pictures, of the same shape; None for all others."""
        return None

    def learn(self, batch: Batch) -> Objective:
        """Take up the statistics of a batch, where the record says `is_fitted`; no gradients. `loss` is not used."""
        raise TypeError(f"{type(self).__name__} is trained by gradients")

    def end_epoch(self) -> bool:
        """Called after each pass over the training images; True where the coming steps do something else.

        Fitted models work out new weights here; a model that is trained in stages goes on to the next one.
        """
        return False
