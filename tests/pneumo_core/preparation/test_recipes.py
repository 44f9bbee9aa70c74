from dataclasses import fields, replace
from typing import get_args

import pytest

from pneumo_core.data.transforms import LIMITS, Ranges
from pneumo_core.errors import ParamsError
from pneumo_core.labels import LABELS
from pneumo_core.params import AugmentParams, RecipeName
from pneumo_core.preparation.recipes import RECIPES, Recipe, chosen, lint_recipe

STUDY = {"study_brightness", "study_brightness_rotation"}


def test_the_table_holds_the_twelve_names_that_parameters_may_take() -> None:
    assert len(RECIPES) == 12
    assert list(RECIPES) == list(get_args(RecipeName))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_documented_and_inside_the_medical_limits(name: RecipeName) -> None:
    recipe = RECIPES[name]
    assert recipe.what
    assert recipe.tolerable
    assert recipe.source
    assert all(ranges.within(LIMITS) for ranges in recipe.ranges.values())
    assert any(ranges != Ranges() for ranges in recipe.ranges.values())


def test_the_limits_are_these() -> None:
    assert (
        Ranges(
            brightness=(-0.2, 0.2),
            contrast=(0.7, 1.3),
            rotation_deg=(-15, 15),
            crop_area=(0.3, 1.0),
            crop_aspect=(3 / 4, 4 / 3),
            gamma=(0.7, 1.5),
            clahe_clip=(1.0, 4.0),
            blur_sigma=(0.0, 0.005),
            noise_std=(0.0, 0.04),
            shift=(-0.1, 0.1),
            scale=(0.85, 1.15),
        )
        == LIMITS
    )
    assert Ranges().within(LIMITS)


@pytest.mark.parametrize("field", fields(Ranges), ids=lambda field: field.name)
def test_a_range_outside_its_limit_is_found(field: object) -> None:
    name = field.name  # type: ignore[attr-defined]
    low, high = getattr(LIMITS, name)
    assert not Ranges(**{name: (low, high + 0.01)}).within(LIMITS)
    assert not Ranges(**{name: (low - 0.01, high)}).within(LIMITS)


def test_only_the_study_follows_the_label_and_only_in_brightness() -> None:
    differing = {name: recipe.differs_by_label() for name, recipe in RECIPES.items()}
    assert {name for name, found in differing.items() if found} == STUDY
    assert {differing[name] for name in STUDY} == {("brightness",)}
    assert {name for name, recipe in RECIPES.items() if recipe.keeps_originals} == STUDY


@pytest.mark.parametrize("name", sorted(RECIPES.keys() - STUDY))
def test_ranges_that_keep_no_original_contain_the_film_itself(name: RecipeName) -> None:
    for ranges in RECIPES[name].ranges.values():
        for parameter, (low, high) in vars(ranges).items():
            neutral = getattr(Ranges(), parameter)[0]
            assert low <= neutral <= high


def test_symmetric_is_what_it_has_always_been() -> None:
    assert RECIPES["symmetric"].ranges["NORMAL"] == Ranges(
        brightness=(-0.15, 0.15),
        contrast=(0.7, 1.3),
        rotation_deg=(-10, 10),
        crop_area=(0.3, 1.0),
        crop_aspect=(3 / 4, 4 / 3),
    )


def asked(recipe: str, **ranges: tuple[float, float]) -> AugmentParams:
    return AugmentParams.model_validate(
        {"seed": 0, "recipe": recipe, "ranges": ranges, "size_per_class": 1}
    )


def test_a_recipe_of_ones_own_alters_both_classes_alike() -> None:
    recipe = chosen(asked("own", rotation_deg=(-5, 5), gamma=(0.9, 1.1)))
    assert set(recipe.ranges.values()) == {Ranges(rotation_deg=(-5, 5), gamma=(0.9, 1.1))}
    assert not recipe.keeps_originals
    assert chosen(asked("gamma")) is RECIPES["gamma"]


def test_one_range_of_a_named_recipe_can_be_changed() -> None:
    named, changed = RECIPES["symmetric"], chosen(asked("symmetric", rotation_deg=(-5, 5)))
    for label in LABELS:
        assert changed.ranges[label] == replace(named.ranges[label], rotation_deg=(-5, 5))
    assert "symmetric" not in changed.what
    assert "ranges of params.yaml" in changed.what
    study = chosen(asked("study_brightness", gamma=(0.9, 1.1)))
    assert study.keeps_originals
    assert study.differs_by_label() == ("brightness",)


def test_ranges_are_described_beside_the_widest() -> None:
    assert RECIPES["gamma"].describe_ranges() == ["gamma         0.8 to 1.25 (widest 0.7 to 1.5)"]
    (line,) = RECIPES["study_brightness"].describe_ranges()
    assert line.startswith("brightness    NORMAL 0.05 to 0.15 PNEUMONIA -0.15 to -0.05 (widest")


@pytest.mark.parametrize(
    ("recipe", "ranges", "message"),
    [
        ("own", {}, "expected some of brightness, contrast"),
        ("own", {"rotation": (-5, 5)}, "expected some of brightness, contrast, rotation_deg"),
        ("own", {"rotation_deg": (-20, 5)}, r"rotation_deg = \[-20, 5\].* within -15 to 15"),
        ("own", {"rotation_deg": (5, -5)}, "ascending"),
        ("symmetric", {"rotation_deg": (-20, 5)}, r"within -15 to 15"),
        ("symmetric", {"rotation": (-5, 5)}, "of the recipe symmetric: expected some of"),
        ("study_brightness", {"brightness": (0, 0.1)}, "differently for each class"),
    ],
)
def test_ranges_that_no_recipe_may_have_are_named(
    recipe: str, ranges: dict[str, tuple[float, float]], message: str
) -> None:
    with pytest.raises(ParamsError, match=message):
        chosen(asked(recipe, **ranges))


SAME = dict.fromkeys(LABELS, Ranges(brightness=(-0.1, 0.1)))
UNEVEN, EVEN = {"NORMAL": 4.0, "PNEUMONIA": 1.25}, {"NORMAL": 2.0, "PNEUMONIA": 2.0}


def test_lint_names_what_depends_on_the_label() -> None:
    brightness = {"NORMAL": (0.05, 0.15), "PNEUMONIA": (-0.15, -0.05)}
    leaky = {label: Ranges(brightness=each) for label, each in brightness.items()}
    found = lint_recipe(Recipe("", "", "", leaky), UNEVEN)
    assert found.label_dependent == {"brightness": brightness}
    assert found.warnings == (
        "brightness depends on the label: NORMAL (0.05, 0.15), PNEUMONIA (-0.15, -0.05).",
    )


def test_lint_warns_of_originals_among_different_numbers_of_augmented_films() -> None:
    (warning,) = lint_recipe(Recipe("", "", "", SAME, keeps_originals=True), UNEVEN).warnings
    assert "NORMAL 25%, PNEUMONIA 80%" in warning
    for keeps, copies in ((True, EVEN), (False, UNEVEN)):
        assert lint_recipe(Recipe("", "", "", SAME, keeps), copies).warnings == ()
