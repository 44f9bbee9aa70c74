import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from pneumo_core.data.codestreams import Frame, jp2_frame, jpeg2000_frame, jpeg_frame

imagecodecs = pytest.importorskip("imagecodecs")

PIXELS = np.zeros((51, 43), np.uint8)


def _saved(kind: str, mode: str = "L", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("stream", "components"),
    [
        (_saved("JPEG"), 1),
        (_saved("JPEG", progressive=True), 1),
        (_saved("JPEG", "RGB", comment=b"\xff\xc0" * 99), 3),
        (imagecodecs.jpegls_encode(PIXELS), 1),
        (imagecodecs.ljpeg_encode(PIXELS), 1),
    ],
    ids=["baseline", "progressive", "colour", "LS", "lossless"],
)
def test_size_of_a_jpeg(stream: bytes, components: int) -> None:
    assert jpeg_frame(stream) == Frame(43, 51, components)


def test_size_of_a_jpeg_2000() -> None:
    bare = imagecodecs.jpeg2k_encode(PIXELS, codecformat="J2K")
    assert jpeg2000_frame(bare) == jp2_frame(bare) == Frame(43, 51, 1)
    boxed = _saved("JPEG2000", "RGB")
    assert boxed[:2] != bare[:2]
    assert jp2_frame(boxed) == Frame(43, 51, 3)


def test_a_box_before_the_codestream_does_not_hide_its_size() -> None:
    boxed = _saved("JPEG2000")
    fake = b"\xff\x4f\xff\x51" + bytes(40)
    start = boxed.index(b"jp2c") - 4
    for length, extra in ((8 + len(fake), b""), (1, struct.pack(">Q", 16 + len(fake)))):
        box = struct.pack(">I4s", length, b"uuid") + extra + fake
        assert jp2_frame(boxed[:start] + box + boxed[start:]) == Frame(43, 51, 1)


@pytest.mark.parametrize("read", [jpeg_frame, jpeg2000_frame, jp2_frame])
@pytest.mark.parametrize("data", [b"", bytes(100), b"\xff\xd8\xff", b"\xff\x4f\xff\x51"])
def test_other_bytes_are_an_error(read: Callable[[bytes], Frame], data: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        read(data)
