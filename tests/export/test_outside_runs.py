"""No export takes the place of what a run is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_runs import train_tiny
from vae_explorer import cli
from vae_explorer.runs.checkpoint import model_from_run


@pytest.mark.parametrize(
    ("what", "place"),
    [
        ("encoder", "checkpoints/000000016/model.safetensors"),
        ("decoder", "checkpoints/000000016/training_state.safetensors"),
        ("model", "frames/anchors.safetensors"),
        ("model", "start_weights.safetensors"),
        ("model", "samples/../checkpoints/new.safetensors"),
        ("metrics", "metrics.csv"),
        ("recipe", "checkpoints/recipe"),
    ],
)
def test_a_runs_own_files_are_not_replaced(
    what: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train_tiny(tmp_path / "run")[0].path
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    (run / "samples").mkdir()
    capsys.readouterr()
    assert cli.main(["export", str(run), "--what", what, "--out", str(run / place)]) == 1
    assert "would take the place of what the run run is made of." in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert model_from_run(run).step == 16


@pytest.mark.parametrize("words", [["sample", "--out", "a.png"], ["report", "--measures", "none", "--out", "a.html"]])
def test_no_folder_is_made_among_its_checkpoints(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train_tiny(tmp_path / "run")[0].path
    out = run / "checkpoints" / "000000099" / words[-1]
    assert cli.main([words[0], str(run), *words[1:-1], str(out)]) == 1
    assert "would take the place of what the run run is made of." in capsys.readouterr().err
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["000000016"]


def test_beside_them_there_is_room(tmp_path: Path) -> None:
    run = train_tiny(tmp_path / "run")[0].path
    for place in ("encoder.safetensors", "samples/encoder.safetensors", "../metrics.csv"):
        (run / place).parent.mkdir(exist_ok=True)
        what = "metrics" if place.endswith("csv") else "encoder"
        assert cli.main(["export", str(run), "--what", what, "--out", str(run / place)]) == 0
        assert (run / place).is_file()


@pytest.mark.parametrize(
    "words",
    [
        ["export", "RUN", "--what", "metrics", "--out", "OUT.csv"],
        ["export", "RUN", "--what", "recipe", "--out", "OUT"],
        ["report", "RUN", "--measures", "none", "--out", "OUT.html"],
        ["sample", "RUN", "--rows", "1", "--columns", "1", "--out", "OUT.png"],
    ],
)
def test_folders_on_the_way_to_a_file_are_made(words: list[str], tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run")
    out = tmp_path / "not yet" / "there" / "it"
    places = {"RUN": str(run.path)}
    assert cli.main([places.get(word, word.replace("OUT", str(out))) for word in words]) == 0
    assert [path.stem for path in out.parent.iterdir()] == ["it"]
