"""What a file says of films: their bytes, their names, and how they look.

Words are compared as the list of erased patients has them, as keyed hashes.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from pneumo_core.data.images import decode
from pneumo_core.errors import ErasureError, ImageError
from pneumo_core.preparation.fingerprint import (
    NUM_BITS,
    perceptual_hashes,
    pixel_sha256,
    thumbnail,
)
from pneumo_core.sources.erased import Erased

Kind = Literal["film", "rows", "text", "table", "other"]
Looks = npt.NDArray[np.uint8]  # [films, 32], packed

MAX_PIXELS, MIN_SIDE_PX, SIZE_PX = 100_000_000, 8, 224
MAX_COPY_BITS = 24  # of 256: re-encoded and smaller copies differ in up to 14, other films in 34
NPY, PARQUET = b"\x93NUMPY", b"PAR1"
WORDS = re.compile(rb'"([^"\\\n]{4,400})"|([^\s"\',;<>|(){}\[\]=]{4,400})')

NO_LOOKS = np.empty((0, NUM_BITS // 8), np.uint8)


@dataclass(frozen=True)
class Content:
    kind: Kind
    hashes: frozenset[str]  # MD5 and SHA-256 of its bytes, SHA-256 of a film's pixels
    own: frozenset[str]  # the same as keyed hashes
    words: frozenset[str] = frozenset()  # hashes of the words of a text or a table
    looks: Looks = field(default_factory=lambda: NO_LOOKS)

    def is_film_of(self, erased: Erased) -> bool:
        return bool(self.own & erased.traces)

    def names(self, erased: Erased) -> bool:
        """Return whether it names an erased film, or a file made of one, or is such a file."""
        return bool(self.words & (erased.traces | erased.files) or self.own & erased.files)

    def looks_like(self, erased: Erased) -> bool:
        """Return whether a film in it has almost the perceptual hash of an erased one."""
        gone = erased.looks()
        if not gone or not len(self.looks):
            return False
        theirs = np.array([np.frombuffer(bytes.fromhex(each), np.uint8) for each in gone])
        bits = np.bitwise_count(self.looks[:, None] ^ theirs[None]).sum(axis=2)
        return bool(bits.min() <= MAX_COPY_BITS)


def read(data: bytes, digest: Callable[[str], str]) -> Content:
    """Return what the bytes of any file say.

    Args:
        digest: `Erased.digest`, under the salt of the list.

    Raises:
        ErasureError: it is a damaged table.
    """
    own = {
        hashlib.md5(data, usedforsecurity=False).hexdigest(),
        hashlib.sha256(data).hexdigest(),
    }

    def content(kind: Kind, words: Iterable[str] = (), looks: Looks = NO_LOOKS) -> Content:
        return Content(
            kind, frozenset(own), frozenset(map(digest, own)), frozenset(map(digest, words)), looks
        )

    if data.startswith(PARQUET):
        return content("table", _cells(data))
    if data.startswith(NPY):
        return content("rows", looks=_looks_of_rows(data))
    try:
        film = decode(data, MAX_PIXELS, MIN_SIDE_PX, SIZE_PX)
    except (ImageError, OSError):
        pass
    else:
        own.add(pixel_sha256(film.pixels))
        return content("film", looks=perceptual_hashes(thumbnail(film.squared(SIZE_PX))[None]))
    if b"\0" in data[:4096]:
        return content("other")
    return content("text", _words(data))


def _words(data: bytes) -> set[str]:
    found = {quoted or word for quoted, word in WORDS.findall(data)}
    found |= {word.rstrip(b".:") for quoted in found for word in quoted.split()}
    return {word.decode("utf-8", "replace").removesuffix(".dir") for word in found}


def _cells(data: bytes) -> set[str]:
    """Return the texts in a table.

    Raises:
        ErasureError: it cannot be read, so nobody knows whom it names.
    """
    try:
        table = pd.read_parquet(io.BytesIO(data))
    except pa.ArrowException as error:
        raise ErasureError("it is a table that cannot be read") from error
    texts = table.select_dtypes(exclude=["number", "bool"])
    return {str(cell) for name in texts for cell in texts[name].dropna().unique()}


def _looks_of_rows(data: bytes) -> Looks:
    """Return the looks of packed films [N, H, W]; none of another array."""
    try:
        rows = np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError:
        return NO_LOOKS
    if rows.ndim != 3 or rows.dtype != np.uint8 or not len(rows):
        return NO_LOOKS
    return perceptual_hashes(np.stack([thumbnail(row) for row in rows]))
