"""The measures that there are, as frozen records; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vae_explorer.registry import Registry

Need = Literal["likelihood", "prior", "codes", "plane", "likelihood protocol"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of an evaluation and what it asks of model, data and protocol.

    `default_samples` is S or k (0: draws nothing); `default_limit` the number of images where the person names none
    (0: all); `by_default` whether it is taken when no measure is named.
    """

    name: str
    title: str
    summary: str
    reference: str
    unit: str
    better: Literal["lower", "higher", "neither"]
    needs: frozenset[Need]
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


MEASURES: Registry[Measure] = Registry("measure")

_AEVB = "Kingma & Welling, Auto-Encoding Variational Bayes, arXiv:1312.6114"

MEASURES.add(
    Measure(
        name="elbo", title="-ELBO", unit="nats per image", better="lower", default_samples=1, reference=_AEVB,
        summary="Negative evidence lower bound at beta 1 with S posterior samples: reconstruction plus KL.",
        needs=frozenset({"likelihood", "prior"}),
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="reconstruction", title="Reconstruction", unit="nats per image", better="lower", default_samples=1,
        reference=_AEVB, summary="The part of -ELBO that says how well pictures come back: -E_q[log p(x|z)].",
        needs=frozenset({"likelihood", "prior"}),
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="kl", title="KL", unit="nats per image", better="neither", reference=_AEVB,
        summary="The part of -ELBO that says how much the code tells: KL(q(z|x) || p(z)).",
        needs=frozenset({"likelihood", "prior"}),
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="active_units", title="Active units", unit="dimensions", better="neither",
        summary="Latent dimensions whose posterior mean varies by more than 0.01 over the whole split.",
        reference="Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, arXiv:1509.00519",
        needs=frozenset({"codes"}),
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="nll_quadrature", title="NLL by quadrature", unit="nats per image", better="lower",
        summary="Exact negative log-likelihood by a sum over a grid of the latent plane; for one or two dimensions.",
        reference="nbip/IWAE, tasks/task01.py (true posterior on a grid)",
        needs=frozenset({"likelihood", "prior", "plane", "likelihood protocol"}),
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="iwae", title="IWAE-k", unit="nats per image", better="lower", default_samples=500, default_limit=1000,
        summary="Upper bound on the negative log-likelihood with k importance samples, of the first 1,000 images.",
        reference="Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, arXiv:1509.00519",
        needs=frozenset({"likelihood", "prior", "likelihood protocol"}), by_default=False,
    )
)  # fmt: skip
