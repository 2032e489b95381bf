"""A run starts from a file of weights where names and shapes agree, says so, and no file does anything else."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.cli.tiny_command import TINY, error_lines
from tests.conftest import Times
from tests.export.trained_models import small_config
from tests.mutants import within_limits
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer import cli
from vae_explorer import notebook as vx
from vae_explorer.errors import FileError, UserError
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.runs.beginning import beginning_of, run_from
from vae_explorer.runs.checkpoint import model_from_run
from vae_explorer.runs.history import read_events
from vae_explorer.runs.run_directory import START_WEIGHTS_FILE, RunDirectory
from vae_explorer.runs.start_weights import StartWeights, read_start_weights
from vae_explorer.training.control import Control
from vae_explorer.training.events import Started, WeightsTaken
from vae_explorer.training.run_config import with_value

Tensors = dict[str, torch.Tensor]


def floating(tensors: Tensors) -> Tensors:
    return {name: value for name, value in tensors.items() if value.is_floating_point()}


@pytest.fixture(params=[record for record in MODELS if not record.is_fitted], ids=lambda record: record.name)
def record(request: pytest.FixtureRequest) -> ModelRecord:
    return request.param


def test_every_model_goes_on_from_the_weights_of_another_run(record: ModelRecord, tmp_path: Path) -> None:
    config = small_config(record)
    first, _ = train_tiny(tmp_path / "first", config)
    assert cli.main(["export", str(first.path), "--what", "model", "--out", str(tmp_path / "w.safetensors")]) == 0
    trained = floating(model_from_run(first.path).model.state_dict())
    start = read_start_weights(tmp_path / "w.safetensors", config)
    trainer = make_trainer(with_value(config, "training.seed", 7))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    run = RunDirectory.create(config, tmp_path / "second")
    stream = run_from(start, trainer, Control(), run)
    assert isinstance(next(stream), Started)
    now = trainer.model.state_dict()
    assert all(torch.equal(now[name], value) for name, value in trained.items())
    # What counts the training is the run's own.
    assert all(torch.equal(now[name], value) for name, value in before.items() if name not in trained)
    told = next(stream)
    assert isinstance(told, WeightsTaken)
    assert told.num_tensors == len(trained)
    stream.close()


def test_the_average_of_the_weights_starts_there_too(tmp_path: Path) -> None:
    config = with_value(tiny_config(), "training.ema_decay", 0.9)
    weights = write(tmp_path / "w.safetensors", changed(tiny_tensors()))
    trainer = make_trainer(config)
    next(run_from(read_start_weights(weights, config), trainer, Control(), RunDirectory.create(config, tmp_path / "r")))
    for name, value in changed(tiny_tensors()).items():
        assert torch.equal(trainer.step.looked_at.state_dict()[name], value)


def tiny_tensors() -> Tensors:
    return {name: value.clone() for name, value in make_trainer(tiny_config()).model.state_dict().items()}


def changed(tensors: Tensors) -> Tensors:
    return {name: value + 0.125 for name, value in tensors.items()}


def write(path: Path, tensors: Tensors) -> Path:
    safetensors.torch.save_file(tensors, path)
    return path


def test_the_command_starts_from_them_and_the_run_remembers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "first")]) == 0
    capsys.readouterr()
    weights = tmp_path / "weights of mine.safetensors"
    assert cli.main(["export", str(tmp_path / "first"), "--what", "model", "--out", str(weights)]) == 0
    arguments = ["train", *TINY, "--run-dir", str(tmp_path / "second"), "--weights", str(weights)]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert f"Starts from {len(tiny_tensors())} tensors in {weights}" in said
    run = RunDirectory.open(tmp_path / "second")
    begun, taken = read_events(run)[:2]
    assert (begun["event"], taken["event"]) == ("started", "weights_taken")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (taken["file"], taken["sha256"], taken["step"]) == (str(weights), digest, 0)
    assert (run.path / START_WEIGHTS_FILE).read_bytes() == weights.read_bytes()

    # It goes on where the first ended: its first epoch is better than the first's was.
    def first_elbo(path: Path) -> float:
        return float(vx.open_run(path).metrics.of("heldout")["elbo"][0])

    last = float(vx.open_run(tmp_path / "first").metrics.of("heldout")["elbo"][-1])
    assert first_elbo(run.path) == pytest.approx(last, rel=1e-4)
    assert first_elbo(run.path) > first_elbo(tmp_path / "first")


def test_json_tells_of_them_and_python_takes_them_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = train_tiny(tmp_path / "first")
    weights = write(tmp_path / "w.safetensors", tiny_tensors())
    config = str(first.path / "run.toml")
    arguments = ["train", "--config", config, "--json", "--run-dir", str(tmp_path / "a"), "--weights", str(weights)]
    assert cli.main(arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines[:2]] == ["started", "weights_taken"]
    run = vx.train(config, tmp_path / "b", weights=weights)
    other = model_from_run(tmp_path / "a").model.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in run.model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floating_types_are_converted(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {name: value.to(dtype) for name, value in tiny_tensors().items()}
    start = read_start_weights(write(tmp_path / "w.safetensors", tensors), tiny_config())
    for name, value in tensors.items():
        assert start.tensors[name].dtype == torch.float32
        assert torch.equal(start.tensors[name], value.float())


def without(tensors: Tensors) -> Tensors:
    return {name: value for name, value in tensors.items() if name != "decoder.0.bias"}


WRONG = {
    "a name less": (without, "w.safetensors has no tensor 'decoder.0.bias', which this model has."),
    "a name more": (
        lambda own: own | {"x\n" * 99: torch.zeros(1)}, "w.safetensors has a tensor 'x?x?",
    ),
    "a shape": (
        lambda own: own | {"encoder.0.weight": torch.zeros(8, 64)},
        "The tensor 'encoder.0.weight' of w.safetensors has the shape (8, 64), and this model's (16, 64).",
    ),
    "whole numbers": (
        lambda own: own | {"encoder.0.bias": torch.zeros(16, dtype=torch.int32)}, "holds no floating numbers",
    ),
    "not finite": (lambda own: own | {"encoder.0.bias": torch.full((16,), torch.nan)}, "not finite in"),
    "too large for float32": (
        lambda own: own | {"encoder.0.bias": torch.full((16,), 1e300, dtype=torch.float64)}, "not finite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_the_first_that_differs_is_named(wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, words = WRONG[wrong]
    weights = write(tmp_path / "w.safetensors", change(tiny_tensors()))
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run"), "--weights", str(weights)]) == 1
    first, second = error_lines(capsys)
    assert words in first
    assert second.endswith(".")
    assert not (tmp_path / "run").exists()


def test_a_model_that_is_fitted_starts_from_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="works its weights out from the data"):
        read_start_weights(tmp_path / "w.safetensors", small_config(MODELS["ppca"]))


def test_a_file_that_is_none_or_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> bytes:
        raise AssertionError("it was read")

    monkeypatch.setattr("vae_explorer.runs.files.read_bytes", never)
    path = tmp_path / "w.safetensors"
    whole = write(path, tiny_tensors()).read_bytes()
    for content in (
        b"", b"short", struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 1_000_001) + b" " * 2_000_000,
        struct.pack("<Q", 100_000) + b"[" * 100_000, struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 4) + b"null",
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"no safetensors file|has no tensor"):
            read_start_weights(path, tiny_config())
    with path.open("wb") as file:
        file.write(whole)
        file.truncate(200_000_000)
    with pytest.raises(FileError, match="larger than its tensors account for"):
        read_start_weights(path, tiny_config())
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(FileError):
            read_start_weights(missing, tiny_config())


def mutants(content: bytes, number: int) -> list[bytes]:
    chance = random.Random(0)
    header = 8 + struct.unpack("<Q", content[:8])[0]
    found = []
    for _ in range(number):
        changed = bytearray(content)
        end = header if chance.random() < 0.8 else len(content)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(min(end, len(changed)))
            match chance.randrange(3):
                case 0:
                    changed[place] = chance.randrange(256)
                case 1:
                    del changed[place : place + chance.randint(1, 40)]
                case _:
                    changed[place:place] = bytes(chance.choice(b'0123456789{}[]",:eE-n') for _ in range(3))
        found.append(bytes(changed))
    return found


def test_mutants_of_a_file_are_taken_or_refused_in_a_sentence(times: Times, tmp_path: Path) -> None:
    number = times(300, 50_000)
    path, config = write(tmp_path / "w.safetensors", tiny_tensors()), tiny_config()
    refused = 0
    for mutant in mutants(path.read_bytes(), number):
        path.write_bytes(mutant)
        try:
            with within_limits():
                read_start_weights(path, config)
        except FileError as error:
            refused += 1
            assert error.hint
            assert error.message.isprintable()
    assert refused > number / 3


def test_a_disk_that_cannot_keep_them_ends_the_run_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, check: object = None) -> None:
        if path.name == START_WEIGHTS_FILE:
            raise FileError(path, "The disk is full.", "Free some space.")
        written(path, content)

    from vae_explorer.runs import files

    written = files.write_bytes_atomic
    monkeypatch.setattr(files, "write_bytes_atomic", full)
    with pytest.raises(FileError, match="The disk is full"):
        vx.train(tiny_config(), tmp_path / "run", weights=write(tmp_path / "w.safetensors", tiny_tensors()))
    assert read_events(RunDirectory.open(tmp_path / "run"))[-1]["event"] == "error"


def test_a_run_that_was_killed_before_its_first_checkpoint_goes_on_from_the_weights_it_kept(tmp_path: Path) -> None:
    weights = write(tmp_path / "w.safetensors", changed(tiny_tensors()))
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    stream = run_from(read_start_weights(weights, tiny_config()), make_trainer(tiny_config()), Control(), run)
    assert isinstance([next(stream) for _ in range(2)][-1], WeightsTaken)
    stream.close()
    weights.unlink()
    beginning = beginning_of(run)
    assert isinstance(beginning, StartWeights)
    assert all(torch.equal(beginning.tensors[name], value) for name, value in changed(tiny_tensors()).items())
    assert beginning_of(RunDirectory.create(tiny_config(), tmp_path / "other")) is None


@pytest.mark.parametrize(
    ("flag", "what"),
    [
        ("--resume", "A run is continued with its own settings."),
        ("--fork", "A fork begins with its parent's settings."),
    ],
)
def test_what_goes_on_from_a_checkpoint_takes_no_weights(
    flag: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = train_tiny(tmp_path / "run", tiny_config())
    which = ["--resume", "--run-dir"] if flag == "--resume" else ["--fork"]
    assert cli.main(["train", *which, str(run.path), "--weights", "w.safetensors"]) == 2
    said, hint = error_lines(capsys)
    assert what in said
    assert "--weights" in hint
