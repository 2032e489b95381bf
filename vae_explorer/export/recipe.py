"""What it takes to train a run again: its configuration, settled where it said `auto`, and a shell script.

On the CPU, with the same versions and number of threads, the same weights come out, bit for bit; the script says
whether they did. Texts of the run's folder are a stranger's: they stand in comments, on one line, and nowhere else.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tomli_w

from vae_explorer.config import read_toml
from vae_explorer.errors import FileError, SettingError, UserError
from vae_explorer.runs import files
from vae_explorer.runs.checkpoint import MANIFEST_FILE, MODEL_FILE
from vae_explorer.runs.history import read_events
from vae_explorer.runs.run_directory import CONFIG_FILE, START_WEIGHTS_FILE, RunDirectory
from vae_explorer.runs.start_weights import read_start_weights
from vae_explorer.training.run_config import RunConfig, run_config_to_table, with_value

CONFIGURATION, SCRIPT = "config.toml", "retrain.sh"
_SETTLED = {"device": "training.device", "precision": "training.precision", "num_threads": "training.num_threads"}
_MADE_WITH = ("vae_explorer", "python", "torch", "numpy", "platform", "device_name")
_LONGEST_TEXT = 120
_MOST_MANIFEST_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """The files by name, and sentences on what the recipe does not do as the run did."""

    contents: Mapping[str, bytes]
    notes: Sequence[str]


def recipe_of(run: RunDirectory) -> Recipe:
    """The recipe of a run that has begun. Raises FileError for a damaged file of the run."""
    environment = _environment(run)
    config = _settled(run.config, environment)
    events = read_events(run)
    notes = _notes(run, events)
    lengths = _lengths(events)
    if lengths is None:
        notes.append("The run was made longer before it had ended; the recipe plans all its epochs from the start.")
    contents: dict[str, bytes] = {}
    start = [event for event in events if event.get("event") == "weights_taken"]
    if start:
        kept = _start_weights(run, start[0].get("sha256"))
        if kept is None:
            notes.append("The run began with weights of a file that its folder does not hold; the recipe begins anew.")
        else:
            contents[START_WEIGHTS_FILE] = kept
    table = tomli_w.dumps(run_config_to_table(config))
    head = f"# The run {_one_line(run.name)}, settled where it said auto.\n\n"
    more = f' --weights "$here/{START_WEIGHTS_FILE}"' if contents else ""
    all_lengths = (*lengths, config.training.epochs) if lengths else ()
    script = _script(run, environment, notes, more, all_lengths, None if notes else _final_weights(run))
    contents |= {CONFIGURATION: (head + table).encode("utf-8"), SCRIPT: script.encode("utf-8")}
    return Recipe(contents, notes)


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


def _lengths(events: Sequence[Mapping[str, Any]]) -> tuple[int, ...] | None:
    """The epochs of each length that the run was trained to before the last; None where one was not trained to its end.

    Schedules are planned over all epochs, so a run that was made longer is another one than a run that was long from
    the start.
    """
    found: list[int] = []
    planned = reached = 0
    for event in events:
        try:
            if event.get("event") == "started":
                total, per_epoch = int(event["total_steps"]), int(event["steps_per_epoch"])
                if planned and total != planned:
                    if reached != planned:
                        return None
                    found.append(planned // per_epoch)
                planned = total
            elif event.get("event") == "finished":
                reached = int(event["step"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            continue  # not as it was written; the weights will tell
    return tuple(found)


def _notes(run: RunDirectory, events: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    if run.parent is not None:
        which = f"{_one_line(run.parent.name)} from step {run.parent.step}"
        notes.append(f"The run is a child of {which}; the recipe trains its settings from the beginning.")
    changed = [event for event in events if event.get("event") == "setting_changed"]
    if changed:
        words = ", ".join(f"{_one_line(event.get('path'))} at step {_one_line(event.get('step'))}" for event in changed)
        notes.append(f"Settings were changed by hand ({words[:400]}); the recipe keeps those of the start.")
    ended = [event for event in events if event.get("event") == "finished"]
    if not ended or ended[-1].get("reason") != "completed":
        notes.append("The run did not train all its epochs; the recipe does.")
    return notes


def _start_weights(run: RunDirectory, digest: object) -> bytes | None:
    """What the run began with, as its folder keeps it; None where that is not what its events say."""
    try:
        kept = read_start_weights(run.path / START_WEIGHTS_FILE, run.config)
    except UserError:
        return None
    return kept.content if kept.sha256 == digest else None


def _final_weights(run: RunDirectory) -> tuple[str, str] | None:
    """The name of the last checkpoint and the SHA-256 of its weights; None where that is not known."""
    newest = run.newest_checkpoint()
    if newest is None:
        return None
    try:
        manifest = json.loads(files.read_bytes(newest / MANIFEST_FILE, _MOST_MANIFEST_BYTES))
        digest = manifest["files"][MODEL_FILE]["sha256"]
    except (FileError, ValueError, KeyError, TypeError, RecursionError):
        return None
    is_digest = isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) is not None
    return (newest.name, digest) if is_digest else None


def _script(
    run: RunDirectory,
    environment: Mapping[str, object],
    notes: Sequence[str],
    more: str,
    lengths: Sequence[int],
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
        "# VAE_EXPLORER names the program, where it is not the installed command vae-explorer.",
        "set -eu",
        'here=$(cd "$(dirname "$0")" && pwd)',
        'run=${1:-"$here/retrained"}',
        *_training(lengths, f'--config "$here/{CONFIGURATION}"{more}'),
    ]
    if weights is not None:
        checkpoint, digest = weights
        lines += [
            f'found=$(sha256sum "$run/checkpoints/{checkpoint}/{MODEL_FILE}" | cut -d " " -f 1)',
            f'if [ "$found" = {shlex.quote(digest)} ]; then',
            '    echo "The weights are those of the run, bit for bit."',
            "else",
            '    echo "The weights differ: another version, processor, device, number of threads, or other data."',
            "fi",
        ]
    return "\n".join([*lines, ""])


def _training(lengths: Sequence[int], start: str) -> list[str]:
    """The commands; a run that was made longer is trained to each of its lengths in turn."""
    program, path = "${VAE_EXPLORER:-vae-explorer}", '--run-dir "$run"'
    if not lengths:
        return [f"{program} train {start} {path}"]
    first, *others = lengths
    return [
        f"{program} train {start} --epochs {first} {path}",
        *(f"{program} train --resume --epochs {epochs} {path}" for epochs in others),
    ]


def _one_line(value: object) -> str:
    """A text that cannot leave the comment it stands in."""
    text = str(value)[:_LONGEST_TEXT]
    return "".join(character if character.isprintable() else "?" for character in text)
