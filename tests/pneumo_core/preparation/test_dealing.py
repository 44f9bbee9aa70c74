"""Patients dealt to a split, stratum by stratum."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pneumo_core.preparation.dealing import deal, strata_columns

MakeTable = Callable[..., pd.DataFrame]
SHARE = {"NORMAL": 0.2, "PNEUMONIA": 0.2}


@pytest.fixture
def films(make_table: MakeTable) -> pd.DataFrame:
    """600 films of up to 300 patients; view goes with the label, age and sex do not."""
    draw = np.random.default_rng(0)
    rows = []
    for number in range(600):
        label = "PNEUMONIA" if draw.random() < 0.3 else "NORMAL"
        patient = f"patient {draw.integers(300)}"
        rows.append(
            {
                "image_id": f"all/{label}/{number}.png",
                "patient_group": patient,
                "meta_sex": str(draw.choice(["F", "M"])),
                "meta_view": "AP" if draw.random() < 0.3 + 0.4 * (label == "PNEUMONIA") else "PA",
                "meta_age": str(draw.integers(1, 95)),
                "meta_scanner": None,
            }
        )
    return make_table(rows)


def test_every_stratum_has_its_share(films: pd.DataFrame) -> None:
    chosen = films["patient_group"].isin(deal(films, SHARE, (), (), seed=0))
    films["age"] = pd.cut(films["meta_age"].astype(int), [0, 18, 40, 60, 80, 120], right=False)
    for columns in (["label"], ["label", "meta_sex"], ["label", "meta_view"], ["label", "age"]):
        strata = films.assign(chosen=chosen).groupby(columns, observed=True)["chosen"]
        off = (strata.sum() - 0.2 * strata.size()).abs()
        assert off.max() <= (1.5 if columns == ["label"] else 4), off


def test_more_even_than_chance(films: pd.DataFrame) -> None:
    def unevenness(groups: set[str]) -> float:
        taken = films["patient_group"].isin(groups)
        strata = taken.groupby([films["label"], films["meta_view"]])
        return float((strata.mean() - taken.mean()).abs().max())

    everyone = sorted(set(films["patient_group"]))
    draw = np.random.default_rng(0)
    by_chance = [unevenness(set(draw.choice(everyone, 60, replace=False))) for _ in range(20)]
    dealt = [unevenness(deal(films, SHARE, (), (), seed)) for seed in range(20)]
    assert np.mean(dealt) < np.mean(by_chance) / 2


def test_who_is_inside_stays_and_who_is_outside_does_not_join(films: pd.DataFrame) -> None:
    groups = sorted(set(films["patient_group"]))
    for seed in range(5):
        draw = np.random.default_rng(seed)
        inside = set(draw.choice(groups, 20, replace=False))
        outside = set(groups[::3]) - inside
        chosen = deal(films, SHARE, inside, outside, seed)
        assert inside <= chosen
        assert not outside & chosen


def test_depends_on_the_seed_and_not_on_the_order_of_the_rows(films: pd.DataFrame) -> None:
    chosen = deal(films, SHARE, (), (), seed=0)
    assert deal(films.sample(frac=1, random_state=1), SHARE, (), (), seed=0) == chosen
    assert deal(films, SHARE, (), (), seed=1) != chosen


def test_strata_are_what_is_known_of_the_films(films: pd.DataFrame) -> None:
    assert strata_columns(films) == ["meta_age", "meta_sex", "meta_view"]
    films.loc[0, "origin"] = "another hospital"
    assert strata_columns(films)[-1] == "origin"
