"""What can be written after `vae-explorer`: commands, options and their help."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vae_explorer import __version__, cli_output
from vae_explorer.errors import nearest
from vae_explorer.runs import files

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

USAGE = 2

TRAIN_FLAGS = {
    "dataset": ("data.dataset", "NAME", "data set (see: vae-explorer datasets)"),
    "model": ("model.name", "NAME", "model (see: vae-explorer models)"),
    "latent-dim": ("model.latent_dimensions", "D", "latent dimensions"),
    "protocol": ("data.protocol", "NAME", "what a pixel is and how it is scored, such as grey, dynamic or static"),
    "epochs": ("training.epochs", "N", "passes over the training images"),
    "batch-size": ("training.batch_size", "N", "images in one step"),
    "learning-rate": ("training.learning_rate", "RATE", "step size of Adam"),
    "beta": ("model.beta", "BETA", "weight of the KL term"),
    "seed": ("training.seed", "N", "decides first weights, order and noise"),
    "device": ("training.device", "NAME", "auto, cpu, cuda or mps"),
    "precision": ("training.precision", "NAME", "auto, float32 or bfloat16"),
}
"""Short flags of `train`: flag, the setting that it is short for, its placeholder and its help."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments, with `command` None where the window is meant. Raises SystemExit for help and wrong usage."""
    parser, commands = _parsers()
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        (commands[parsed.command] if parsed.command else parser).refuse(unknown[0])
    if parsed.version:
        # argparse's own action for this drops what cannot be written.
        cli_output.say(f"vae-explorer {__version__}")
        raise SystemExit(0)
    return parsed


class _Parser(argparse.ArgumentParser):
    """Says errors in one line what and one line what to do; its closing text is made when it is asked for."""

    closing: Callable[[], str] | None = None

    def error(self, message: str) -> NoReturn:
        cli_output.complain(f"{self.prog}: {message}\nSee: {self.prog} --help")
        raise SystemExit(USAGE)

    def format_help(self) -> str:
        if self.closing is not None:
            self.epilog = self.closing()
        return super().format_help()

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        del file
        cli_output.say(self.format_help(), end="")

    def refuse(self, word: str) -> NoReturn:
        """Say that this command knows no such option or argument."""
        if not word.startswith("-"):
            self.error(f"there is no argument '{word}'")
        match = nearest(word, (option for action in self._actions for option in action.option_strings))
        self.error(f"there is no option '{word}'." + (f" Did you mean '{match}'?" if match else ""))


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(
        prog="vae-explorer",
        usage="vae-explorer [COMMAND] [OPTION ...]",
        description="Train variational autoencoders and explore their latent space while they train.\n"
        "Without a command the window opens.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND ...", title="commands", prog="vae-explorer", parser_class=_Parser
    )
    commands: dict[str, _Parser] = {}

    def command(name: str, summary: str) -> _Parser:
        commands[name] = subparsers.add_parser(
            name, help=summary, description=summary, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        return commands[name]

    _add_train(command("train", "Train without a window and leave a run folder."))
    _add_evaluate(command("evaluate", "Measure trained runs on the test images."))
    _add_sweep(command("sweep", "Train a run for each beta and draw their rate-distortion curve."))
    _add_leave_out(command("leave-out", "Train runs without a part of the images each, and score what was left out."))
    _add_sample(command("sample", "Save a grid of pictures from a trained run."))
    _add_runs(command("runs", "List the runs in a folder."))
    _add_export(command("export", "Save a run's networks or metrics for other programs."))
    _add_report(command("report", "Write one HTML file about a run that needs nothing else."))
    for name, summary in (
        ("models", "List the models."),
        ("datasets", "List the data sets."),
        ("measures", "List the measures of an evaluation."),
        ("doctor", "Say what this machine has and what it lacks."),
    ):
        command(name, summary).add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser, commands


def _add_train(parser: _Parser) -> None:
    _add_configuration(parser, TRAIN_FLAGS)
    parser.add_argument(
        "--run-dir", metavar="DIR", type=_path, help="the run's folder (default: a new one, by name and time)"
    )
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with the run in --run-dir from its newest checkpoint; --epochs may make it longer",
    )  # fmt: skip
    parser.add_argument(
        "--fork", metavar="RUN", type=_path,
        help="train a child of that run from its newest checkpoint, with its settings but for those given here",
    )  # fmt: skip
    parser.add_argument(
        "--from-step", metavar="N", type=_whole(0, 2**62), help="the checkpoint nearest to that step, with --fork"
    )
    parser.add_argument(
        "--weights", metavar="FILE", type=_path,
        help="start from the weights in a .safetensors file, whose names and shapes are the model's",
    )  # fmt: skip
    parser.add_argument(
        "--until-step", metavar="N", type=_whole(1, 2**62),
        help="stop and save after that step, the schedules being those of all epochs; --resume goes on",
    )  # fmt: skip
    parser.add_argument(
        "--at-step", metavar=("N", "SECTION.KEY=VALUE"), nargs=2, action="append", default=[], dest="planned",
        help="change the learning rate or beta after that step, as by hand in the window; may be given several times",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, one per event")
    parser.closing = _settings_text


def _add_sweep(parser: _Parser) -> None:
    _add_configuration(parser, [flag for flag in TRAIN_FLAGS if flag != "beta"])
    parser.add_argument(
        "--betas", metavar="B,B", type=_betas, default=(0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
        help="weights of the KL term, a run each (default: 0.25,0.5,1,2,4,8)",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="FOLDER", type=_path, required=True,
        help="where the runs, the table and the drawing go; runs that ended there are not trained again",
    )  # fmt: skip
    parser.add_argument("--split", metavar="NAME", default="test", help="test, heldout or train (default: test)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, the last with all points")
    parser.closing = _settings_text


def _add_leave_out(parser: _Parser) -> None:
    _add_configuration(parser, TRAIN_FLAGS)
    parser.add_argument(
        "--parts", metavar="P", type=_whole(2, 1000), default=5,
        help="how many parts; each run is trained without one of them (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--images", metavar="N", type=_whole(2, 100_000), default=1000,
        help="training images that are scored, evenly from all parts (default: 1000)",
    )  # fmt: skip
    parser.add_argument(
        "--samples", metavar="K", type=_whole(1, 1_000_000), default=64,
        help="importance samples an image, where log p(x) has no closed form (default: 64)",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="FOLDER", type=_path, required=True,
        help="where the runs, the table and the pictures go; runs that ended there are not trained again",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, the last with the result")
    parser.closing = _settings_text


def _add_configuration(parser: _Parser, flags: Iterable[str]) -> None:
    """What says a run's configuration."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--preset", metavar="NAME", help="start from a preset (default: first-map)")
    source.add_argument("--config", metavar="FILE", type=_path, help="start from a TOML file or another run's folder")
    for flag in flags:
        _, placeholder, text = TRAIN_FLAGS[flag]
        parser.add_argument(f"--{flag}", metavar=placeholder, help=text)
    parser.add_argument(
        "--set", metavar="SECTION.KEY=VALUE", action="append", default=[], dest="assignments",
        help="change any setting; may be given several times",
    )  # fmt: skip


def _add_evaluate(parser: _Parser) -> None:
    parser.add_argument(
        "run", metavar="RUN", type=_path, nargs="+", help="a run folder; several are compared in one table"
    )
    _add_measuring(parser, "which ones, or all (default: the quick ones that apply; see: vae-explorer measures)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_measuring(parser: _Parser, measures_help: str) -> None:
    """What is measured, on what."""
    parser.add_argument("--measures", metavar="A,B", default="", help=measures_help)
    parser.add_argument(
        "--samples", metavar="K", type=_whole(1, 1_000_000), help="posterior samples an image (default: each measure's)"
    )
    parser.add_argument("--split", metavar="NAME", default="test", help="test, heldout or train (default: test)")
    parser.add_argument("--limit", metavar="N", type=_whole(1, 2**31), help="only the first N images")
    parser.add_argument("--seed", metavar="N", type=_whole(0, 2**31 - 1), default=0, help="of the posterior samples")


def _add_report(parser: _Parser) -> None:
    parser.add_argument("run", metavar="RUN", type=_path, help="a run folder")
    parser.add_argument(
        "--out", metavar="FILE.html", type=_path, required=True, help="where to save it; one that is there is replaced"
    )
    _add_measuring(parser, "which ones, all, or none (default: the quick ones that apply; see: vae-explorer measures)")
    parser.set_defaults(json=False)


def _add_sample(parser: _Parser) -> None:
    parser.add_argument("run", metavar="RUN", type=_path, help="a run folder")
    parser.add_argument("--out", metavar="FILE.png", type=_path, required=True, help="where to save the grid")
    parser.add_argument(
        "--kind", metavar="KIND", default="prior",
        help="prior, reconstructions, traversals, manifold or interpolation (default: prior)",
    )  # fmt: skip
    number = _whole(0, 2**31 - 1)
    parser.add_argument(
        "--class", metavar="N", dest="class_number", type=number, default=None,
        help="the class that a conditional model is told, from 0 (default: a row a class)",
    )  # fmt: skip
    parser.add_argument("--rows", metavar="N", type=number, default=8, help="rows; of pairs for reconstructions (8)")
    parser.add_argument("--columns", metavar="N", type=number, default=8, help="columns (8)")
    parser.add_argument("--spacing", metavar="PIXELS", type=number, default=2, help="gap between pictures (2)")
    parser.add_argument("--scale", metavar="N", type=number, default=2, help="file pixels a picture pixel (2)")
    parser.add_argument("--seed", metavar="N", type=number, default=0, help="decides the draws (0)")


def _add_runs(parser: _Parser) -> None:
    parser.add_argument(
        "folder", metavar="FOLDER", type=_path, nargs="?", help="a folder of runs (default: where new runs go)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_export(parser: _Parser) -> None:
    parser.add_argument("run", metavar="RUN", type=_path, help="a run folder")
    parser.add_argument(
        "--what", metavar="WHAT", required=True, help="encoder, decoder, model, metrics, recipe or report"
    )
    parser.add_argument(
        "--out", metavar="FILE", type=_path, required=True,
        help="where to save it; the ending says how (see below), and a file that is there is replaced",
    )  # fmt: skip
    parser.closing = _exportables_text


def _exportables_text() -> str:
    from vae_explorer.export.exportables import EXPORTABLES, endings_words

    lines = ["what can be exported, and the endings of --out:"]
    lines += [f"  {name:10} {what.summary}: {endings_words(what)}" for name, what in EXPORTABLES.items()]
    extras = ((".onnx", "onnx"), ("a folder for TensorBoard", "tensorboard"))
    lines += ["", *(f"{what} needs  pip install 'vae-explorer[{extra}]'" for what, extra in extras)]
    return "\n".join(lines)


def _path(text: str) -> Path:
    # An empty one is mostly a variable of the shell that was never set; as a path it would mean this folder.
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return files.expanded(Path(text))


def _betas(text: str) -> tuple[float, ...]:
    try:
        found = tuple(dict.fromkeys(float(part) for part in text.split(",") if part.strip()))
    except ValueError:
        found = ()
    if not found or not all(0 < beta < math.inf for beta in found):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of numbers above 0, such as 0.5,1,2")
    return found


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
