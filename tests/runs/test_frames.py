"""Frames on disk: written beside the training, read back whole or left out, cut back with the run, never too many."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Times
from tests.mutants import within_limits
from tests.runs.failing_calls import fail_call, mend
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from tests.training.test_frames import DEFAULT_PRESET, frames_until
from vae_explorer.errors import FileError
from vae_explorer.runs import frames as frames_on_disk
from vae_explorer.runs.event_records import FramesWritten, RecordedEvent, RecordingFailed, RecordingRecovered
from vae_explorer.runs.forking import checkpoint_near, fork
from vae_explorer.runs.frames import (
    ANCHORS_FILE,
    RecordedFrames,
    copy_frames,
    frames_folder,
    read_frames,
    read_weights,
    write_frames,
)
from vae_explorer.runs.recorder import record
from vae_explorer.runs.resuming import newest_good_checkpoint
from vae_explorer.runs.retention import spread_steps
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.events import Event, Finished, FrameTaken
from vae_explorer.training.frames import MOST_FRAMES, MOST_WEIGHTS, KeptOfModel
from vae_explorer.training.run_config import with_value


def frame_at(
    step: int,
    codes_AD: np.ndarray | None = None,
    weights: dict[str, torch.Tensor] | None = None,
    items_A: np.ndarray | None = None,
) -> FrameTaken:
    codes_AD = np.random.default_rng(step).normal(size=(6, 2)).astype(np.float32) if codes_AD is None else codes_AD
    items_A = np.arange(len(codes_AD)) * 3 if items_A is None else items_A
    kept = KeptOfModel(items_A=items_A, codes_AD=codes_AD, weights=weights)
    return FrameTaken(step=step, epoch=step / 8, images_seen=step * 25, seconds=step / 7, beta=1.0, kept=kept)


def of(run: RunDirectory) -> RecordedFrames:
    found = read_frames(run)
    assert found is not None
    return found


@pytest.fixture
def empty(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tiny_config(), tmp_path / "run")


def test_a_run_keeps_its_frames_and_says_which(tmp_path: Path) -> None:
    taken: list[FrameTaken] = []
    run = RunDirectory.create(tiny_config(), tmp_path / "run")

    def watched() -> Iterator[Event]:
        for event in make_trainer(run.config).run(Control()):
            if isinstance(event, FrameTaken):
                taken.append(event)
            yield event

    seen: list[RecordedEvent] = list(record(watched(), run))
    assert not any(isinstance(event, FrameTaken) for event in seen)
    assert [step for event in seen if isinstance(event, FramesWritten) for step in event.steps] == [0, 4, 16]
    found = of(run)
    assert found.steps == (0, 4, 16)
    assert found.weight_steps == (0, 16)
    assert found.left_out == ()
    for frame, original in zip(found.frames, taken, strict=True):
        np.testing.assert_array_equal(found.items_A, original.kept.items_A)
        np.testing.assert_allclose(frame.codes_AD, original.kept.codes_AD, rtol=1e-3, atol=1e-3)
        assert (frame.epoch, frame.images_seen, frame.seconds) == (
            original.epoch, original.images_seen, original.seconds,
        )  # fmt: skip
    assert taken[-1].kept.weights is not None
    weights = read_weights(run, 16)
    assert set(weights) == set(taken[-1].kept.weights)
    assert all(torch.equal(weights[name], value) for name, value in taken[-1].kept.weights.items())


def test_five_thousand_codes_take_twenty_kilobytes(empty: RunDirectory) -> None:
    write_frames(empty, [frame_at(1, np.ones((5000, 2), np.float32))])
    size = (frames_folder(empty) / "000000001.safetensors").stat().st_size
    assert 20_000 <= size <= 21_000


def test_eight_hours_of_the_default_preset_stay_small() -> None:
    """At 200 steps a second, faster than on any machine it was measured on without a GPU."""
    steps = [frame.step for frame in frames_until(DEFAULT_PRESET, 8 * 3600 * 200)]
    num_weights = len(spread_steps([step for step in steps if step & (step - 1) == 0], MOST_WEIGHTS))
    rows = 8 * 3600 * 10 * 160  # ten rows a second of 160 bytes
    in_all = len(steps) * 20_500 + num_weights * 4_700_000 + rows
    assert in_all < 150_000_000


def test_large_codes_keep_their_digits_and_nan_stays(empty: RunDirectory) -> None:
    codes_AD = np.array([[1e6, 1.0], [np.nan, np.nan], [-3.0, 2.0]], np.float32)
    write_frames(empty, [frame_at(5, codes_AD)])
    np.testing.assert_array_equal(of(empty).frames[0].codes_AD, codes_AD)


def test_known_frames_are_not_read_again(empty: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames(empty, [frame_at(1), frame_at(2)])
    before = of(empty)
    write_frames(empty, [frame_at(4)])
    read: list[int] = []
    original = frames_on_disk._read_frame
    monkeypatch.setattr(frames_on_disk, "_read_frame", lambda *args: (read.append(args[1]), original(*args))[1])
    after = read_frames(empty, before)
    assert after is not None
    assert after.steps == (1, 2, 4)
    assert read == [4]


def test_a_run_without_frames_has_none(empty: RunDirectory) -> None:
    assert read_frames(empty) is None
    with pytest.raises(FileError):
        read_weights(empty, 3)


def test_what_is_too_many_goes_evenly(empty: RunDirectory) -> None:
    model = {"w": torch.zeros(3)}
    steps = range(1, 3 * MOST_FRAMES)
    for first in range(0, len(steps), 50):
        write_frames(empty, [frame_at(step, weights=model if step % 7 == 0 else None) for step in steps[first:][:50]])
    found = of(empty)
    assert len(found.steps) == MOST_FRAMES
    assert len(found.weight_steps) == MOST_WEIGHTS
    assert (found.steps[0], found.steps[-1]) == (1, 3 * MOST_FRAMES - 1)
    places = np.log2(np.array(found.steps) + 1)
    assert np.diff(places)[30:].max() < 4 * np.diff(places)[30:].mean()


def test_spread_steps_keeps_the_ends() -> None:
    assert spread_steps([5, 1, 1, 9], 10) == (1, 5, 9)
    assert spread_steps([0, 1, 2, 4, 8, 16, 17], 3) == (0, 4, 17)
    assert spread_steps([3, 8], 1) == (8,)
    assert spread_steps([3, 8], 0) == ()


def test_a_run_that_goes_on_keeps_the_frames_up_to_its_checkpoint(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run", tiny_config(epochs=4))
    before = {frame.step: frame.codes_AD for frame in of(run).frames}
    assert max(before) == 32
    later = {"codes_AD": np.zeros((240, 2), np.float32), "weights": {"w": torch.zeros(1)}, "items_A": of(run).items_A}
    write_frames(run, [frame_at(step, **later) for step in (33, 40)])
    checkpoint = newest_good_checkpoint(run)
    assert checkpoint is not None
    assert checkpoint.step == 32
    config = with_value(run.config, "training.epochs", 5)
    trainer = make_trainer(config)
    trainer.restore(checkpoint.state)
    stream = record(trainer.run(Control()), RunDirectory(run.path, config))
    with contextlib.closing(stream):
        next(stream)
        assert of(run).steps == tuple(before)
        assert 40 not in of(run).weight_steps
        list(stream)
    found = of(run)
    assert found.steps[: len(before)] == tuple(before)
    assert found.steps[-1] == 40
    for frame in found.frames[: len(before)]:
        np.testing.assert_array_equal(frame.codes_AD, before[frame.step])
    last = found.frames[-1].codes_AD
    assert last is not None
    assert np.abs(last).max() > 0, "the frame of the training that was cut off is gone"


def test_a_run_that_begins_anew_has_no_frame_of_before(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run")
    for path in run.checkpoints():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    stream = record(make_trainer(run.config).run(Control()), run)
    with contextlib.closing(stream):
        next(stream)
        assert read_frames(run) is None


def test_a_child_looks_back_at_its_parents_time(tmp_path: Path) -> None:
    parent, _ = train_tiny(tmp_path / "parent")
    child = fork(parent, checkpoint_near(parent, None), tiny_config(epochs=3), tmp_path / "child")
    assert of(child).steps == of(parent).steps
    assert of(child).weight_steps == of(parent).weight_steps
    np.testing.assert_array_equal(of(child).frames[1].codes_AD, of(parent).frames[1].codes_AD)
    young = RunDirectory.create(parent.config, tmp_path / "young")
    copy_frames(parent, young, 4)
    assert of(young).steps == (0, 4)


def test_frames_of_other_anchors_go_when_new_ones_come(empty: RunDirectory) -> None:
    write_frames(empty, [frame_at(1), frame_at(2)])
    write_frames(empty, [frame_at(3, np.zeros((9, 2), np.float32))])
    assert of(empty).steps == (3,)


# --- trouble


@pytest.mark.parametrize("call", ["mkdir", "fsync", "replace", "write"])
def test_a_full_disk_never_ends_training_and_no_frame_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    given = list(make_trainer(run.config).run(Control()))
    clock = iter(float(second) for second in range(100_000))

    def while_the_disk_is_full() -> Iterator[Event]:
        yield from given[:1]
        fail_call(monkeypatch, 1, errno.ENOSPC, for_good=True)
        yield from given[1:-4]
        mend(monkeypatch)
        yield from given[-4:]

    seen = list(record(while_the_disk_is_full(), run, lambda: next(clock)))
    assert sum(isinstance(event, RecordingFailed) for event in seen) == 1
    assert sum(isinstance(event, RecordingRecovered) for event in seen) == 1
    assert isinstance(seen[-1], Finished)
    assert of(run).steps == (0, 4, 16)


def test_an_altered_frame_is_left_out_and_said(empty: RunDirectory, times: Times) -> None:
    write_frames(empty, [frame_at(1), frame_at(2), frame_at(4)])
    path = frames_folder(empty) / "000000002.safetensors"
    original = path.read_bytes()
    draw = random.Random(4)
    for _ in range(times(300, 50_000)):
        content = bytearray(original)
        match draw.randrange(3):
            case 0:
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            case 1:
                del content[draw.randrange(len(content)) :]
            case _:
                content += draw.randbytes(draw.randrange(1, 50))
        path.write_bytes(content)
        with within_limits():
            found = of(empty)
        if found.steps == (1, 2, 4):
            # What JSON says in two ways, such as the blank after its end, is no difference.
            np.testing.assert_array_equal(found.frames[1].codes_AD, frame_at(2).kept.codes_AD.astype(np.float16))
            continue
        assert found.steps == (1, 4)
        assert [error.path for error in found.left_out] == [path]


def sealed(codes: dict[str, np.ndarray], **facts: str) -> bytes:
    told = {"step": "1", "epoch": "0.1", "images_seen": "9", "seconds": "0.5", "beta": "1.0"} | facts
    return frames_on_disk._sealed(codes, told)


GOOD = np.zeros((6, 2), np.float16)


@pytest.mark.parametrize(
    "content",
    [
        sealed({"codes": GOOD}, step="2"),
        sealed({"codes": GOOD}, epoch="nan"),
        sealed({"codes": GOOD}, seconds="-1"),
        sealed({"codes": GOOD}, format_version="2"),
        sealed({"codes": GOOD[:5]}),
        sealed({"codes": GOOD.astype(np.int64)}),
        sealed({"codes": GOOD.ravel()}),
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 90_000) + b"[" * 90_000,
        b"",
        b"\x00" * 30_000_000,
    ],
    ids=range(11),
)
def test_a_strangers_frame_is_left_out(empty: RunDirectory, content: bytes) -> None:
    write_frames(empty, [frame_at(1), frame_at(4)])
    (frames_folder(empty) / "000000001.safetensors").write_bytes(content)
    found = of(empty)
    assert found.steps == (4,)
    assert len(found.left_out) == 1


def test_frames_of_two_latent_spaces_are_no_run(empty: RunDirectory) -> None:
    write_frames(empty, [frame_at(1)])
    write_frames(empty, [frame_at(4, np.zeros((6, 3), np.float32))])
    with pytest.raises(FileError, match="is not a file that VAE Explorer wrote"):
        read_frames(empty)


@pytest.mark.parametrize(
    "items", [np.array([3, 1]), np.array([-1, 4]), np.array([[1, 2]]), np.array([1.0, 2.0])], ids=range(4)
)
def test_a_strangers_anchors_are_refused(empty: RunDirectory, items: np.ndarray) -> None:
    write_frames(empty, [frame_at(1)])
    (frames_folder(empty) / ANCHORS_FILE).write_bytes(frames_on_disk._sealed({"items": items}, {}))
    with pytest.raises(FileError, match=ANCHORS_FILE):
        read_frames(empty)


def test_a_pipe_or_a_crowd_in_the_folder_holds_nothing_up(empty: RunDirectory) -> None:
    write_frames(empty, [frame_at(1)])
    folder = frames_folder(empty)
    os.mkfifo(folder / "000000002.safetensors")
    for step in range(1000, 1000 + 3 * MOST_FRAMES):
        (folder / f"{step:09d}.safetensors").write_bytes(b"")
    found = of(empty)
    assert found.steps == (1,)
    assert len(found.left_out) == 2 * MOST_FRAMES - 1


def test_weights_of_another_model_and_altered_ones_are_refused(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run")
    other, _ = train_tiny(tmp_path / "other", tiny_config(latents=3))
    path = frames_folder(run) / "000000016-weights.safetensors"
    original = path.read_bytes()
    path.write_bytes((frames_folder(other) / path.name).read_bytes())
    with pytest.raises(FileError, match=path.name):
        read_weights(run, 16)
    draw = random.Random(7)
    for _ in range(100):
        content = bytearray(original)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        try:
            weights = read_weights(run, 16)
        except FileError:
            continue
        path.write_bytes(original)
        assert all(torch.equal(weights[name], value) for name, value in read_weights(run, 16).items())
