"""Paths as files: a strip of all frames, or a movie of them as GIF, APNG, WebP or MP4.

Frames are uint8 of shape (F, H, W) for grey and (F, H, W, 3) for colour pictures; every writer returns the content of
the file. Legend: F frames, H height, W width. No torch is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from vae_explorer.errors import UserError
from vae_explorer.registry import Registry

UInt8 = NDArray[np.uint8]

BACKGROUND = 255  # grey level between the frames of a strip, as in a grid
MAXIMUM_PIXELS = 64_000_000
"""Of a strip, and of all frames of a movie together."""

_EXIF_DESCRIPTION = 0x010E
_GIF_MILLISECONDS = 10  # the unit of a GIF's durations
_LEAST_GIF_MILLISECONDS = 20  # what is shorter, viewers show much longer
_CONSTANT_RATE_FACTOR = "16"  # of x264: nothing of it can be seen
_MPEG4_BITS_A_PIXEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieKind:
    """A format to save a path in.

    `needs` is the optional package without which it cannot be written, "" for none. `largest_side` is in pixels, by the
    format. `loops`: whether the file itself says that it starts over.
    """

    name: str
    title: str
    summary: str
    reference: str
    suffix: str
    largest_side: int
    is_moving: bool = True
    loops: bool = True
    needs: str = ""


MOVIE_KINDS: Registry[MovieKind] = Registry("kind of movie")

MOVIE_KINDS.add(
    MovieKind(
        name="strip", title="Strip (PNG)", summary="All frames in one row, as one picture.", suffix=".png",
        reference="PNG, third edition (W3C 2025)", largest_side=65_535, is_moving=False,
    )
)  # fmt: skip
MOVIE_KINDS.add(
    MovieKind(
        name="gif", title="GIF", summary="Plays everywhere; colour pictures are reduced to 256 colours.", suffix=".gif",
        reference="GIF89a (CompuServe 1990)", largest_side=65_535,
    )
)  # fmt: skip
MOVIE_KINDS.add(
    MovieKind(
        name="apng", title="APNG", summary="Every level as it is; plays in browsers.", suffix=".png",
        reference="PNG, third edition (W3C 2025)", largest_side=65_535,
    )
)  # fmt: skip
MOVIE_KINDS.add(
    MovieKind(
        name="webp", title="WebP", summary="Every level as it is, in the smallest file; plays in browsers.",
        suffix=".webp", reference="RFC 9649", largest_side=16_383,
    )
)  # fmt: skip
MOVIE_KINDS.add(
    MovieKind(
        name="mp4", title="MP4", summary="For slides and editors; compressed, with slight loss.", suffix=".mp4",
        reference="ISO/IEC 14496-14", largest_side=8_192, loops=False, needs="av",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieSpec:
    """How frames become a file.

    `scale`: file pixels a picture pixel, hard edges. `spacing`: pixels between the frames of a strip and around them.
    `frames_per_second` and `is_there_and_back` are of movies. Raises UserError out of range.
    """

    scale: int = 4
    spacing: int = 2
    frames_per_second: float = 8.0
    is_there_and_back: bool = True

    def __post_init__(self) -> None:
        limits = {"scale": (1, 32), "spacing": (0, 100), "frames_per_second": (0.5, 50)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                words = name.replace("_", " ")
                raise UserError(
                    f"A movie cannot have {words} {getattr(self, name)}.", f"Choose a number from {low} to {high}."
                )


def is_available(kind: str) -> bool:
    """Whether what the kind needs is installed. Raises UserError for an unknown kind."""
    needs = MOVIE_KINDS[kind].needs
    return not needs or importlib.util.find_spec(needs) is not None


def order_played(num_frames: int, spec: MovieSpec, *, loops: bool) -> list[int]:
    """The frames in the order of the file. There and back, the two ends are shown once a round; a file that does not
    start over by itself ends where it began.
    """
    there = list(range(num_frames))
    if not spec.is_there_and_back or num_frames < 2:
        return there
    return [*there, *range(num_frames - 2, 0 if loops else -1, -1)]


def movie_size(kind: str, num_frames: int, height: int, width: int, spec: MovieSpec) -> tuple[int, int]:
    """Width and height of the file in pixels. Raises UserError where the format or the memory does not take that."""
    record = MOVIE_KINDS[kind]
    file_width, file_height = width * spec.scale, height * spec.scale
    num_pictures = 1
    if not record.is_moving:
        file_width = num_frames * (file_width + spec.spacing) + spec.spacing
        file_height += 2 * spec.spacing
    else:
        num_pictures = len(order_played(num_frames, spec, loops=record.loops))
    if kind == "mp4":
        file_width, file_height = file_width + file_width % 2, file_height + file_height % 2
    if max(file_width, file_height) > record.largest_side or num_pictures * file_width * file_height > MAXIMUM_PIXELS:
        raise UserError(
            f"A file of {num_pictures:,} × {file_width:,} × {file_height:,} pixels is too large for {record.title}.",
            "Choose a smaller scale or fewer frames.",
        )
    return file_width, file_height


def movie_bytes(kind: str, frames_FHW: UInt8, spec: MovieSpec, text: Mapping[str, str]) -> bytes:
    """The content of a file of the kind; `text` says in it where it comes from.

    PNG and APNG hold the text in chunks, GIF in its comment, WebP in the Exif description and MP4 in its comment, there
    as one JSON object. Frames equal to the one before may be stored as one that stays longer. Raises UserError for an
    unknown kind, no frames, a file too large, or a package that is not installed.
    """
    if len(frames_FHW) == 0:
        raise UserError("There are no frames to save.", "Set two or more pins first.")
    num_frames, height, width = frames_FHW.shape[:3]
    movie_size(kind, num_frames, height, width, spec)
    record = MOVIE_KINDS[kind]
    if not record.is_moving:
        return _saved([Image.fromarray(strip(frames_FHW, spec))], "PNG", pnginfo=_chunks(text))
    order = order_played(num_frames, spec, loops=record.loops)
    if kind == "mp4":
        return _mp4([_enlarged(frames_FHW[number], spec.scale) for number in order], spec, text)
    frames = [Image.fromarray(_enlarged(frames_FHW[number], spec.scale)) for number in order]
    milliseconds = round(1000 / spec.frames_per_second)
    words = json.dumps(dict(text))
    if kind == "gif":
        units = round(1000 / spec.frames_per_second / _GIF_MILLISECONDS)
        milliseconds = max(units * _GIF_MILLISECONDS, _LEAST_GIF_MILLISECONDS)
        return _saved(frames, "GIF", duration=milliseconds, loop=0, comment=words.encode())
    if kind == "apng":
        return _saved(frames, "PNG", duration=milliseconds, loop=0, pnginfo=_chunks(text))
    exif = Image.Exif()
    exif[_EXIF_DESCRIPTION] = words
    return _saved(frames, "WEBP", duration=milliseconds, loop=0, lossless=True, exif=exif.tobytes())


def strip(frames_FHW: UInt8, spec: MovieSpec) -> UInt8:
    """All frames in one row, (height, width) or (height, width, 3), with `spacing` between and around them."""
    cells = [_enlarged(frame, spec.scale) for frame in frames_FHW]
    height, width = cells[0].shape[:2]
    gap = spec.spacing
    shape = (height + 2 * gap, len(cells) * (width + gap) + gap, *cells[0].shape[2:])
    row = np.full(shape, BACKGROUND, dtype=np.uint8)
    for number, cell in enumerate(cells):
        left = gap + number * (width + gap)
        row[gap : gap + height, left : left + width] = cell
    return row


def _enlarged(frame_HW: UInt8, scale: int) -> UInt8:
    return np.ascontiguousarray(frame_HW.repeat(scale, axis=0).repeat(scale, axis=1))


def _saved(frames: list[Image.Image], format_name: str, **options: Any) -> bytes:
    content = io.BytesIO()
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:]}
    else:
        for name in ("duration", "loop"):
            options.pop(name, None)
    frames[0].save(content, format=format_name, **options)
    return content.getvalue()


def _chunks(text: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        (chunks.add_text if value.isascii() else chunks.add_itxt)(key, value)
    return chunks


def _mp4(frames: list[UInt8], spec: MovieSpec, text: Mapping[str, str]) -> bytes:
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        raise UserError(
            "MP4 files need the package av, which is not installed here.",
            'Run  pip install "vae-explorer[video]",  or choose another format.',
        ) from error
    codec = next((name for name in ("libx264", "mpeg4") if name in av.codecs_available), None)
    if codec is None:
        raise UserError("The installed package av has no encoder for MP4.", "Choose another format, such as WebP.")
    height, width = frames[0].shape[:2]
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        container.metadata["comment"] = json.dumps(dict(text))
        stream = container.add_stream(codec, rate=Fraction(spec.frames_per_second).limit_denominator(1000))
        # Half the resolution of colour, which every player understands, needs even sides.
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            stream.options = {"crf": _CONSTANT_RATE_FACTOR, "preset": "medium"}
        else:
            stream.bit_rate = round(stream.width * stream.height * spec.frames_per_second * _MPEG4_BITS_A_PIXEL)
        for frame in frames:
            colour = frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)
            even = np.pad(colour, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())
    return content.getvalue()
