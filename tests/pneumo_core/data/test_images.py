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
@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "PNG", "TIFF", "GIF", "BMP", "WEBP", "DDS"])
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


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_values_reach_white_at_the_depth_that_they_use(
    film: Film, encode: Encode, kind: str, bits: int
) -> None:
    pixels = film(1).astype(np.uint32)
    pixels[0, 0] = 255
    deep = (pixels * (2**bits - 1) // 255).astype(np.uint16)
    found = decode(encode(deep, kind), MAX_PIXELS)
    assert np.abs(found.pixels.astype(int) - pixels).max() <= 1


@pytest.mark.parametrize(
    ("dtype", "white"), [(np.float32, 1), (np.float32, 255), (np.float32, 4095), (np.int32, 65535)]
)
def test_floating_and_long_values_are_scaled_alike(
    film: Film, encode: Encode, dtype: type[np.generic], white: int
) -> None:
    pixels = film(1).astype(float)
    pixels[0, 0] = 255
    found = decode(encode((pixels / 255 * white).astype(dtype), "TIFF"), MAX_PIXELS)
    assert np.abs(found.pixels - pixels).max() <= 1


@pytest.mark.parametrize("values", [[-1, 5], [0, 70_000], [0, np.nan], [0, np.inf]])
def test_values_whose_white_is_not_known_are_rejected(encode: Encode, values: list[float]) -> None:
    data = encode(np.tile(np.array(values, np.float32), (40, 20)), "TIFF")
    with pytest.raises(ImageError, match=r"pixel values from .*: save the film with values from 0"):
        decode(data, MAX_PIXELS)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_whose_white_is_zero_is_shown_positive(
    film: Film, dtype: type[np.generic], compression: str | None
) -> None:
    pixels = film(1)
    pixels[0, :2] = 0, 255
    white = {np.uint8: 255, np.uint16: 4095, np.float32: 1}[dtype]
    stored = (white * (1 - pixels / 255)).astype(dtype)
    found = decode(_white_is_zero(stored, compression), MAX_PIXELS)
    assert np.abs(found.pixels.astype(int) - pixels).max() <= 1


def _white_is_zero(stored: Gray, compression: str | None) -> bytes:
    """The tag alone is changed: where Pillow writes it, it turns the values too."""
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "TIFF", compression=compression)
    tag = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    assert buffer.getvalue().count(tag) == 1
    return buffer.getvalue().replace(tag, struct.pack("<HHIHH", 262, 3, 1, 0, 0))


def _packed_tiff(photometric: int, bits: int, sample_format: int, data: bytes) -> bytes:
    """A TIFF of 4 x 2 pixels in a depth that Pillow does not write."""
    tags = [
        *((256, 4), (257, 2), (258, bits), (259, 1), (262, photometric), (273, 8)),
        *((277, 1), (278, 2), (279, len(data)), (339, sample_format)),
    ]
    directory = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + struct.pack("<H", len(tags)) + directory + bytes(4)


@pytest.mark.parametrize(
    ("bits", "sample_format", "data"),
    [
        (1, 1, bytes([0b0101_0000, 0b0101_0000])),
        (4, 1, bytes([0x0F, 0x0F]) * 2),
        (12, 1, bytes([0x00, 0x0F, 0xFF]) * 4),
        (32, 1, struct.pack("<8I", *[0, 65535] * 4)),
        (16, 2, struct.pack("<8h", *[0, 4095] * 4)),
        (32, 3, struct.pack("<8f", *[0, 1] * 4)),
    ],
)
@pytest.mark.parametrize("photometric", [0, 1])
def test_white_is_zero_at_depths_that_pillow_does_not_know(
    bits: int, sample_format: int, data: bytes, photometric: int
) -> None:
    expected = [0, 255] if photometric else [255, 0]
    found = decode(_packed_tiff(photometric, bits, sample_format, data), MAX_PIXELS)
    assert found.pixels.tolist() == [expected * 2] * 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(film: Film, kind: str, orientation: int) -> None:
    pixels = film(1, 64, 96)
    stored = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.T,
        6: np.rot90(pixels),
        7: pixels[::-1, ::-1].T,
        8: np.rot90(pixels, -1),
    }[orientation]
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {"quality": 98} if kind == "JPEG" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(buffer, kind, exif=exif, **lossless)
    found = decode(buffer.getvalue(), MAX_PIXELS)
    assert (found.width_px, found.height_px) == (96, 64)
    assert np.abs(found.pixels.astype(int) - pixels).mean() < 2
    small = decode(buffer.getvalue(), MAX_PIXELS, size_px=16)
    assert np.abs(small.squared(16).astype(int) - resize(pixels, 16)).mean() < 4


@pytest.mark.parametrize("name", ["film.jp2", "film.j2k"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_jpeg_2000_is_read_at_every_depth(film: Film, name: str, bits: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = film(1).astype(np.uint32)
    pixels[0, 0] = 255
    deep = (pixels * (2**bits - 1) // 255).astype(np.uint8 if bits == 8 else np.uint16)
    form = "JP2" if name.endswith("jp2") else "J2K"
    data = imagecodecs.jpeg2k_encode(deep, codecformat=form, reversible=True, bitspersample=bits)
    found = decode(data, MAX_PIXELS)
    assert np.abs(found.pixels.astype(int) - pixels).max() <= 1


def test_a_jpeg_2000_that_hides_a_larger_codestream_is_rejected(film: Film, encode: Encode) -> None:
    data = bytearray(encode(film(1), "JPEG2000"))
    place = data.index(b"\xff\x4f\xff\x51")
    assert decode(bytes(data), MAX_PIXELS).width_px == 64
    struct.pack_into(">2I", data, place + 8, 30_000, 30_000)
    with pytest.raises(ImageError, match="codestream has another size than its header says"):
        decode(bytes(data), MAX_PIXELS)


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
