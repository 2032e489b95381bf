"""Each rule of the run doctor: a course in which it speaks, one in which it is silent, and a mend that can be made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.tiny_runs import make_trainer, register_tiny, tiny_config
from vae_explorer.training.control import Control
from vae_explorer.training.events import MetricsChunk, Started, Validated
from vae_explorer.training.metric_history import MetricHistory
from vae_explorer.training.run_config import RunConfig, default_config, value_of, with_value
from vae_explorer.training.run_doctor import DOCTOR_RULES, Course, Finding, diagnose

TOTAL = 400_000


def history(train: dict[str, np.ndarray], heldout: dict[str, np.ndarray], images: float = 200_000) -> MetricHistory:
    found = MetricHistory()
    num = len(next(iter(train.values())))
    found.append_chunk(
        MetricsChunk(
            step=num, epoch=1.0, images_seen=int(images), seconds=10.0, images_per_second=1.0, columns=tuple(train),
            values=np.stack(list(train.values()), 1).astype(np.float32), steps=np.arange(1, num + 1), kl_D=None,
        )
    )  # fmt: skip
    checks = len(next(iter(heldout.values()))) if heldout else 0
    for number in range(checks):
        place = images * (number + 1) / checks
        found.append_validation(
            Validated(
                step=number, epoch=0.0, images_seen=int(place), seconds=0.0,
                terms={name: float(values[number]) for name, values in heldout.items()}, kl_D=None, active_units=None,
                num_images=10,
            )
        )  # fmt: skip
    return found


def course(config: RunConfig | None = None, train: object = None, heldout: object = None, **facts: object) -> Course:
    steps = np.linspace(0, 1, 1000)
    usual = {"elbo": -140 - 60 * np.exp(-5 * steps), "kl": np.full(1000, 20.0)}
    checks = np.linspace(0, 1, 10)
    held = {"elbo": -141 - 60 * np.exp(-5 * checks), "kl": np.full(10, 20.0)}
    images = facts.pop("images", 200_000)
    return Course(
        config=config or default_config(),
        history=history(train or usual, heldout or held, images),  # type: ignore[arg-type]
        total_images=TOTAL,
        **{"num_dimensions": 20, "effective_beta": 1.0, "active_units": 18, "data_range": (0.0, 1.0), **facts},  # type: ignore[arg-type]
    )


def finding(name: str, of: Course) -> Finding | None:
    return next((one for one in diagnose(of) if one.rule == name), None)


def test_a_good_run_has_nothing_wrong() -> None:
    assert diagnose(course()) == ()


def test_every_rule_has_words_and_its_findings_too() -> None:
    assert len(DOCTOR_RULES) == 9
    for rule in DOCTOR_RULES:
        assert rule.title
        assert rule.summary.endswith(".")
        assert rule.reference


def sick(name: str) -> Course:
    flat, steps = np.ones(1000), np.linspace(0, 1, 1000)
    match name:
        case "non-finite":
            return course(num_skipped=3)
        case "data-range":
            return course(data_range=(-1.2, 0.9))
        case "likelihood":
            return course(grey_share=0.19)
        case "effective-beta":
            return course(effective_beta=784.0)
        case "posterior-collapse":
            return course(heldout={"elbo": -206 * np.ones(10), "kl": np.linspace(5, 0.01, 10)}, active_units=0)
        case "overfit":
            held = np.concatenate([np.linspace(-160, -110, 5), np.linspace(-111, -125, 5)])
            return course(
                train={"elbo": np.linspace(-160, -90, 1000), "kl": 20 * flat},
                heldout={"elbo": held, "kl": np.full(10, 20.0)},
            )
        case "kl-spike":
            kl = 20 * flat
            kl[-50] = 900
            return course(train={"elbo": -140 - 60 * np.exp(-5 * steps), "kl": kl})
        case "learning-rate":
            config = with_value(default_config(), "model.beta_warmup_images", 0)
            return course(config, train={"elbo": -120 - 60 * steps, "kl": 20 * flat})
        case _:
            elbo = np.concatenate([[-200, -150], np.full(8, -130.0)])
            return course(heldout={"elbo": elbo, "kl": np.full(10, 20.0)})


@pytest.mark.parametrize("name", DOCTOR_RULES.names())
def test_a_sick_run_is_found_in_a_sentence_with_a_mend_that_the_configuration_takes(name: str) -> None:
    of = sick(name)
    found = finding(name, of)
    assert found is not None
    assert found.text.endswith(".")
    assert found.hint.endswith(".")
    assert found.mend is not None
    assert found.mend.stops or found.mend.assignments
    for path, value in found.mend.assignments:
        changed = with_value(of.config, path, value)
        assert value_of(changed, path) == pytest.approx(value)
        assert changed != of.config


def test_the_gravest_is_said_first() -> None:
    both = dataclasses.replace(sick("likelihood"), num_skipped=2)
    assert [one.severity for one in diagnose(both)] == ["error", "note"]


def test_nothing_is_said_before_enough_was_seen() -> None:
    early = course(
        heldout={"elbo": -206 * np.ones(3), "kl": np.zeros(3)}, train={"elbo": -206 * np.ones(10), "kl": np.zeros(10)},
        active_units=0, images=500,
    )  # fmt: skip
    assert diagnose(early) == ()


def test_a_beta_that_was_asked_for_is_no_fault() -> None:
    config = with_value(default_config(), "model.beta", 4.0)
    assert finding("effective-beta", course(config, effective_beta=4.0)) is None


def test_a_run_that_is_worse_than_untrained_is_ruined_by_its_steps() -> None:
    steps = np.linspace(0, 1, 1000)
    train = {"elbo": np.full(1000, -232.0), "kl": np.full(1000, 7.5), "beta": steps}  # still in its warm-up
    heldout = {"elbo": np.array([-206.0, -9.8e9, -232.0]), "kl": np.array([0.0, 4e8, 7.5])}
    found = finding("learning-rate", course(None, train, heldout, images=30_000))
    assert found is not None
    assert found.severity == "error"
    assert "232.0, and was 206.0" in found.text
    collapsed = {"elbo": np.full(3, -206.2), "kl": np.zeros(3)}
    assert finding("learning-rate", course(None, train, collapsed, images=30_000)) is None


def test_a_collapse_under_a_rising_beta_is_told_before_the_warm_up_ends() -> None:
    rising = np.linspace(0, 60, 1000)
    train = {"elbo": np.full(1000, -206.0), "kl": np.full(1000, 0.01), "beta": rising}
    gone = {"elbo": np.full(4, -206.0), "kl": np.array([0.0, 6.0, 1.0, 0.01])}
    config = with_value(default_config(), "model.beta", 100.0)
    found = finding("posterior-collapse", course(config, train, gone, images=30_000, active_units=0, num_dimensions=2))
    assert found is not None
    assert found.mend is not None
    assert found.mend.label == "Set beta to 1"
    untrained = {"elbo": np.full(2, -206.0), "kl": np.array([0.0, 0.01])}
    assert finding("posterior-collapse", course(config, train, untrained, images=30_000)) is None
    falling = {**train, "beta": rising[::-1].copy()}
    assert finding("posterior-collapse", course(config, falling, gone, images=30_000)) is None


def test_a_squared_error_is_not_taken_for_a_cross_entropy() -> None:
    assert finding("likelihood", course(grey_share=0.19)) is not None
    config = with_value(default_config(), "model.name", "pca")
    assert finding("likelihood", course(config, grey_share=0.19)) is None


def test_models_without_a_bound_are_judged_by_their_error_alone() -> None:
    config = with_value(default_config(), "model.name", "autoencoder")
    rising = course(
        config, train={"squared_error": np.linspace(20, 60, 1000)}, heldout={"squared_error": np.linspace(20, 60, 10)}
    )
    assert {one.rule for one in diagnose(rising)} >= {"learning-rate"}
    assert finding("posterior-collapse", rising) is None


def test_a_real_run_that_collapses_is_found_and_mended(monkeypatch: pytest.MonkeyPatch, tiny_images) -> None:
    register_tiny(monkeypatch, tiny_images)
    config = with_value(tiny_config("dynamic", epochs=30), "model.beta", 200.0)

    def findings(config: RunConfig) -> tuple[Finding, ...]:
        seen, active, started = MetricHistory(), None, None
        for event in make_trainer(config).run(Control()):
            match event:
                case Started():
                    started = event
                case MetricsChunk():
                    seen.append_chunk(event)
                case Validated():
                    seen.append_validation(event)
                    active = event.active_units
        assert started is not None
        total = started.num_train * config.training.epochs
        return diagnose(
            Course(
                config=config, history=seen, total_images=total, num_dimensions=2, active_units=active,
                effective_beta=started.effective_beta,
            )
        )  # fmt: skip

    found = next(one for one in findings(config) if one.rule == "posterior-collapse")
    assert found.mend is not None
    for path, value in found.mend.assignments:
        config = with_value(config, path, value)
    assert "posterior-collapse" not in {one.rule for one in findings(config)}


def test_a_beta_that_moves_and_a_capacity_are_no_illness() -> None:
    steps = np.linspace(0, 1, 1000)
    cycles = {
        "elbo": -140 - 30 * np.abs(np.sin(9 * steps)),
        "kl": 20 + 40 * np.abs(np.sin(9 * steps)),
        "beta": steps % 0.25 * 4,
    }
    cycling = course(with_value(default_config(), "model.beta_cycles", 4), train=cycles)
    assert diagnose(cycling) == ()
    config = with_value(with_value(default_config(), "model.name", "beta-vae"), "model.kl_form", "capacity")
    config = with_value(config, "model.beta", 1000.0)
    early = course(
        config, heldout={"elbo": -206 * np.ones(3), "kl": np.full(3, 0.3)}, active_units=1, effective_beta=None
    )
    assert finding("posterior-collapse", early) is None


def test_under_a_heavy_kl_the_loss_is_what_is_minimised_not_the_bound() -> None:
    config = with_value(default_config(), "model.beta", 20.0)
    steps = np.linspace(0, 1, 1000)
    kl, reconstruction = 20 - 15 * steps, 120 + 60 * steps
    train = {"elbo": -(kl + reconstruction), "kl": kl, "beta": np.full(1000, 20.0)}
    assert finding("learning-rate", course(config, train=train, effective_beta=20.0)) is None
    train["kl"] = 20 + 15 * steps
    assert finding("learning-rate", course(config, train=train, effective_beta=20.0)) is not None
