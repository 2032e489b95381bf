from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.tiny_command import TINY
from tests.tiny_runs import register_tiny
from vae_explorer import cli


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tiny_images: tuple[np.ndarray, np.ndarray]) -> None:
    register_tiny(monkeypatch, tiny_images)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    return tmp_path / "run"
