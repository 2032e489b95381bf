"""One picture from a file of a stranger: limits before decoding, one error class, and in words what was done to it.

Imports neither torch nor Qt, so that a thread of the window may read while torch is still on its way.
"""

from __future__ import annotations

import io
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vae_explorer.errors import FileError, UserError

UInt8 = NDArray[np.uint8]

MOST_PIXELS = 64_000_000
MOST_ASPECT = 64
MOST_BYTES = 200_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm")

_ORIENTATION_TAG = 0x0112
_CHOOSE = "Choose a PNG, JPEG, WebP, GIF, BMP, TIFF or PPM file."


@dataclass(frozen=True, slots=True, eq=False)
class ReadPicture:
    """A picture as it was put in, before it is fitted to a data set.

    pixels: uint8 (H, W), (H, W, 3), or (H, W, 4) where parts of it are transparent. name: what a person calls it.
    notes: what reading changed, in words.
    """

    pixels: UInt8
    name: str
    notes: tuple[str, ...] = ()


def read_picture(path: Path) -> ReadPicture:
    """Read a file, the right way up, in 8 bits. Raises FileError for everything that is no usable picture.

    No more than 200 MB are read, no more than 64 million pixels or a longer side of 64 times the shorter decoded.
    """
    return decode_picture(_file_bytes(path), path)


def decode_picture(content: bytes, path: Path) -> ReadPicture:
    """As `read_picture`, of bytes in memory; `path` names them in errors."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            refuse_giant(image.width, image.height, path)
            notes = ["the first frame of an animation"] if getattr(image, "is_animated", False) else []
            image.load()
            if image.getexif().get(_ORIENTATION_TAG, 1) != 1:
                notes.append("turned upright as its camera noted")
            pixels = _eight_bit(ImageOps.exif_transpose(image), notes)
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise FileError(path, f"{path} is not a picture of a kind that can be read.", _CHOOSE) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(path) from error
    except MemoryError as error:
        raise FileError(path, f"There is not enough memory to open {path}.", "Choose a smaller picture.") from error
    # On damaged bytes Pillow's readers raise about a dozen types, SyntaxError and KeyError among them.
    except Exception as error:
        hint = "Open and save it in another program, or choose another file."
        raise FileError(path, f"{path} is damaged and cannot be read as a picture.", hint) from error
    return ReadPicture(np.ascontiguousarray(pixels), path.name, tuple(notes))


def refuse_giant(width: int, height: int, path: Path) -> None:
    """Raise FileError for a picture that is too large, too long or empty, before it takes memory."""
    if width * height > MOST_PIXELS:
        raise _too_many_pixels(path)
    if min(width, height) < 1:
        raise FileError(path, f"{path} has no pixels.", "Choose another picture.")
    if max(width, height) > MOST_ASPECT * min(width, height):
        text = f"{path} is {width:,} x {height:,} pixels: too long and thin to be looked at."
        raise FileError(path, text, f"Cut it to less than {MOST_ASPECT}:1.")


def _too_many_pixels(path: Path) -> FileError:
    text = f"{path} has more than {MOST_PIXELS // 1_000_000} million pixels."
    return FileError(path, text, "Make it smaller in another program, or choose another picture.")


def _file_bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FileError(path, f"{path} is a folder.", "Choose a single picture file.")
        if not stat.S_ISREG(status.st_mode):
            raise FileError(path, f"{path} is not an ordinary file.", _CHOOSE)
        if status.st_size > MOST_BYTES:
            text = f"{path} is {status.st_size / 1e6:,.0f} MB; at most {MOST_BYTES // 1_000_000} MB are read."
            raise FileError(path, text, "Choose a smaller file.")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror or error}."
        raise FileError(path, text, "Check its name and permissions.") from error
    except ValueError as error:
        raise FileError(path, "This name cannot be that of a file.", _CHOOSE) from error
    if not content:
        raise FileError(path, f"{path} is empty.", "Choose another picture.")
    return content


def _eight_bit(image: Image.Image, notes: list[str]) -> UInt8:
    mode = image.mode
    if mode == "F" or mode.startswith("I"):
        return _from_numbers(np.asarray(image).astype(np.float32), mode, notes)
    if mode in {"1", "L"} and "transparency" not in image.info:
        return np.asarray(image.convert("L"))
    if "transparency" in image.info or mode in {"LA", "La", "PA", "RGBA", "RGBa"}:
        pixels: UInt8 = np.asarray(image.convert("RGBA"))
        return pixels if (pixels[..., 3] < 255).any() else pixels[..., :3]
    if mode == "CMYK":
        notes.append("CMYK turned to red, green and blue")
    return np.asarray(image.convert("RGB"))


def _from_numbers(values_HW: NDArray[np.floating[Any]], mode: str, notes: list[str]) -> UInt8:
    finite_HW = np.isfinite(values_HW)
    low, high = (float(end(values_HW, where=finite_HW, initial=start))
                 for end, start in ((np.min, np.inf), (np.max, -np.inf)))  # fmt: skip
    if not finite_HW.any():
        raise ValueError("no finite number")
    if mode != "F" and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
        notes.append("16-bit grey levels rounded to 8 bits")
    else:
        if low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        notes.append(f"numbers from {low:g} to {high:g} turned to grey levels")
    scaled_HW = (np.where(finite_HW, values_HW, low) - low) * (255 / max(high - low, 1e-30))
    return (scaled_HW + 0.5).clip(0, 255).astype(np.uint8)
