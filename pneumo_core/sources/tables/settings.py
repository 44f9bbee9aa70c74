"""Settings of a table of films, as a description has them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pneumo_core.params import Name, Section
from pneumo_core.sources.facts import LISTED, DataSet


def listed(given: Any) -> Any:
    """Return a list of what was given as one or as a list."""
    return given if isinstance(given, list | tuple) else [given]


def _as_rules(given: Any) -> Any:
    """Take `[Pnemonia, 1]` for values of the column `label`, and one rule for a list of one."""
    rules = listed(given)
    if any(isinstance(each, Mapping) for each in rules):
        return rules
    return [{"equals": rules}] if rules else []


Values = Annotated[tuple[Name, ...], BeforeValidator(listed)]


class Rule(Section):
    """A row fits if its cell has one of the values, in any case; 1.0 is 1, "" is an empty cell."""

    column: str = "label"  # a name of ours or of the table's
    equals: Values = ()
    contains: Values = ()  # one of the parts of the cell, which is a list
    separator: str = Field(default="|", min_length=1)  # of that list

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.equals) == bool(self.contains):
            raise ValueError("give one of equals and contains, with one value or more")
        return self


Rules = Annotated[tuple[Rule, ...], BeforeValidator(_as_rules)]


class LabelRules(Section):
    """Which rows are of which class. A row that fits both is an error."""

    NORMAL: Rules = Field(min_length=1)
    PNEUMONIA: Rules = Field(min_length=1)
    left_out: Rules = ()  # comes first, and is counted
    others: Literal["refused", "left_out"] = "refused"


class Join(Section):
    """Another table, whose columns are added by columns that both have."""

    path: str
    by: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(min_length=1)


class TableSettings(Section):
    path: str  # of the CSV
    data_set: str | None = None  # one of facts.LISTED, whose published count is compared
    separator: str | None = Field(default=None, min_length=1, max_length=1)  # None: found out
    header: tuple[str, ...] | None = None  # names of the columns, if the file has no such line
    # By our name: the table's, or a pattern such as "{image_id}.png"
    columns: dict[str, str] = Field(default_factory=dict)
    labels: LabelRules | None = None  # None: NORMAL, PNEUMONIA and the names in ingest.labels
    # By column: the values of the rows that are used
    where: dict[str, Values] = Field(default_factory=dict)
    join: Annotated[tuple[Join, ...], BeforeValidator(listed)] = ()
    split: str | None = None  # of all rows, where no column says it
    readers: Literal["majority", "any", "all"] | None = None  # how several rows of a film count

    @field_validator("data_set")
    @classmethod
    def _known_data_set(cls, name: str | None) -> str | None:
        if name is not None and name not in LISTED:
            raise ValueError(f"{name!r} is none of {', '.join(LISTED)}")
        return name

    @property
    def facts(self) -> DataSet | None:
        return None if self.data_set is None else LISTED[self.data_set]
