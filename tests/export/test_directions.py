from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vae_explorer
from vae_explorer.errors import FileError, UserError
from vae_explorer.export.directions import MAXIMUM_BYTES, directions_json, read_directions
from vae_explorer.latent.arrangement import Direction

SLANT = Direction("slant", (0.1, -2.5e-7), "mean code of “sevens” minus mean code of “ones”; separates them 98 %")
THICK = Direction("thick − thin", (1 / 3, 0.0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "directions.json"


def content() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(directions_json([SLANT, THICK], "run-1", "vae"))
    return found


def test_what_is_written_is_read_again_to_the_last_bit(path: Path) -> None:
    path.write_text(directions_json([SLANT, THICK], "run-1", "vae"), encoding="utf-8")
    assert read_directions(path, 2) == (SLANT, THICK)


def test_the_file_says_what_it_is_and_where_it_comes_from() -> None:
    found = content()
    assert found["format"] == "vae-explorer-directions"
    assert (found["format_version"], found["dimensions"]) == (1, 2)
    assert (found["run"], found["model"]) == ("run-1", "vae")
    assert found["created_by"] == f"VAE Explorer {vae_explorer.__version__}"
    assert found["directions"][0] == {"name": "slant", "summary": SLANT.summary, "vector": [0.1, -2.5e-7]}


def changed(**changes: Any) -> str:
    return json.dumps(content() | changes)


def with_direction(**changes: Any) -> str:
    found = content()
    found["directions"][0] |= changes
    return json.dumps(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no valid JSON"),
        ("[1, 2]", "no valid JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"format": 1, "format": 1}', "no valid JSON"),
        ("{}", "no directions of VAE Explorer"),
        (changed(format_version=2), "format version 2, which is newer"),
        (changed(format_version=True), "format version"),
        (changed(dimensions="2"), "number of dimensions"),
        (changed(directions=[]), "1 to 200 directions"),
        (changed(directions=[content()["directions"][0]] * 201), "1 to 200 directions"),
        (changed(directions=[content()["directions"][0]] * 2), "the same name"),
        (changed(directions=["slant"]), "one of its directions is none"),
        (changed(more=1), "unknown “more”"),
        (changed(run="a" * 401), "“run”"),
        (json.dumps({key: value for key, value in content().items() if key != "model"}), "lacks “model”"),
        (with_direction(name=""), "no name"),
        (with_direction(name="a" * 81), "a name"),
        (with_direction(name="two\nlines"), "a name"),
        (with_direction(name="\ud800"), "a name"),
        (with_direction(vector=[1.0]), "does not have 2 dimensions"),
        (with_direction(vector=[1.0, "2"]), "no latent coordinate"),
        (with_direction(vector=[1.0, True]), "no latent coordinate"),
        (with_direction(vector=[1.0, 1e7]), "no latent coordinate"),
        (with_direction(vector=[1.0, float("nan")]), "no valid JSON"),
        (with_direction(vector=[1.0, 7]).replace("7]", "1e999]"), "no valid JSON"),
        (with_direction(vector=[1.0, 7]).replace("7]", "9" * 5_000 + "]"), "no valid JSON"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused_in_one_sentence(path: Path, text: str, words: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError) as caught:
        read_directions(path, 2)
    assert words in caught.value.message
    assert caught.value.message.endswith(".")
    assert caught.value.hint
    assert "\n" not in str(caught.value.message)


def test_directions_of_another_latent_space_are_refused_with_both_sizes(path: Path) -> None:
    path.write_text(directions_json([SLANT]), encoding="utf-8")
    with pytest.raises(FileError, match="directions of 2 dimensions; this latent space has 8"):
        read_directions(path, 8)


def test_a_large_file_a_folder_and_a_missing_file_are_refused(path: Path) -> None:
    path.write_bytes(b" " * (MAXIMUM_BYTES + 1))
    with pytest.raises(FileError, match="larger than"):
        read_directions(path, 2)
    with pytest.raises(FileError):
        read_directions(path.parent, 2)
    with pytest.raises(FileError):
        read_directions(path.with_name("none.json"), 2)


def _flipped(text: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(text))
    return text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]


def _cut(text: bytes, chance: random.Random) -> bytes:
    return text[: chance.randrange(len(text))]


def _doubled(text: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(text)) for _ in range(2))
    return text[:end] + text[start:end] + text[end:]


def _exchanged(text: bytes, chance: random.Random) -> bytes:
    pieces = [b"[", b"]", b"{", b"}", b"1e308", b"-1", b"null", b"NaN", b"Infinity", b'"\\ud800"', b"true", b'""', b","]
    old = chance.choice([b"0.1", b"-2.5e-07", b'"slant"', b"2,", b"1,", b'"vae"', b"["])
    return text.replace(old, chance.choice(pieces) * chance.choice([1, 1, 3000]), 1)


def test_mutants_are_read_or_refused_quickly(path: Path) -> None:
    original = directions_json([SLANT, THICK], "run-1", "vae").encode()
    chance = random.Random(0)
    ways: list[Callable[[bytes, random.Random], bytes]] = [_flipped, _cut, _doubled, _exchanged]
    refused = 0
    start = time.process_time()
    for number in range(300):
        path.write_bytes(ways[number % len(ways)](original, chance))
        try:
            found = read_directions(path, 2)
        except UserError as error:
            refused += 1
            assert isinstance(error, FileError)
        else:
            assert all(len(known.vector) == 2 for known in found)
            directions_json(found).encode()
    assert refused > 150
    assert time.process_time() - start < 3
