"""The run doctor: rules that look at a run in training and say in plain sentences what is wrong and what mends it.

Pure functions of what the run has told so far, so that the window, the command line and a test ask the same rules. A
rule says nothing until it has seen enough, and nothing about models that do not have what it looks at. Numbers are in
nats per image. Free of torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.models.catalogue import MODELS
from vae_explorer.registry import Registry
from vae_explorer.training.run_config import sections, value_of

if TYPE_CHECKING:
    from vae_explorer.config import Value
    from vae_explorer.training.metric_history import MetricHistory
    from vae_explorer.training.run_config import RunConfig

Severity = Literal["note", "warning", "error"]

ENOUGH_IMAGES = 20_000
"""Before so many images, or a tenth of the run, curves say nothing yet."""

COLLAPSED_NATS = 0.5
FEW_ACTIVE_SHARE = 0.25
OVERFIT_NATS, OVERFIT_SHARE = 1.0, 0.01
SPIKE_FACTOR, SPIKE_NATS = 3.0, 20.0
RISE_SHARE = 0.02
PLATEAU_SHARE = 5e-4
GREY_SHARE = 0.02
_BETA_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """What a run has told so far.

    `effective_beta` was measured on the loss at the start; `active_units` on the held-out images; `data_range` is the
    least and greatest value that the network sees of some images, `grey_share` the share of pixels of these that are
    neither nearly 0 nor nearly 1; None where they are not known.
    """

    config: RunConfig
    history: MetricHistory
    total_images: int
    num_dimensions: int = 0
    effective_beta: float | None = None
    active_units: int | None = None
    num_skipped: int = 0
    data_range: tuple[float, float] | None = None
    grey_share: float | None = None

    @property
    def images_seen(self) -> float:
        """So far."""
        seen = self.history.train("images_seen")
        return float(seen[-1]) if len(seen) else 0.0

    @property
    def has_seen_enough(self) -> bool:
        """Whether curves say something, warm-ups of beta included."""
        warmup = self.setting("model.beta_warmup_images") or 0
        return self.images_seen >= max(min(ENOUGH_IMAGES, 0.1 * self.total_images), 1.2 * float(warmup))

    @property
    def has_steady_beta(self) -> bool:
        """Whether beta was the same over the last half of the steps; a cycle or a warm-up moves every curve."""
        beta = self.history.train("beta")
        recent = beta[len(beta) // 2 :]
        recent = recent[np.isfinite(recent)]
        if not len(recent):
            return True
        return float(recent.max()) - float(recent.min()) <= 1e-6 * max(float(recent.max()), 1.0)

    @property
    def holds_a_capacity(self) -> bool:
        """Whether the KL is held at a capacity, where beta is no weight of a bound."""
        return bool(self.setting("model.kl_form") == "capacity")

    def setting(self, path: str) -> Any:
        """The value at a path, None where this model has no such setting."""
        section, name = path.split(".")
        known = next(part for part in sections(self.config) if part.name == section)
        return value_of(self.config, path) if any(item.name == name for item in known.settings) else None


@dataclass(frozen=True, slots=True)
class Mend:
    """What the one button does: set these settings, at once where all are `live`, else and train again; or stop."""

    label: str
    assignments: tuple[tuple[str, Value], ...] = ()
    is_live: bool = False
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a sentence what, a sentence what to do, and the button that does it."""

    rule: str
    severity: Severity
    text: str
    hint: str
    mend: Mend | None = None


@dataclass(frozen=True, slots=True)
class DoctorRule:
    """One rule; `examine` gives None where all is well or too little is known."""

    name: str
    title: str
    summary: str
    reference: str
    examine: Callable[[Course], Finding | None]


DOCTOR_RULES: Registry[DoctorRule] = Registry("rule of the run doctor")


def diagnose(course: Course) -> tuple[Finding, ...]:
    """What all rules find, the gravest first."""
    found = [finding for rule in DOCTOR_RULES if (finding := rule.examine(course)) is not None]
    order: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda finding: order[finding.severity]))


def _lower_rate(course: Course, label: str = "Divide the learning rate by 3") -> Mend:
    rate = float(course.config.training.learning_rate)
    return Mend(label, (("training.learning_rate", max(float(f"{rate / 3:.2g}"), 1e-8)),), is_live=True)


# --- the rules


def _not_finite(course: Course) -> Finding | None:
    if not course.num_skipped:
        return None
    steps = "step was" if course.num_skipped == 1 else "steps were"
    return Finding(
        "non-finite", "error",
        f"{course.num_skipped:,} training {steps} skipped, because a loss or a gradient was not finite.",
        "Lower the learning rate; the weights are those of before.", _lower_rate(course),
    )  # fmt: skip


def _data_outside(course: Course) -> Finding | None:
    protocol = course.config.data.protocol
    if course.data_range is None or protocol == "gaussian":
        return None
    low, high = course.data_range
    if low >= 0.0 and high <= 1.0:
        return None
    return Finding(
        "data-range", "error",
        f"The data reach from {low:.3g} to {high:.3g}, and the protocol {protocol} is for values from 0 to 1.",
        "Train under the protocol gaussian, which takes any real number.",
        Mend("Use the protocol gaussian", (("data.protocol", "gaussian"),)),
    )  # fmt: skip


def _likelihood_fit(course: Course) -> Finding | None:
    protocol, share = course.config.data.protocol, course.grey_share
    if PROTOCOLS[protocol].is_likelihood or share is None or share < GREY_SHARE:
        return None
    if not MODELS[course.config.model_name].has_likelihood:
        return None  # a squared error, say, is none under any protocol
    return Finding(
        "likelihood", "note",
        f"{100 * share:.0f} % of the pixels are grey, and cross-entropy of grey levels is a score, not a likelihood.",
        "For numbers that can be compared with the literature, train on a likelihood of grey levels or on binary "
        "pixels.",
        Mend("Use the continuous Bernoulli", (("data.protocol", "continuous-bernoulli"),)),
    )  # fmt: skip


def _effective_beta(course: Course) -> Finding | None:
    asked, effective = course.setting("model.beta"), course.effective_beta
    if not asked or effective is None or abs(effective / asked - 1.0) <= _BETA_TOLERANCE:
        return None
    mended = asked * asked / effective
    return Finding(
        "effective-beta", "warning",
        f"The KL weighs {effective:.3g} times as much as the reconstruction, although beta is {asked:g}: one is "
        "averaged where the other is summed.",
        "Weigh it so that the loss is the one asked for.",
        Mend(f"Set beta to {mended:.3g}", (("model.beta", mended),), is_live=True),
    )  # fmt: skip


def _is_lost_under_rising_beta(course: Course, kl: np.ndarray) -> bool:
    """Whether codes that were there are gone, at the largest beta so far: what comes of a warm-up only costs more."""
    beta, known = course.history.train("beta"), kl[np.isfinite(kl)]
    beta = beta[np.isfinite(beta)]
    is_largest = not len(beta) or float(beta[-1]) >= float(beta.max())
    is_gone = float(known.max()) >= COLLAPSED_NATS > float(known[-1])
    return course.images_seen >= ENOUGH_IMAGES and is_largest and is_gone


def _collapse(course: Course) -> Finding | None:
    beta, kl = course.setting("model.beta"), course.history.heldout("kl")
    if beta is None or not len(kl) or not np.isfinite(kl[-1]) or course.holds_a_capacity:
        return None
    is_settled = course.has_seen_enough and course.has_steady_beta
    if not is_settled and not _is_lost_under_rising_beta(course, kl):
        return None
    active, dimensions = course.active_units, course.num_dimensions
    few = active is not None and dimensions >= 4 and active < FEW_ACTIVE_SHARE * dimensions
    if kl[-1] >= COLLAPSED_NATS and not few:
        return None
    units = "" if active is None else f", {active} of {dimensions} latent dimensions are active"
    warmup = max(50_000, course.total_images // 10, 2 * int(course.setting("model.beta_warmup_images") or 0))
    if beta > 1.0:
        mend = Mend("Set beta to 1", (("model.beta", 1.0),), is_live=True)
        hint = "Lower beta: at this weight the KL costs more than a code is worth."
    elif course.setting("model.beta_warmup_images") is not None:
        mend = Mend("Warm beta up and train again", (("model.beta_warmup_images", warmup),))
        hint = "Let beta rise slowly from 0, so that codes are learned before they cost anything."
    else:
        mend, hint = None, "Use a weaker decoder or a warm-up of beta."
    return Finding(
        "posterior-collapse", "warning",
        f"The posterior collapses onto the prior: the KL is {kl[-1]:.2f} nats{units}.", hint, mend,
    )  # fmt: skip


def _overfit(course: Course) -> Finding | None:
    column = _loss_column(course)
    heldout = course.history.heldout(column) if column else np.zeros(0)
    heldout = heldout[np.isfinite(heldout)]
    if len(heldout) < 4 or not course.has_steady_beta:
        return None
    sign = -1.0 if column == "elbo" else 1.0
    loss = sign * heldout
    best = int(np.argmin(loss))
    worse = float(loss[-1] - loss[best])
    train = sign * _recent(course.history.train(column), 0.05)
    if best > len(loss) - 3 or worse < max(OVERFIT_NATS, OVERFIT_SHARE * abs(float(loss[best]))) or not len(train):
        return None
    gap = float(loss[-1] - np.median(train))
    if gap <= worse:
        return None
    return Finding(
        "overfit", "warning",
        f"The model learns its images by heart: held out it is {worse:.1f} worse than at its best, and {gap:.1f} worse "
        "than on the training images.",
        "Stop here; a smaller network, more images or an earlier end would help.", Mend("Stop the run", stops=True),
    )  # fmt: skip


def _kl_spike(course: Course) -> Finding | None:
    kl = course.history.train("kl")
    kl = kl[np.isfinite(kl)]
    if len(kl) < 200 or not course.has_seen_enough or not course.has_steady_beta or course.holds_a_capacity:
        return None
    usual, peak = float(np.median(kl[-2000:])), float(kl[-100:].max())
    if peak < SPIKE_FACTOR * max(usual, 1e-6) or peak - usual < SPIKE_NATS:
        return None
    clip = course.config.training.gradient_clip_norm
    mend = (
        _lower_rate(course) if clip else Mend("Clip gradients and train again", (("training.gradient_clip_norm", 1.0),))
    )
    return Finding(
        "kl-spike", "warning",
        f"The KL jumped to {peak:.0f} nats, {peak / max(usual, 1e-6):.0f} times its usual {usual:.1f}.",
        "A few images throw the encoder far off; clipped gradients or a lower learning rate keep it.", mend,
    )  # fmt: skip


def _rate_too_high(course: Course) -> Finding | None:
    return _worse_than_untrained(course) or _rising_loss(course)


def _worse_than_untrained(course: Course) -> Finding | None:
    """No warm-up and no schedule explains that, and it need not rise any more: the weights are ruined."""
    beta = course.setting("model.beta")
    column = _loss_column(course)
    if not column or course.images_seen < ENOUGH_IMAGES or (beta is not None and beta < 1.0):
        return None  # a small beta lets the KL, and so the reported bound, grow without limit
    heldout = course.history.heldout(column)
    loss = (-1.0 if column == "elbo" else 1.0) * heldout[np.isfinite(heldout)]
    if len(loss) < 2 or loss[-1] - loss[0] <= RISE_SHARE * max(abs(float(loss[0])), 1.0):
        return None
    return Finding(
        "learning-rate", "error",
        f"The held-out loss is {loss[-1]:.1f}, and was {loss[0]:.1f} when training began.",
        "The steps are so long that they ruin the weights; train again with a lower learning rate.",
        _lower_rate(course),
    )  # fmt: skip


def _rising_loss(course: Course) -> Finding | None:
    if not course.has_seen_enough or not course.has_steady_beta:
        return None
    values = _training_loss(course)
    values = values[np.isfinite(values)]
    if len(values) < 400:
        return None
    quarter = len(values) // 4
    before, now = float(np.median(values[-2 * quarter : -quarter])), float(np.median(values[-quarter:]))
    if now - before <= RISE_SHARE * max(abs(before), 1.0):
        return None
    return Finding(
        "learning-rate", "warning",
        f"The training loss rises: it was {before:.1f} and is {now:.1f}.",
        "The steps are too long; lower the learning rate.", _lower_rate(course),
    )  # fmt: skip


def _plateau(course: Course) -> Finding | None:
    column = _loss_column(course)
    heldout = course.history.heldout(column) if column else np.zeros(0)
    seen = course.history.heldout("images_seen")
    is_known = np.isfinite(heldout)
    heldout, seen = heldout[is_known], seen[is_known]
    if len(heldout) < 6 or course.images_seen > 0.7 * course.total_images or not course.has_steady_beta:
        return None
    loss = (-1.0 if column == "elbo" else 1.0) * heldout
    recent = seen >= course.images_seen - 0.2 * course.total_images
    if recent.sum() < 4 or not (~recent).any():
        return None
    gained = float(loss[~recent].min() - loss[recent].min())
    if gained > PLATEAU_SHARE * max(abs(float(loss[-1])), 1.0):
        return None
    return Finding(
        "plateau", "note",
        f"The held-out curve has gained {max(gained, 0.0):.2f} over the last fifth of the run, with "
        f"{100 * (1 - course.images_seen / course.total_images):.0f} % of it left.",
        "Shorter steps may still find something; or stop here.", _lower_rate(course),
    )  # fmt: skip


def _loss_column(course: Course) -> str:
    """The curve that a run climbs or goes down, as far as it has one of the usual names."""
    for name in ("elbo", "squared_error"):
        if len(course.history.train(name)) and np.isfinite(course.history.train(name)).any():
            return name
    return ""


def _training_loss(course: Course) -> np.ndarray:
    """What the steps minimise: reconstruction plus beta times the KL, or the squared error; empty for objectives of
    another kind, which the curves do not show.
    """
    column = _loss_column(course)
    if column == "squared_error":
        return course.history.train(column)
    if column != "elbo" or course.effective_beta is None or course.holds_a_capacity:
        return np.zeros(0)
    beta = course.history.train("beta")
    weight = np.where(np.isfinite(beta), beta, 1.0)
    kl = course.history.train("kl")
    loss: np.ndarray = -course.history.train("elbo") + (weight - 1.0) * kl
    return loss


def _recent(values: np.ndarray, share: float) -> np.ndarray:
    values = values[np.isfinite(values)]
    return values[-max(1, int(share * len(values))) :] if len(values) else values


for _rule in (
    DoctorRule(
        "non-finite", "Numbers that are not finite", "Steps were skipped because a number in them was not finite.",
        "MODELS 5.10", _not_finite,
    ),
    DoctorRule(
        "data-range", "Data outside the protocol", "The protocol is for values from 0 to 1, and the data leave it.",
        "Loaiza-Ganem, Cunningham: The continuous Bernoulli, arXiv 1907.06845", _data_outside,
    ),
    DoctorRule(
        "likelihood", "A likelihood that does not fit", "Cross-entropy of grey levels is a score, not a likelihood.",
        "Loaiza-Ganem, Cunningham: The continuous Bernoulli, arXiv 1907.06845", _likelihood_fit,
    ),
    DoctorRule(
        "effective-beta", "Effective beta", "Means where sums belong weigh the KL by hundreds, unseen.",
        "MODELS 5.2", _effective_beta,
    ),
    DoctorRule(
        "posterior-collapse", "Posterior collapse", "The KL is near 0 or few latent dimensions are active.",
        "Bowman et al.: Generating sentences from a continuous space, arXiv 1511.06349; MODELS 5.6", _collapse,
    ),
    DoctorRule(
        "overfit", "Overfitting", "Held-out images get worse while training images get better.",
        "Wu et al.: On the quantitative analysis of decoder-based generative models, arXiv 1611.04273", _overfit,
    ),
    DoctorRule(
        "kl-spike", "KL spike", "The KL of a batch jumps to a multiple of its usual value.",
        "NVAE, arXiv 2007.03898, section 3.2", _kl_spike,
    ),
    DoctorRule(
        "learning-rate", "Learning rate too high", "The training loss rises.",
        "Bengio: Practical recommendations for gradient-based training, arXiv 1206.5533", _rate_too_high,
    ),
    DoctorRule(
        "plateau", "Early plateau", "The held-out curve gains nothing, long before the end.",
        "Bengio: Practical recommendations for gradient-based training, arXiv 1206.5533", _plateau,
    ),
):  # fmt: skip
    DOCTOR_RULES.add(_rule)
