"""A recipe trains a run again, to the same bits where it says so; nothing that a folder holds becomes a command."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch

from tests.export.trained_models import trained_run
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer import cli
from vae_explorer.config import read_toml
from vae_explorer.export.course import Stage, course_of
from vae_explorer.export.recipe import CONFIGURATION, SCRIPT
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.runs.checkpoint import model_from_run
from vae_explorer.runs.history import read_metrics
from vae_explorer.runs.run_directory import START_WEIGHTS_FILE, RunDirectory, read_any_config
from vae_explorer.training.events import SettingChanged
from vae_explorer.training.run_config import run_config_to_table, with_value

ROOT = Path(__file__).resolve().parents[2]
SAME = "The weights are those of the run, bit for bit."


def export(run: Path, out: Path) -> int:
    return cli.main(["export", str(run), "--what", "recipe", "--out", str(out)])


def same_weights(one: Path, other: Path) -> bool:
    weights = [model_from_run(path).model.state_dict() for path in (one, other)]
    return weights[0].keys() == weights[1].keys() and all(
        torch.equal(value, weights[1][name]) for name, value in weights[0].items()
    )


@pytest.fixture(params=list(MODELS), ids=lambda record: record.name)
def record(request: pytest.FixtureRequest) -> ModelRecord:
    return request.param


def test_every_model_comes_out_with_the_same_bits(record: ModelRecord, tmp_path: Path) -> None:
    run = trained_run(tmp_path / "run", record)
    assert export(run, tmp_path / "recipe") == 0
    assert cli.main(
        ["train", "--config", str(tmp_path / "recipe" / CONFIGURATION), "--run-dir", str(tmp_path / "again")]
    ) == 0  # fmt: skip
    assert same_weights(run, tmp_path / "again")
    before, after = (read_metrics(RunDirectory.open(path)).of("heldout") for path in (run, tmp_path / "again"))
    for term in record.terms:
        np.testing.assert_array_equal(before[term.name][-1], after[term.name][-1])


PROGRAM = f"{shlex.quote(sys.executable)} -m vae_explorer"


def sh(recipe: Path, *arguments: str, folder: Path, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VAE_EXPLORER": program}
    return subprocess.run(
        ["sh", str(recipe / SCRIPT), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_what_a_run_started_from_comes_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_tiny(tmp_path / "first")
    weights = tmp_path / "w.safetensors"
    assert cli.main(["export", str(tmp_path / "first"), "--what", "model", "--out", str(weights)]) == 0
    first = str(tmp_path / "first")
    assert cli.main(["train", "--config", first, "--weights", str(weights), "--run-dir", str(tmp_path / "second")]) == 0
    weights.unlink()
    recipe = tmp_path / "recipe"
    assert export(tmp_path / "second", recipe) == 0
    script = (recipe / SCRIPT).read_text(encoding="utf-8")
    assert f'--weights "$here/{START_WEIGHTS_FILE}"' in script
    words = ["--config", str(recipe / CONFIGURATION), "--weights", str(recipe / START_WEIGHTS_FILE)]
    assert cli.main(["train", *words, "--run-dir", str(tmp_path / "again")]) == 0
    assert same_weights(tmp_path / "second", tmp_path / "again")
    assert not same_weights(tmp_path / "first", tmp_path / "again")
    # Where the folder holds others by now, they are not passed on.
    kept = tmp_path / "second" / START_WEIGHTS_FILE
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    capsys.readouterr()
    assert export(tmp_path / "second", tmp_path / "without") == 0
    assert "began with weights of a file that its folder does not hold" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "without").iterdir()} == {CONFIGURATION, SCRIPT}
    assert "--weights" not in (tmp_path / "without" / SCRIPT).read_text(encoding="utf-8")


@pytest.fixture
def points_run(tmp_path: Path) -> Path:
    """On a data set that a process of its own knows too."""
    config = with_value(with_value(tiny_config("gaussian"), "data.heldout_images", 19_000), "data.dataset", "two-moons")
    train_tiny(tmp_path / "run of mine", with_value(config, "training.num_threads", 1))
    return tmp_path / "run of mine"


@pytest.mark.slow
def test_the_script_trains_the_run_again_and_says_that_it_did(points_run: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "the recipe's folder"
    assert export(points_run, recipe) == 0
    ran = sh(recipe, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == SAME
    assert same_weights(points_run, recipe / "retrained")
    # Another seed gives other bits, and it says so.
    configuration = recipe / CONFIGURATION
    text = configuration.read_text(encoding="utf-8")
    configuration.write_text(text.replace("seed = 0", "seed = 1"), encoding="utf-8")
    ran = sh(recipe, str(tmp_path / "elsewhere"), folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].startswith("The weights differ")
    assert not same_weights(points_run, tmp_path / "elsewhere")


@pytest.mark.slow
def test_a_run_that_was_made_longer_is_trained_to_each_of_its_lengths(points_run: Path, tmp_path: Path) -> None:
    config = with_value(RunDirectory.open(points_run).config, "training.learning_rate_schedule", "cosine")
    train_tiny(tmp_path / "longer", config)
    for epochs in (3, 5):
        assert cli.main(["train", "--resume", "--run-dir", str(tmp_path / "longer"), "--epochs", str(epochs)]) == 0
    recipe = tmp_path / "recipe"
    assert export(tmp_path / "longer", recipe) == 0
    ran = sh(recipe, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == SAME
    assert same_weights(tmp_path / "longer", recipe / "retrained")


@pytest.mark.slow
def test_stops_longer_plans_and_changes_by_hand_are_done_again(points_run: Path, tmp_path: Path) -> None:
    config = with_value(RunDirectory.open(points_run).config, "training.learning_rate_schedule", "cosine")
    config_file = tmp_path / "config.toml"
    config_file.write_text(tomli_w.dumps(run_config_to_table(config)), encoding="utf-8")
    run, here = str(tmp_path / "run"), ["--run-dir", str(tmp_path / "run")]
    rate = repr(1 / 300)
    words = ["--until-step", "30", "--at-step", "7", f"training.learning_rate={rate}"]
    assert cli.main(["train", "--config", str(config_file), "--epochs", "2", *words, *here]) == 0
    assert cli.main(["train", "--resume", "--epochs", "4", "--until-step", "70", *here]) == 0
    changes = {70: "model.beta=2.5", 100: "model.beta=0.5", 75: "model.beta=1"}
    words = [word for step, change in changes.items() for word in ("--at-step", str(step), change)]
    assert cli.main(["train", "--resume", "--until-step", "100", *words, *here]) == 0
    assert export(Path(run), tmp_path / "recipe") == 0
    script = (tmp_path / "recipe" / SCRIPT).read_text(encoding="utf-8").splitlines()
    assert [line.partition(" train ")[2].replace(' --run-dir "$run"', "") for line in script if " train " in line] == [
        f'--config "$here/{CONFIGURATION}" --epochs 2 --until-step 30 --at-step 7 training.learning_rate={rate}',
        "--resume --epochs 4 --until-step 100 --at-step 70 model.beta=2.5 --at-step 75 model.beta=1.0",
    ]
    ran = sh(tmp_path / "recipe", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == SAME
    assert same_weights(Path(run), tmp_path / "recipe" / "retrained")


@pytest.mark.slow
def test_a_child_begins_with_what_it_left_its_parent_with(
    points_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child, recipe = tmp_path / "child", tmp_path / "recipe"
    words = ["--epochs", "4", "--learning-rate", "0.02", "--at-step", "80", "training.learning_rate=0.001"]
    assert cli.main(["train", "--fork", str(points_run), *words, "--run-dir", str(child)]) == 0
    shutil.rmtree(points_run)
    assert export(child, recipe) == 0
    assert "Note" not in (recipe / SCRIPT).read_text(encoding="utf-8")
    ran = sh(recipe, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == SAME
    again = RunDirectory.open(recipe / "retrained")
    assert same_weights(child, again.path)
    assert again.parent == RunDirectory.open(child).parent
    steps = [read_metrics(run).of("heldout")["step"].tolist() for run in (RunDirectory.open(child), again)]
    assert steps[0] == steps[1], "with the curves up to the fork"
    ran = sh(recipe, folder=tmp_path)
    assert ran.returncode == 1
    assert "is there already; name a new folder" in ran.stderr
    # Where that checkpoint is gone, the recipe says what it cannot do.
    shutil.rmtree(child / "checkpoints" / f"{again.parent.step:09d}" if again.parent is not None else child)
    capsys.readouterr()
    assert export(child, tmp_path / "less") == 0
    said = "of which it holds nothing more; the recipe begins anew."
    assert said in capsys.readouterr().out
    script = (tmp_path / "less" / SCRIPT).read_text(encoding="utf-8")
    assert said in script
    assert SAME not in script


def test_what_was_chosen_for_auto_is_settled(tmp_path: Path) -> None:
    config = tiny_config()
    for path, value in {"device": "auto", "precision": "auto", "num_threads": 0}.items():
        config = with_value(config, f"training.{path}", value)
    run, _ = train_tiny(tmp_path / "run", with_value(config, "training.device", "cpu"))
    chosen = read_toml(run.path / "run.toml")["environment"]
    assert export(run.path, tmp_path / "recipe") == 0
    settled = read_any_config(tmp_path / "recipe" / CONFIGURATION).training
    assert (settled.device, settled.precision) == (chosen["device"], chosen["precision"])
    assert settled.num_threads == chosen["num_threads"] > 0


def add_event(run: RunDirectory, **event: object) -> None:
    with run.events_file.open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")


def test_what_it_could_not_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = train_tiny(tmp_path / "run")
    add_event(run, event="setting_changed", step=7, path="model.hidden_widths", old=1, new=4)
    assert export(run.path, tmp_path / "recipe") == 0
    script = (tmp_path / "recipe" / SCRIPT).read_text(encoding="utf-8")
    said = "Not all of the run's events are as they were written"
    assert said in script
    assert said in capsys.readouterr().out
    assert SAME not in script
    assert "hidden_widths" not in script


def test_a_run_without_a_checkpoint_is_trained_as_it_was_planned(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run")
    shutil.rmtree(run.checkpoints_folder)
    assert export(run.path, tmp_path / "recipe") == 0
    script = (tmp_path / "recipe" / SCRIPT).read_text(encoding="utf-8")
    assert "has no checkpoint" in script
    assert "--until-step" not in script


def test_what_several_processes_trained_is_trained_by_as_many(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run")
    told = run.events_file.read_text(encoding="utf-8").replace('"num_processes": 1', '"num_processes": 2')
    run.events_file.write_text(told, encoding="utf-8")
    assert export(run.path, tmp_path / "recipe") == 0
    script = (tmp_path / "recipe" / SCRIPT).read_text(encoding="utf-8")
    assert "${TORCHRUN:-torchrun} --nproc-per-node 2 -m vae_explorer train --config" in script


def started(step: int, epochs: int, processes: int = 1) -> dict[str, object]:
    return {
        "event": "started", "step": step, "total_steps": 10 * epochs, "steps_per_epoch": 10, "num_processes": processes,
    }  # fmt: skip


def changed(step: int, beta: float) -> dict[str, object]:
    return {
        "event": "setting_changed", "step": step, "images_seen": 100, "seconds": 0.5, "path": "model.beta", "old": 1.0,
        "new": beta,
    }  # fmt: skip


def marked(step: int, beta: float) -> SettingChanged:
    return SettingChanged(path="model.beta", old=1.0, new=beta, step=step, images_seen=100, seconds=0.5)


def test_a_course_forgets_what_a_kill_took_back() -> None:
    events = [
        started(0, 3), changed(4, 2.0), changed(17, 8.0),  # killed; its checkpoint was that of step 10
        started(10, 3), changed(12, 3.0), started(15, 3),
        started(20, 5), changed(20, 4.0), changed(33, 9.0),  # killed before anything of it was saved
        started(20, 6, 2), changed(25, 1.0), changed(40, 5.0),
    ]  # fmt: skip
    course = course_of(events, tiny_config(), 40)
    assert course.stages == (
        Stage(0, 20, 3, 1, False, (marked(4, 2.0), marked(12, 3.0))),
        Stage(20, 40, 6, 2, False, (marked(20, 4.0), marked(25, 1.0))),
    )
    assert course_of(events, tiny_config(), None).stages[-1].end == 60
    assert course_of(events, tiny_config(), 20).stages == (dataclasses.replace(course.stages[0]),)


@pytest.mark.parametrize(
    "torn",
    [
        {"event": "started"}, started(0, 0), started(-1, 3), started(0, 3) | {"steps_per_epoch": 0},
        started(0, 3, 0), changed(3, float("nan")), changed(-3, 2.0), changed(3, 1.0) | {"path": "training.epochs"},
        changed(3, -1.0), changed(3, 1.0) | {"path": ["model.beta"]}, changed(3, 1.0) | {"step": "x; rm"},
    ],
)  # fmt: skip
def test_of_a_course_what_is_not_as_it_was_written_is_counted_and_left_out(torn: dict[str, object]) -> None:
    course = course_of([started(0, 3), torn], tiny_config(), 30)
    assert course.num_left_out == 1
    assert course.stages == (Stage(0, 30, 3, 1, True),)


def test_nothing_of_a_strangers_run_becomes_a_command(points_run: Path, tmp_path: Path) -> None:
    hostile = "x\n touch pwned #\r\n$(touch pwned)`touch pwned`'\"; touch pwned\u2028touch pwned"
    folder = points_run.with_name("a\ntouch pwned\n$(touch pwned)")
    points_run.rename(folder)
    run = RunDirectory.open(folder)
    table = read_toml(folder / "run.toml")
    table["environment"] = dict.fromkeys((*table["environment"], hostile), hostile)
    (folder / "run.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
    add_event(run, event="setting_changed", step=hostile, path=hostile)
    add_event(run, event="finished", reason="completed", step=hostile)
    (manifest,) = run.newest_checkpoint().glob("manifest.json")
    told = json.loads(manifest.read_text(encoding="utf-8"))
    told["files"]["model.safetensors"]["sha256"] = hostile
    manifest.write_text(json.dumps(told), encoding="utf-8")
    for name, events in (("with notes", None), ("without", run.events_file)):
        if events is not None:
            events.write_text(json.dumps({"event": "finished", "reason": "completed"}) + "\n", encoding="utf-8")
        recipe = tmp_path / name
        assert export(folder, recipe) == 0
        script = (recipe / SCRIPT).read_text(encoding="utf-8")
        assert all(line.startswith("#") for line in script.splitlines() if "pwned" in line)
        ran = sh(recipe, folder=tmp_path, program="echo")
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith("train --config ")
        assert not list(tmp_path.rglob("pwned"))


def test_a_recipe_takes_nothing_elses_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = train_tiny(tmp_path / "run")
    assert export(run.path, run.path) == 1
    assert "is not an empty folder" in capsys.readouterr().err
    assert (run.path / "run.toml").is_file()
    assert export(run.path, tmp_path / "recipe.toml") == 1
    assert "a folder's name without an ending" in capsys.readouterr().err
