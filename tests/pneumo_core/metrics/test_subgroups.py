"""The figures of groups of films, and the group that a floor is about."""

from typing import Any

import numpy as np
import pandas as pd

from pneumo_core.metrics.dimensions import dimensions
from pneumo_core.metrics.metrics import Scores
from pneumo_core.metrics.subgroups import num_large, subgroups, sure_figures, worst_groups


def group(name: str, num_found: int, num_missed: int) -> pd.DataFrame:
    """Films of one origin with pneumonia, and as many without, all of which are read rightly."""
    count = num_found + num_missed
    rows = {"label": 1, "probability": [0.9] * num_found + [0.1] * num_missed}
    return pd.concat(
        [pd.DataFrame(rows), pd.DataFrame({"label": 0, "probability": [0.1] * count})]
    ).assign(origin=name)


def test_worst_group_has_the_lowest_lower_bound_not_the_lowest_value() -> None:
    """160 of 200 are .80 [.739, .850], 21 of 26 are .81 [.621, .915]: the few may be read worse."""
    films = pd.concat(
        [group("many", 160, 40), group("few", 21, 5), group("too few", 1, 3)], ignore_index=True
    )
    keys = np.arange(len(films)).astype(np.str_)
    scores = Scores(films["label"].to_numpy(), films["probability"].to_numpy(float), keys)
    found = subgroups(dimensions(films), scores, 0.5)
    worst = worst_groups(found)["sensitivity"]
    assert (worst["dimension"], worst["group"]) == ("origin", "few")
    assert worst["ci_low"] < found["origin"]["many"]["sensitivity"]["ci_low"] < worst["value"]


def test_a_figure_says_how_many_films_and_patients_are_behind_it() -> None:
    """40 films of four patients in one group, of 40 in the other; the rarer class counts."""
    films = pd.concat([group("few patients", 30, 10), group("many", 19, 0)], ignore_index=True)
    keys = [
        f"{i % 4}" if name == "few patients" else f"x{i}" for i, name in films["origin"].items()
    ]
    scores = Scores(films["label"].to_numpy(), films["probability"].to_numpy(float), np.array(keys))
    found = subgroups(dimensions(films), scores, 0.5)["origin"]
    counts = {
        name: (each["n_films"], each["n_patients"])
        for name, each in ((name, groups["auroc"]) for name, groups in found.items())
    }
    assert counts == {"few patients": (40, 4), "many": (19, 19)}
    assert worst_groups({"origin": found})["auroc"]["group"] == "few patients"
    assert (num_large(found, "auroc"), sure_figures(found["few patients"], "n_patients")) == (1, [])


def test_auroc_of_a_subtype_is_against_all_films_without_pneumonia() -> None:
    films = pd.DataFrame(
        {
            "label": [1] * 40 + [0] * 60,
            "probability": np.r_[np.linspace(0.3, 0.9, 40), np.linspace(0.1, 0.7, 60)],
            "subtype": ["virus"] * 20 + ["bacteria"] * 20 + [None] * 60,
        }
    )
    keys = np.arange(100).astype(np.str_)
    scores = Scores(films["label"].to_numpy(), films["probability"].to_numpy(float), keys)
    found: Any = subgroups(dimensions(films), scores, 0.5)["subtype"]
    assert {name: each["n"] for name, each in found.items()} == {"bacteria": 20, "virus": 20}
    assert "specificity" not in found["virus"]
    mean = (found["virus"]["auroc"]["value"] + found["bacteria"]["auroc"]["value"]) / 2
    pairs = films["probability"].to_numpy()[:40, None] - films["probability"].to_numpy()[40:]
    assert np.isclose(mean, ((pairs > 0) + 0.5 * (pairs == 0)).mean())
