"""From a model and images to measurements."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.errors import UserError
from vae_explorer.evaluation.bounds import (
    LOW_SAMPLE_SHARE,
    BoundParts,
    active_units,
    bound_parts,
    importance_weighted,
)
from vae_explorer.evaluation.measures import MEASURES, Measure, Measurement
from vae_explorer.evaluation.quadrature import HALF_WIDTH, POINTS_A_SIDE, negative_log_likelihood

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.record import ModelRecord

ROWS_AT_ONCE = 1000  # latents decoded together; bounds memory and changes no number


def obstacle(measure: Measure, record: ModelRecord, model: LatentModel, protocol: str) -> str:
    """Why the measure cannot be taken of this model under this protocol, in a sentence; empty where it can."""
    checks = {
        "likelihood": (record.has_likelihood, f"model '{record.name}' has no likelihood"),
        "prior": (record.has_prior, f"model '{record.name}' has no prior"),
        "codes": (record.has_codes, f"model '{record.name}' has no codes"),
        "plane": (model.latent_space.dimensions in POINTS_A_SIDE, "it is for one or two latent dimensions"),
        "likelihood protocol": (
            PROTOCOLS[protocol].is_likelihood, f"protocol '{protocol}' gives a score, not a likelihood",
        ),
    }  # fmt: skip
    for need in sorted(measure.needs):
        met, reason = checks[need]
        if not met:
            return f"{measure.title} cannot be measured here: {reason}."
    return ""


def applicable(record: ModelRecord, model: LatentModel, protocol: str) -> tuple[Measure, ...]:
    """The measures that can be taken, in the registry's order."""
    return tuple(measure for measure in MEASURES if not obstacle(measure, record, model, protocol))


def evaluate(
    model: LatentModel,
    record: ModelRecord,
    images: ScoredImages,
    *,
    measures: Sequence[str] = (),
    samples: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    rows_at_once: int = ROWS_AT_ONCE,
    started: Callable[[Measure], None] | None = None,
) -> tuple[Measurement, ...]:
    """Measure the model on the images, in the order asked for.

    Without names, all measures that apply and are taken by default. `samples` is S of the bound and k of IWAE; without
    it each takes its own default. `limit` takes the first images only. The model is in evaluation mode on the images'
    device. Raises UserError for an unknown measure or one that does not apply.
    """
    protocol = images.protocol
    if measures:
        chosen = [MEASURES[name] for name in measures]
    else:
        chosen = [measure for measure in applicable(record, model, protocol) if measure.by_default]
    for measure in chosen:
        if reason := obstacle(measure, record, model, protocol):
            others = ", ".join(item.name for item in applicable(record, model, protocol))
            raise UserError(reason, f"Choose from: {others}." if others else "Train another model.")
    taking = _Evaluation(model, images, samples, limit, seed, rows_at_once)
    results = []
    for measure in chosen:
        if started is not None:
            started(measure)
        results.append(taking.take(measure))
    return tuple(results)


class _Evaluation:
    """Measures that share a pass over the images share it here."""

    def __init__(
        self, model: LatentModel, images: ScoredImages, samples: int | None, limit: int | None, seed: int, rows: int
    ) -> None:
        self.model = model
        self.images = images
        self.samples = samples
        self.limit = limit
        self.seed = seed
        self.rows = rows
        self._parts: BoundParts | None = None

    def take(self, measure: Measure) -> Measurement:
        images = self.images.first(self.limit or measure.default_limit or self.images.num_images)
        samples = self.samples or measure.default_samples
        detail: dict[str, Any]
        match measure.name:
            case "elbo":
                parts = self._bound(images)
                return self._over_images(
                    measure, images, parts.reconstruction_N + parts.kl_N, f"-ELBO({samples})", samples
                )
            case "reconstruction":
                return self._over_images(
                    measure, images, self._bound(images).reconstruction_N, f"-ELBO({samples})", samples
                )
            case "kl":
                parts = self._bound(images)
                detail = {} if parts.kl_D is None else {"per_dimension": _rounded(parts.kl_D)}
                return self._over_images(measure, images, parts.kl_N, "closed form", None, detail)
            case "active_units":
                count, variance_D = active_units(self.model, images)
                detail = {"variance_per_dimension": _rounded(variance_D)}
                return self._measurement(measure, images, float(count), None, None, None, detail)
            case "nll_quadrature":
                result = negative_log_likelihood(self.model, images)
                detail = {
                    "points_a_side": result.points_a_side, "half_width": HALF_WIDTH,
                    "check_points_a_side": 2 * result.points_a_side, "check_images": result.check_images,
                    "check_difference": result.check_difference,
                }  # fmt: skip
                return self._over_images(measure, images, result.nll_N, "quadrature", None, detail)
            case _:
                weighted = importance_weighted(self.model, images, samples, self.seed, self.rows)
                effective_N = weighted.effective_samples_N
                detail = {
                    "effective_samples": float(effective_N.mean()),
                    "images_below_1_percent": int((effective_N < LOW_SAMPLE_SHARE * samples).sum()),
                }
                return self._over_images(measure, images, weighted.nll_N, f"IWAE-{samples}", samples, detail)

    def _bound(self, images: ScoredImages) -> BoundParts:
        if self._parts is None:
            samples = self.samples or MEASURES["elbo"].default_samples
            self._parts = bound_parts(self.model, images, samples, self.seed, self.rows)
        return self._parts

    def _over_images(
        self,
        measure: Measure,
        images: ScoredImages,
        values_N: Tensor,
        bound: str,
        samples: int | None,
        detail: dict[str, Any] | None = None,
    ) -> Measurement:
        error = float(values_N.std()) / math.sqrt(len(values_N)) if len(values_N) > 1 else None
        return self._measurement(measure, images, float(values_N.mean()), bound, samples, error, detail)

    def _measurement(
        self,
        measure: Measure,
        images: ScoredImages,
        value: float,
        bound: str | None,
        samples: int | None,
        standard_error: float | None,
        detail: dict[str, Any] | None = None,
    ) -> Measurement:
        detail = detail or {}
        if images.binarisation_seed is not None:
            detail = detail | {"binarisation_seed": images.binarisation_seed}
        return Measurement(
            name=measure.name, value=value, unit=measure.unit, better=measure.better, protocol=images.protocol,
            bound=bound, samples=samples, n=images.num_images, split=images.split, seed=self.seed,
            standard_error=standard_error, detail=detail,
        )  # fmt: skip


def _rounded(values_D: Iterable[Tensor]) -> list[float]:
    return [round(float(value), 6) for value in values_D]
