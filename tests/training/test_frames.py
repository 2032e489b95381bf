"""What is kept of a run to look back at: when, of which items, and that training does not feel it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tests.tiny_runs import make_trainer, register_tiny, tiny_config
from tests.training.streams import all_events, of_type
from tests.workflows.test_every_model import config_for
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished, FrameTaken
from vae_explorer.training.frames import (
    MOST_BYTES,
    MOST_FRAMES,
    MOST_WEIGHTS,
    FramePlan,
    PlannedFrame,
    anchor_items,
    most_weights,
)
from vae_explorer.training.run_config import RunConfig, with_value
from vae_explorer.training.trainer import Trainer

DEFAULT_PRESET = FramePlan(num_anchors=5000, batch_size=256, steps_per_epoch=215)
PLANS = [
    DEFAULT_PRESET,
    FramePlan(num_anchors=0, batch_size=256, steps_per_epoch=215),
    FramePlan(num_anchors=5000, batch_size=1, steps_per_epoch=55_000),
    FramePlan(num_anchors=100_000, batch_size=65_536, steps_per_epoch=12),
    FramePlan(num_anchors=240, batch_size=25, steps_per_epoch=8),
]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tiny_images: tuple[np.ndarray, np.ndarray]) -> None:
    register_tiny(monkeypatch, tiny_images)


def frames_until(plan: FramePlan, last: int) -> list[PlannedFrame]:
    planned = [PlannedFrame(0, True)]
    while (following := plan.after(planned[-1].step)).step <= last:
        planned.append(following)
    return planned


def test_the_default_presets_frames_double_and_then_lie_close() -> None:
    planned = frames_until(DEFAULT_PRESET, 7 * 215)
    early, late = [0, 4, 16, 32, 64, 128, 256, 512], [559, 610, 666, 727, 793, 865, 944, 1030, 1124, 1226, 1337, 1459]
    assert [frame.step for frame in planned] == early + late
    assert [frame.step for frame in planned if not frame.is_encoded] == late, "from the second epoch on"


@pytest.mark.parametrize("plan", PLANS)
def test_no_run_has_too_many_frames_and_none_is_due_twice(plan: FramePlan) -> None:
    steps = [frame.step for frame in frames_until(plan, 100_000 * 1_000_000)]
    assert len(steps) < MOST_FRAMES
    assert all(earlier < later <= max(2 * earlier, 16) for earlier, later in itertools.pairwise(steps))


@pytest.mark.parametrize("plan", PLANS[:1] + PLANS[2:])
def test_later_on_eight_frames_go_to_a_doubling(plan: FramePlan) -> None:
    steps = [frame.step for frame in frames_until(plan, 2**22)]
    assert sum(2**21 < step <= 2**22 for step in steps) in (7, 8)


@pytest.mark.parametrize("plan", PLANS)
def test_after_two_epochs_encoding_costs_two_hundredths_of_training_at_most(plan: FramePlan) -> None:
    later = [frame for frame in frames_until(plan, 2**22) if frame.step > 2 * plan.steps_per_epoch]
    for earlier, frame in itertools.pairwise(later):
        if frame.is_encoded:
            assert plan.num_anchors * 0.15 <= 0.02 * (frame.step - earlier.step) * plan.batch_size
    assert all(frame.is_encoded for frame in frames_until(plan, 2 * plan.steps_per_epoch))


def test_the_anchors_are_the_same_for_every_run_and_fewer_are_a_part_of_more() -> None:
    many, few = anchor_items(60_000, 5000, 2), anchor_items(60_000, 100, 2)
    np.testing.assert_array_equal(many, anchor_items(60_000, 5000, 2))
    assert len(np.unique(many)) == 5000
    assert many.min() >= 0
    assert many.max() < 60_000
    assert set(few) < set(many)
    assert few[:4].tolist() == [410, 821, 2875, 3674], "they are those of every release"
    # Drawn evenly: the mean of 5,000 is within four standard errors of the middle.
    assert abs(many.mean() - 30_000) < 4 * 60_000 / np.sqrt(12 * 5000)
    np.testing.assert_array_equal(anchor_items(7, 5000, 2), np.arange(7))
    assert len(anchor_items(0, 5000, 2)) == 0


@pytest.mark.parametrize("num_dimensions", [1, 2, 50, 128, 5000])
def test_all_codes_of_a_run_fit_in_their_bytes(num_dimensions: int) -> None:
    num = len(anchor_items(1_000_000, 100_000, num_dimensions))
    assert num > 0
    assert num * num_dimensions * 2 * MOST_FRAMES <= MOST_BYTES


def test_few_weights_are_kept_of_a_large_network() -> None:
    assert most_weights(4_500_000) == MOST_WEIGHTS
    assert most_weights(30_000_000) == 3
    assert most_weights(200_000_000) == 0


def frames_of(config: RunConfig) -> list[FrameTaken]:
    return of_type(all_events(make_trainer(config)), FrameTaken)


@pytest.mark.parametrize("record", list(MODELS), ids=lambda record: record.name)
def test_every_model_trains_alike_with_and_without_frames(record: ModelRecord) -> None:
    config = config_for(record)
    ends = []
    for wanted in (0, 50):
        found = all_events(make_trainer(with_value(config, "recording.lookback_images", wanted)))
        frames = of_type(found, FrameTaken)
        assert [bool(frames), frames[-1].step if frames else None] == ([False, None], [True, found[-1].step])[
            wanted > 0
        ]
        assert isinstance(found[-1], Finished)
        assert found[-1].state is not None
        ends.append(found[-1].state)
    for part in ("model", "optimiser", "tensors"):
        one, other = (getattr(state, part) for state in ends)
        assert set(one) == set(other)
        assert all(torch.equal(one[name], other[name]) for name in one), part


@pytest.mark.parametrize(
    "setting",
    [("model.normalisation", "batch"), ("training.ema_decay", 0.9), ("training.precision", "bfloat16")],
    ids=lambda setting: setting[0],
)
def test_so_it_does_with_every_option_that_could_feel_an_encoding(setting: tuple[str, str | float]) -> None:
    config = with_value(tiny_config(), *setting)
    ends = [all_events(make_trainer(with_value(config, "recording.lookback_images", wanted)))[-1] for wanted in (0, 50)]
    assert all(isinstance(end, Finished) and end.state is not None for end in ends)
    one, other = (end.state.model for end in ends)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_codes_of_a_young_frame_are_those_of_its_weights() -> None:
    config = with_value(tiny_config("grey"), "recording.lookback_images", 100)
    trainer = make_trainer(config)
    frames = of_type(all_events(trainer), FrameTaken)
    assert [frame.step for frame in frames] == [0, 4, 16]
    assert [frame.kept.weights is not None for frame in frames] == [True, False, True]
    for frame in frames[0], frames[-1]:
        assert frame.images_seen == min(frame.step * 25, 400)
        assert frame.kept.weights is not None
        model = make_trainer(config).model.eval()
        model.load_state_dict(dict(frame.kept.weights))
        items_A = torch.from_numpy(frame.kept.items_A)
        x_ACHW = trainer.dataset.images.gather(items_A).float() / 255
        with torch.inference_mode():
            mean_AD = model.encode(x_ACHW).mean
        np.testing.assert_allclose(frame.kept.codes_AD, mean_AD.numpy(), atol=1e-5)


def test_an_anchor_is_the_same_picture_in_every_frame() -> None:
    """Under a protocol that draws, codes move because the network does."""
    config = with_value(with_value(tiny_config("dynamic"), "training.learning_rate", 1e-8), "model.beta", 1.0)
    frames = frames_of(config)
    np.testing.assert_allclose(frames[0].kept.codes_AD, frames[1].kept.codes_AD, atol=1e-4)


def test_later_frames_hold_the_codes_of_the_last_visits_which_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_explorer.training.frames._SHARE", 1e-9)  # no encoding is cheap enough
    trainer = make_trainer(tiny_config(epochs=5))
    seen = {}
    for event in trainer.run(Control()):
        if isinstance(event, FrameTaken):
            codes_ND = trainer.step.codes_ND
            assert codes_ND is not None
            seen[event.step] = np.array_equal(event.kept.codes_AD, codes_ND[torch.from_numpy(event.kept.items_A)])
    assert seen == {step: step > 16 for step in (0, 4, 16, 18, 20, 22, 24, 27, 30, 33, 36, 40)}


def test_a_stop_is_not_kept_waiting_by_an_encoding() -> None:
    trainer = make_trainer(tiny_config())
    control = Control()
    found = []
    for event in trainer.run(control):
        found.append(event)
        if isinstance(event, FrameTaken) and event.step == 4:
            control.stop()
    assert [frame.step for frame in of_type(found, FrameTaken)] == [0, 4]


def test_a_training_that_goes_on_takes_the_frames_after_its_first_step() -> None:
    config = tiny_config(epochs=6)
    first = make_trainer(with_value(config, "training.epochs", 3))
    state = all_events(first)[-1].state
    second = make_trainer(config)
    second.restore(state)
    steps = [frame.step for frame in of_type(all_events(second), FrameTaken)]
    assert steps[0] > 24
    assert steps[-1] == 48
    assert steps == sorted(set(steps))


def test_a_model_without_codes_keeps_weights_alone() -> None:
    config = config_for(MODELS["vqvae"])
    frames = frames_of(config)
    assert [frame.step for frame in frames] == [0, 16, 32]
    assert all(frame.kept.codes_AD is None and frame.kept.weights for frame in frames)


def test_codes_that_are_not_finite_are_no_place() -> None:
    trainer = make_trainer(tiny_config(epochs=5))
    taking = trainer.frame_taking()
    codes_ND = trainer.step.codes_ND
    assert codes_ND is not None
    codes_ND.zero_()
    codes_ND[int(taking._items_A[3]), 1] = torch.inf
    taking._next = PlannedFrame(0, False)
    kept = taking.take(0, lambda: False)
    assert kept is not None
    assert np.isnan(kept.codes_AD[3]).all()
    assert np.isfinite(np.delete(kept.codes_AD, 3, axis=0)).all()


def test_weights_that_are_not_finite_are_not_kept() -> None:
    trainer: Trainer = make_trainer(tiny_config())
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.nan)
    kept = trainer.frame_taking().take_last(5, lambda: False)
    assert kept is not None
    assert kept.weights is None
