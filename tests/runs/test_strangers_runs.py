"""R4: a stranger's run whose digests agree may hold anything; it is refused by our own errors, and never crashes."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from tests.conftest import Times
from tests.mutants import altered, within_limits
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer.errors import FileError, UserError
from vae_explorer.runs.checkpoint import MANIFEST_FILE, STATE_FILE, TRAINING_STATE_FILE, read_checkpoint
from vae_explorer.runs.run_course import told_course
from vae_explorer.runs.run_directory import CONFIG_FILE, EVENTS_FILE, METRICS_FILE, RunDirectory
from vae_explorer.runs.run_status import judge
from vae_explorer.runs.stored_run import read_stored_run

Change = Callable[[dict[str, torch.Tensor], dict[str, Any]], None]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return train_tiny(tmp_path / "run", tiny_config())[0]


def sealed(checkpoint: Path, change: Change) -> None:
    """Change tensors and progress of a checkpoint and make its digests agree again, as its author could."""
    tensors = safetensors.torch.load_file(checkpoint / TRAINING_STATE_FILE)
    state = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
    change(tensors, state["progress"])
    safetensors.torch.save_file(tensors, checkpoint / TRAINING_STATE_FILE)
    (checkpoint / STATE_FILE).write_text(json.dumps(state), encoding="utf-8")
    manifest = json.loads((checkpoint / MANIFEST_FILE).read_text(encoding="utf-8"))
    for name in manifest["files"]:
        content = (checkpoint / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (checkpoint / MANIFEST_FILE).write_text(json.dumps(manifest), encoding="utf-8")


def restore(run: RunDirectory) -> None:
    make_trainer(run.config).restore(read_checkpoint(run.checkpoints()[-1]).state)


def set_tensor(name: str, value: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    def change(tensors: dict[str, torch.Tensor], _progress: dict[str, Any]) -> None:
        tensors[name] = value(tensors[name]).contiguous()

    return change


def set_progress(name: str, value: object) -> Change:
    def change(_tensors: dict[str, torch.Tensor], progress: dict[str, Any]) -> None:
        progress[name] = value

    return change


PERMUTATION, FIRST_MOMENT = "tensors.permutation", "optimiser.0.exp_avg"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_tensor(PERMUTATION, lambda t: t + 10**9), "other images"),
        (set_tensor(PERMUTATION, lambda t: t.float()), "other images"),
        (set_tensor(PERMUTATION, lambda t: t[:-1]), "other images"),
        (set_tensor(PERMUTATION, lambda t: torch.zeros_like(t)), "other images"),
        (lambda tensors, _: tensors.pop(PERMUTATION), "lacks its permutation"),
        (lambda tensors, _: tensors.pop("tensors.noise_generator"), "lacks its noise_generator"),
        (set_tensor(FIRST_MOMENT, lambda t: t[:1]), "another size than its weight"),
        (lambda tensors, _: tensors.update({"optimiser.x.exp_avg": torch.zeros(1)}), "belongs to no weight"),
        (lambda tensors, _: tensors.update({"optimiser.99.exp_avg": torch.zeros(1)}), "belongs to no weight"),
        (set_progress("position", 10**9), "behind the last image"),
        (set_progress("position", -1), "position is no count"),
        (set_progress("images_seen", "many"), "images_seen is no count"),
        (set_progress("learning_rate", None), "learning_rate is no number"),
        (set_progress("seconds", -1.0), "seconds is no number"),
        (set_progress("num_threads", 1.5), "num_threads is no count"),
    ],
)
def test_a_training_state_of_something_else_is_refused(run: RunDirectory, change: Change, words: str) -> None:
    sealed(run.checkpoints()[-1], change)
    with pytest.raises(UserError, match=words):
        restore(run)


def test_a_state_of_another_kind_of_device_goes_on_with_other_noise(run: RunDirectory) -> None:
    """A generator of CUDA keeps 16 bytes."""
    sealed(run.checkpoints()[-1], set_tensor("tensors.noise_generator", lambda _: torch.zeros(16, dtype=torch.uint8)))
    restore(run)


@pytest.mark.parametrize("name", [METRICS_FILE, EVENTS_FILE, CONFIG_FILE])
def test_altered_files_of_a_run_are_refused_or_read_never_fatal(
    tmp_path: Path, run: RunDirectory, times: Times, name: str
) -> None:
    path, draw, num_mutants = run.path / name, random.Random(3), times(300, 50_000)
    whole, refused = path.read_bytes(), 0
    for _ in range(num_mutants):
        path.write_bytes(altered(whole, draw))
        with within_limits():
            judge(run.path)
        try:
            with within_limits():
                opened = RunDirectory.open(run.path)
                told_course(opened)
                read_stored_run(opened)
        except UserError as error:
            refused += 1
            assert name in error.message
            assert error.hint
            assert error.message.isprintable()
    assert refused > num_mutants / 6
    path.write_bytes(whole)
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    assert read_stored_run(RunDirectory.open(copy)).step == 16


@pytest.mark.parametrize(
    "line",
    [
        {"event": "setting_changed", "path": "model.name", "old": 0, "new": 1},
        {"event": "setting_changed", "path": "training.learning_rate", "old": 0, "new": -1},
        {"event": "started", "num_train": 0},
        {"event": "started", "num_train": 1e999},
    ],
)
def test_events_that_no_run_tells_are_refused(run: RunDirectory, line: dict[str, Any]) -> None:
    first = json.loads(run.events_file.read_text(encoding="utf-8").splitlines()[0])
    place = {"step": 3, "images_seen": 10, "seconds": 0.1}
    with run.events_file.open("a", encoding="utf-8") as file:
        file.write(json.dumps(first | place | line) + "\n")
    with pytest.raises(FileError, match=r"events\.jsonl is not as VAE Explorer wrote it"):
        read_stored_run(run)
