"""The figures of groups of films, and the group that a floor is about."""

import numpy as np
import pandas as pd

from pneumo_core.metrics.metrics import Scores
from pneumo_core.metrics.subgroups import subgroups, worst_groups


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
    found = subgroups(films, scores, 0.5)
    worst = worst_groups(found)["sensitivity"]
    assert (worst["dimension"], worst["group"]) == ("origin", "few")
    assert worst["ci_low"] < found["origin"]["many"]["sensitivity"]["ci_low"] < worst["value"]
