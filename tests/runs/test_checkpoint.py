from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.conftest import Times
from tests.mutants import within_limits
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer.errors import FileError
from vae_explorer.runs.checkpoint import (
    MANIFEST_FILE,
    MODEL_FILE,
    STATE_FILE,
    TRAINING_STATE_FILE,
    model_from_run,
    read_checkpoint,
)
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    run, _ = train_tiny(tmp_path / "run")
    newest = run.newest_checkpoint()
    assert newest is not None
    return newest


def test_a_checkpoint_holds_what_the_trainer_gave(tmp_path: Path) -> None:
    run, events = train_tiny(tmp_path / "run")
    finished = events[-1]
    assert isinstance(finished, Finished)
    given = finished.state
    assert given is not None
    newest = run.newest_checkpoint()
    assert newest is not None
    found = read_checkpoint(newest)
    assert found.step == finished.step == 16
    assert found.config == run.config
    assert found.data_space.image_shape == (1, 8, 8)
    assert found.data_space.num_classes == 3
    assert found.state.progress == dict(given.progress)
    for part in ("model", "optimiser", "tensors"):
        before, after = getattr(given, part), getattr(found.state, part)
        assert set(before) == set(after)
        for name, tensor in before.items():
            assert torch.equal(tensor, after[name])
            assert tensor.dtype == after[name].dtype


def test_the_folder_has_the_four_files_and_their_digests(checkpoint: Path) -> None:
    assert {entry.name for entry in checkpoint.iterdir()} == {
        MODEL_FILE,
        TRAINING_STATE_FILE,
        STATE_FILE,
        MANIFEST_FILE,
    }
    manifest = json.loads((checkpoint / MANIFEST_FILE).read_text())
    for name, entry in manifest["files"].items():
        content = (checkpoint / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_a_trainer_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(checkpoint: Path) -> None:
    longer = tiny_config(epochs=4)
    whole = list(make_trainer(longer).run(Control()))[-1]
    second = make_trainer(longer)
    second.restore(read_checkpoint(checkpoint).state)
    resumed = list(second.run(Control()))[-1]
    assert isinstance(whole, Finished)
    assert isinstance(resumed, Finished)
    assert whole.state is not None
    assert resumed.state is not None
    assert whole.step == resumed.step
    for name, tensor in whole.state.model.items():
        assert torch.equal(tensor, resumed.state.model[name])


def test_the_model_of_a_run_encodes_and_decodes_as_the_trained_one(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run")
    before = torch.random.get_rng_state()
    model, config, step = model_from_run(run.path)
    assert torch.equal(before, torch.random.get_rng_state()), "looking draws from no generator of training"
    assert not model.training
    assert (config, step) == (run.config, 16)
    trainer = make_trainer(run.config)
    list(trainer.run(Control()))
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(model.decode(z).mean_BCHW, trainer.model.decode(z).mean_BCHW)
    newest = run.newest_checkpoint()
    assert newest is not None
    assert model_from_run(newest).step == 16, "a checkpoint's own folder will do"


def test_altered_payloads_are_rejected(checkpoint: Path, times: Times) -> None:
    draw = random.Random(3)
    names = (MODEL_FILE, TRAINING_STATE_FILE, STATE_FILE)
    originals = {name: (checkpoint / name).read_bytes() for name in names}
    for _ in range(times(300, 50_000)):
        name = draw.choice(names)
        content = bytearray(originals[name])
        match draw.randrange(3):
            case 0:
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            case 1:
                del content[draw.randrange(len(content)) :]
            case _:
                content += draw.randbytes(draw.randrange(1, 50))
        (checkpoint / name).write_bytes(content)
        with pytest.raises(FileError, match=name), within_limits():
            read_checkpoint(checkpoint)
        (checkpoint / name).write_bytes(originals[name])
    assert read_checkpoint(checkpoint).step == 16


def test_an_altered_manifest_is_an_error_of_our_family(checkpoint: Path, times: Times) -> None:
    draw = random.Random(5)
    original = (checkpoint / MANIFEST_FILE).read_bytes()
    accepted, num_mutants = 0, times(300, 50_000)
    for _ in range(num_mutants):
        content = bytearray(original)
        content[draw.randrange(len(content))] = draw.randrange(256)
        (checkpoint / MANIFEST_FILE).write_bytes(content)
        try:
            with within_limits():
                read_checkpoint(checkpoint)
            accepted += 1  # white space, a letter of a key that is not read
        except FileError as error:
            assert str(checkpoint) in error.message
    assert accepted < num_mutants / 2


def forge(checkpoint: Path, name: str, content: bytes) -> None:
    """Replace a file and make the manifest agree, as a stranger could."""
    (checkpoint / name).write_bytes(content)
    manifest = json.loads((checkpoint / MANIFEST_FILE).read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (checkpoint / MANIFEST_FILE).write_text(json.dumps(manifest))


def test_forged_payloads_with_a_true_digest_are_rejected_too(checkpoint: Path) -> None:
    original = (checkpoint / MODEL_FILE).read_bytes()
    model = safetensors.torch.load(original)
    first = next(iter(model))
    forgeries = {
        "does not fit its configuration": {**model, first: model[first].reshape(-1)[:3]},
        "holds tensors that": {**model, "stranger": torch.zeros(3)},
        "does not fit": {name: tensor.double() for name, tensor in model.items()},
    }
    for words, tensors in forgeries.items():
        forge(checkpoint, MODEL_FILE, safetensors.torch.save(tensors))
        with pytest.raises(FileError, match=words):
            read_checkpoint(checkpoint)
    for content in (
        b"",
        b"\xff" * 8,
        b"\xff" * 100,
        b"\x80\x04\x95 pickle",
        (2_000_000).to_bytes(8, "little") + b" " * 10,
    ):
        forge(checkpoint, MODEL_FILE, content)
        with pytest.raises(FileError, match="is not a file that VAE Explorer wrote"):
            read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "state",
    [
        b"[]", b"{", b"{}", b"[" * 100_000, b'{"config": 3}', b"\xff", b'{"config": {}, "image_shape": [1, 2]}',
        b'{"config": {}, "image_shape": [1, 100000, 1], "step": 1, "num_classes": 1, "progress": {}}',
        b'{"config": {"model": {"hidden_widths": [10000000000]}}, "image_shape": [1, 8, 8], "step": 1}',
    ],
)  # fmt: skip
def test_forged_state_files_are_rejected(checkpoint: Path, state: bytes) -> None:
    forge(checkpoint, STATE_FILE, state)
    with pytest.raises(FileError, match=STATE_FILE):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "numbers",
    [
        {"image_shape": [1, 14, 56]}, {"image_shape": [1, 1e999, 8]}, {"image_shape": [1, 8.0, 8]}, {"num_classes": 4},
        {"step": -1}, {"step": True}, {"step": 10**400}, {"progress": {"seconds": float("nan")}},
    ],
)  # fmt: skip
def test_forged_numbers_are_rejected(checkpoint: Path, numbers: dict[str, object]) -> None:
    state = json.loads((checkpoint / STATE_FILE).read_text())
    forge(checkpoint, STATE_FILE, json.dumps(state | numbers).encode())
    with pytest.raises(FileError, match=STATE_FILE):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("number", ["Infinity", "1e999", "-1", "true", '"12"', "null"])
def test_a_manifest_with_a_forged_size_is_rejected(checkpoint: Path, number: str) -> None:
    manifest = json.loads((checkpoint / MANIFEST_FILE).read_text())
    manifest["files"][MODEL_FILE]["bytes"] = "SIZE"
    (checkpoint / MANIFEST_FILE).write_text(json.dumps(manifest).replace('"SIZE"', number))
    with pytest.raises(FileError, match=MANIFEST_FILE):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("name", [MODEL_FILE, TRAINING_STATE_FILE])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_rejected(checkpoint: Path, name: str, value: float) -> None:
    tensors = safetensors.torch.load((checkpoint / name).read_bytes())
    poisoned = next(key for key, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel() > 1)
    tensors[poisoned].view(-1)[-1] = value
    forge(checkpoint, name, safetensors.torch.save(tensors))
    with pytest.raises(FileError, match=f"{name} holds numbers that are not finite"):
        model_from_run(checkpoint)


def test_a_configuration_larger_than_its_weights_costs_no_memory(checkpoint: Path) -> None:
    state = json.loads((checkpoint / STATE_FILE).read_text())
    state["config"]["model"]["hidden_widths"] = [8192] * 64  # 17 GB, were it built
    forge(checkpoint, STATE_FILE, json.dumps(state).encode())
    with pytest.raises(FileError, match="does not fit its configuration"):
        read_checkpoint(checkpoint)


def test_a_newer_version_and_missing_files_are_one_sentence(checkpoint: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    manifest = json.loads((copy / MANIFEST_FILE).read_text())
    (copy / MANIFEST_FILE).write_text(json.dumps(manifest | {"format_version": 2}))
    with pytest.raises(FileError, match="newer than this program's 1"):
        read_checkpoint(copy)
    for name in (MODEL_FILE, MANIFEST_FILE):
        copy = Path(shutil.copytree(checkpoint, tmp_path / f"without {name}"))
        (copy / name).unlink()
        with pytest.raises(FileError, match="There is no file"):
            read_checkpoint(copy)
        os.mkfifo(copy / name)
        with pytest.raises(FileError, match="not a plain file"):
            read_checkpoint(copy)


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run")
    shutil.rmtree(run.checkpoints_folder)
    with pytest.raises(FileError, match="has no checkpoint yet"):
        model_from_run(run.path)
