"""The certificate as a page: verdict, numbers and films, in both languages."""

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from pneumo_core.data.leakage import BY_NOBODY, FAULTS
from pneumo_core.preparation.certificate import certify
from pneumo_core.preparation.duplicates import Duplicates
from pneumo_core.report import certificate_page
from pneumo_core.report.files import page_of
from pneumo_core.report.pages import to_html, to_markdown
from pneumo_core.report.words import LANGUAGES, Words
from pneumo_core.sources.patients import UNKNOWN

NOTHING = Duplicates([], [], [], [])
ACROSS = ["train/NORMAL/IM-0001-0001.jpeg", "test/NORMAL/IM-0003-0001.jpeg"]
HANGUL = re.compile("[\uac00-\ud7a3]")


@pytest.fixture
def table(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    names = [
        *ACROSS,
        "train/NORMAL/IM-0002-0001.jpeg",
        "val/NORMAL/IM-0002-0002.jpeg",
        "train/PNEUMONIA/person1_bacteria_1.jpeg",
        "val/PNEUMONIA/person7_virus_1.jpeg",
        "test/PNEUMONIA/person9_virus_5.jpeg",
    ]
    return make_table({"image_id": name, "sha256": f"{i:064x}"} for i, name in enumerate(names))


def page(certificate: Any, language: str) -> str:
    return to_markdown(certificate_page.write(certificate, "a folder", Words(language)), "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_gives_the_verdict_the_numbers_and_the_films(table: pd.DataFrame, language: str) -> None:
    certificate = certify(table, Duplicates([ACROSS], [], [], [ACROSS]))
    found = page(certificate, language)
    words = Words(language)
    assert words("certificate.mark_bad") in found
    assert words("certificate.fault_exact_duplicates", number=1) in found
    assert ", ".join(f"`{film}`" for film in ACROSS) in found
    assert certificate["test_split_hash"] in found
    assert words("certificate.not_pinned") in found
    counted = f"| {words.split('train')} | {words('label.PNEUMONIA')} |"
    assert counted in found
    html = to_html(certificate_page.write(certificate, "a <b>", words), page_of("certificate"))
    assert "a &lt;b&gt;" in html
    assert f'href="certificate{"" if language == "ko" else ".ko"}.html"' in html


def test_a_valid_one_has_no_faults_and_one_without_patients_says_what_to_do(
    table: pd.DataFrame,
) -> None:
    apart = table[table["image_id"] != "val/NORMAL/IM-0002-0002.jpeg"]
    valid = page(certify(apart, NOTHING), "en")
    assert "✓ Valid" in valid
    assert "## The films behind the numbers" not in valid
    unknown = certify(apart.assign(patient_rule=UNKNOWN), NOTHING)
    assert "State a rule in `ingest.patients`" in page(unknown, "en")


def test_every_fault_is_said_in_korean(table: pd.DataFrame) -> None:
    """Whatever the certificate finds wrong: each kind of its sentences once."""
    train = table["split"] == "train"
    both = table.assign(label=["NORMAL", "PNEUMONIA", *table["label"][2:]])
    certificates = [
        certify(both, Duplicates([ACROSS], [ACROSS], [ACROSS], []), pinned_test_hash="f" * 64),
        certify(table[train], NOTHING),
        certify(table.assign(split="all", source_split="all", state="quarantined"), NOTHING),
    ]
    kinds = [fault["kind"] for each in certificates for fault in each["faults"]]
    assert sorted(kinds) == sorted({*FAULTS} - {"not_split"})
    for certificate in certificates:
        english, korean = (page(certificate, language) for language in ("en", "ko"))
        for fault in certificate["faults"]:
            sentence = FAULTS[fault["kind"]].format(**fault)
            assert sentence in english
            assert sentence not in korean
        items = re.findall(r"^- ", korean.split("##")[1], re.MULTILINE)
        assert len(items) > len(certificate["faults"])


def test_films_in_no_split_are_nothing_to_mend_in_the_source(table: pd.DataFrame) -> None:
    unsplit = table.assign(split="all", source_split="all")
    certificate = certify(unsplit, NOTHING, split_origin=BY_NOBODY)
    for language in ("en", "ko"):
        words = Words(language)
        found = page(certificate, language)
        assert words("certificate.mark_bad") in found
        assert words("certificate.not_split") in found
        assert words("data.test_by_nobody") in found
        assert words("certificate.not_valid") not in found


def test_long_lists_end_with_how_many_are_left_out(
    make_table: Callable[..., pd.DataFrame],
) -> None:
    rows = [
        {"image_id": f"train/NORMAL/IM-{n:04d}-0001.jpeg", "state": "quarantined", "reason": "no"}
        for n in range(25)
    ]
    found = page(certify(make_table(rows), NOTHING), "en")
    assert "### Quarantined (25)" in found
    assert found.count(": no\n") == 20
    assert "- and 5 more, in the certificate as JSON" in found
