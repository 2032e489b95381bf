"""A measured value in words: for a table of the command line and for the window alike; free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae_explorer.evaluation.record import Measurement
    from vae_explorer.models.record import Condition, ModelRecord

_DIGITS = {"dimensions": 0, "accuracy": 4, "share": 4, "similarity": 4, "per pixel": 5}

_GIVEN: dict[Condition, str] = {"": "", "class": ", given the class", "part": ", given the part"}


def given_words(record: ModelRecord) -> str:
    """What a bound of this model says at its end: a likelihood given something is another quantity than one of the
    whole picture.
    """
    return _GIVEN[record.condition]


def value_text(item: Measurement) -> str:
    """The value with as many digits as its unit deserves."""
    return f"{item.value:.{_digits(item)}f}"


def error_text(item: Measurement) -> str:
    """The standard error with as many digits as the value; empty where there is none."""
    return "" if item.standard_error is None else f"{item.standard_error:.{_digits(item)}f}"


def _digits(item: Measurement) -> int:
    return _DIGITS.get(item.unit, 3)


def notes(item: Measurement) -> tuple[str, ...]:
    """What has to be said beside the number, a line each."""
    detail = item.detail
    found = [words.format(**detail, samples=item.samples, n=item.n) for key, words in _NOTES.items() if key in detail]
    if "ceiling" in detail:
        found.append(_ceiling_words(item))
    if item.name == "data_copying":
        found.append(_copying_words(item.value))
    if "per_factor" in detail:
        found.append("; ".join(f"{name} {value:.3f}" for name, value in detail["per_factor"].items()))
    return tuple(found)


_NOTES: dict[str, Any] = {
    "kernel_floor": "floor, real against as many real: {kernel_floor:.4f}",
    "highest_possible": "at most {highest_possible:.3f} with {bins} bins",
    "bits_per_dimension": "{bits_per_dimension:.4f} bits per dimension",
    "check_difference": (
        "grid of {points_a_side} points a side within {half_width:g}; one of {check_points_a_side} moves the first "
        "{check_images} images by {check_difference:.4f}"
    ),
    "images_below_1_percent": (
        "effective samples {effective_samples:.1f} of {samples} in the mean; {images_below_1_percent} of {n} images "
        "below 1 %"
    ),
    "widened_difference": (
        "a proposal {widening:g} times as wide moves the first {widened_images} images by {widened_difference:+.3f}; "
        "below 0, q(z|x) is too narrow"
    ),
    "mean_of_images": "of the mean squared error; the mean of each image's PSNR is {mean_of_images:.3f} dB",
    "floor": "floor, real against as many real: {floor:.3f}; the two halves of these: {floor_of_halves:.3f}",
    "generated": "{generated} generated pictures: {pictures}",
    "feature_digest": "features: {features}, {feature_digest}",
    "classifier_accuracy": "the network of the features is right on {classifier_accuracy:.4f} of these images",
    "lowest": "lowest ratio {lowest:.3f}, among {compared_with} training and {compared_with} other images",
    "explained_variance": "the plane has {explained_variance:.3f} of the variance; {neighbours} neighbours",
    "learned_on": "learned on the codes of {learned_on} training images",
    "references": "{neighbours} nearest of {references} training codes",
}


def _ceiling_words(item: Measurement) -> str:
    words = f"ceiling of I(x;z) ln N = {item.detail['ceiling']:.2f}"
    if not item.detail["is_at_ceiling"]:
        return words
    return f"{words} reached: at {'least' if item.name == 'mutual_information' else 'most'} this"


def _copying_words(z: float) -> str:
    if z < -3:
        return "below -3: the samples are copies, or smoother than any real picture"
    return "above 3: the samples are far from the data" if z > 3 else "between -3 and 3: no sign of copying"
