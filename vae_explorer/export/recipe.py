"""What it takes to train a run again: its configuration, settled where it said `auto`, and a shell script that does
what was done: stops, longer plans, settings changed by hand. A child begins with the checkpoint that it left its parent
with.

On the CPU, with the same versions and number of threads, the same weights come out, bit for bit; the script says
whether they did. Texts of the run's folder are a stranger's: they stand in comments, on one line, and nowhere else.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tomli_w

from vae_explorer.config import read_toml
from vae_explorer.errors import FileError, SettingError, UserError
from vae_explorer.export.course import Stage, course_of
from vae_explorer.runs import files
from vae_explorer.runs.checkpoint import MANIFEST_FILE, MODEL_FILE, checkpoint_contents
from vae_explorer.runs.history import read_events
from vae_explorer.runs.resuming import rows_up_to
from vae_explorer.runs.run_directory import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    METRICS_FILE,
    START_WEIGHTS_FILE,
    RunDirectory,
)
from vae_explorer.runs.start_weights import read_start_weights
from vae_explorer.training.run_config import RunConfig, run_config_to_table, with_value

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION, SCRIPT, BEGINNING = "config.toml", "retrain.sh", "beginning"
_SETTLED = {"device": "training.device", "precision": "training.precision", "num_threads": "training.num_threads"}
_MADE_WITH = ("vae_explorer", "python", "torch", "numpy", "platform", "device_name")
_BEGINNING_COMMANDS = (
    'if [ -e "$run" ]; then echo "$run is there already; name a new folder." >&2; exit 1; fi',
    f'cp -R "$here/{BEGINNING}" "$run"',
)
_LONGEST_TEXT = 120
_MOST_MANIFEST_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """The files by name, and sentences on what the recipe does not do as the run did."""

    contents: Mapping[str, bytes]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Start:
    """How the first of the commands begins: what has to be done before it, its words, the files that it takes."""

    words: str
    contents: Mapping[str, bytes]
    preparation: Sequence[str] = ()
    note: str = ""


def recipe_of(run: RunDirectory) -> Recipe:
    """The recipe of a run that has begun. Raises FileError for a damaged file of the run."""
    environment = _environment(run)
    config = _settled(run.config, environment)
    events = read_events(run)
    newest = run.newest_checkpoint()
    course = course_of(events, run.config, None if newest is None else int(newest.name))
    start = _start_of(run, config, events)
    notes = [] if newest is not None else ["The run has no checkpoint; the recipe trains all that was planned."]
    if course.num_left_out or not course.stages:
        notes.append("Not all of the run's events are as they were written; the recipe does what it could read.")
    if start.note:
        notes.append(start.note)
    commands = [*start.preparation, *_training(course.stages, start.words)]
    script = _script(run, environment, notes, commands, None if notes else _digest_in(newest))
    return Recipe({**start.contents, SCRIPT: script.encode("utf-8")}, notes)


def _start_of(run: RunDirectory, config: RunConfig, events: Sequence[Mapping[str, Any]]) -> _Start:
    head = f"# The run {_one_line(run.name)}, settled where it said auto.\n\n"
    configuration = {CONFIGURATION: (head + tomli_w.dumps(run_config_to_table(config))).encode("utf-8")}
    words = f'train --config "$here/{CONFIGURATION}"'
    if run.parent is not None:
        beginning = _beginning(run, config)
        if beginning is not None:
            return _Start("train --resume", beginning, _BEGINNING_COMMANDS)
        which = f"{_one_line(run.parent.name)} from step {run.parent.step}"
        note = f"The run is a child of {which}, of which it holds nothing more; the recipe begins anew."
        return _Start(words, configuration, note=note)
    taken = next((event for event in events if event.get("event") == "weights_taken"), None)
    if taken is None:
        return _Start(words, configuration)
    weights = _start_weights(run, taken.get("sha256"))
    if weights is None:
        note = "The run began with weights of a file that its folder does not hold; the recipe begins anew."
        return _Start(words, configuration, note=note)
    return _Start(
        f'{words} --weights "$here/{START_WEIGHTS_FILE}"', {**configuration, START_WEIGHTS_FILE: weights}
    )  # fmt: skip


def _environment(run: RunDirectory) -> dict[str, Any]:
    found = read_toml(run.path / CONFIG_FILE).get("environment")
    return found if isinstance(found, dict) else {}


def _settled(config: RunConfig, environment: Mapping[str, object]) -> RunConfig:
    """With the device, the precision and the number of threads that were chosen when it was trained."""
    for name, path in _SETTLED.items():
        if name in environment:
            try:
                config = with_value(config, path, environment[name])
            except SettingError:
                continue  # an index of a device, or a stranger's word: then as the configuration says
    return config


def _beginning(run: RunDirectory, config: RunConfig) -> dict[str, bytes] | None:
    """The folder of a child as it was when it left its parent; None where it holds that checkpoint no more."""
    assert run.parent is not None
    folder = run.checkpoints_folder / f"{run.parent.step:09d}"
    try:
        kept = {
            f"{CHECKPOINTS_FOLDER}/{folder.name}/{name}": content
            for name, content in checkpoint_contents(folder).items()
        }
    except FileError:
        return None
    table = read_toml(run.path / CONFIG_FILE) | run_config_to_table(config)
    kept[CONFIG_FILE] = tomli_w.dumps(table).encode("utf-8")
    if rows := rows_up_to(run.metrics_file, run.parent.step):
        kept[METRICS_FILE] = rows
    return {f"{BEGINNING}/{name}": content for name, content in kept.items()}


def _start_weights(run: RunDirectory, digest: object) -> bytes | None:
    """What the run began with, as its folder keeps it; None where that is not what its events say."""
    try:
        kept = read_start_weights(run.path / START_WEIGHTS_FILE, run.config)
    except UserError:
        return None
    return kept.content if kept.sha256 == digest else None


def _digest_in(checkpoint: Path | None) -> tuple[str, str] | None:
    """The name of the checkpoint and the SHA-256 of its weights; None where that is not known."""
    if checkpoint is None:
        return None
    try:
        manifest = json.loads(files.read_bytes(checkpoint / MANIFEST_FILE, _MOST_MANIFEST_BYTES))
        digest = manifest["files"][MODEL_FILE]["sha256"]
    except (FileError, ValueError, KeyError, TypeError, RecursionError):
        return None
    is_digest = isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) is not None
    return (checkpoint.name, digest) if is_digest else None


def _script(
    run: RunDirectory,
    environment: Mapping[str, object],
    notes: Sequence[str],
    commands: Sequence[str],
    weights: tuple[str, str] | None,
) -> str:
    made_with = ", ".join(f"{name} {_one_line(environment[name])}" for name in _MADE_WITH if name in environment)
    lines = [
        "#!/bin/sh",
        f"# Trains the run {_one_line(run.name)} again.",
        f"# It was made with {made_with}.",
        *(f"# Note: {note}" for note in notes),
        "#",
        "# sh retrain.sh [FOLDER]   FOLDER: where the run goes (default: retrained, beside this file)",
        "# VAE_EXPLORER names the program, where it is not the installed command vae-explorer; TORCHRUN that of torch.",
        "set -eu",
        'here=$(cd "$(dirname "$0")" && pwd)',
        'run=${1:-"$here/retrained"}',
        *commands,
    ]
    if weights is not None:
        checkpoint, digest = weights
        lines += [
            f'found=$(sha256sum "$run/{CHECKPOINTS_FOLDER}/{checkpoint}/{MODEL_FILE}" | cut -d " " -f 1)',
            f'if [ "$found" = {shlex.quote(digest)} ]; then',
            '    echo "The weights are those of the run, bit for bit."',
            "else",
            '    echo "The weights differ: another version, processor, device, number of threads, or other data."',
            "fi",
        ]
    return "\n".join([*lines, ""])


def _training(stages: Sequence[Stage], begin: str) -> list[str]:
    """The commands, one a stage: each trains to where the next plan took over, and changes what was changed by hand."""
    commands = []
    for number, stage in enumerate(stages):
        words = [_program(stage.num_processes), begin if number == 0 else "train --resume", f"--epochs {stage.epochs}"]
        if not stage.is_whole:
            words.append(f"--until-step {stage.end}")
        words += [f"--at-step {change.step} {change.path}={change.new!r}" for change in stage.changes]
        commands.append(" ".join([*words, '--run-dir "$run"']))
    return commands or [f'{_program(1)} {begin} --run-dir "$run"']


def _program(num_processes: int) -> str:
    if num_processes == 1:
        return "${VAE_EXPLORER:-vae-explorer}"
    return f"${{TORCHRUN:-torchrun}} --nproc-per-node {num_processes} -m vae_explorer"


def _one_line(value: object) -> str:
    """A text that cannot leave the comment it stands in."""
    text = str(value)[:_LONGEST_TEXT]
    return "".join(character if character.isprintable() else "?" for character in text)
