"""The commands: each checks its words, imports what it needs and gives the exit status."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae_explorer.cli_arguments import TRAIN_FLAGS
from vae_explorer.cli_output import say
from vae_explorer.errors import FileError, MachineError, SettingError, UsageError, nearest_hint
from vae_explorer.runs import files

if TYPE_CHECKING:
    from vae_explorer.cli_train import Plan
    from vae_explorer.training.run_config import RunConfig

DONE = 0
_DIRECTIONS = {"lower": "lower is better", "higher": "higher is better", "neither": "neither end is better"}
_LONGEST_WORD = 60  # characters of a word that is quoted back
_MOST_DIGITS = 18  # of a step


def open_window(run: Path | None = None) -> int:
    """Show the window, looking at a run where one is given, to its end.

    Raises MachineError where this machine cannot show one.
    """
    from vae_explorer.doctor import display_problem

    if (problem := display_problem()) is not None:
        raise problem
    from vae_explorer.gui import application

    return application.main(["vae-explorer", *([] if run is None else [str(run)])])


def run_named(word: str) -> Path:
    """The run folder that a first word names. Raises FileError for another path, and UsageError for what is no path."""
    from vae_explorer.runs.run_directory import CONFIG_FILE

    if not word:
        raise UsageError("The first argument is empty.", f"Name a command ({', '.join(COMMANDS)}), or leave it out.")
    path = files.expanded(Path(word))
    if files.is_folder(path) and files.exists(path / CONFIG_FILE):
        return path
    if files.exists(path):
        raise FileError(
            path, f"{word} is not the folder of a run: it holds no {CONFIG_FILE}.", "Name a folder that training made."
        )
    if word.startswith((".", "~")) or os.sep in word:
        raise FileError(path, f"There is no file or folder {word}.", "Check the path, or start with a command.")
    shown = word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}..."
    raise UsageError(f"There is no command and no run '{shown}'.", nearest_hint(word, COMMANDS))


def _train(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_train import resume, train

    if arguments.fork is not None:
        return _fork(arguments)
    if arguments.from_step is not None:
        raise UsageError("--from-step does not say of which run.", "Name the run's folder with --fork.")
    plan = _plan(arguments)
    if arguments.resume:
        return resume(_run_to_resume(arguments), _epochs(arguments), plan, as_json=arguments.json)
    return train(_config_of(arguments), arguments.run_dir, arguments.weights, plan, as_json=arguments.json)


def _plan(arguments: argparse.Namespace) -> Plan:
    from vae_explorer.cli_train import Plan

    for step, _ in arguments.planned:
        if not step.isascii() or not step.isdigit() or len(step) > _MOST_DIGITS:
            raise UsageError(f"'{step[:_LONGEST_WORD]}' is no step.", "Write it as --at-step 2000 model.beta=4.")
    return Plan(arguments.until_step, tuple((int(step), assignment) for step, assignment in arguments.planned))


def _fork(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_train import train_fork

    for flag in ("preset", "config", "resume", "weights"):
        if getattr(arguments, flag):
            raise UsageError("A fork begins with its parent's settings.", f"Leave --{flag} out.")
    return train_fork(
        arguments.fork,
        arguments.from_step,
        lambda config: _assigned(config, arguments),
        arguments.run_dir,
        _plan(arguments),
        as_json=arguments.json,
    )


def _run_to_resume(arguments: argparse.Namespace) -> Path:
    """The folder of --run-dir. Raises UsageError without one, and beside settings that the run has of its own."""
    if arguments.run_dir is None:
        raise UsageError("--resume does not say which run.", "Name its folder with --run-dir.")
    others = ["preset", "config", "weights", "assignments", *(flag for flag in TRAIN_FLAGS if flag != "epochs")]
    given = [name for name in others if getattr(arguments, name.replace("-", "_"))]
    if given:
        flag = "set" if given[0] == "assignments" else given[0]
        raise UsageError(
            "A run is continued with its own settings.",
            f"Leave --{flag} out; only --epochs, --until-step and --at-step may be given.",
        )
    path: Path = arguments.run_dir
    return path


def _epochs(arguments: argparse.Namespace) -> int | None:
    from vae_explorer.training.run_config import apply_assignment, default_config

    if arguments.epochs is None:
        return None
    return apply_assignment(default_config(), f"training.epochs={arguments.epochs}").training.epochs


def _sweep(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_sweep import sweep

    config = _config_of(arguments)
    return sweep(config, arguments.betas, arguments.out, arguments.split, as_json=arguments.json)


def _leave_out(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_leave_out import leave_out

    config = _config_of(arguments)
    counts = (arguments.parts, arguments.images, arguments.samples)
    return leave_out(config, *counts, arguments.out, as_json=arguments.json)


def _config_of(arguments: argparse.Namespace) -> RunConfig:
    """The configuration that the words of `train`, `sweep` or `leave-out` say."""
    from vae_explorer.runs.run_directory import read_any_config
    from vae_explorer.training.run_config import default_config, load_preset

    if arguments.config is not None:
        config = read_any_config(arguments.config)
    elif arguments.preset is not None:
        config = load_preset(arguments.preset).config
    else:
        config = default_config()
    return _assigned(config, arguments)


def _assigned(config: RunConfig, arguments: argparse.Namespace) -> RunConfig:
    """The configuration with the settings that flags and --set give."""
    from vae_explorer.models.catalogue import MODELS
    from vae_explorer.training.run_config import apply_assignment, sections

    # The model first: another one has other settings.
    flags = sorted(TRAIN_FLAGS, key=lambda flag: flag != "model")
    given = {flag: getattr(arguments, flag.replace("-", "_"), None) for flag in flags}
    assignments = [f"{TRAIN_FLAGS[flag][0]}={text}" for flag, text in given.items() if text is not None]
    for assignment in (*assignments, *arguments.assignments):
        config = apply_assignment(config, assignment)
    useful = {f"{section.name}.{item.name}" for section in sections(config) for item in section.settings}
    for assignment in (*assignments, *arguments.assignments):
        if (path := assignment.partition("=")[0].strip()) not in useful:
            title = MODELS[config.model_name].title
            raise SettingError(path, f"{title} is not trained by gradients: {path} would do nothing.", "Leave it out.")
    return config


def _evaluate(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_evaluate import evaluate_runs

    return evaluate_runs(arguments)


def _sample(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_evaluate import sample_run

    return sample_run(arguments)


def _list_runs(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_runs import list_runs

    return list_runs(arguments.folder, as_json=arguments.json)


def _export(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_export import export_run

    return export_run(arguments)


def _report(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_report import report_run

    return report_run(arguments)


def _list_models(arguments: argparse.Namespace) -> int:
    from vae_explorer.config import settings_of
    from vae_explorer.models.catalogue import MODELS

    records = [
        {
            **_words(record), "has_likelihood": record.has_likelihood, "has_prior": record.has_prior,
            "terms": [{"name": term.name, "unit": term.unit, "better": term.better} for term in record.terms],
            "settings": [f"model.{item.name}" for item in settings_of(record.config_type)],
        }
        for record in MODELS
    ]  # fmt: skip
    return _show(records, arguments.json)


def _list_datasets(arguments: argparse.Namespace) -> int:
    from vae_explorer.datasets.catalogue import DATASETS

    records = [
        {
            **_words(record), "licence": record.licence, "image_shape": list(record.image_shape),
            "num_classes": record.num_classes, "kind": record.kind, "protocols": list(record.protocols),
            "factors": dict(zip(record.factor_names, record.factor_sizes, strict=True)),
        }
        for record in DATASETS
    ]  # fmt: skip
    return _show(records, arguments.json)


def _list_measures(arguments: argparse.Namespace) -> int:
    from vae_explorer.evaluation.catalogue import MEASURES

    if not arguments.json:
        width = max(map(len, MEASURES.names()))
        for record in MEASURES:
            default = "taken by default" if record.by_default else "taken when named"
            needs = ", ".join(sorted(record.needs)) or "nothing more"
            say(f"{record.name:{width}}  {record.title}: {record.summary}")
            say(f"{'':{width}}  {record.unit}, {_DIRECTIONS[record.better]}; needs {needs}; {default}")
            say(f"{'':{width}}  cost: {record.cost}")
            say(f"{'':{width}}  {record.reference}")
        return DONE
    records = [
        {
            **_words(record), "unit": record.unit, "better": record.better, "group": record.group,
            "needs": sorted(record.needs), "cost": record.cost, "by_default": record.by_default,
            "samples": record.default_samples, "limit": record.default_limit,
        }
        for record in MEASURES
    ]  # fmt: skip
    return _show(records, as_json=True)


def _doctor(arguments: argparse.Namespace) -> int:
    from vae_explorer import doctor

    diagnosis = doctor.diagnose()
    if arguments.json:
        say(json.dumps(doctor.to_json(diagnosis), ensure_ascii=False))
    else:
        say(doctor.format_diagnosis(diagnosis))
    return DONE if diagnosis.ok else MachineError.exit_status


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "train": _train,
    "evaluate": _evaluate,
    "sweep": _sweep,
    "leave-out": _leave_out,
    "sample": _sample,
    "runs": _list_runs,
    "export": _export,
    "report": _report,
    "models": _list_models,
    "datasets": _list_datasets,
    "measures": _list_measures,
    "doctor": _doctor,
}


def _words(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("name", "title", "summary", "reference")}


def _show(records: Sequence[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        say(json.dumps(records, ensure_ascii=False))
        return DONE
    width = max(len(record["name"]) for record in records)
    for record in records:
        say(f"{record['name']:{width}}  {record['title']}: {record['summary']}")
        say(f"{'':{width}}  {record['reference']}")
    return DONE
