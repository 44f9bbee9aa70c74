import io
import resource
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from pneumo_core.arrays import Gray
from pneumo_core.data.images import decode, resize
from pneumo_core.errors import ImageError

MAX_PIXELS = 1_000_000

Film = Callable[..., Gray]
Encode = Callable[..., bytes]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_lossless_film_in_any_colour_mode_gives_its_gray_values(
    film: Film, encode: Encode, mode: str
) -> None:
    pixels = film(1, 40, 50)
    found = decode(encode(Image.fromarray(pixels).convert(mode)), MAX_PIXELS)
    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.pixels.dtype == np.uint8
    assert found.colour_mode == mode


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_in_any_colour_mode_gives_nearly_its_gray_values(
    film: Film, encode: Encode, mode: str
) -> None:
    pixels = film(1, 40, 50)
    data = encode(Image.fromarray(pixels).convert(mode), "JPEG", quality=95)
    found = decode(data, MAX_PIXELS)
    assert found.colour_mode == mode
    assert np.abs(found.pixels.astype(int) - pixels).mean() < 2


def test_colours_are_weighed_by_their_luma(encode: Encode) -> None:
    data = encode(Image.new("RGB", (3, 3), (255, 0, 0)))
    assert (decode(data, MAX_PIXELS).pixels == round(255 * 0.299)).all()


def test_16_bit_values_are_scaled_not_clipped(encode: Encode) -> None:
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    found = decode(encode(ramp), MAX_PIXELS)
    assert found.colour_mode == "I;16"
    np.testing.assert_array_equal(found.pixels, np.arange(256).reshape(16, 16))


def test_name_and_format_may_differ(film: Film, encode: Encode) -> None:
    # A `.jpeg` that is a PNG: only the bytes are looked at.
    assert decode(encode(film(1)), MAX_PIXELS).pixels.shape == (64, 64)


def _gif(num_frames: int) -> bytes:
    frames = [Image.new("L", (40, 40), 50 * i) for i in range(num_frames)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def test_still_gif_is_a_film_and_an_animated_one_is_not() -> None:
    assert decode(_gif(1), MAX_PIXELS).pixels.shape == (40, 40)
    with pytest.raises(ImageError, match="several frames, not one film"):
        decode(_gif(3), MAX_PIXELS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (b"a note to the ward\n", "not an image"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "not an image"),
        (b"\x89PNG\r\n\x1a\n", "not an image|cannot be decoded"),
    ],
)
def test_bytes_that_are_no_image_say_so(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode(data, MAX_PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_truncated_film_is_rejected(film: Film, encode: Encode, kind: str, part: float) -> None:
    data = encode(film(1, 200, 200), kind)
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode(data[: int(len(data) * part)], MAX_PIXELS)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of the tags that this test damages
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP", "DDS"])
def test_damaged_film_is_decoded_or_rejected_but_raises_nothing_else(
    film: Film, encode: Encode, kind: str
) -> None:
    whole, rng, num_rejected = encode(film(1, 40, 50), kind), np.random.default_rng(0), 0
    for _ in range(100):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 300), size=4):
            data[place] = rng.integers(256)
        try:
            decode(bytes(data), MAX_PIXELS)
        except ImageError:
            num_rejected += 1
    assert num_rejected > 10


def test_film_is_too_small_under_the_limit_only(encode: Encode) -> None:
    dot = encode(Image.new("L", (1, 1), 7))
    assert decode(dot, MAX_PIXELS).pixels.tolist() == [[7]]
    with pytest.raises(ImageError, match="too small: 1 x 1"):
        decode(dot, MAX_PIXELS, min_side_px=2)


def test_size_limit_counts_pixels_inclusively(film: Film, encode: Encode) -> None:
    data = encode(film(1, 30, 40))
    assert decode(data, 1200).pixels.shape == (30, 40)
    with pytest.raises(ImageError, match="oversized: 40 x 30 pixels, at most 1199"):
        decode(data, 1199)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_huge_film_is_rejected_by_its_header(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(100_000)))
    data = b"\x89PNG\r\n\x1a\n" + body + _chunk(b"IEND", b"")
    memory_kb, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(ImageError, match="oversized"):
        decode(data, MAX_PIXELS)
    assert time.perf_counter() - begun < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kb < 20_000


@pytest.mark.parametrize(("dtype", "mode"), [(np.float32, "F"), (np.int32, "I")])
def test_pixels_without_a_known_range_are_rejected(
    encode: Encode, dtype: type[np.generic], mode: str
) -> None:
    data = encode(np.ones((40, 40), dtype), "TIFF")
    with pytest.raises(ImageError, match=f"unknown pixel type {mode}"):
        decode(data, MAX_PIXELS)


def test_resize_squashes_to_a_square(film: Film) -> None:
    pixels = film(1, 40, 100)
    resized = resize(pixels, 32)
    assert resized.shape == (32, 32)
    assert resized.dtype == np.uint8
    assert abs(float(resized.mean()) - float(pixels.mean())) < 1
    # No bars: the left and the right edge of the film are still at the edges.
    assert abs(float(resized[:, 0].mean()) - float(pixels[:, :3].mean())) < 3
    assert abs(float(resized[:, -1].mean()) - float(pixels[:, -3:].mean())) < 3


def test_resize_antialiases() -> None:
    checkers = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(resize(checkers, 32)[2:-2, 2:-2] - 127.5).max() <= 2  # gray, neither 0 nor 255


def test_resize_to_the_same_size_changes_nothing(film: Film) -> None:
    pixels = film(1)
    np.testing.assert_array_equal(resize(pixels, 64), pixels)


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 96])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_quality_is_read_from_its_tables(
    film: Film, encode: Encode, mode: str, quality: int
) -> None:
    data = encode(Image.fromarray(film(1)).convert(mode), "JPEG", quality=quality)
    assert decode(data, MAX_PIXELS).jpeg_quality == quality


def test_only_a_jpeg_has_a_jpeg_quality(film: Film, encode: Encode) -> None:
    assert decode(encode(film(1)), MAX_PIXELS).jpeg_quality is None


@pytest.mark.parametrize(("size_px", "scale"), [(None, 1), (300, 1), (200, 1), (150, 2), (40, 8)])
def test_jpeg_is_decoded_no_larger_than_needed(
    film: Film, encode: Encode, size_px: int | None, scale: int
) -> None:
    pixels = film(1, 320, 400)
    found = decode(encode(pixels, "JPEG", quality=95), MAX_PIXELS, size_px=size_px)
    assert found.pixels.shape == (320 / scale, 400 / scale)
    assert (found.width_px, found.height_px) == (400, 320)
    squares = [resize(picture, size_px or 64).astype(int) for picture in (found.pixels, pixels)]
    assert np.abs(squares[0] - squares[1]).mean() < 3


def _tiff_of_many_directories(num_directories: int) -> bytes:
    """A film of 40 x 40 pixels, whose directory stands in the file again and again."""
    buffer = io.BytesIO()
    Image.new("L", (40, 40)).save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    (first,) = struct.unpack_from("<I", data, 4)
    (num_entries,) = struct.unpack_from("<H", data, first)
    length = 2 + 12 * num_entries
    directory, place = bytes(data[first : first + length]), first + length
    for _ in range(num_directories):
        struct.pack_into("<I", data, place, len(data))
        data += directory + bytes(4)
        place = len(data) - 4
    return bytes(data)


def _jpeg_of_many_scans(num_scans: int) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * num_scans + data[-2:]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_tiff_of_many_directories(20_000), "several frames"),
        (_jpeg_of_many_scans(20_000), "a JPEG of more than 100 scans"),
    ],
    ids=["tiff", "jpeg"],
)
def test_a_crafted_file_is_refused_at_once(data: bytes, reason: str) -> None:
    before = time.process_time()
    with pytest.raises(ImageError, match=reason):
        decode(data, MAX_PIXELS)
    assert time.process_time() - before < 1


def test_a_progressive_jpeg_is_read() -> None:
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 100).save(buffer, "JPEG", progressive=True)
    assert decode(buffer.getvalue(), MAX_PIXELS).pixels.mean() == pytest.approx(100, abs=1)
