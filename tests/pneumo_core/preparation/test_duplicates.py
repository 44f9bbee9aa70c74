import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pneumo_core.arrays import Gray, Images
from pneumo_core.data import manifest
from pneumo_core.data.images import decode, resize
from pneumo_core.labels import LABELS, SPLITS
from pneumo_core.params import DedupParams
from pneumo_core.preparation.duplicates import Duplicates, find_duplicates, remove_duplicates
from pneumo_core.preparation.fingerprint import pixel_sha256

PARAMS = DedupParams()

Film = Callable[..., Gray]
Stock = Callable[[dict[str, Gray]], tuple[pd.DataFrame, Images]]


@pytest.fixture(scope="module")
def stock(make_table: Callable[..., pd.DataFrame]) -> Stock:
    """A manifest and its packed images, from image ids and pixels."""

    def take(pictures: dict[str, Gray]) -> tuple[pd.DataFrame, Images]:
        table = make_table(
            {
                "image_id": image_id,
                "pixel_sha256": pixel_sha256(pixels),
                "width_px": pixels.shape[1],
                "height_px": pixels.shape[0],
            }
            for image_id, pixels in pictures.items()
        )
        return table, np.stack(list(pictures.values()))

    return take


def _find(table: pd.DataFrame, images: Images) -> Duplicates:
    """With the packed films standing for the files."""
    row_of = table.set_index("path")["packed_row"]

    def read(path: str) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(images[row_of[path]]).save(buffer, "PNG")
        return buffer.getvalue()

    return find_duplicates(table, images, read, PARAMS)


def _cleaned(table: pd.DataFrame, images: Images) -> pd.DataFrame:
    return remove_duplicates(table, _find(table, images)).set_index("image_id")


SAME_FILM = ["train/NORMAL/b.png", "train/NORMAL/a.png", "val/NORMAL/z.png", "test/NORMAL/y.png"]


@pytest.mark.parametrize(
    ("image_ids", "keeper"),
    [
        (SAME_FILM, "test/NORMAL/y.png"),
        (SAME_FILM[:3], "val/NORMAL/z.png"),
        (SAME_FILM[:2], "train/NORMAL/b.png"),
    ],
)
def test_keeper_is_in_test_before_val_before_train_then_the_first_of_the_source(
    film: Film, stock: Stock, image_ids: list[str], keeper: str
) -> None:
    cleaned = _cleaned(*stock(dict.fromkeys(image_ids, film(1)) | {"train/NORMAL/0.png": film(2)}))
    copies = cleaned[cleaned["state"] == manifest.DUPLICATE]
    assert set(copies.index) == set(image_ids) - {keeper}
    assert set(copies["duplicate_of"]) == {keeper}
    assert set(copies["reason"]) == {"same pixels"}
    assert set(manifest.kept(cleaned).index) == {keeper, "train/NORMAL/0.png"}


def test_order_of_the_rows_changes_no_group_and_no_keeper_but_among_equals(
    film: Film, stock: Stock
) -> None:
    pictures = dict.fromkeys(SAME_FILM, film(1)) | {
        f"train/PNEUMONIA/{i}.png": film(i % 4) for i in range(8)
    }
    table, images = stock(pictures)
    groups = {frozenset(group) for group in _find(table, images).exact}
    for seed in range(5):
        shuffled = table.sample(frac=1, random_state=seed)
        found = _find(shuffled, images).exact
        assert {frozenset(group) for group in found} == groups
        place = {image_id: n for n, image_id in enumerate(shuffled["image_id"])}
        rank = {"test": 0, "val": 1, "train": 2}
        for group in found:
            assert group == sorted(group, key=lambda x: (rank[x.split("/")[0]], place[x]))


@pytest.mark.parametrize(
    "conflict",
    [
        ["test/NORMAL/a.png", "test/PNEUMONIA/b.png"],
        ["test/PNEUMONIA/b.png", "train/NORMAL/a.png"],
        ["test/NORMAL/a.png", "val/NORMAL/c.png", "train/NORMAL/a.png", "train/PNEUMONIA/b.png"],
    ],
)
def test_one_picture_under_both_labels_is_quarantined_in_every_split(
    film: Film, stock: Stock, conflict: list[str]
) -> None:
    other = "test/NORMAL/other.png"
    table, images = stock(dict.fromkeys(conflict, film(1)) | {other: film(2)})
    found = _find(table, images)
    assert found.label_conflicts == [conflict]
    cleaned = remove_duplicates(table, found).set_index("image_id")
    assert set(cleaned.loc[conflict, "state"]) == {manifest.QUARANTINED}
    assert cleaned.loc[conflict, "reason"].str.startswith("label conflict: ").all()
    assert cleaned.loc[conflict, "duplicate_of"].isna().all()
    assert list(manifest.kept(cleaned).index) == [other]


def test_a_film_that_looks_like_a_picture_with_both_labels_is_in_conflict_too(
    film: Film, stock: Stock
) -> None:
    conflict = ["test/NORMAL/a.png", "test/PNEUMONIA/b.png"]
    darker = (film(1) * 0.8).astype(np.uint8)
    alike = {"train/NORMAL/d.png": darker, "test/NORMAL/e.png": np.array(film(1)[:, ::-1])}
    table, images = stock(dict.fromkeys(conflict, film(1)) | alike)
    found = _find(table, images)
    assert found.near == [["test/NORMAL/a.png", "test/NORMAL/e.png", "train/NORMAL/d.png"]]
    assert found.label_conflicts == sorted([conflict, *found.near])
    states = remove_duplicates(table, found).set_index("image_id")["state"]
    assert set(states[conflict]) == {manifest.QUARANTINED}
    assert states["train/NORMAL/d.png"] == manifest.QUARANTINED
    assert states["test/NORMAL/e.png"] == manifest.KEPT


def test_quarantined_films_are_no_copies(film: Film, stock: Stock) -> None:
    table, images = stock(dict.fromkeys(SAME_FILM[:2], film(1)))
    table.loc[0, "state"] = manifest.QUARANTINED
    assert _find(table, images).exact == []


def test_re_encoded_film_is_near_and_another_film_is_not(
    film: Film, encode: Callable[..., bytes], stock: Stock
) -> None:
    original = film(1, 128, 128)
    again = decode(encode(original, "JPEG", quality=85), 10**6).pixels
    pictures = {"train/NORMAL/a.png": original, "test/NORMAL/b.png": again}
    others = {f"train/NORMAL/{i}.png": film(i, 128, 128) for i in range(2, 12)}
    table, images = stock(pictures | others)
    found = _find(table, images)
    assert (found.exact, found.near) == ([], [["test/NORMAL/b.png", "train/NORMAL/a.png"]])
    assert found.across_splits == found.near


def test_near_films_stay_and_their_patients_become_one_group(
    film: Film, encode: Callable[..., bytes], stock: Stock
) -> None:
    again = decode(encode(film(1), "JPEG", quality=95), 10**6).pixels
    pictures = {
        "train/PNEUMONIA/person7_virus_1.png": film(1),
        "train/PNEUMONIA/person9_virus_1.png": again,
        "train/PNEUMONIA/person9_bacteria_2.png": film(2),
        "train/PNEUMONIA/person1_virus_1.png": film(3),
    }
    cleaned = _cleaned(*stock(pictures))
    assert (cleaned["state"] == manifest.KEPT).all()
    assert list(cleaned["patient_group"]) == ["person7", "person7", "person7", "person1"]
    assert list(cleaned["patient_key"])[1] == "person9_virus"  # what is confirmed stays as it was


def test_groups_tied_by_a_chain_of_copies_become_one(film: Film, stock: Stock) -> None:
    names = ["person1_virus_1", "person2_virus_1", "person2_virus_2", "person3_virus_1"]
    pictures = dict(zip(names, [film(1), film(1), film(2), film(2)], strict=True))
    cleaned = _cleaned(*stock({f"train/PNEUMONIA/{name}.png": p for name, p in pictures.items()}))
    assert set(cleaned["patient_group"]) == {"person1"}


def test_every_row_is_still_there(film: Film, stock: Stock) -> None:
    table, images = stock({f"train/NORMAL/{i:02}.png": film(i % 5) for i in range(20)})
    cleaned = _cleaned(table, images)
    assert list(cleaned.index) == list(table["image_id"])
    assert manifest.count(cleaned, "state") == {"duplicate": 15, "kept": 5}


PLACES = [f"{split}/{label}" for split in SPLITS for label in LABELS]


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    films=st.lists(
        st.tuples(st.sampled_from(PLACES), st.integers(0, 3), st.booleans(), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
def test_every_film_is_counted_once(
    film: Film, stock: Stock, films: list[tuple[str, int, bool, bool]]
) -> None:
    """Draw a few pictures; some are a little lighter, some were quarantined before."""
    table, images = stock(
        {
            f"{place}/{number}.png": film(picture) // 2 + 9 * lighter
            for number, (place, picture, lighter, _) in enumerate(films)
        }
    )
    table.loc[[bad for *_, bad in films], "state"] = manifest.QUARANTINED
    cleaned = _cleaned(table, images)
    assert sorted(cleaned.index) == sorted(table["image_id"])
    states = [manifest.KEPT, manifest.QUARANTINED, manifest.DUPLICATE]
    assert sum((cleaned["state"] == state).sum() for state in states) == len(films)
    before = table.set_index("image_id")["state"].loc[cleaned.index]
    assert (cleaned.loc[before == manifest.QUARANTINED, "state"] == manifest.QUARANTINED).all()
    assert manifest.kept(cleaned)["pixel_sha256"].is_unique


def test_train_films_that_look_like_a_test_film_go(film: Film, stock: Stock) -> None:
    """Whatever was done to them; the test split itself is never altered."""
    original = film(1, 128, 128)
    variants = {
        "test/NORMAL/mirrored.png": np.array(ImageOps.mirror(Image.fromarray(original))),
        "train/NORMAL/tilted.png": np.array(Image.fromarray(original).rotate(4)),
        "val/NORMAL/darker.png": (original * 0.8).astype(np.uint8),
        "test/NORMAL/original.png": original,
        "train/NORMAL/another.png": film(2, 128, 128),
    }
    table, images = stock(variants)
    found = _find(table, images)
    assert [sorted(group) for group in found.near] == [sorted(list(variants)[:4])]
    cleaned = remove_duplicates(table, found).set_index("image_id")
    gone = cleaned[cleaned["state"] == manifest.DUPLICATE]
    assert set(gone.index) == {"train/NORMAL/tilted.png", "val/NORMAL/darker.png"}
    assert set(gone["duplicate_of"]) == {"test/NORMAL/mirrored.png"}
    assert set(gone["reason"]) == {"near-duplicate of a test film"}


def test_near_films_with_both_labels_are_quarantined_outside_test(film: Film, stock: Stock) -> None:
    darker = (film(1) * 0.8).astype(np.uint8)
    table, images = stock({"train/NORMAL/a.png": film(1), "train/PNEUMONIA/b.png": darker})
    found = _find(table, images)
    assert found.label_conflicts == found.near != []
    assert set(remove_duplicates(table, found)["state"]) == {manifest.QUARANTINED}


def test_a_jpeg_saved_again_without_loss_is_exact_though_it_was_packed_at_a_lower_scale(
    film: Film, encode: Callable[..., bytes], stock: Stock
) -> None:
    size_px = 64
    jpeg = encode(film(1, 256, 256), "JPEG", quality=80)
    files = {
        "train/NORMAL/a.jpeg": jpeg,
        "train/NORMAL/b.png": encode(decode(jpeg, 10**6).pixels, "PNG"),
        "train/NORMAL/c.png": encode(film(1, 256, 256), "PNG"),  # before it became a JPEG
    }
    films = {path: decode(data, 10**6, size_px=size_px) for path, data in files.items()}
    table, images = stock({path: resize(film.pixels, size_px) for path, film in films.items()})
    table["pixel_sha256"] = [pixel_sha256(film.pixels) for film in films.values()]
    table["width_px"] = table["height_px"] = 256
    assert table["pixel_sha256"].nunique() == 3
    found = find_duplicates(table, images, files.__getitem__, PARAMS)
    assert found.exact == [["train/NORMAL/a.jpeg", "train/NORMAL/b.png"]]
    assert found.near == [["train/NORMAL/a.jpeg", "train/NORMAL/c.png"]]
