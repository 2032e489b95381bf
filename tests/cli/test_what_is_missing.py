from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli.tiny_command import error_lines
from vae_explorer import cli
from vae_explorer.cli_commands import COMMANDS
from vae_explorer.errors import MachineError


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["models"], ["measures", "--json"]])
def test_help_and_lists_load_neither_torch_nor_qt(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom vae_explorer.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'PySide6', 'pyqtgraph', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    child = python(code)
    assert child.returncode == 0, child.stderr


def test_without_qt_the_commands_work_and_the_window_says_one_sentence() -> None:
    missing = "import sys\nsys.modules['PySide6'] = None\nfrom vae_explorer.cli import main\n"
    assert python(f"{missing}sys.exit(main(['datasets']))").returncode == 0
    window = python(f"{missing}sys.exit(main([]))")
    assert window.returncode == 3
    assert "PySide6-Essentials" in window.stderr
    assert len(window.stderr.splitlines()) == 2


def test_without_a_display_the_window_says_one_sentence_and_no_core_is_dumped() -> None:
    environment = {"QT_QPA_PLATFORM": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    window = python("import sys\nfrom vae_explorer.cli import main\nsys.exit(main([]))", **environment)
    assert window.returncode == 3
    lines = window.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("The window needs ")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "vae_explorer.doctor", None)
    monkeypatch.setitem(sys.modules, "vae_explorer.cli_train", None)

    def broken(arguments: object) -> int:
        raise ImportError("libfoo.so.1: cannot open", name="torch._C")

    monkeypatch.setitem(COMMANDS, "models", broken)
    assert cli.main(["models"]) == MachineError.exit_status
    assert error_lines(capsys)[0].startswith("The Python package torch cannot be loaded")
