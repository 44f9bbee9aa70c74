from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pneumo_core.evaluation.evaluation import as_scores
from pneumo_core.evaluation.measurement import Rule, measure
from pneumo_core.models.bundle import OperatingPoint
from pneumo_core.params import EvaluateParams
from pneumo_core.report.blocks import Charts, Paragraph, Table, Verdicts
from pneumo_core.report.findings import CellFindings
from pneumo_core.report.sections import subgroups
from pneumo_core.report.words import LANGUAGES, Words

RULE = Rule({"given": OperatingPoint(0.5, 0.5, 0.5)}, "given")


def with_metadata(winner: CellFindings, by: tuple[str, ...] = (), **columns: Any) -> CellFindings:
    films = winner.predictions.assign(**columns)
    params = EvaluateParams(num_draws=100, subgroups=by)
    test = winner.test | measure(as_scores(films), films, RULE, None, params)
    return replace(winner, predictions=films, test=test)


def test_every_group_has_a_row(made: Any) -> None:
    winner = made.found.winner
    blocks = subgroups.build(winner, Words("en"))
    (table,) = (block for block in blocks if isinstance(block, Table))
    assert len(table.rows) == sum(len(groups) for groups in winner.test["subgroups"].values())


def test_films_without_groups_have_a_sentence(made: Any) -> None:
    winner = replace(made.found.winner, test={**made.found.winner.test, "subgroups": {}})
    (block,) = subgroups.build(winner, Words("en"))
    assert isinstance(block, Paragraph)


def test_groups_have_names_in_each_language() -> None:
    words = Words("en")
    assert subgroups.group_name("brightness", "lowest quarter", words) == (
        "brightness: lowest quarter"
    )
    assert subgroups.group_name("sex", "F", words) == "sex: female"
    assert subgroups.group_name("ward", "F", words) == "ward: F"
    assert subgroups.group_name("origin", "zip", Words("ko")).endswith("zip")
    assert subgroups.group_name("sex", "not stated", Words("ko")) == "성별: 기재 없음"


@pytest.mark.parametrize("language", LANGUAGES)
def test_women_old_people_and_portable_films_have_an_answer_from_data(
    made: Any, language: str
) -> None:
    winner, words = made.found.winner, Words(language)
    n = len(winner.predictions)
    rng = np.random.default_rng(0)
    known = with_metadata(
        winner,
        meta_sex=rng.choice(["F", "M"], n),
        meta_age=rng.integers(18, 90, n).astype(str),
        meta_view=rng.choice(["AP", "PA"], n),
    )
    for each, reasons in ((winner, {"not_known"}), (known, {"few", "wide"})):
        answers = {answer.dimension: answer for answer in subgroups.answer(each)}
        assert {answers["sex"].reason, answers["age"].reason} <= reasons
        blocks = subgroups.build(each, words)
        (shown,) = (block for block in blocks if isinstance(block, Verdicts))
        texts = {verdict.title: verdict.text for verdict in shown.verdicts}
        for name in ("age", "sex"):
            assert texts[words(f"subgroups.alike_{name}")] == subgroups.sentence(
                answers[name], words
            )
    assert texts[words("subgroups.alike_view")]
    (charts,) = (block for block in blocks if isinstance(block, Charts))
    assert all(words("dimension.sex") in str(chart.svg) for chart in charts.charts)


def test_what_is_known_but_was_not_asked_for_is_not_called_unknown(made: Any) -> None:
    winner = with_metadata(
        made.found.winner, ("view",), meta_view="PA", meta_sex="F", meta_age=None
    )
    reasons = {each.dimension: each.reason for each in subgroups.answer(winner)}
    assert reasons == {"age": "not_known", "sex": "left_out", "view": "few"}


def test_a_difference_is_written_with_its_interval() -> None:
    less = {"group": "AP", "versus": "PA", "value": -0.251, "ci_low": -0.4, "ci_high": -0.05}
    of_auroc = {"group": "F", "versus": None, "value": -0.126, "ci_low": -0.2, "ci_high": -0.05}
    found = [
        less | {"figure": "sensitivity", "p": 0.01},
        of_auroc | {"figure": "auroc", "p": 0.02},
        less | {"figure": "specificity", "p": 0.2},
    ]
    more = {"group": "AP", "versus": "PA", "value": 0.17, "ci_low": 0.006, "ci_high": 0.352}
    found.append(more | {"figure": "specificity", "p": 0.04})
    each = subgroups.Answer("view", "bad", "differs", {}, found)
    minus = "\N{MINUS SIGN}"
    assert subgroups.sentence(each, Words("en")) == (
        "The difference is beyond chance: "
        f"sensitivity, AP minus PA: {minus}25.1 percentage points ({minus}40.0 to {minus}5.0); "
        "specificity, AP minus PA: +17.0 percentage points (+0.6 to +35.2); "
        f"AUROC, F minus the others: {minus}0.126 ({minus}0.200 to {minus}0.050)."
    )
