"""Paths as files, read back by Pillow and, where it is installed, by av."""

from __future__ import annotations

import importlib
import importlib.util
import io
import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vae_explorer.errors import UserError
from vae_explorer.export.movies import (
    MOVIE_KINDS,
    MovieSpec,
    is_available,
    movie_bytes,
    movie_size,
    order_played,
    strip,
)

TEXT = {"run": "a run of ζ", "step": "120", "kind": "path geodesic", "model": "vae", "speed": "visual"}
needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="the package av is not installed")
MOVING = [record.name for record in MOVIE_KINDS if record.is_moving and not record.needs]


def noise(num_frames: int = 5, *, colour: bool = False) -> np.ndarray:
    shape = (num_frames, 6, 9, 3) if colour else (num_frames, 6, 9)
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def ramps(num_frames: int, side: int) -> np.ndarray:
    """Smooth pictures, each brighter than the one before, which compression leaves nearly as they are."""
    ramp = np.linspace(0, 100, side)
    frames = [ramp[:, None] + ramp[None, :] / 2 + 100 * number / num_frames for number in range(num_frames)]
    return np.stack(frames).astype(np.uint8)


def read(content: bytes) -> tuple[list[np.ndarray], list[float], Image.Image]:
    picture = Image.open(io.BytesIO(content))
    frames, durations = [], []
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        picture.load()
        durations.append(float(picture.info.get("duration", 0)))
        frames.append(np.asarray(picture.convert("RGB")))
    return frames, durations, picture


def as_colour(frame: np.ndarray, scale: int = 1) -> np.ndarray:
    large = np.kron(frame, np.ones((scale, scale, *[1] * (frame.ndim - 2)), dtype=np.uint8))
    return large if large.ndim == 3 else np.repeat(large[..., None], 3, axis=2)


@pytest.mark.parametrize("colour", [False, True])
def test_a_strip_holds_every_frame_at_its_place(colour: bool) -> None:
    frames = noise(colour=colour)
    content = movie_bytes("strip", frames, MovieSpec(scale=3, spacing=4), TEXT)
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture)
        assert picture.text == TEXT
    assert (pixels.shape[1], pixels.shape[0]) == movie_size("strip", 5, 6, 9, MovieSpec(scale=3, spacing=4))
    assert pixels.shape[:2] == (6 * 3 + 8, 5 * (27 + 4) + 4)
    for number, frame in enumerate(frames):
        left = 4 + number * 31
        assert np.array_equal(as_colour(pixels[4:22, left : left + 27]), as_colour(frame, 3))
    assert (pixels[:4] == 255).all()
    assert (pixels[:, 31:35] == 255).all()


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("kind", MOVING)
def test_frames_durations_and_looping_are_what_was_asked_for(kind: str, colour: bool) -> None:
    frames = noise(colour=colour)
    spec = MovieSpec(scale=2, frames_per_second=8, is_there_and_back=False)
    seen, durations, picture = read(movie_bytes(kind, frames, spec, TEXT))
    assert len(seen) == 5
    assert durations == pytest.approx([120 if kind == "gif" else 125] * 5, abs=0.5)
    assert picture.info["loop"] == 0
    assert picture.size == movie_size(kind, 5, 6, 9, spec) == (18, 12)
    for got, wanted in zip(seen, frames, strict=True):
        if kind == "gif" and colour:
            assert np.abs(got.astype(int) - as_colour(wanted, 2)).mean() < 40  # 256 colours of noise
        else:
            assert np.array_equal(got, as_colour(wanted, 2))


@pytest.mark.parametrize("kind", MOVING)
def test_there_and_back_shows_the_ends_once_a_round(kind: str) -> None:
    frames = noise(4)
    seen, _, _ = read(movie_bytes(kind, frames, MovieSpec(scale=1), {}))
    assert len(seen) == 6
    for got, number in zip(seen, (0, 1, 2, 3, 2, 1), strict=True):
        assert np.array_equal(got, as_colour(frames[number]))


@given(num_frames=st.integers(1, 60), there_and_back=st.booleans(), loops=st.booleans())
def test_neighbours_in_the_order_played_are_neighbours_on_the_path(
    num_frames: int, there_and_back: bool, loops: bool
) -> None:
    order = order_played(num_frames, MovieSpec(is_there_and_back=there_and_back), loops=loops)
    assert set(order) == set(range(num_frames))
    assert all(abs(a - b) == 1 for a, b in itertools.pairwise(order))
    if there_and_back and num_frames > 1:
        assert abs(order[-1] - order[0]) == (1 if loops else 0)


def test_every_format_says_where_it_comes_from() -> None:
    contents = {kind: movie_bytes(kind, noise(), MovieSpec(), TEXT) for kind in MOVING}
    with Image.open(io.BytesIO(contents["apng"])) as picture:
        assert {key: picture.text[key] for key in TEXT} == TEXT
    with Image.open(io.BytesIO(contents["gif"])) as picture:
        assert json.loads(picture.info["comment"]) == TEXT
    with Image.open(io.BytesIO(contents["webp"])) as picture:
        assert json.loads(picture.getexif()[0x010E]) == TEXT


@pytest.mark.parametrize("kind", ["strip", *MOVING])
def test_one_frame_is_a_picture(kind: str) -> None:
    seen, _, _ = read(movie_bytes(kind, noise(1), MovieSpec(scale=1, spacing=0), {}))
    assert len(seen) == 1
    assert np.array_equal(seen[0], as_colour(noise(1)[0]))


@pytest.mark.parametrize("kind", MOVING)
def test_frames_that_are_all_the_same_can_be_saved(kind: str) -> None:
    seen, _, _ = read(movie_bytes(kind, np.repeat(noise(1), 4, axis=0), MovieSpec(scale=1), {}))
    assert np.array_equal(seen[0], as_colour(noise(1)[0]))


def test_a_gif_is_never_faster_than_viewers_show_it() -> None:
    _, durations, _ = read(movie_bytes("gif", noise(), MovieSpec(frames_per_second=50), {}))
    assert set(durations) == {20.0}


@needs_av
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_an_mp4_has_even_sides_and_every_frame(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    av: Any = importlib.import_module("av")
    if codec not in av.codecs_available:
        pytest.skip(f"this build of av has no {codec}")
    monkeypatch.setattr(av, "codecs_available", {codec})
    frames = ramps(5, 27)
    spec = MovieSpec(scale=3, frames_per_second=12.5)
    content = movie_bytes("mp4", frames, spec, TEXT)
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert json.loads(container.metadata["comment"]) == TEXT
        assert (stream.width, stream.height) == movie_size("mp4", 5, 27, 27, spec) == (82, 82)
        assert stream.average_rate == 12.5
        seen = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    order = (0, 1, 2, 3, 4, 3, 2, 1, 0)
    assert len(seen) == len(order)
    for got, number in zip(seen, order, strict=True):
        assert np.abs(got[:81, :81].astype(int) - as_colour(frames[number], 3)).max() <= 16


def test_without_the_extra_the_person_reads_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    load = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name == "av":
            raise ImportError(name)
        return load(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "av" else find(name))
    assert not is_available("mp4")
    assert is_available("webp")
    with pytest.raises(UserError) as caught:
        movie_bytes("mp4", noise(), MovieSpec(), {})
    assert 'pip install "vae-explorer[video]"' in caught.value.hint


def test_what_cannot_be_saved_is_told_before_memory_is_taken() -> None:
    huge = np.broadcast_to(np.uint8(0), (60, 2048, 2048))
    for kind in MOVIE_KINDS.names():
        with pytest.raises(UserError, match="too large"):
            movie_bytes(kind, huge, MovieSpec(scale=32), {})
    with pytest.raises(UserError, match="no frames"):
        movie_bytes("gif", noise(0), MovieSpec(), {})
    with pytest.raises(UserError, match="no kind of movie named 'gift'"):
        movie_bytes("gift", noise(), MovieSpec(), {})
    with pytest.raises(UserError, match="frames per second"):
        MovieSpec(frames_per_second=0)


def test_the_strip_in_a_file_is_the_strip_in_memory() -> None:
    spec = MovieSpec(scale=2, spacing=1)
    seen, _, _ = read(movie_bytes("strip", noise(), spec, {}))
    assert np.array_equal(seen[0], as_colour(strip(noise(), spec)))
