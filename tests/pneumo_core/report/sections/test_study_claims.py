"""What came of the study's statements follows by rule."""

from dataclasses import replace

from pneumo_core.report.findings import Findings
from pneumo_core.report.sections.study import compare


def test_counts_of_the_archive_are_reproduced(archive_like: Findings) -> None:
    compared = compare(archive_like)
    assert compared
    verdicts = {claim.name: claim.verdict for claim in compared.claims}
    for name in ("duplicates_train", "duplicates_test", "validation", "training", "test"):
        assert verdicts[name] == "reproduced", name


def test_half_a_test_split_is_said_to_be_half(archive_like: Findings) -> None:
    table = archive_like.data.table
    half = table.drop(index=table[(table["split"] == "test")].index[:300])
    compared = compare(replace(archive_like, data=replace(archive_like.data, table=half)))
    assert compared
    verdicts = {claim.name: claim.verdict for claim in compared.claims}
    assert verdicts["test"] == verdicts["duplicates_test"] == "partly"
    assert verdicts["validation"] == "reproduced"


def test_the_best_model_is_judged_by_name_and_by_ties(archive_like: Findings) -> None:
    def verdict(found: Findings) -> str:
        compared = compare(found)
        assert compared
        return next(claim.verdict for claim in compared.claims if claim.name == "best")

    by_name = {cell.name: cell for cell in archive_like.cells}
    best = by_name["densenet121-partial"]
    others = tuple(cell for cell in archive_like.cells if cell is not best)
    assert verdict(replace(archive_like, cells=(best, *others))) == "reproduced"
    other_first = replace(archive_like, cells=(*others, best), tied=frozenset())
    assert verdict(other_first) == "not_reproduced"
    assert verdict(replace(other_first, tied=frozenset({best.name}))) == "not_separable"
    assert verdict(replace(archive_like, cells=others)) == "untested"
