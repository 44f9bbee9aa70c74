"""What counts as a film of a patient, as made of one, and as made beside it."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pneumo_core.data.images import resize
from pneumo_core.errors import ErasureError
from pneumo_core.sources.erased import Erased
from tasks.erasure import contents, search
from tasks.erasure.places import LocalFolder
from tasks.erasure.search import Found, Reader

KEY, SALT = "H-4711", b"s" * 64
SmallFilm = Callable[[int], Any]


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def picture(pixels: Any, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def film(small_film: SmallFilm) -> bytes:
    return picture(small_film(0))


@pytest.fixture
def erased(film: bytes) -> Erased:
    """The list with the patient of one film."""
    look = contents.read(film, str).looks[0].tobytes().hex()
    return Erased(SALT).with_patient(KEY, [KEY, sha256(film), "film-17"], [look])


def found_in(folder: Path, files: dict[str, bytes], erased: Erased) -> Found:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    place, reader = LocalFolder(folder), Reader(erased.digest)
    of_name = {name: reader.content(place, name) for name in place.names()}
    return search.in_files(of_name, erased)


def table(**columns: list[str]) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


def test_a_film_is_known_by_bytes_by_pixels_and_by_its_looks(
    tmp_path: Path, film: bytes, erased: Erased, small_film: SmallFilm
) -> None:
    pixels = small_film(0)
    known = contents.read(film, str).hashes  # as a search adds them
    erased = erased.grown(erased.patients[0].patient, known)
    rows = np.stack([resize(small_film(number), 64) for number in range(3)])
    files = {
        "renamed": film,
        "resaved.png": picture(pixels, compress_level=1),
        "recoded.jpeg": picture(pixels, "JPEG", quality=80),
        "other.png": picture(small_film(1)),
    }
    np.save(tmp_path / "shard.npy", rows)
    np.save(tmp_path / "others.npy", rows[1:])
    found = found_in(tmp_path, files, erased)
    assert found.films == {"renamed", "resaved.png"}
    assert found.alike == {"recoded.jpeg", "shard.npy"}
    assert not found.naming | found.beside


def test_a_damaged_table_is_not_searched_as_if_it_named_nobody(
    tmp_path: Path, erased: Erased
) -> None:
    with pytest.raises(ErasureError, match=r"films\.parquet: it is a table that cannot be read"):
        found_in(tmp_path, {"films.parquet": table(image_id=["film-17"])[:-20]}, erased)


@pytest.mark.parametrize(
    "content",
    [
        b"image_id,label\nfilm-17,NORMAL\n",
        json.dumps({"cases": [{"image_id": "film-17"}]}).encode(),
        b"<td>film-17</td>",
        b"See film-17.",
        table(image_id=["film-16", "film-17"]),
        table(patient_key=[KEY]),
    ],
    ids=["csv", "json", "html", "sentence", "table of ids", "table of patients"],
)
def test_a_text_or_a_table_names_the_patient(
    tmp_path: Path, content: bytes, erased: Erased
) -> None:
    files = {"a/it": content, "a/weights/w.bin": b"\0weights", "b/w.bin": b"\0others"}
    found = found_in(tmp_path, files, erased)
    assert found.naming == {"a/it"}
    assert found.beside == {"a/weights/w.bin"}


def test_words_that_are_not_the_whole_name_say_nothing(tmp_path: Path, erased: Erased) -> None:
    files = {"a": b"film-170, film-1 and H-47110", "b": table(image_id=["film-170"])}
    assert found_in(tmp_path, files, erased).held == []


def test_a_listing_goes_and_what_other_versions_list_stays(
    tmp_path: Path, film: bytes, erased: Erased
) -> None:
    """DVC's cache: a version with the patient and one without, which share a film and a figure."""
    report, figure, shared = b'{"image_id": "film-17"}', b"<svg>it</svg>", b"<svg>same</svg>"
    clean, other = b'{"image_id": "film-16"}', b"another film"

    def listing(**files: bytes) -> bytes:
        return json.dumps([{"md5": md5(data), "relpath": k} for k, data in files.items()]).encode()

    raw = listing(a=film, b=other)
    objects = {
        **{f"{md5(each)}": each for each in (film, other, report, figure, shared, clean)},
        f"{md5(raw)}.dir": raw,
        "1" * 32 + ".dir": listing(report=report, figure=figure, shared=shared),
        "2" * 32 + ".dir": listing(report=clean, shared=shared),
    }
    for name, data in objects.items():
        path = tmp_path / "files" / "md5" / name[:2] / name[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    place, reader = LocalFolder(tmp_path), Reader(erased.digest)
    for _ in range(3):  # until nothing more is found
        of_name = {name: reader.content(place, name) for name in place.names()}
        found = search.in_objects(place, of_name, erased)
        patient = erased.patients[0].patient
        films, naming = (
            {md5 for name in names for md5 in of_name[name].hashes}
            for names in (found.films, found.naming)
        )
        erased = erased.grown(patient, films, naming)
    gone = {search.object_md5(name) for name in found.held}
    assert gone == {md5(film), f"{md5(raw)}.dir", md5(report), "1" * 32 + ".dir", md5(figure)}


def test_a_folder_goes_with_its_last_file(tmp_path: Path) -> None:
    for name in ("cell/bundle/a", "cell/bundle/b", "cell/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("cell/bundle/a", "cell/bundle/b", "cell/gone/x"):
        (tmp_path / "cell" / "gone").mkdir(exist_ok=True)
        LocalFolder(tmp_path).remove(name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["c", "cell"]
