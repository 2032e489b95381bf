from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import vae_explorer as vx
from tests.export.trained_models import small_config
from tests.tiny_runs import register_tiny, tiny_config
from vae_explorer.datasets.protocols import apply_protocol, fixed_draw
from vae_explorer.errors import FileError, SettingError, UserError
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.record import ModelRecord
from vae_explorer.runs.checkpoint import model_from_run
from vae_explorer.runs.ending import Ending
from vae_explorer.runs.history import read_events
from vae_explorer.runs.writer_lock import LOCK_FILE
from vae_explorer.training.events import MetricsChunk
from vae_explorer.training.run_config import RunConfig, load_preset, run_config_to_table, with_value

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "data.dataset": "tiny", "data.heldout_images": 40, "training.epochs": 1, "training.batch_size": 25,
    "training.device": "cpu", "training.precision": "float32", "training.num_threads": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tiny_images: tuple[np.ndarray, np.ndarray]) -> None:
    register_tiny(monkeypatch, tiny_images)


@pytest.fixture(params=list(MODELS), ids=lambda record: record.name)
def record(request: pytest.FixtureRequest) -> ModelRecord:
    return request.param


def test_every_model_is_trained_opened_encoded_decoded_and_sampled(record: ModelRecord, tmp_path: Path) -> None:
    config = small_config(record)
    trained = vx.train(config, tmp_path / "run")
    run = vx.open_run(tmp_path / "run")
    assert run.config == config == trained.config
    assert (run.path, run.name) == (tmp_path / "run", "run")
    assert record.name in repr(run)
    for term in record.terms:
        assert np.isfinite(run.metrics.of("heldout")[term.name]).all()

    images, labels = run.images("test", 7)
    told = None if record.condition == "" else labels if record.condition == "class" else images
    z = run.encode(images, labels if record.condition == "class" else None)
    pictures = run.decode(z, told)
    own = model_from_run(tmp_path / "run").model
    x_BCHW = torch.from_numpy(images)
    condition = own.condition_of(x_BCHW, torch.from_numpy(labels))
    expected = own.encode(x_BCHW, condition).mean
    np.testing.assert_allclose(z, expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(pictures, own.decode(expected, condition).mean_BCHW.numpy(), atol=1e-6)
    np.testing.assert_array_equal(trained.decode(z, told), pictures)
    assert run.step == trained.step > 0

    if record.can_be_sampled:
        samples = run.sample(5, seed=3)
        assert samples.shape == (5, *images.shape[1:])
        assert np.isfinite(samples).all()
        np.testing.assert_array_equal(run.sample(5, seed=3), samples)
        assert not np.array_equal(run.sample(5, seed=4), samples)
    else:
        with pytest.raises(UserError, match="cannot be drawn"):
            run.sample(5)


def test_samples_are_the_decoded_draws_of_the_prior(tmp_path: Path) -> None:
    run = vx.train(tiny_config(), tmp_path / "run")
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(1)).numpy()
    np.testing.assert_allclose(run.sample(6, seed=1), run.decode(z), atol=1e-6)


def test_more_pictures_than_fit_at_once_are_the_same_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = vx.train(small_config(MODELS["cvae"]), tmp_path / "run")
    images, labels = run.images("test", 11)
    codes, pictures = run.encode(images, labels), run.decode(run.encode(images, labels), labels)
    monkeypatch.setattr("vae_explorer.notebook._AT_ONCE", 3)
    np.testing.assert_allclose(run.encode(images, labels), codes, atol=1e-6)
    np.testing.assert_allclose(run.decode(codes, labels), pictures, atol=1e-6)
    assert run.encode(images[:0], labels[:0]).shape == (0, 2)


def test_grey_levels_are_seen_under_the_protocol(tmp_path: Path, tiny_images: tuple[np.ndarray, np.ndarray]) -> None:
    run = vx.train(tiny_config("dynamic"), tmp_path / "run")
    levels = tiny_images[0][:4]
    stored = torch.from_numpy(levels)
    seen = apply_protocol("dynamic", stored, fixed_draw(stored, 0)).numpy()
    codes = run.encode(levels)
    np.testing.assert_array_equal(codes, run.encode(seen))
    np.testing.assert_array_equal(codes, run.encode(levels[:, 0]))
    assert not np.array_equal(codes, run.encode(levels / np.float32(255)))


def test_one_class_for_all_and_each_in_turn(tmp_path: Path) -> None:
    run = vx.train(small_config(MODELS["cvae"]), tmp_path / "run")
    images, _ = run.images("test", 4)
    np.testing.assert_array_equal(run.encode(images, 2), run.encode(images, np.full(4, 2)))
    np.testing.assert_array_equal(run.sample(4, 5), run.sample(4, 5, [0, 1, 2, 0]))
    z = run.encode(images, 0)
    assert not np.array_equal(run.decode(z, 0), run.decode(z, 1))


WRONG = {
    "another shape of pictures": ("vae", lambda run: run.encode(np.zeros((2, 1, 9, 9), np.float32)), "(N, 1, 8, 8)"),
    "whole numbers": ("vae", lambda run: run.encode(np.zeros((2, 1, 8, 8), np.int64)), "uint8"),
    "another shape of latents": ("vae", lambda run: run.decode(np.zeros((2, 3))), "(N, 2)"),
    "no class": ("cvae", lambda run: run.encode(np.zeros((2, 8, 8), np.float32)), "from 0 to 2"),
    "a class that is not there": ("cvae", lambda run: run.decode(np.zeros((2, 2)), 3), "from 0 to 2"),
    "too few classes": ("cvae", lambda run: run.decode(np.zeros((3, 2)), [0, 1]), "one an item"),
    "half a class": ("cvae", lambda run: run.decode(np.zeros((1, 2)), 0.5), "whole numbers"),
    "no part": ("cvae-quadrants", lambda run: run.decode(np.zeros((2, 2))), "condition=pictures"),
    "too few parts": (
        "cvae-quadrants", lambda run: run.decode(np.zeros((3, 2)), np.zeros((2, 8, 8), np.float32)), "one an item",
    ),
    "no samples": ("vae", lambda run: run.sample(0), "from 1 to"),
    "half a sample": ("vae", lambda run: run.sample(2.5), "num is 2.5.\nGive a whole number"),
    "a seed too large": ("vae", lambda run: run.sample(3, seed=2**70), "whole number from 0 to"),
    "a seed that is none": ("vae", lambda run: run.sample(3, seed="x"), "seed is 'x'."),
    "fewer than no pictures": ("vae", lambda run: run.images("test", -3), "limit is -3."),
    "no split": ("vae", lambda run: run.images(3), "Known: test"),
    "no pictures": ("vae", lambda run: run.encode(None), "Pictures are no array of numbers.\nGive a numpy array"),
    "ragged latents": ("vae", lambda run: run.decode([[1.0], [1.0, 2.0]]), "Latents are no array"),
    "complex latents": ("vae", lambda run: run.decode(np.zeros((2, 2), complex)), "Latents are no array"),
    "one number as latents": ("vae", lambda run: run.decode(1.5), "(N, 2)"),
    "a named class": ("cvae", lambda run: run.decode(np.zeros((1, 2)), "five"), "Classes are no array"),
    "grey levels as floats": ("vae", lambda run: run.encode(np.full((1, 8, 8), 200.0)), "from 0 to 255 as uint8"),
    "pictures of nothing": ("vae", lambda run: run.encode(np.full((1, 8, 8), np.nan)), "finite floats"),
    "latents of nothing": ("vae", lambda run: run.decode(np.full((1, 2), np.inf)), "not finite"),
    "a class for a model without": ("vae", lambda run: run.sample(2, condition=3), "Leave condition out"),
    "a split of curves": ("vae", lambda run: run.metrics.of("test"), "Curves have no split 'test'"),
    "half a code": ("vqvae", lambda run: run.decode(run.encode(run.images("test", 1)[0]) + 0.5), "whole numbers"),
    "a code that is not there": ("vqvae", lambda run: run.decode(run.encode(run.images("test", 1)[0]) - 99), "from 0"),
    "another split": ("vae", lambda run: run.images("tests"), "Did you mean 'test'?"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_one_sentence_and_what_to_do(wrong: str, tmp_path: Path) -> None:
    model, call, hint = WRONG[wrong]
    run = vx.train(small_config(MODELS[model]), tmp_path / "run")
    with pytest.raises(UserError, match=re.escape(hint)):
        call(run)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: vx.train(5), "A configuration is no value of the type int."),
        (lambda: vx.train({5: 1}), "5 names no setting."),
        (lambda: vx.train({"preset": 3}), "'3'"),
        (lambda: vx.train(TINY, 5), "run_dir is no path"),
        (lambda: vx.train(TINY, weights=5), "weights is no path"),
        (lambda: vx.open_run(None), "path is no path but a value of the type NoneType."),
        (lambda: vx.open_run(b"run"), "path is no path but a value of the type bytes."),
    ],
)
def test_arguments_of_another_type_are_one_sentence(call: Callable[[], object], what: str) -> None:
    with pytest.raises(UserError, match=re.escape(what)) as caught:
        call()
    assert caught.value.hint


def test_a_configuration_is_a_preset_a_file_a_run_or_settings(tmp_path: Path) -> None:
    first = vx.train({"preset": "tutorial-2d", **TINY, "training.seed": 5}, tmp_path / "first")
    wanted = load_preset("tutorial-2d").config
    for path, value in {**TINY, "training.seed": 5}.items():
        wanted = with_value(wanted, path, value)
    assert first.config == wanted
    again = vx.train(str(first.path), tmp_path / "again")
    assert again.config == wanted
    assert vx.train(first.path / "run.toml", tmp_path / "third").config == wanted
    for name, value in first.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name
    # Settings of a model can be named before the model.
    mixed = {"model.codebook_epochs": 1, "model.num_codes": 8, "model.name": "vqvae", **TINY}
    assert vx.train(mixed, tmp_path / "codes").config.model.num_codes == 8
    with pytest.raises(SettingError, match=r"training\.epochs"):
        vx.train({"training.epoch": 3}, tmp_path / "none")
    with pytest.raises(UserError, match="'tutorial-2d'"):
        vx.train({"preset": "tutorial-2"}, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_preset_is_named_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[RunConfig] = []

    def not_now(config: RunConfig, device: object) -> None:
        asked.append(config)
        raise UserError("not now")

    monkeypatch.setattr("vae_explorer.notebook.load_training_images", not_now)
    with pytest.raises(UserError, match="not now"):
        vx.train("tutorial")
    assert run_config_to_table(asked[0]) == run_config_to_table(load_preset("tutorial").config)


def test_without_a_folder_a_run_goes_where_runs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_EXPLORER_RUNS", str(tmp_path / "runs"))
    assert vx.train(TINY).path.parent == tmp_path / "runs"


def test_an_interrupt_ends_training_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Ending.look

    def interrupted(self: Ending, event: object, control: object) -> None:
        if isinstance(event, MetricsChunk) and event.step < 20:
            signal.raise_signal(signal.SIGINT)
        look(self, event, control)

    monkeypatch.setattr(Ending, "look", interrupted)
    before = signal.getsignal(signal.SIGINT)
    config = with_value(tiny_config(epochs=1000), "recording.report_interval_seconds", 0.01)
    run = vx.train(config, tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is before
    last = read_events(run._directory)[-1]
    assert (last["event"], last["reason"]) == ("finished", "stopped")
    assert run.step == last["step"]
    assert not (run.path / LOCK_FILE).exists()


def test_a_thread_of_a_notebook_may_train(tmp_path: Path) -> None:
    found: list[vx.Run] = []
    thread = threading.Thread(target=lambda: found.append(vx.train(TINY, tmp_path / "run")))
    thread.start()
    thread.join()
    assert found[0].step == 8


def test_numbers_that_run_away_are_an_error_and_the_last_good_state_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = DiagonalGaussian.sample

    def poisoned(self: DiagonalGaussian, generator: torch.Generator | None) -> torch.Tensor:
        return sample(self, generator) * float("nan")

    monkeypatch.setattr(DiagonalGaussian, "sample", poisoned)
    with pytest.raises(UserError, match="not finite") as caught:
        vx.train(TINY, tmp_path / "run")
    assert "Lower the learning rate" in caught.value.hint
    kept = vx.open_run(tmp_path / "run").model.state_dict()
    assert all(bool(torch.isfinite(value).all()) for value in kept.values())


def test_a_checkpoint_that_could_not_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> Path:
        raise FileError(tmp_path, "The disk is full.", "Free some space.")

    monkeypatch.setattr("vae_explorer.runs.recorder.write_checkpoint", full)
    with pytest.raises(UserError, match="The last checkpoint is missing: The disk is full"):
        vx.train(TINY, tmp_path / "run")


def test_a_folder_without_a_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"There is no file .*run\.toml"):
        vx.open_run(tmp_path)


def test_a_training_that_cannot_begin_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        vx.train({**TINY, "data.heldout_images": 240}, tmp_path / "run")
    with pytest.raises(UserError):
        vx.train({**TINY, "model.name": "lda", "model.latent_dimensions": 50}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_example_of_the_readme_runs_word_for_word(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    assert {"vx.train(", "vx.open_run(", ".encode(", ".decode(", ".sample("} <= set(
        re.findall(r"(?:vx)?\.\w+\(", example)
    )
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "example.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert float(said[0].split()[2]) > -200
    assert said[1] == "(1000, 2) (28, 28) (16, 1, 28, 28)"
