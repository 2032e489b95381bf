"""From a model and images to measurements."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vae_explorer.errors import UserError
from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.evaluation import ROWS_AT_ONCE, Cancelled, Evaluation, Outcome, Store
from vae_explorer.evaluation.needs import Subject, applicable, require
from vae_explorer.evaluation.record import Measure, Measurement
from vae_explorer.evaluation.words import given_words
from vae_explorer.registry import function_at

if TYPE_CHECKING:
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.record import ModelRecord


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an evaluation is: measure `number` of `num_measures` (from 1), of which `done` of `total` is done."""

    measure: Measure
    number: int
    num_measures: int
    done: int
    total: int


def evaluate(model: LatentModel, record: ModelRecord, images: ScoredImages, **options: Any) -> tuple[Measurement, ...]:
    """All measurements of `measuring`, which says what the options are."""
    return tuple(measuring(model, record, images, **options))


def measuring(
    model: LatentModel,
    record: ModelRecord,
    images: ScoredImages,
    *,
    training: Callable[[], ScoredImages] | None = None,
    measures: Sequence[str] = (),
    samples: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    rows_at_once: int = ROWS_AT_ONCE,
    progress: Callable[[Progress], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
    refused: Callable[[UserError], None] | None = None,
    store: Store | None = None,
) -> Iterator[Measurement]:
    """Measure the model on the images, one by one in the order asked for.

    Without names, all measures that apply and are taken by default. `samples` is S of the bound and k of IWAE; without
    it each takes its own default. `limit` takes the first images only. The model is in evaluation mode on the images'
    device. `training` gives the training images to the measures that compare with them. `progress` is told how far it
    is a few times a second, and `is_cancelled` asked. A measure that turns out to be impossible on these images is told
    to `refused` and left out; without it the error is raised.

    Raises:
        UserError: a measure is unknown or does not apply, or there are no images or samples.
        Cancelled: `is_cancelled` said so.
    """
    _require_some(images, samples, limit)
    subject = Subject(record, model, images, has_training=training is not None)
    if measures:
        chosen = [MEASURES[name] for name in measures]
    else:
        chosen = [measure for measure in applicable(subject) if measure.by_default]
    for measure in chosen:
        require(measure, subject)
    cache: dict[Hashable, Any] = {}
    for number, measure in enumerate(chosen, 1):

        def advance(done: int, total: int, measure: Measure = measure, number: int = number) -> None:
            if is_cancelled is not None and is_cancelled():
                raise Cancelled
            if progress is not None:
                progress(Progress(measure, number, len(chosen), done, total))

        evaluation = Evaluation(
            model=model, record=record, images=images.first(limit or measure.default_limit or images.num_images),
            training=training, samples=samples or measure.default_samples, seed=seed, rows_at_once=rows_at_once,
            advance=advance, store=store, cache=cache,
        )  # fmt: skip
        advance(0, 1)
        try:
            outcome: Outcome = function_at(measure.take)(evaluation)
        except UserError as error:
            if refused is None:
                raise
            refused(error)
        else:
            yield _measurement(measure, evaluation, outcome)


def _require_some(images: ScoredImages, samples: int | None, limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise UserError(f"A limit of {limit} leaves no images to measure on.", "Choose a limit of at least 1.")
    if samples is not None and samples < 1:
        raise UserError(f"A measure cannot be taken with {samples} samples.", "Choose at least 1 sample.")
    if images.num_images == 0:
        raise UserError(f"The split {images.split} has no images.", "Choose another split.")


def _measurement(measure: Measure, evaluation: Evaluation, outcome: Outcome) -> Measurement:
    images = evaluation.images
    detail = dict(outcome.detail)
    bound = None if outcome.bound is None else outcome.bound + given_words(evaluation.record)
    if images.binarisation_seed is not None:
        detail["binarisation_seed"] = images.binarisation_seed
    return Measurement(
        name=measure.name, value=outcome.value, unit=measure.unit, better=measure.better, protocol=images.protocol,
        bound=bound, samples=outcome.samples, n=images.num_images if outcome.n is None else outcome.n,
        split=images.split, seed=evaluation.seed, standard_error=outcome.standard_error, detail=detail,
    )  # fmt: skip
