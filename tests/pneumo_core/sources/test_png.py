import io

import numpy as np
from PIL import Image

from pneumo_core.sources.png import encode_png


def test_a_png_holds_the_pixels_and_nothing_else() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    data = encode_png(pixels)
    image = Image.open(io.BytesIO(data))
    assert np.array_equal(np.asarray(image), pixels)
    assert (image.mode, image.info) == ("L", {})
    assert encode_png(pixels) == data
