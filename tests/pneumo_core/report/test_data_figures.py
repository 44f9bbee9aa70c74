import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from pneumo_core.charts import Captioned, standalone
from pneumo_core.labels import LABELS, SPLITS
from pneumo_core.report.data_figures import balance, class_imbalance
from pneumo_core.report.film_figures import (
    BLOCK_ROWS,
    TrainingFilms,
    _sample,
    gray_values,
    measure,
    samples,
)
from pneumo_core.report.words import Words

NAMES = ["class_imbalance", "balance_before_and_after", "samples_per_class"]
NAMES += ["gray_values_per_class"]
FILES, USED = [10, 30, 0, 0, 5, 8], [6, 25, 3, 4, 5, 7]  # split by split, NORMAL first
SIDE_PX = 32


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    index = pd.MultiIndex.from_product([SPLITS, LABELS], names=["split", "label"])
    return pd.DataFrame({"files": FILES, "used": USED}, index).reset_index()


@pytest.fixture(scope="module")
def train(make_table: Callable[..., pd.DataFrame]) -> TrainingFilms:
    """NORMAL films of one gray value, 100, augmented 120; PNEUMONIA's 100 and 60."""
    films = make_table(f"train/{label}/{i}.png" for label in LABELS for i in range(4))
    augmented = films[["image_id", "label"]].merge(
        pd.Series(range(100), name="number"), how="cross"
    )
    gray = augmented["label"].map({"NORMAL": 120, "PNEUMONIA": 60}).to_numpy(np.uint8)
    return TrainingFilms(
        films,
        np.full((len(films), SIDE_PX, SIDE_PX), 100, np.uint8),
        augmented,
        np.broadcast_to(gray[:, None, None], (len(augmented), SIDE_PX, SIDE_PX)),
    )


def _draw(counts: pd.DataFrame, train: TrainingFilms, language: str) -> list[Captioned]:
    words, measured = Words(language), measure(train, seed=0)
    augmented = {label: int((train.augmented["label"] == label).sum()) for label in LABELS}
    return [
        class_imbalance(counts, words),
        balance(counts, augmented, words),
        samples(measured, words),
        gray_values(measured, words),
    ]


@pytest.fixture(scope="module")
def figures(counts: pd.DataFrame, train: TrainingFilms) -> dict[str, Captioned]:
    return {figure.name: figure for figure in _draw(counts, train, "en")}


def _texts(figure: Captioned) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", figure.svg)


def test_each_figure_is_a_file_that_stands_alone(figures: dict[str, Captioned]) -> None:
    assert list(figures) == NAMES
    for figure in figures.values():
        root = ElementTree.fromstring(standalone(figure.svg))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert figure.caption.count(".") >= 1
        assert figure.caption.endswith(".")


def test_same_data_give_the_same_bytes(
    figures: dict[str, Captioned], counts: pd.DataFrame, train: TrainingFilms
) -> None:
    assert _draw(counts, train, "en") == list(figures.values())


def test_korean_figures_have_korean_texts_and_the_same_numbers(
    figures: dict[str, Captioned], counts: pd.DataFrame, train: TrainingFilms
) -> None:
    for english, korean in zip(figures.values(), _draw(counts, train, "ko"), strict=True):
        texts = _texts(korean)
        assert re.search("[\uac00-\ud7a3]", korean.caption)
        assert any(re.search("[\uac00-\ud7a3]", text) for text in texts)
        numbers = [text for text in _texts(english) if re.fullmatch(r"[\d,.]+", text)]
        assert numbers == [text for text in texts if re.fullmatch(r"[\d,.]+", text)]


def test_imbalance_of_a_source_without_splits_is_that_of_all_its_files(
    counts: pd.DataFrame,
) -> None:
    unsplit = pd.DataFrame({"split": "all", "label": LABELS, "files": [10, 40], "used": 0})
    both = pd.concat([counts.assign(files=0), unsplit], ignore_index=True)
    figure = class_imbalance(both, Words("en"))
    assert {"10", "40", "1 : 4.00"} <= set(_texts(figure))
    assert "80% of its files for training are PNEUMONIA" in figure.caption


def test_imbalance_shows_the_files_of_the_source(figures: dict[str, Captioned]) -> None:
    figure = figures["class_imbalance"]
    assert {"10", "30", "1 : 3.00", "1 : 1.60"} <= set(_texts(figure))
    assert "75% of its files for training are PNEUMONIA" in figure.caption


def test_balance_shows_source_use_and_augmentation(figures: dict[str, Captioned]) -> None:
    texts = _texts(figures["balance_before_and_after"])
    assert {"10", "30", "6", "25", "400", "no files", "3", "4", "5", "8", "7"} <= set(texts)


def test_gray_values_are_those_of_all_films_and_augmented_ones(train: TrainingFilms) -> None:
    assert len(train.augmented) > 2 * BLOCK_ROWS
    caption = gray_values(measure(train, 0), Words("en")).caption
    assert "before augmentation: NORMAL 100, PNEUMONIA 100" in caption
    assert "after it: NORMAL 120, PNEUMONIA 60" in caption


def test_samples_stand_above_what_is_made_of_them(train: TrainingFilms) -> None:
    class Rows:
        """An array that notes which rows were asked for."""

        def __init__(self, images: np.ndarray) -> None:
            self.images, self.shape, self.asked = images, images.shape, list[int]()

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, row: int) -> np.ndarray:
            self.asked.append(int(row))
            return self.images[row]

    images, augmented_images = Rows(train.images), Rows(train.augmented_images)
    for label in LABELS:
        _sample(replace(train, images=images, augmented_images=augmented_images), label, seed=0)
    by_row = train.films.set_index("packed_row")["image_id"]
    last = train.augmented.iloc[augmented_images.asked]
    assert list(by_row[images.asked]) == list(last["image_id"])
    assert set(last["number"]) == {99}
    assert len(set(images.asked)) == 8  # all there are
