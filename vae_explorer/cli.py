"""The command line. Importing it, and `--help`, load neither torch nor Qt: each command imports what it needs.

no command     0 done                              2 usage
train ...      1 a person's error, in two lines    3 this machine lacks something
               130 stopped by a signal, saved
"""

from __future__ import annotations

from collections.abc import Sequence

from vae_explorer.cli_signals import STOPPED, Program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status; what went wrong goes to stderr.

    Without `argv` this is the program itself: it takes the process's arguments and signals, and ends it when Python
    exits. With `argv` the process is left as it is, and wrong usage raises SystemExit.
    """
    if argv is not None:
        return _status_of(list(argv))
    program = Program()
    import sys

    try:
        program.status = _status_of(sys.argv[1:])
    except SystemExit as leaving:
        program.status = leaving.code if isinstance(leaving.code, int) else 0
    return program.status


def _status_of(arguments: list[str]) -> int:
    from vae_explorer import cli_output
    from vae_explorer.errors import MachineError, UserError, is_out_of_memory

    cli_output.prepare()
    try:
        try:
            status = _run(arguments)
        except SystemExit:
            cli_output.flush()
            raise
        cli_output.flush()
        return status
    except UserError as error:
        cli_output.complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:
        return UserError.exit_status  # the reader of our output left; nothing to say, and nobody to say it to
    except ImportError as error:
        if error.name is None or error.name.startswith("vae_explorer"):
            return _report(error, arguments)
        package = error.name.partition(".")[0]
        cli_output.complain(
            f"The Python package {package} cannot be loaded: {error}.\n"
            "Install it again with: pip install --force-reinstall vae-explorer"
        )
        return MachineError.exit_status
    except Exception as error:  # noqa: BLE001 - the last place that can tell a person what happened
        if is_out_of_memory(error):
            cli_output.complain(
                "There is not enough memory for this.\n"
                "Close other programs, or ask for less (--limit, --samples, --rows, --scale)."
            )
            return UserError.exit_status
        return _report(error, arguments)


def _run(arguments: list[str]) -> int:
    from vae_explorer.cli_arguments import parse
    from vae_explorer.cli_commands import COMMANDS, open_window, run_named
    from vae_explorer.errors import UsageError

    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        run = run_named(arguments[0])
        if len(arguments) > 1:
            raise UsageError(
                f"'{arguments[1]}' does not belong there.", "After the folder of a run comes nothing more."
            )
        return open_window(run)
    parsed = parse(arguments)
    return open_window() if parsed.command is None else COMMANDS[parsed.command](parsed)


def _report(error: Exception, arguments: Sequence[str]) -> int:
    """A defect of the program: one sentence, and a report that can be copied."""
    import json
    import platform
    import traceback

    from vae_explorer import __version__, cli_output
    from vae_explorer.errors import UserError

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
    cli_output.complain("\n".join(lines))
    return UserError.exit_status
