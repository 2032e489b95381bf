from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.cli.tiny_command import error_lines
from vae_explorer import cli


@pytest.mark.parametrize("kind", ["prior", "reconstructions", "traversals", "manifold", "interpolation"])
def test_a_grid_of_every_kind_is_saved_with_its_text(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    out = tmp_path / "сетка 1.png"
    layout = ["--rows", "3", "--columns", "5", "--spacing", "1", "--scale", "3", "--seed", "7"]
    assert cli.main(["sample", str(run), "--out", str(out), "--kind", kind, *layout]) == 0
    lines = {"reconstructions": 6, "traversals": 2}.get(kind, 3)
    with Image.open(out) as image:
        assert image.text == {"run": "run", "model": "vae", "step": "16", "seed": "7", "kind": kind}
        assert image.size == (5 * 24 + 6, lines * 24 + lines + 1)
        first = image.tobytes()
    assert str(out) in capsys.readouterr().out
    assert cli.main(["sample", str(run), "--out", str(out), "--kind", kind, *layout]) == 0
    with Image.open(out) as image:
        assert image.tobytes() == first


def test_a_wrong_kind_and_a_wrong_place_are_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sample", str(run), "--out", str(tmp_path / "a.png"), "--kind", "manifald"]) == 1
    assert error_lines(capsys)[1] == "Did you mean 'manifold'?"
    (tmp_path / "file").touch()
    assert cli.main(["sample", str(run), "--out", str(tmp_path / "file" / "a.png")]) == 1
    assert "something is there already" in error_lines(capsys)[0]
    assert cli.main(["sample", str(run), "--out", str(tmp_path / "a.png"), "--rows", "0"]) == 1
    assert "cannot have rows 0" in error_lines(capsys)[0]
