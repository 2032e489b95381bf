"""A strict reader of IDX, the format in which MNIST and its successors are published.

Two zero bytes, a type byte, the number of dimensions, one big-endian 32-bit length a dimension, then the
elements in row-major order, big-endian; often compressed with gzip. Format: the description on the MNIST page
by LeCun, Cortes and Burges. Nothing is believed: a file must be exactly as long as its header says, and
neither a false header nor a compression bomb makes the reader hold more than the limits below.
"""

from __future__ import annotations

import math
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from vae_explorer.errors import FileError

if TYPE_CHECKING:
    import torch

    from vae_explorer.datasets.image_dataset import StreamedImages

MAX_BYTES = 4 << 30
"""Most bytes of elements that are read into memory."""
MAX_COMPRESSION_RATIO = 200
"""Most bytes that a byte of a gzip file may unfold to; MNIST images unfold five times, a bomb a thousand
times."""
MAX_DIMENSIONS = 8

_ELEMENT_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's number for "the largest window, in a gzip wrapper"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class IdxHeader:
    """What the first bytes of an IDX file say about the rest."""

    element_type: np.dtype[np.generic]
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of the header itself."""
        return 4 + 4 * len(self.shape)

    @property
    def num_element_bytes(self) -> int:
        """Bytes of all elements together."""
        return math.prod(self.shape) * self.element_type.itemsize


def read_idx(
    path: str | os.PathLike[str],
    *,
    element_type: str = "uint8",
    num_dimensions: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> np.ndarray:
    """The elements of an IDX file, plain or gzip, as an array in this machine's byte order.

    `element_type` is the only type accepted, and `num_dimensions`, where given, the only number of
    dimensions. Raises FileError that names the file and what is wrong with it. Memory: the array and about 2
    MB.
    """
    with _opened(path) as (file, file_bytes):
        compressed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        source: _Bytes = _GzipBytes(file, path) if compressed else _PlainBytes(file)
        header = _read_header(source, path)
        _check_kind(header, path, element_type, num_dimensions)
        if header.num_element_bytes > max_bytes:
            raise _damaged(path, f"announces {header.num_element_bytes} bytes, more than the {max_bytes} allowed")
        if not compressed:
            _check_length(header, path, file_bytes)
        elif header.num_element_bytes > MAX_COMPRESSION_RATIO * file_bytes:
            raise _damaged(path, f"would unfold to more than {MAX_COMPRESSION_RATIO} times its size")
        # The pages of `np.empty` are taken from the machine only as they are filled, so a header that
        # promises more than the file holds costs nothing.
        elements = np.empty(header.num_element_bytes, dtype=np.uint8)
        filled = 0
        while filled < elements.size:
            chunk = source.read(min(_CHUNK_BYTES, elements.size - filled))
            if not chunk:
                raise _damaged(path, f"ends after {filled} of the {elements.size} bytes its header announces")
            elements[filled : filled + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
            filled += len(chunk)
        if source.read(1):
            raise _damaged(path, f"goes on after the {elements.size} bytes its header announces")
    array = elements.view(header.element_type).reshape(header.shape)
    return array.astype(header.element_type.newbyteorder("="), copy=False)


def open_idx_stream(path: str | os.PathLike[str], device: torch.device | str) -> StreamedImages:
    """The images of an uncompressed IDX file, read from disk as they are asked for.

    For sets larger than memory: only the header is read here. The file holds uint8 of shape (N, H, W) or (N,
    C, H, W) and must not change while it is in use. Raises FileError.
    """
    from vae_explorer.datasets.image_dataset import StreamedImages

    with _opened(path) as (file, file_bytes):
        if file.read(2) == _GZIP_MAGIC:
            raise FileError(
                path,
                f"{os.fspath(path)} is compressed, so its images cannot be read one by one.",
                "Unpack it with gunzip and use the unpacked file.",
            )
        file.seek(0)
        header = _read_header(_PlainBytes(file), path)
        _check_kind(header, path, "uint8", None)
        _check_length(header, path, file_bytes)
    if len(header.shape) not in (3, 4):
        raise _damaged(path, f"has {len(header.shape)} dimensions where images have three or four")
    num_images, *image_shape = header.shape
    channels, height, width = image_shape if len(image_shape) == 3 else (1, *image_shape)
    return StreamedImages(path, header.num_bytes, num_images, (channels, height, width), device)


class _Bytes(Protocol):
    """Bytes in order; `read` returns at most `count` of them, and none only at the end."""

    def read(self, count: int) -> bytes: ...


class _PlainBytes:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        return self._file.read(count)


class _GzipBytes:
    """One gzip member, unfolded at most `count` bytes at a time.

    Not `gzip.GzipFile`: that one looks for the end of a file name in the header byte by byte, and takes
    further members and padding without a word.
    """

    def __init__(self, file: BinaryIO, path: str | os.PathLike[str]) -> None:
        self._file = file
        self._path = path
        self._unfolding = zlib.decompressobj(_GZIP_WINDOW)

    def read(self, count: int) -> bytes:
        while not self._unfolding.eof:
            folded = self._unfolding.unconsumed_tail or self._file.read(_CHUNK_BYTES)
            if not folded:
                raise _damaged(self._path, "ends in the middle of its gzip data")
            try:
                unfolded = self._unfolding.decompress(folded, count)
            except zlib.error as error:
                raise _damaged(self._path, f"holds broken gzip data ({error})") from error
            if unfolded:
                return unfolded
        if self._unfolding.unused_data or self._file.read(1):
            raise _damaged(self._path, "goes on after its gzip data")
        return b""


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, int]]:
    """The file, open for reading, and its size; whatever the system says against it becomes a FileError."""
    name = os.fspath(path)
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise FileError(path, f"There is no file {name}.", "Check the name of the file.") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise _unreadable(path, error) from error
    try:
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FileError(path, f"{name} is not a file.", "Choose the IDX file itself.")
            yield file, status.st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    except MemoryError:
        raise FileError(
            path, f"{name} does not fit into the memory of this machine.", "Use a smaller data set."
        ) from None


def _read_header(source: _Bytes, path: str | os.PathLike[str]) -> IdxHeader:
    magic = _read_exactly(source, 4, path)
    if magic[:2] != b"\0\0" or magic[2] not in _ELEMENT_TYPES:
        raise FileError(
            path,
            f"{os.fspath(path)} is not an IDX file: it starts with {magic.hex(' ')}.",
            "Choose a file as published with MNIST, such as train-images-idx3-ubyte.gz.",
        )
    if not 1 <= magic[3] <= MAX_DIMENSIONS:
        raise _damaged(path, f"announces {magic[3]} dimensions; 1 to {MAX_DIMENSIONS} can be read")
    lengths = np.frombuffer(_read_exactly(source, 4 * magic[3], path), dtype=">u4")
    shape = tuple(int(length) for length in lengths)
    if 0 in shape:
        raise _damaged(path, f"holds nothing: its shape is {_text(shape)}")
    return IdxHeader(np.dtype(_ELEMENT_TYPES[magic[2]]), shape)


def _read_exactly(source: _Bytes, count: int, path: str | os.PathLike[str]) -> bytes:
    read = b""
    while len(read) < count:
        chunk = source.read(count - len(read))
        if not chunk:
            raise _damaged(path, "ends within its header")
        read += chunk
    return read


def _check_kind(header: IdxHeader, path: str | os.PathLike[str], element_type: str, num_dimensions: int | None) -> None:
    if header.element_type.newbyteorder("=") != np.dtype(element_type):
        raise _damaged(path, f"holds {header.element_type.newbyteorder('=')} where {element_type} is needed")
    if num_dimensions is not None and len(header.shape) != num_dimensions:
        raise _damaged(path, f"has the shape {_text(header.shape)} where {num_dimensions} dimensions are needed")


def _check_length(header: IdxHeader, path: str | os.PathLike[str], file_bytes: int) -> None:
    expected = header.num_bytes + header.num_element_bytes
    if file_bytes != expected:
        raise _damaged(path, f"is {file_bytes} bytes long where its shape {_text(header.shape)} makes {expected}")


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)


def _unreadable(path: str | os.PathLike[str], error: OSError | ValueError) -> FileError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return FileError(path, f"{os.fspath(path)!r} cannot be read: {reason}.", "Check its name and permissions.")


def _damaged(path: str | os.PathLike[str], reason: str) -> FileError:
    return FileError(path, f"{os.fspath(path)} {reason}.", "Fetch the file again from where it was published.")
