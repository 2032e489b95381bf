"""The words of a training of a fraction of a second, and what a person's error looks like."""

from __future__ import annotations

import pytest

TINY = [
    "--dataset", "tiny", "--protocol", "dynamic", "--epochs", "2", "--batch-size", "25", "--device", "cpu",
    "--precision", "float32", "--set", "model.hidden_widths=16", "--set", "data.heldout_images=40",
    "--set", "training.num_threads=1",
]  # fmt: skip


def error_lines(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a person's error says: one line what, one line what to do, nothing else."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, lines
    assert "Traceback" not in lines[0]
    return lines[0], lines[1]
