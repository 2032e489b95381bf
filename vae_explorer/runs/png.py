"""Pictures as PNG files."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image, PngImagePlugin


def png_bytes(pixels: np.ndarray, text: Mapping[str, str]) -> bytes:
    """The PNG file's content; tEXt chunks, or iTXt where the text is not ASCII."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        (chunks.add_text if value.isascii() else chunks.add_itxt)(key, value)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG", pnginfo=chunks)
    return content.getvalue()
