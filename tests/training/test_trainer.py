from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
import torch

from tests.model_data import protocol_for
from tests.training.streams import all_events, of_type
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.vae import VariationalAutoencoder
from vae_explorer.training import events
from vae_explorer.training.control import Control
from vae_explorer.training.heldout import mean_training_image
from vae_explorer.training.metric_history import MOST_ROWS, MetricHistory
from vae_explorer.training.run_config import RunConfig, with_value
from vae_explorer.training.trainer import Trainer


def test_the_stream_starts_reports_every_step_and_finishes(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    found = all_events(Trainer(tiny_config, tiny_dataset, "first"))
    started, finished = found[0], found[-1]
    assert isinstance(started, events.Started)
    assert isinstance(finished, events.Finished)
    assert (started.run_name, started.num_train, started.num_heldout) == ("first", 240, 60)
    assert started.effective_beta == 1.0
    assert started.total_steps == finished.step == 3 * 8
    assert finished.reason == "completed"
    assert finished.images_seen == 3 * 240
    chunks = of_type(found, events.MetricsChunk)
    assert np.concatenate([chunk.steps for chunk in chunks]).tolist() == list(range(1, 25))
    assert chunks[0].columns == ("elbo", "reconstruction", "kl", "beta", "learning_rate", "gradient_norm")
    values = np.concatenate([chunk.values for chunk in chunks])
    np.testing.assert_allclose(values[:, 0], -(values[:, 1] + values[:, 2]), rtol=1e-5)
    assert (values[:, 3] == 1).all()


def test_training_raises_the_heldout_bound(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    config = with_value(tiny_config, "training.epochs", 15)
    validated = of_type(all_events(Trainer(config, tiny_dataset)), events.Validated)
    assert validated[0].step == 0
    assert validated[-1].step == 15 * 8
    assert validated[-1].num_images == 60
    assert validated[-1].terms["elbo"] > validated[0].terms["elbo"] + 5
    assert validated[-1].kl_D is not None
    assert float(validated[-1].kl_D.sum()) == pytest.approx(validated[-1].terms["kl"], rel=1e-4)


def test_the_same_seed_gives_the_same_run_and_another_does_not(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    weights = []
    for seed in (1, 1, 2):
        finished = all_events(Trainer(with_value(tiny_config, "training.seed", seed), tiny_dataset))[-1]
        assert isinstance(finished, events.Finished)
        assert finished.state is not None
        weights.append(torch.cat([value.flatten() for value in finished.state.model.values()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_looking_changes_nothing_that_is_trained(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    plain = all_events(Trainer(tiny_config, tiny_dataset))[-1]
    control = Control()
    trainer = Trainer(tiny_config, tiny_dataset)
    trainer.encoded_snapshot()
    looks = 0
    for event in trainer.run(control):
        control.want_snapshot()
        looks += isinstance(event, events.SnapshotTaken)
        last = event
    assert looks > 2
    assert isinstance(plain, events.Finished)
    assert isinstance(last, events.Finished)
    assert plain.state is not None
    assert last.state is not None
    assert all(torch.equal(plain.state.model[name], value) for name, value in last.state.model.items())


def test_a_snapshot_is_taken_only_when_wanted_and_never_changes(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    assert not of_type(all_events(Trainer(tiny_config, tiny_dataset)), events.SnapshotTaken)
    control = Control()
    control.want_snapshot()
    trainer = Trainer(tiny_config, tiny_dataset)
    stream = trainer.run(control)
    taken = next(event for event in stream if isinstance(event, events.SnapshotTaken)).snapshot
    before = {name: value.clone() for name, value in taken.weights.items()}
    assert taken.codes_ND is not None
    codes = taken.codes_ND.clone()
    rest = list(stream)
    (last,) = of_type(rest, events.SnapshotTaken)
    assert last.snapshot.step == rest[-1].step, "whoever looked on the way sees the end"
    assert all(torch.equal(before[name], value) for name, value in taken.weights.items())
    torch.testing.assert_close(codes, taken.codes_ND, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(before["encoder.0.weight"], trainer.model.state_dict()["encoder.0.weight"])


def test_codes_of_every_item_are_there_before_training_and_follow_it(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    trainer = Trainer(tiny_config, tiny_dataset)
    untrained = trainer.encoded_snapshot()
    assert untrained.codes_ND is not None
    x_NCHW = tiny_dataset.images.gather(torch.arange(300)).float() / 255
    with torch.no_grad():
        torch.testing.assert_close(untrained.codes_ND, trainer.model.encode(x_NCHW).mean)
    all_events(trainer)
    trained = trainer.snapshot().codes_ND
    assert trained is not None
    assert (trained != untrained.codes_ND).any(1).all()


def test_pause_single_step_resume_and_stop(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    control = Control()
    stream = Trainer(with_value(tiny_config, "training.epochs", 1000), tiny_dataset).run(control)
    assert isinstance(next(stream), events.Started)
    control.pause()
    paused = next(event for event in stream if isinstance(event, events.Paused))
    assert paused.reason == ""
    control.step_once()
    chunk = next(event for event in stream if isinstance(event, events.MetricsChunk))
    assert chunk.steps.tolist() == [paused.step + 1]
    control.want_snapshot()
    looked = next(event for event in stream if isinstance(event, events.SnapshotTaken))
    assert looked.snapshot.step == paused.step + 1
    control.resume()
    assert next(event for event in stream if isinstance(event, events.Resumed)).step == paused.step + 1
    control.stop()
    rest = list(stream)
    assert isinstance(rest[-1], events.Finished)
    assert rest[-1].reason == "stopped"
    assert rest[-1].step < 8000


def test_time_spent_resting_is_not_training_time(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    control = Control()
    stream = Trainer(tiny_config, tiny_dataset).run(control)
    next(stream)
    control.pause()
    next(event for event in stream if isinstance(event, events.Paused))
    threading.Timer(0.5, control.resume).start()
    finished = list(stream)[-1]
    assert isinstance(finished, events.Finished)
    assert finished.seconds < 0.5


def test_live_settings_change_the_next_steps_and_are_announced(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    control = Control()
    stream = Trainer(tiny_config, tiny_dataset).run(control)
    next(stream)
    control.change("model.beta", 4.0)
    control.change("training.learning_rate", 5e-4)
    found = list(stream)
    beta, rate = of_type(found, events.SettingChanged)
    assert (beta.path, beta.old, beta.new) == ("model.beta", 1.0, 4.0)
    assert (rate.path, rate.old, rate.new) == ("training.learning_rate", 1e-2, 5e-4)
    values = np.concatenate([chunk.values for chunk in of_type(found, events.MetricsChunk)])
    assert (values[:, 3] == 4).all()
    assert values[-1, 4] == pytest.approx(5e-4)
    np.testing.assert_allclose(
        values[:, 0], -(values[:, 1] + values[:, 2]), rtol=1e-5
    )  # the bound stays that at beta 1


def test_schedules_reach_their_ends(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    config = with_value(tiny_config, "training.learning_rate_schedule", "cosine")
    config = with_value(config, "model.beta_warmup_images", 240)
    chunks = of_type(all_events(Trainer(config, tiny_dataset)), events.MetricsChunk)
    values = np.concatenate([chunk.values for chunk in chunks])
    beta, rate = values[:, 3], values[:, 4]
    assert beta[0] == 0
    assert (np.diff(beta[:8]) > 0).all()
    assert (beta[8:] == 1).all()
    assert rate[0] == pytest.approx(1e-2)
    assert (np.diff(rate) < 0).all()
    assert rate[-1] < 1e-3


def test_clipping_bounds_the_step(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    config = with_value(tiny_config, "training.gradient_clip_norm", 1e-3)
    trainer = Trainer(config, tiny_dataset)
    all_events(trainer)
    gradients = [p.grad for p in trainer.model.parameters() if p.grad is not None]
    assert torch.cat([g.flatten() for g in gradients]).norm().item() <= 1.001e-3


@pytest.mark.parametrize("protocol", ["grey", "dynamic", "threshold"])
def test_a_state_continues_bit_for_bit(tiny_config: RunConfig, tiny_dataset: ImageDataset, protocol: str) -> None:
    config = with_value(tiny_config, "data.protocol", protocol)
    whole = all_events(Trainer(config, tiny_dataset))[-1]
    control = Control()
    first = Trainer(config, tiny_dataset)
    stream = first.run(control)
    next(stream)
    for _ in range(11):  # in the middle of the second epoch
        control.step_once()
    next(event for event in stream if isinstance(event, events.MetricsChunk) and event.step == 11)
    state = first.state()
    stream.close()
    assert state is not None
    second = Trainer(config, tiny_dataset)
    second.restore(state)
    rest = all_events(second)
    assert isinstance(whole, events.Finished)
    assert whole.state is not None
    continued = rest[-1]
    assert isinstance(continued, events.Finished)
    assert continued.state is not None
    assert continued.step == whole.step
    assert all(torch.equal(whole.state.model[name], value) for name, value in continued.state.model.items())
    assert all(torch.equal(whole.state.optimiser[name], value) for name, value in continued.state.optimiser.items())


def test_checkpoints_come_at_their_interval_and_when_wanted(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    assert not of_type(all_events(Trainer(tiny_config, tiny_dataset)), events.CheckpointDue)
    control = Control()
    control.want_checkpoint()
    due = of_type(all_events(Trainer(tiny_config, tiny_dataset), control), events.CheckpointDue)
    assert len(due) == 1
    often = with_value(tiny_config, "recording.checkpoint_interval_seconds", 0.1)
    often = with_value(often, "training.epochs", 200)
    assert len(of_type(all_events(Trainer(often, tiny_dataset)), events.CheckpointDue)) >= 2


def test_nothing_of_torchs_global_state_is_drawn_from(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    before = torch.get_rng_state()
    trainer = Trainer(tiny_config, tiny_dataset)
    trainer.encoded_snapshot()
    all_events(trainer)
    assert torch.equal(before, torch.get_rng_state())


def test_events_are_frozen_and_no_mode_leaks_to_the_consumer(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    control = Control()
    for event in Trainer(tiny_config, tiny_dataset).run(control):
        control.want_snapshot()
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
        assert type(event).__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_history_holds_what_the_events_said(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    history = MetricHistory()
    found = all_events(Trainer(tiny_config, tiny_dataset))
    for event in found:
        if isinstance(event, events.MetricsChunk):
            history.append_chunk(event)
        elif isinstance(event, events.Validated):
            history.append_validation(event)
    assert len(history) == 24
    assert history.train("step").tolist() == list(range(1, 25))
    assert history.axis("images_seen", "train")[-1] == 720
    assert (np.diff(history.axis("seconds", "train")) > 0).all()
    assert history.num_heldout == len(of_type(found, events.Validated))
    assert np.isnan(history.train("no such column")).all()
    elbo = [event.terms["elbo"] for event in of_type(found, events.Validated)]
    assert history.heldout("elbo").tolist() == elbo


def test_a_long_history_is_thinned_and_loses_no_spike_and_not_its_end() -> None:
    history, rng = MetricHistory(), np.random.default_rng(0)
    num_steps = 10 * MOST_ROWS
    elbo = rng.normal(-100.0, 1.0, num_steps)
    spikes = rng.choice(num_steps, 20, replace=False)
    elbo[spikes] -= 50.0
    step = np.arange(1.0, num_steps + 1)
    for part in np.array_split(np.arange(num_steps), 50):
        rows = {"step": step[part], "images_seen": 32 * step[part], "seconds": step[part] / 50, "elbo": elbo[part]}
        history.append_rows(rows, {})
        assert len(history) <= MOST_ROWS
        assert history.train("step")[-1] == step[part][-1]
    kept = history.train("step").astype(int)
    assert (np.diff(kept) > 0).all()
    assert set(spikes + 1) <= set(kept.tolist())
    np.testing.assert_array_equal(history.train("elbo"), elbo[kept - 1])
    assert np.histogram(kept, bins=20)[0].min() > MOST_ROWS // 50, "old rows too"


def test_a_history_that_was_read_goes_on_with_a_row_a_report(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    history = MetricHistory()
    columns = {"step": [8.0], "images_seen": [240.0], "seconds": [1.0], "elbo": [-30.0]}
    history.append_rows({name: np.array(values) for name, values in columns.items()}, {})
    chunks = of_type(all_events(Trainer(tiny_config, tiny_dataset)), events.MetricsChunk)
    for chunk in chunks:
        history.append_chunk(chunk)
    assert len(history) == 1 + len(chunks)
    assert history.train("step")[-1] == chunks[-1].step
    assert history.train("elbo")[-1] == pytest.approx(chunks[-1].values[:, 0].mean())
    assert history.train("beta")[-1] == chunks[-1].values[-1, 3]


def test_a_run_without_heldout_images_has_no_heldout_curve(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    dataset = dataclasses.replace(tiny_dataset, train_index_N=torch.arange(300), heldout_index_N=torch.arange(0))
    found = all_events(Trainer(tiny_config, dataset))
    assert not of_type(found, events.Validated)
    assert isinstance(found[-1], events.Finished)
    assert found[-1].validation == {}


@pytest.mark.gpu
def test_a_captured_step_trains_as_the_eager_one(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    from vae_explorer.datasets.image_dataset import ResidentImages

    device = torch.device("cuda")
    pictures = tiny_dataset.images.gather(torch.arange(300)).numpy()
    dataset = dataclasses.replace(
        tiny_dataset,
        images=ResidentImages(pictures, device),
        labels_N=None,
        train_index_N=tiny_dataset.train_index_N.to(device),
        heldout_index_N=tiny_dataset.heldout_index_N.to(device),
    )
    config = with_value(tiny_config, "training.device", "cuda")
    config = with_value(config, "training.batch_size", 48)  # five whole batches an epoch
    captured = all_events(Trainer(config, dataset))[-1]
    eager_trainer = Trainer(config, dataset)
    eager_trainer._runnable_step = lambda: eager_trainer.__dict__.setdefault("_num_threads", 1) and eager_trainer.step  # type: ignore[method-assign]
    eager = all_events(eager_trainer)[-1]
    assert isinstance(captured, events.Finished)
    assert isinstance(eager, events.Finished)
    assert captured.step == eager.step
    assert captured.validation["elbo"] == pytest.approx(eager.validation["elbo"], rel=0.05)


@pytest.mark.parametrize("record", list(MODELS), ids=lambda record: record.name)
def test_every_model_trains_through_the_same_loop(record, tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    config = with_value(with_value(tiny_config, "model.name", record.name), "data.protocol", protocol_for(record))
    finished = all_events(Trainer(config, tiny_dataset))[-1]
    assert isinstance(finished, events.Finished)
    assert finished.reason == "completed"


def test_a_window_leaves_a_core_to_itself(
    tiny_config: RunConfig, tiny_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    config = with_value(tiny_config, "training.num_threads", 0)
    before = torch.get_num_threads()
    try:
        started = all_events(Trainer(config, tiny_dataset, spare_cores=1))[0]
    finally:
        torch.set_num_threads(before)
    assert isinstance(started, events.Started)
    assert started.num_threads == 1


def test_the_mean_image_is_that_of_the_training_images_alone(tiny_dataset: ImageDataset) -> None:
    expected = tiny_dataset.images.gather(tiny_dataset.train_index_N).double().mean(0) / 255
    torch.testing.assert_close(mean_training_image(tiny_dataset).double(), expected)
    # Of many an even part: the first ones may be all of one kind.
    part = tiny_dataset.images.gather(tiny_dataset.train_index_N[::34][:7]).double().mean(0) / 255
    torch.testing.assert_close(mean_training_image(tiny_dataset, most=7).double(), part)


def test_adams_second_moment_forgets_as_fast_as_asked(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    trainer = Trainer(with_value(tiny_config, "training.adam_beta2", 0.9), tiny_dataset)
    assert trainer.step.optimiser.param_groups[0]["betas"] == (0.9, 0.9)


def test_a_stopped_run_ends_with_the_bound_of_its_last_step(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    control = Control()
    found = []
    for event in Trainer(with_value(tiny_config, "training.epochs", 100), tiny_dataset).run(control):
        found.append(event)
        if isinstance(event, events.MetricsChunk) and event.step >= 5:
            control.stop()
    finished, last = found[-1], of_type(found, events.Validated)[-1]
    assert isinstance(finished, events.Finished)
    assert finished.reason == "stopped"
    assert last.step == finished.step
    assert finished.validation == last.terms


def test_effective_beta_is_measured_on_the_loss_itself(
    tiny_config: RunConfig, tiny_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started_beta(config: RunConfig) -> float:
        started = next(Trainer(config, tiny_dataset).run(Control()))
        assert isinstance(started, events.Started)
        return started.effective_beta

    assert started_beta(tiny_config) == 1.0
    assert started_beta(with_value(tiny_config, "model.beta", 4.0)) == 4.0
    assert started_beta(with_value(tiny_config, "model.beta_warmup_images", 1000)) == 1.0
    original = VariationalAutoencoder.objective

    def mean_over_pixels(self, batch, beta, generator):
        found = original(self, batch, beta, generator)
        loss = found.terms["reconstruction"] / 64 + beta * found.terms["kl"]
        return dataclasses.replace(found, loss=loss)

    monkeypatch.setattr(VariationalAutoencoder, "objective", mean_over_pixels)
    assert started_beta(tiny_config) == pytest.approx(64, rel=0.01)
