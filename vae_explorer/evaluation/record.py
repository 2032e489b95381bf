"""What a measure says of itself, and what a measured value carries, as frozen records; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Need = Literal[
    "likelihood",  # decode gives p(x|z)
    "prior",  # p(z) is known and can be sampled
    "codes",  # encode gives a point of R^d
    "codebook",  # encode gives a grid of codes
    "corruption",  # the model is trained to undo one
    "told class",  # the model is told the class
    "given part",  # the model is told a part of the picture
    "Gaussian posterior",  # q(z|x) is a diagonal Gaussian
    "standard normal prior",
    "plane",  # one or two latent dimensions, summed over on a grid
    "more than two dimensions",
    "density",  # log p(x) in closed form
    "likelihood protocol",  # the protocol's score is a likelihood
    "pictures",  # items are pictures, not points of the plane
    "labels",
    "factors",  # the data set knows what each picture was made from
    "training images",
    "unseen images",  # not those that were trained on
    "trees",  # scikit-learn is installed
]
Group = Literal["likelihood", "latent space", "disentanglement", "reconstruction", "samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of an evaluation and what it asks of model, data and protocol.

    `take` is the function that takes it, as "module:function": it is given an `Evaluation` and gives an `Outcome`, and
    its module is imported when it is called. `cost` says in words how long it takes and what that grows with.
    `default_samples` is S, k or the number of generated pictures (0: draws nothing); `default_limit` the number of
    images where the person names none (0: all); `by_default` whether it is taken when no measure is named.
    """

    name: str
    title: str
    summary: str
    reference: str
    unit: str
    better: Literal["lower", "higher", "neither"]
    group: Group
    needs: frozenset[Need]
    take: str
    cost: str
    default_samples: int = 0
    default_limit: int = 0
    by_default: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A measured value with all that it takes to compare it honestly; `standard_error` is over the images."""

    name: str
    value: float
    unit: str
    better: str
    protocol: str
    bound: str | None
    samples: int | None
    n: int
    split: str
    seed: int
    standard_error: float | None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The object of `evaluate --json`; `detail` is there only where a measure has more to say."""
        names = (
            "name", "value", "unit", "better", "protocol", "bound", "samples", "n", "split", "seed", "standard_error",
        )  # fmt: skip
        record = {name: getattr(self, name) for name in names}
        return record | ({"detail": dict(self.detail)} if self.detail else {})
