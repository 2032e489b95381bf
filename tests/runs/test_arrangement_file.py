from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.conftest import Times
from tests.mutants import altered, within_limits
from tests.tiny_runs import tiny_config
from vae_explorer.errors import FileError
from vae_explorer.latent.arrangement import Arrangement, Bookmark, Direction, Frame, Group, ItemSet, Pin
from vae_explorer.latent.path_catalogue import Bend, PathChoice
from vae_explorer.latent.view_catalogue import ViewChoice
from vae_explorer.runs.arrangement_file import FILE, arrangement_bytes, read_arrangement
from vae_explorer.runs.run_directory import RunDirectory

FULL = Arrangement(
    view=ViewChoice("dimensions", i=2, j=0, anchor=(0.1, 0.2, 0.3)),
    frame=Frame(0.5, -0.25, 60.0),
    pins=(Pin("A", (0.0, 1.0, -2.5)), Pin("B", (1e-9, 3.0, 0.1))),
    active_pin=1,
    path=PathChoice("spherical", "visual", 7, (Bend(0, (0.5, 0.5, 0.5)),), "fisher"),
    selection=ItemSet([5, 3, 3, 900]),
    groups=(Group("sevens", ItemSet(range(50)), 2), Group("empty", ItemSet([]), 0)),
    directions=(Direction("sevens − ones", (0.1, 0.2, 0.3), "from two groups"),),
    bookmarks=(Bookmark("here", ViewChoice("pca"), None, (Pin("C", (1.0, 1.0, 1.0)),), 3),),
    amounts=(("sevens − ones", -1.5),),
    told=4,
)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tiny_config(), tmp_path / "run")


@pytest.mark.parametrize("arrangement", [FULL, Arrangement()])
def test_what_was_arranged_comes_back(run: RunDirectory, arrangement: Arrangement) -> None:
    assert read_arrangement(run) is None
    (run.path / FILE).write_bytes(arrangement_bytes(arrangement))
    assert read_arrangement(run) == arrangement


def test_a_damaged_file_is_refused_whatever_was_damaged(run: RunDirectory, times: Times) -> None:
    """Each mutant reads as an arrangement or raises FileError, never anything else."""
    (run.path / FILE).write_bytes(arrangement_bytes(FULL))
    path = run.path / FILE
    whole = path.read_bytes()
    draw, num_mutants = random.Random(0), times(300, 50_000)
    refused = 0
    for _ in range(num_mutants):
        path.write_bytes(altered(whole, draw))
        try:
            with within_limits():
                assert isinstance(read_arrangement(run), Arrangement)
        except FileError as error:
            refused += 1
            assert str(path) in error.message
    assert refused > num_mutants * 2 / 3


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("view", "name"), "nowhere"), (("path", "num_frames"), 10**9), (("path", "kind"), "magic"),
        (("frame", "scale"), 0), (("active_pin",), 7), (("told",), -1), (("pins", 0, "z", 0), 1e300),
        (("selection", 0), -1), (("unknown",), 1), (("pins",), {"0": 1}),
    ],
)  # fmt: skip
def test_values_that_no_arrangement_has_are_refused(
    run: RunDirectory, place: tuple[str | int, ...], value: object
) -> None:
    (run.path / FILE).write_bytes(arrangement_bytes(FULL))
    path = run.path / FILE
    content = json.loads(path.read_text(encoding="utf-8"))
    part = content["arrangement"]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(FileError, match="is not as VAE Explorer wrote it"):
        read_arrangement(run)


def test_a_newer_file_is_refused_in_its_own_words(run: RunDirectory) -> None:
    (run.path / FILE).write_text('{"format_version": 2, "arrangement": {}}', encoding="utf-8")
    with pytest.raises(FileError, match="newer version"):
        read_arrangement(run)
