from __future__ import annotations

import gzip
import os
import random
import resource
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from tests.datasets.idx_files import TYPE_BYTES, header, idx_bytes, write
from tests.mutants import within_limits
from vae_explorer.datasets.idx import open_idx_stream, read_idx
from vae_explorer.errors import FileError

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("element_type", TYPE_BYTES)
def test_every_type_comes_back_in_the_byte_order_of_this_machine(tmp_path, element_type, compress):
    array = np.array([[1, 2, 3], [100, 50, 25]], dtype=element_type)
    path = write(tmp_path / "a.idx", compress(idx_bytes(array)))
    read = read_idx(path, element_type=element_type)
    assert read.dtype == np.dtype(element_type)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


@given(
    numpy_strategies.arrays(
        st.sampled_from(list(TYPE_BYTES)),
        numpy_strategies.array_shapes(max_dims=4, max_side=6),
        elements={"allow_nan": False},
    ),
    st.booleans(),
)
@in_one_folder
def test_what_is_written_is_read(tmp_path, array, compressed):
    content = idx_bytes(array)
    path = write(tmp_path / "a.idx", gzip.compress(content, 1) if compressed else content)
    np.testing.assert_array_equal(read_idx(path, element_type=array.dtype.name), array)


def test_chunks_join_seamlessly(tmp_path):
    array = np.random.RandomState(0).randint(0, 256, size=(3, 1 << 20), dtype=np.uint8)
    np.testing.assert_array_equal(read_idx(write(tmp_path / "a", gzip.compress(idx_bytes(array), 1))), array)
    np.testing.assert_array_equal(read_idx(write(tmp_path / "b", idx_bytes(array))), array)


BAD = {
    "empty": (b"", "ends within its header"),
    "text": (b"hello, this is no IDX file", "is not an IDX file"),
    "wrong magic": (b"\1\0\x08\x01" + b"\0\0\0\1x", "is not an IDX file"),
    "unknown type": (b"\0\0\x07\x01\0\0\0\1x", "is not an IDX file"),
    "no dimensions": (b"\0\0\x08\x00x", "announces 0 dimensions"),
    "many dimensions": (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"x", "announces 255 dimensions"),
    "cut in header": (header((5, 4, 3))[:9], "ends within its header"),
    "cut in data": (idx_bytes(IMAGES)[:-1], "is 75 bytes long where its shape 5 x 4 x 3 makes 76"),
    "too long": (idx_bytes(IMAGES) + b"\0", "is 77 bytes long"),
    "no items": (header((0, 28, 28)), "holds nothing"),
    "wrong type": (idx_bytes(IMAGES.astype(np.int32)), "holds int32 where uint8 is needed"),
    "huge": (header((0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)), "more than the 4294967296 allowed"),
    "gzip cut": (gzip.compress(idx_bytes(IMAGES))[:-9], "ends in the middle of its gzip data"),
    "gzip of nothing": (gzip.compress(b""), "ends within its header"),
    "gzip short": (gzip.compress(idx_bytes(IMAGES)[:-2]), "ends after 58 of the 60 bytes"),
    "gzip long": (gzip.compress(idx_bytes(IMAGES) + b"\0"), "goes on after the 60 bytes"),
    "gzip and more": (gzip.compress(idx_bytes(IMAGES)) + b"more", "goes on after its gzip data"),
    "gzip twice": (2 * gzip.compress(idx_bytes(IMAGES)), "goes on after its gzip data"),
    "gzip checksum": (gzip.compress(idx_bytes(IMAGES))[:-8] + b"\0" * 8, "holds broken gzip data"),
    "gzip false promise": (gzip.compress(header((60000, 28, 28))), "unfold to more than 200 times its size"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_by_name_and_reason(tmp_path, content, reason):
    path = write(tmp_path / "bad-images.idx", content)
    with pytest.raises(FileError) as caught:
        read_idx(path)
    assert str(path) in caught.value.message
    assert reason in caught.value.message
    assert caught.value.hint
    assert caught.value.path == path


def test_the_wrong_number_of_dimensions_is_refused(tmp_path):
    path = write(tmp_path / "a.idx", idx_bytes(IMAGES))
    with pytest.raises(FileError, match="has the shape 5 x 4 x 3 where 1 dimensions are needed"):
        read_idx(path, num_dimensions=1)


def test_a_limit_of_the_caller_holds(tmp_path):
    path = write(tmp_path / "a.idx", idx_bytes(IMAGES))
    assert read_idx(path, max_bytes=60).size == 60
    with pytest.raises(FileError, match="announces 60 bytes, more than the 59 allowed"):
        read_idx(path, max_bytes=59)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (
        tmp_path / "absent",
        tmp_path,
        tmp_path / "pipe",
        tmp_path / "loop",
        "zero\0byte",
        "x" * 5000,
    ):
        with pytest.raises(FileError) as caught:
            read_idx(path)
        assert caught.value.hint


def test_a_compression_bomb_fills_neither_memory_nor_time(tmp_path):
    bomb = gzip.compress(header((1, 1, 1)) + b"x" + bytes(200 << 20), 9)
    promised = gzip.compress(header((200 << 20, 1, 1)) + bytes(200 << 20), 9)
    tracemalloc.start()
    began = time.monotonic()
    for content in (bomb, promised):
        path = write(tmp_path / "bomb.gz", content)
        with pytest.raises(FileError):
            read_idx(path)
    assert time.monotonic() - began < 2
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_a_false_promise_within_the_limits_costs_no_memory(tmp_path):
    """A header may promise 200 times the file; the pages must not be touched before the data comes."""
    noise = random.Random(0).randbytes(5 << 20)
    path = write(tmp_path / "a.gz", gzip.compress(header((900 << 20, 1)) + noise, 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileError, match="ends after"):
        read_idx(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # kilobytes on Linux


def mutant(original: bytes, chance: random.Random) -> bytes:
    content = bytearray(original)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(max(1, len(content)))
        match chance.randrange(5):
            case 0:
                content[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del content[place:]
            case 2:
                del content[place : place + chance.randint(1, 8)]
            case 3:
                content[place:place] = chance.randbytes(chance.randint(1, 8))
            case _:
                content[min(place, 12) : min(place, 12) + 4] = chance.choice([b"\xff" * 4, bytes(4), b"\x7f\0\0\0"])
    return bytes(content)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_mutants_are_read_or_refused_by_name(tmp_path, compressed, times):
    num_mutants = times(300, 50_000)
    plain = idx_bytes(np.random.RandomState(0).randint(0, 256, size=(7, 8, 8), dtype=np.uint8))
    original = gzip.compress(plain, mtime=0) if compressed else plain
    chance = random.Random(2)
    path = tmp_path / "mutant.idx"
    reasons: list[str] = []
    for _ in range(num_mutants):
        path.write_bytes(mutant(original, chance))
        try:
            with within_limits():
                array = read_idx(path)
        except FileError as error:
            reasons.append(error.message)
        else:
            assert array.dtype == np.uint8
    assert len(reasons) > num_mutants // 2
    assert all(str(path) in reason for reason in reasons)


@given(st.binary(max_size=200))
@in_one_folder
def test_any_bytes_are_read_or_refused_by_name(tmp_path, content):
    path = write(tmp_path / "any.idx", content)
    try:
        read, reason = read_idx(path).nbytes, ""
    except FileError as error:
        read, reason = 0, error.message
    assert read <= len(content)
    assert read or str(path) in reason


def test_a_stream_opens_without_reading_its_images(tmp_path):
    path = tmp_path / "large.idx"
    with path.open("wb") as file:
        file.write(header((3_000_000, 28, 28)))
        file.truncate(16 + 3_000_000 * 784)  # a hole of 2.3 GB
    images = open_idx_stream(path, "cpu")
    assert images.num_images == 3_000_000
    assert images.image_shape == (1, 28, 28)
    images.close()


def test_a_stream_of_colour_images_keeps_their_channels(tmp_path):
    path = write(tmp_path / "a.idx", idx_bytes(np.zeros((2, 3, 4, 5), dtype=np.uint8)))
    images = open_idx_stream(path, "cpu")
    assert images.image_shape == (3, 4, 5)
    images.close()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(idx_bytes(IMAGES)), "is compressed"),
        (idx_bytes(IMAGES)[:-1], "is 75 bytes long"),
        (idx_bytes(IMAGES[0]), "has 2 dimensions where images have three or four"),
        (idx_bytes(IMAGES.astype(np.float32)), "holds float32 where uint8 is needed"),
    ],
)
def test_a_stream_that_cannot_be_read_image_by_image_is_refused(tmp_path: Path, content: bytes, reason: str):
    path = write(tmp_path / "a.idx", content)
    with pytest.raises(FileError, match=reason):
        open_idx_stream(path, "cpu")
