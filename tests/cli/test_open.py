from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.tiny_command import TINY, error_lines
from vae_explorer import cli


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    found: list[Path | None] = []
    monkeypatch.setattr("vae_explorer.cli_commands.open_window", lambda run=None: found.append(run) or 0)
    return found


def test_a_run_folder_opens_the_window_on_it(shown: list[Path | None], tmp_path: Path) -> None:
    path = tmp_path / "my run"
    assert cli.main(["train", *TINY, "--run-dir", str(path)]) == 0
    assert cli.main([str(path)]) == 0
    assert cli.main([]) == 0
    assert shown == [path, None]


def test_more_words_are_refused(shown: list[Path | None], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run"
    assert cli.main(["train", *TINY, "--run-dir", str(path)]) == 0
    capsys.readouterr()
    assert cli.main([str(path), "--json"]) == 2
    assert "'--json' does not belong there." in error_lines(capsys)[0]
    assert shown == []
