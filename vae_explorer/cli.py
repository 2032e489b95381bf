"""The command line. Importing it, and `--help`, load neither torch nor Qt: each command imports what it needs.

no command     0 done                              2 usage
train ...      1 a person's error, in two lines    3 this machine lacks something
               130 stopped by a signal, saved
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from vae_explorer import __version__
from vae_explorer.errors import FileError, MachineError, UsageError, UserError, nearest_hint

DONE, USAGE, STOPPED = 0, 2, 130

TRAIN_FLAGS = {
    "dataset": ("data.dataset", "NAME", "data set (see: vae-explorer datasets)"),
    "model": ("model.name", "NAME", "model (see: vae-explorer models)"),
    "latent-dim": ("model.latent_dimensions", "D", "latent dimensions"),
    "protocol": ("data.protocol", "NAME", "grey, dynamic or threshold"),
    "epochs": ("training.epochs", "N", "passes over the training images"),
    "batch-size": ("training.batch_size", "N", "images in one step"),
    "learning-rate": ("training.learning_rate", "RATE", "step size of Adam"),
    "beta": ("model.beta", "BETA", "weight of the KL term"),
    "seed": ("training.seed", "N", "decides first weights, order and noise"),
    "device": ("training.device", "NAME", "auto, cpu, cuda or mps"),
    "precision": ("training.precision", "NAME", "auto, float32 or bfloat16"),
}
"""Short flags of `train`: flag, the setting that it is short for, its placeholder and its help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status; what went wrong goes to stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        return _run(arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:
        # The reader of our output left; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UserError.exit_status
    except ImportError as error:
        if error.name is None or error.name.startswith("vae_explorer"):
            return _report(error, arguments)
        package = error.name.partition(".")[0]
        print(f"The Python package {package} cannot be loaded: {error}.", file=sys.stderr)
        print("Install it again with: pip install --force-reinstall vae-explorer", file=sys.stderr)
        return MachineError.exit_status
    except Exception as error:  # noqa: BLE001 - the last place that can tell a person what happened
        return _report(error, arguments)


def _run(arguments: list[str]) -> int:
    if not arguments:
        return _open_window()
    if not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        _no_command(arguments[0])
    parser, commands = _parsers()
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        command = commands[parsed.command] if parsed.command else parser
        command.error(f"there is no option '{unknown[0]}'. {nearest_hint(unknown[0], command.options())}")
    if parsed.command is None:
        return _open_window()
    return COMMANDS[parsed.command](parsed)


def _report(error: Exception, arguments: Sequence[str]) -> int:
    """A defect of the program: one sentence, and a report that can be copied."""
    lines = [
        f"VAE Explorer met an error of its own and had to stop: {type(error).__name__}.",
        "Checkpoints and metrics written so far are kept. Please send the report below to the authors.",
        "",
        "--- report",
        f"vae-explorer {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"arguments: {json.dumps(list(arguments), ensure_ascii=False)}",
        *traceback.format_exc().splitlines(),
        "--- end of report",
    ]
    print("\n".join(lines), file=sys.stderr)
    return UserError.exit_status


# --- parsing


class _Parser(argparse.ArgumentParser):
    """Says errors in one line what and one line what to do; its closing text is made when it is asked for."""

    closing: Callable[[], str] | None = None

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}", file=sys.stderr)
        print(f"See: {self.prog} --help", file=sys.stderr)
        raise SystemExit(USAGE)

    def format_help(self) -> str:
        if self.closing is not None:
            self.epilog = self.closing()
        return super().format_help()

    def options(self) -> tuple[str, ...]:
        """Every option, for naming the nearest."""
        return tuple(option for action in self._actions for option in action.option_strings)


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(
        prog="vae-explorer",
        usage="vae-explorer [COMMAND] [OPTION ...]",
        description="Train variational autoencoders and explore their latent space while they train.\n"
        "Without a command the window opens.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vae-explorer {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", prog="vae-explorer", parser_class=_Parser
    )
    commands: dict[str, _Parser] = {}

    def command(name: str, summary: str) -> _Parser:
        commands[name] = subparsers.add_parser(
            name, help=summary, description=summary, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        return commands[name]

    _add_train(command("train", "Train without a window and leave a run folder."))
    _add_evaluate(command("evaluate", "Measure a trained run on the test images."))
    _add_sample(command("sample", "Save a grid of pictures from a trained run."))
    for name, summary in (
        ("models", "List the models."),
        ("datasets", "List the data sets."),
        ("measures", "List the measures of an evaluation."),
        ("doctor", "Say what this machine has and what it lacks."),
    ):
        command(name, summary).add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser, commands


def _add_train(parser: _Parser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--preset", metavar="NAME", help="start from a preset (default: first-map)")
    source.add_argument("--config", metavar="FILE", type=Path, help="start from a TOML file, such as a run.toml")
    for flag, (_, placeholder, text) in TRAIN_FLAGS.items():
        parser.add_argument(f"--{flag}", metavar=placeholder, help=text)
    parser.add_argument(
        "--set", metavar="SECTION.KEY=VALUE", action="append", default=[], dest="assignments",
        help="change any setting; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--run-dir", metavar="DIR", type=Path, help="the run's folder (default: a new one, by name and time)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, one per event")
    parser.closing = _settings_text


def _add_evaluate(parser: _Parser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="a run folder")
    parser.add_argument("--measures", metavar="A,B", default="", help="which ones (default: those that apply)")
    parser.add_argument(
        "--samples", metavar="K", type=_whole(1, 1_000_000), help="posterior samples an image (default: each measure's)"
    )
    parser.add_argument("--split", metavar="NAME", default="test", help="test, heldout or train (default: test)")
    parser.add_argument("--limit", metavar="N", type=_whole(1, 2**31), help="only the first N images")
    parser.add_argument("--seed", metavar="N", type=_whole(0, 2**31 - 1), default=0, help="of the posterior samples")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_sample(parser: _Parser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="a run folder")
    parser.add_argument("--out", metavar="FILE.png", type=Path, required=True, help="where to save the grid")
    parser.add_argument(
        "--kind", metavar="KIND", default="prior",
        help="prior, reconstructions, traversals, manifold or interpolation (default: prior)",
    )  # fmt: skip
    number = _whole(0, 2**31 - 1)
    parser.add_argument("--rows", metavar="N", type=number, default=8, help="rows; of pairs for reconstructions (8)")
    parser.add_argument("--columns", metavar="N", type=number, default=8, help="columns (8)")
    parser.add_argument("--spacing", metavar="PIXELS", type=number, default=2, help="gap between pictures (2)")
    parser.add_argument("--scale", metavar="N", type=number, default=2, help="file pixels a picture pixel (2)")
    parser.add_argument("--seed", metavar="N", type=number, default=0, help="decides the draws (0)")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        if not text.isascii() or not text.lstrip("-").isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {low} to {high}")
        return int(text)

    return whole_number


def _settings_text() -> str:
    """The presets and every setting of `--set`, from their metadata."""
    from vae_explorer.config import text_of
    from vae_explorer.training.run_config import default_config, load_preset, preset_names, sections, value_of

    config = default_config()
    lines = ["presets:"]
    lines += [f"  {name:22} {load_preset(name).summary}" for name in preset_names()]
    lines += ["", "settings of --set, with the default preset's values:"]
    for section in sections(config):
        for item in section.settings:
            path = f"{section.name}.{item.name}"
            value = text_of(item, value_of(config, path))
            allowed = ", ".join(item.choices) or item.range_text
            lines.append(f"  {path + ' = ' + value:48} {item.label}{f' ({allowed})' if allowed else ''}")
    return "\n".join(lines)


# --- commands


def _open_window() -> int:
    from vae_explorer.doctor import display_problem

    if (problem := display_problem()) is not None:
        raise problem
    from vae_explorer.gui import application

    return application.main(["vae-explorer"])


def _no_command(word: str) -> NoReturn:
    """What to say to a first word that is no command."""
    if Path(word).expanduser().exists():
        raise FileError(
            word,
            f"The window cannot open {word}: looking at a finished run is not part of this version.",
            "See it with vae-explorer sample and vae-explorer evaluate, or start the window without a path.",
        )
    raise UsageError(f"There is no command '{word}'.", nearest_hint(word, COMMANDS))


def _train(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_train import train
    from vae_explorer.training.run_config import apply_assignment, default_config, load_preset

    if arguments.config is not None:
        config = _config_from(arguments.config)
    elif arguments.preset is not None:
        config = load_preset(arguments.preset).config
    else:
        config = default_config()
    # The model first: another one has other settings.
    flags = sorted(TRAIN_FLAGS, key=lambda flag: flag != "model")
    given = {flag: getattr(arguments, flag.replace("-", "_")) for flag in flags}
    assignments = [f"{TRAIN_FLAGS[flag][0]}={text}" for flag, text in given.items() if text is not None]
    for assignment in (*assignments, *arguments.assignments):
        config = apply_assignment(config, assignment)
    return train(config, arguments.run_dir, as_json=arguments.json)


def _config_from(path: Path) -> Any:
    from vae_explorer.runs import run_directory
    from vae_explorer.training.run_config import read_run_config

    if path.name == run_directory.CONFIG_FILE:
        return run_directory.read_run_config(path)
    run_directory.require_plain_file(path, "Check the path, or start from a preset.")
    return read_run_config(path)


def _evaluate(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_evaluate import evaluate_run

    with signals_interrupt():
        return evaluate_run(arguments)


def _sample(arguments: argparse.Namespace) -> int:
    from vae_explorer.cli_evaluate import sample_run

    with signals_interrupt():
        return sample_run(arguments)


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
            "num_classes": record.num_classes,
        }
        for record in DATASETS
    ]  # fmt: skip
    return _show(records, arguments.json)


def _list_measures(arguments: argparse.Namespace) -> int:
    from vae_explorer.evaluation.measures import MEASURES

    records = [
        {**_words(record), "unit": record.unit, "better": record.better, "needs": sorted(record.needs)}
        for record in MEASURES
    ]
    return _show(records, arguments.json)


def _doctor(arguments: argparse.Namespace) -> int:
    from vae_explorer import doctor

    diagnosis = doctor.diagnose()
    if arguments.json:
        print(json.dumps(doctor.to_json(diagnosis), ensure_ascii=False))
    else:
        print(doctor.format_diagnosis(diagnosis))
    return DONE if diagnosis.ok else MachineError.exit_status


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "train": _train,
    "evaluate": _evaluate,
    "sample": _sample,
    "models": _list_models,
    "datasets": _list_datasets,
    "measures": _list_measures,
    "doctor": _doctor,
}


def _words(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("name", "title", "summary", "reference")}


def _show(records: Sequence[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        print(json.dumps(records, ensure_ascii=False))
        return DONE
    width = max(len(record["name"]) for record in records)
    for record in records:
        print(f"{record['name']:{width}}  {record['title']}: {record['summary']}")
        print(f"{'':{width}}  {record['reference']}")
    return DONE


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Make SIGTERM end a command as Ctrl+C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
