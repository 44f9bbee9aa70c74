"""Groups of patients by age, for splits and for subgroups."""

import numpy as np
import pandas as pd

MAX_AGE_YEARS = 120
# A group begins at its age in years. Where all are children, the groups are of children.
GROUPS = {0: "0-17", 18: "18-39", 40: "40-64", 65: "65+"}
GROUPS_OF_CHILDREN = {0: "0", 1: "1-4", 5: "5-11", 12: "12-17"}
ADULT_FROM = 18


def age_groups(ages: pd.Series) -> pd.Series:
    """Return the name of each patient's age group; null where the age is not known or impossible.

    Args:
        ages: in years, as numbers or text.
    """
    years = pd.to_numeric(ages, errors="coerce").astype(np.float64)
    known = years[years.between(0, MAX_AGE_YEARS)]
    groups = GROUPS_OF_CHILDREN if (known < ADULT_FROM).all() else GROUPS
    place = np.searchsorted(list(groups), known, side="right") - 1
    names = pd.Series(np.array(list(groups.values()))[place], known.index, dtype=object)
    return names.reindex(ages.index)
