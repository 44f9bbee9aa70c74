"""Each answer turns with the finding that it rests on."""

from dataclasses import replace
from typing import Any

import pytest

from pneumo_core.evaluation.evaluation import as_scores
from pneumo_core.evaluation.measurement import Rule, measure
from pneumo_core.models.bundle import OperatingPoint
from pneumo_core.params import EvaluateParams
from pneumo_core.report.blocks import Verdicts
from pneumo_core.report.findings import Findings
from pneumo_core.report.sections import summary
from pneumo_core.report.sections.trust import answer, verdicts
from pneumo_core.report.words import LANGUAGES, Words


def _levels(found: Findings) -> dict[str, str]:
    return {each.name: each.level for each in answer(found)}


def _with_test(found: Findings, **changed: Any) -> Findings:
    winner = replace(found.winner, test={**found.winner.test, **changed})
    return replace(found, cells=(winner, *found.cells[1:]))


def _figure(value: float, half: float = 0.01) -> dict[str, float]:
    return {"value": value, "ci_low": value - half, "ci_high": value + half}


def test_leaks(made: Any) -> None:
    found = made.found
    assert _levels(found)["leaks"] == "good"
    bad = {
        **found.data.certificate,
        "state": "not valid",
        "faults": [{"kind": "near_duplicates", "number": 3}],
    }
    assert _levels(replace(found, data=replace(found.data, certificate=bad)))["leaks"] == "bad"
    of_test = found.winner.predictions["image_id"].iloc[0]
    for suspect, level in ((of_test, "caution"), ("of/validation.png", "good")):
        doubt = {**found.data.certificate, "lists": {"possible_across_splits": [suspect]}}
        doubted = replace(found, data=replace(found.data, certificate=doubt))
        assert _levels(doubted)["leaks"] == level
    none = replace(found, data=replace(found.data, certificate=None))
    assert _levels(none)["leaks"] == "open"


def test_unknown_patients_are_not_called_apart(made: Any) -> None:
    data = made.found.data
    unknown = {**data.certificate, "state": "patients unknown"}
    unknown["patients"] = unknown["patients"] | {"known": 3}
    levels = _levels(replace(made.found, data=replace(data, certificate=unknown)))
    assert levels["leaks_unknown"] == "open"
    assert "leaks" not in levels


@pytest.mark.parametrize(("passed", "level"), [(True, "good"), (None, "caution"), (False, "bad")])
def test_shortcuts(made: Any, passed: bool | None, level: str) -> None:
    name = made.found.winner.name
    checks = [check | {"passed": passed} for check in made.found.audit[name]]
    found = replace(made.found, audit={**made.found.audit, name: checks})
    assert _levels(found)["shortcuts"] == level
    assert _levels(replace(found, audit=None))["shortcuts"] == "open"


def test_a_cue_in_the_data_does_not_count_for_the_model(made: Any) -> None:
    name = made.found.winner.name
    fine = [check | {"passed": True} for check in made.found.audit[name]]
    cue = [{**fine[0], "name": "metadata_auroc", "passed": False}]
    found = replace(made.found, audit={**made.found.audit, name: fine, "data": cue})
    assert (_levels(found)["shortcuts"], _levels(found)["source"]) == ("good", "caution")
    assert _levels(made.found)["source"] == "good"


def test_shift(made: Any) -> None:
    """28 of 30 films found on validation and 31 of 37 on test show no fall, and exclude none."""
    val = {"value": 28 / 30, "ci_low": 0.782, "ci_high": 0.982}
    winner = made.found.winner
    promised = replace(winner, val={**winner.val, "sensitivity": val})
    found = replace(made.found, cells=(promised, *made.found.cells[1:]))
    fell = _with_test(found, sensitivity={"value": 0.7, "ci_low": 0.6, "ci_high": 0.79})
    held = _with_test(found, sensitivity={"value": 31 / 37, "ci_low": 0.692, "ci_high": 0.922})
    assert (_levels(fell)["shift"], _levels(held)["shift_few"]) == ("caution", "open")


@pytest.mark.parametrize(
    ("half", "name", "level"), [(0.05, "shift", "good"), (0.12, "shift_few", "open")]
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_few_films_do_not_confirm_what_validation_promised(
    made: Any, half: float, name: str, level: str, language: str
) -> None:
    figures = dict.fromkeys(("sensitivity", "specificity"), _figure(0.8, half))
    winner = made.found.winner
    promised = replace(winner, val={**winner.val, **figures}, test={**winner.test, **figures})
    found = replace(made.found, cells=(promised, *made.found.cells[1:]))
    (shift,) = (each for each in answer(found) if each.name.startswith("shift"))
    assert (shift.name, shift.level) == (name, level)
    (verdict,) = verdicts([shift], Words(language)).verdicts
    assert "80.0%" in verdict.text


def _with_errors(found: Findings, ece: float, own: float) -> Findings:
    """Return the findings with this calibration error as it is, and at the prevalence of test."""
    moved = {"at_own_prevalence": {"prevalence": 0.6, "ece": _figure(own)}}
    known = found.winner.test["calibration"]
    return _with_test(found, ece=_figure(ece), calibration={**known, **moved})


@pytest.mark.parametrize(
    ("ece", "own", "level"),  # give or take .01
    [
        (0.039, 0.039, "good"),
        (0.045, 0.039, "caution"),
        (0.06, 0.06, "caution"),
        (0.033, 0.057, "caution"),
    ],
)
def test_calibration(made: Any, ece: float, own: float, level: str) -> None:
    assert _levels(_with_errors(made.found, ece, own))["calibration"] == level


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_probability_is_not_called_right_without_its_prevalence(made: Any, language: str) -> None:
    for ece in (0.03, 0.06):
        found = _with_errors(made.found, ece, ece)
        (calibration,) = (each for each in answer(found) if each.name == "calibration")
        (verdict,) = verdicts([calibration], Words(language)).verdicts
        assert "50%" in verdict.text


def _by_sex_and_age(found: Findings, **verdicts: str) -> Findings:
    """Return the findings with these dimensions alone, whose largest difference is 3 points."""
    less = {"figure": "sensitivity", "group": "a", "versus": None, "p": 0.01} | _figure(-0.03)
    groups = {"a": {"n": 90, "n_positive": 40}, "b": {"n": 90, "n_positive": 40}}
    compared = {
        dimension: {"verdict": verdict, "differences": [less]}
        for dimension, verdict in verdicts.items()
    }
    return _with_test(found, subgroups=dict.fromkeys(verdicts, groups), group_differences=compared)


@pytest.mark.parametrize(
    ("age", "sex", "level"),
    [
        ("alike", "alike", "good"),
        ("alike", "wide", "open"),
        ("few", "coin", "open"),
        ("wide", "differs", "caution"),
        ("differs", "fails", "bad"),
        ("fails", "alike", "bad"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_groups(made: Any, age: str, sex: str, level: str, language: str) -> None:
    found, words = _by_sex_and_age(made.found, age=age, sex=sex), Words(language)
    (groups,) = (each for each in answer(found) if each.name == "groups")
    assert groups.level == level
    (verdict,) = verdicts([groups], words).verdicts
    assert words("dimension.sex" if sex != "alike" else "dimension.age") in verdict.text


def test_groups_of_unknown_age_and_sex_are_open_however_alike_the_others_are(made: Any) -> None:
    found = _by_sex_and_age(made.found, brightness="alike", age="alike")
    assert _levels(found)["groups"] == "open"
    (groups,) = (each for each in answer(found) if each.name == "groups")
    (verdict,) = verdicts([groups], Words("en")).verdicts
    assert verdict.text == "Not shown. Not recorded: sex."


def test_a_difference_of_more_than_ten_points_is_a_no(made: Any) -> None:
    found = _by_sex_and_age(made.found, sex="differs")
    (less,) = found.winner.test["group_differences"]["sex"]["differences"]
    less |= _figure(-0.11)
    assert _levels(found)["groups"] == "bad"


def test_equally_useless_in_all_groups_is_not_alike(made: Any) -> None:
    """Every film is called positive: specificity is 0 in every group."""
    films = made.found.winner.predictions.assign(
        probability=lambda each: 0.9 + each["probability"] / 20, meta_sex="F", meta_age="50"
    )
    point = OperatingPoint(0.5, 0.5, 0.5)
    rule = Rule({"given": point}, "given")
    test = measure(as_scores(films), films, rule, None, EvaluateParams(num_draws=100))
    assert test["specificity"]["value"] == 0
    assert _levels(_with_test(made.found, **test))["groups"] == "bad"


def test_corruption_and_maps(made: Any) -> None:
    assert _levels(made.found)["corruption"] == "caution"  # .95 to .79
    assert _levels(replace(made.found, robustness=None))["corruption"] == "open"
    assert _levels(made.found)["maps"] == "good"
    failed = replace(made.found, saliency={**made.found.saliency, "passed": False})
    assert _levels(failed)["maps"] == "bad"
    assert _levels(replace(made.found, saliency=None))["maps"] == "open"


@pytest.mark.parametrize("language", LANGUAGES)
def test_model_that_reads_without_the_lungs_is_called_so_on_the_first_screen(
    made: Any, language: str
) -> None:
    words = Words(language)
    for reads, level in ((True, "good"), (None, "caution"), (False, "bad")):
        found = replace(made.found, occlusion={**made.found.occlusion, "reads_lungs": reads})
        assert _levels(found)["lungs"] == level
        (verdicts_of,) = (b for b in summary.build(found, words) if isinstance(b, Verdicts))
        (lungs,) = (v for v in verdicts_of.verdicts if v.title == words("trust.lungs"))
        assert lungs.level == level
        assert words.figure("auroc", found.occlusion["unaltered"]) in lungs.text
    assert _levels(replace(made.found, occlusion=None))["lungs"] == "open"


@pytest.mark.parametrize("language", LANGUAGES)
def test_another_hospital_is_always_open_and_every_level_has_words(
    made: Any, language: str
) -> None:
    bare = replace(made.found, audit=None, robustness=None, saliency=None, occlusion=None)
    for found in (made.found, bare, _with_test(bare, subgroups={}, group_differences={})):
        texts = verdicts(answer(found), Words(language))
        assert texts.verdicts[-1].level == "open"
        assert all(each.text and "{" not in each.text for each in texts.verdicts)


def test_checks_are_listed_apart(made: Any) -> None:
    """Their names hold commas, so that a list with commas cannot be read; each has its figure."""
    name, words = made.found.winner.name, Words("en")
    beyond = [
        made.found.audit[name][0]
        | {"name": each, "passed": False, "unit": "%", "limit": 0.05, "two_sided": two_sided}
        | {"figure": {"value": 0.13, "ci_low": 0.1, "ci_high": 0.15}}
        for each, two_sided in (("flip_rate", False), ("paired_drop", True))
    ]
    found = replace(made.found, audit={**made.found.audit, name: beyond})
    (found_here,) = (each for each in answer(found) if each.name == "shortcuts")
    (verdict,) = verdicts([found_here], words).verdicts
    interval = words.range("10.0%", "15.0%")
    first = f"{words('check.flip_rate')} 13.0% ({interval}; limit 5.0%)"
    second = f"{words('check.paired_drop')} 13.0% ({interval}; limit ±5.0%)"
    assert f"{first}; {second}." in verdict.text


@pytest.mark.parametrize(
    ("auroc", "refused", "level"),
    [(0.5, 0.3, "bad"), (0.9, 0.3, "caution"), (0.9, 0.0, "open")],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_another_hospital(
    made: Any, auroc: float, refused: float, level: str, language: str
) -> None:
    outside = _with_test(made.found, auroc=_figure(auroc), refused={"share": _figure(refused)})
    outside = replace(outside, cells=(replace(outside.winner, val=None, shifted=None),))
    words = Words(language)
    assert _levels(outside)["elsewhere"] == level
    last = verdicts(answer(outside), words).verdicts[-1]
    assert words.percent(refused) in last.text
    assert words.figure("auroc", _figure(auroc)) in last.text


def test_faults_of_the_certificate_are_in_the_language_of_the_page(made: Any) -> None:
    bad = {"state": "not valid", "faults": [{"kind": "empty_split", "split": "val"}]}
    certificate = {**made.found.data.certificate, **bad}
    found = replace(made.found, data=replace(made.found.data, certificate=certificate))
    (leaks,) = (each for each in answer(found) if each.name == "leaks")
    texts = [verdicts([leaks], Words(each)).verdicts[0].text for each in LANGUAGES]
    assert "no readable film in validation" in texts[0]
    assert "검증 분할에 읽을 수 있는 영상이 없다" in texts[1]
