"""What a comparison says of the study's finding, in words that follow from its figures.

The finding: brightness that differs by class is the most effective augmentation. It is judged for
the better of the study's two recipes, on each version of validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pneumo_core.audit.counterfactuals import STUDY_SHIFT
from pneumo_core.experiments.comparison import (
    ALIGNED,
    ALPHA,
    COUNTERPARTS,
    FALL,
    SWAPPED,
    VALIDATION,
    Pair,
    RecipeComparison,
    RecipeResult,
)


class Outcome(StrEnum):
    HOLDS = "holds"  # the best, and every recipe that does not follow the label is worse
    TIED = "cannot be told"  # tied with the best, or the best and some other recipe is tied
    FAILS = "does not hold"  # worse than the best


@dataclass(frozen=True)
class RecipeVerdict:
    study: str  # the better of the study's recipes on validation
    on_validation: Outcome
    on_swapped: Outcome
    sentences: tuple[str, ...]


def decide(comparison: RecipeComparison) -> RecipeVerdict:
    """Return the verdict on a comparison in which one of the study's recipes takes part."""
    study = next(row for row in comparison.rows if row.recipe in COUNTERPARTS)
    on_validation = outcome(comparison.rows, study, VALIDATION)
    on_swapped = outcome(comparison.rows, study, SWAPPED)
    sentences = (
        _best(comparison.rows),
        f"The study's finding, that brightness by class works best, {on_validation} on "
        f"validation: {_standing(comparison.rows, study, VALIDATION)}.",
        f"With the classes' brightness exchanged by {STUDY_SHIFT:.2f} of full scale it "
        f"{on_swapped}: {_standing(comparison.rows, study, SWAPPED)}.",
        _fall(study),
        *(_fall(row) for row in comparison.rows if row.recipe in COUNTERPARTS[study.recipe]),
        *(_pair_sentence(comparison, study.recipe, of) for of in (VALIDATION, SWAPPED, FALL)),
        _control(study),
        _conclusion(comparison, study, on_validation),
    )
    return RecipeVerdict(study.recipe, on_validation, on_swapped, sentences)


def outcome(rows: Sequence[RecipeResult], study: RecipeResult, version: str) -> Outcome:
    judged = study.on[version]
    if not judged.tied_with_best:
        return Outcome.FAILS
    others_tied = [
        row for row in rows if row.recipe not in COUNTERPARTS and row.on[version].tied_with_best
    ]
    return Outcome.HOLDS if judged.to_best is None and not others_tied else Outcome.TIED


def _best(rows: Sequence[RecipeResult]) -> str:
    best, others = rows[0], rows[1:]
    tied = [row.recipe for row in others if row.on[VALIDATION].tied_with_best]
    sentence = f"On validation {best.recipe} has the highest AUROC, {_auroc(best, VALIDATION)}; "
    if not tied:
        return sentence + "every other is worse."
    return (
        sentence + f"{len(tied)} of the {len(others)} others are tied with it: {', '.join(tied)}."
    )


def _standing(rows: Sequence[RecipeResult], study: RecipeResult, version: str) -> str:
    rank = 1 + sum(_value(row, version) > _value(study, version) for row in rows)
    place = f"{study.recipe} is number {rank} of {len(rows)} with {_auroc(study, version)}"
    if (gap := study.on[version].to_best) is None:
        return place
    best = max(rows, key=lambda row: _value(row, version))
    return (
        f"{place}, {gap.value:+.3f} [{gap.ci_low:+.3f}, {gap.ci_high:+.3f}] from the best, "
        f"{best.recipe} (Holm's p {_p(gap.p)})"
    )


def _fall(row: RecipeResult) -> str:
    before, after = row.on[VALIDATION].figures, row.on[SWAPPED].figures
    return (
        f"{row.recipe}: AUROC {before['auroc'].value:.3f} on validation, "
        f"{after['auroc'].value:.3f} with the brightness exchanged (a fall of {row.fall.value:.3f} "
        f"[{row.fall.ci_low:.3f}, {row.fall.ci_high:.3f}]); balanced accuracy "
        f"{before['balanced_accuracy'].value:.1%} and {after['balanced_accuracy'].value:.1%}."
    )


def _pair_sentence(comparison: RecipeComparison, recipe: str, of: str) -> str:
    sentence = "; ".join(
        f"{pair.difference.value:+.3f} against {pair.other} "
        f"({'tied' if pair.difference.p >= ALPHA else 'p ' + _p(pair.difference.p)})"
        for pair in _pairs(comparison, recipe, of)
    )
    what = "The fall" if of == FALL else f"AUROC on {of}"
    return f"{what} of {recipe} less that of what does the same without the label: {sentence}."


def _control(study: RecipeResult) -> str:
    change = _value(study, ALIGNED) - _value(study, VALIDATION)
    return (
        "Control: with the brightness shifted the way it was in training, its AUROC "
        f"{'rises' if change > 0 else 'falls'} by {abs(change):.3f}."
    )


def _conclusion(comparison: RecipeComparison, study: RecipeResult, on_validation: Outcome) -> str:
    falls = [pair.difference for pair in _pairs(comparison, study.recipe, FALL)]
    if falls and all(fall.value > 0 and fall.p < ALPHA for fall in falls):
        return (
            f"{study.recipe} has taught the model to read brightness as the label: exchanging "
            "it costs more than with each counterpart that does the same to both classes. What it "
            "gains on films shifted as in training does not carry over. Not recommended."
        )
    if on_validation is Outcome.HOLDS:
        return "These figures confirm the study's finding."
    return "These figures neither confirm the study's finding nor show harm from it."


def _pairs(comparison: RecipeComparison, recipe: str, of: str) -> list[Pair]:
    return [pair for pair in comparison.pairs if (pair.recipe, pair.of) == (recipe, of)]


def _value(row: RecipeResult, version: str) -> float:
    return row.on[version].figures["auroc"].value


def _auroc(row: RecipeResult, version: str) -> str:
    figure = row.on[version].figures["auroc"]
    return f"{figure.value:.3f} [{figure.ci_low:.3f}, {figure.ci_high:.3f}]"


def _p(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.3f}"
