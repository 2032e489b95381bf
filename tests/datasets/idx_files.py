"""IDX files made for tests."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

TYPE_BYTES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def header(shape: tuple[int, ...], element_type: str = "uint8") -> bytes:
    return bytes([0, 0, TYPE_BYTES[element_type], len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def idx_bytes(array: np.ndarray) -> bytes:
    return header(array.shape, array.dtype.name) + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
