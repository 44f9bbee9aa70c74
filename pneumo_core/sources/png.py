"""Encode pixels as the bytes of a file."""

import io

from PIL import Image

from pneumo_core.arrays import Gray


def encode_png(pixels: Gray) -> bytes:
    """Return a PNG with the pixels and nothing else: no text, no time."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
