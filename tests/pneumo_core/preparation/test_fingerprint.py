from collections.abc import Callable

import numpy as np
import pytest

from pneumo_core.arrays import Gray
from pneumo_core.data.images import decode
from pneumo_core.preparation.fingerprint import perceptual_hashes, pixel_sha256, thumbnail

Film = Callable[..., Gray]
Encode = Callable[..., bytes]


def _distance(first: Gray, second: Gray) -> int:
    hashes = perceptual_hashes(np.stack([thumbnail(first), thumbnail(second)]))
    return int(np.bitwise_count(hashes[0] ^ hashes[1]).sum())


def test_lossless_copy_of_a_decoded_jpeg_has_its_pixel_hash(film: Film, encode: Encode) -> None:
    jpeg = encode(film(1), "JPEG", quality=80)
    decoded = decode(jpeg, 10**6).pixels
    resaved = encode(decoded, "PNG")
    assert resaved != jpeg
    assert pixel_sha256(decode(resaved, 10**6).pixels) == pixel_sha256(decoded)


def test_one_gray_level_changes_the_pixel_hash(film: Film) -> None:
    pixels = film(1)
    altered = pixels.copy()
    altered[3, 5] ^= 1
    assert pixel_sha256(altered) != pixel_sha256(pixels)


def test_shape_is_part_of_the_pixel_hash() -> None:
    pixels = np.arange(12, dtype=np.uint8)
    assert pixel_sha256(pixels.reshape(3, 4)) != pixel_sha256(pixels.reshape(4, 3))


def test_pixel_hash_does_not_depend_on_the_memory_layout(film: Film) -> None:
    pixels = film(1, 40, 50)
    assert pixel_sha256(np.asfortranarray(pixels)) == pixel_sha256(pixels)


@pytest.mark.parametrize("quality", [95, 70])
def test_perceptual_hash_survives_re_encoding_and_resizing(
    film: Film, encode: Encode, quality: int
) -> None:
    pixels = film(1, 300, 320)
    again = decode(encode(pixels, "JPEG", quality=quality), 10**6).pixels
    assert _distance(pixels, again) <= 10
    assert _distance(pixels, pixels[::2, ::2]) <= 20


def test_perceptual_hash_ignores_brightness_and_contrast(film: Film) -> None:
    pixels = film(1)
    dimmed = (pixels * 0.7 + 20).round().astype(np.uint8)
    assert _distance(pixels, dimmed) <= 10


def test_perceptual_hash_is_that_of_the_definition(film: Film) -> None:
    pixels = film(1)  # 64 x 64, the size of the thumbnail
    frequency, place = np.arange(1, 17)[:, None], np.arange(64)
    waves = np.cos(np.pi * (2 * place + 1) * frequency / 128)
    spectrum = waves @ pixels @ waves.T
    expected = (spectrum > np.median(spectrum)).astype(int).ravel()
    np.testing.assert_array_equal(np.unpackbits(perceptual_hashes(pixels[None])[0]), expected)


def test_perceptual_hash_tells_films_apart(film: Film) -> None:
    distances = [_distance(film(i), film(j)) for i in range(12) for j in range(i)]
    assert min(distances) > 40
    assert 100 < np.mean(distances) < 156  # as of random bits
