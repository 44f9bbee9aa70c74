from dataclasses import replace

from pneumo_core.report.findings import Findings
from pneumo_core.report.sections.limits import ITEMS, build_limits, states
from pneumo_core.report.words import Words


def _limits(found: Findings) -> str:
    (block,) = build_limits(found, Words("en"))
    return " ".join(block.items)  # type: ignore[union-attr]


def test_a_part_of_the_archive_is_said_to_be_a_part(archive_like: Findings) -> None:
    assert "of the archive's 624 test files" not in _limits(archive_like)
    table = archive_like.data.table
    half = table.drop(index=table[table["source_split"] == "test"].index[:300])
    found = replace(archive_like, data=replace(archive_like.data, table=half))
    assert "holds 324 of the archive's 624 test files" in _limits(found)


def test_an_item_is_open_without_its_section() -> None:
    everything = frozenset(item.where for item in ITEMS)
    assert states(everything)["explainability"] == "answered"
    assert states(everything - {"cases"})["explainability"] == "open"
