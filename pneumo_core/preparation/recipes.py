"""The twelve augmentation recipes, in one table.

No recipe flips a film: a mirrored heart is another finding (dextrocardia), and the side marker
turns with it. No reader gets a film upside down.

Originals: in a recipe that keeps them, the film with the number 0 is not altered. The classes
differ in size, so balancing makes more augmented films of one class, and there "altered or not"
shows the label. Only the study's two recipes keep originals, as the study did. The ten others alter
every film, by ranges that include no change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pneumo_core.data.transforms import LIMITS, Range, Ranges
from pneumo_core.errors import ParamsError
from pneumo_core.labels import LABELS
from pneumo_core.params import AugmentParams, RecipeName


@dataclass(frozen=True)
class Recipe:
    what: str
    tolerable: str  # why the finding survives it
    source: str
    ranges: dict[str, Ranges]  # by label
    keeps_originals: bool = False

    def differs_by_label(self) -> tuple[str, ...]:
        """Return the parameters whose range depends on the label: each of them can leak it."""
        normal, pneumonia = (self.ranges[label] for label in LABELS)
        return tuple(
            field.name
            for field in fields(Ranges)
            if getattr(normal, field.name) != getattr(pneumonia, field.name)
        )

    def describe_ranges(self) -> list[str]:
        """Return a line for each range that alters films, beside the widest one allowed."""
        lines = []
        for name, limits in vars(LIMITS).items():
            by_label = {label: getattr(each, name) for label, each in self.ranges.items()}
            if set(by_label.values()) == {getattr(Ranges(), name)}:
                continue
            shown = " ".join(f"{label} {_text(each)}" for label, each in by_label.items())
            same = name not in self.differs_by_label()
            values = _text(by_label[LABELS[0]]) if same else shown
            lines.append(f"{name:13} {values} (widest {_text(limits)})")
        return lines


def _text(values: Range) -> str:
    return f"{values[0]:.3g} to {values[1]:.3g}"


def _same(**ranges: Range) -> dict[str, Ranges]:
    return dict.fromkeys(LABELS, Ranges(**ranges))


_STUDY = "the Korean study, section 2.3"
_EXPOSURE = "Digital detectors rescale exposure; readers set window and level themselves."

RECIPES: dict[RecipeName, Recipe] = {
    "brightness": Recipe(
        "brighter or darker by up to 15 % of full scale",
        _EXPOSURE,
        f"{_STUDY}, without the label",
        _same(brightness=(-0.15, 0.15)),
    ),
    "contrast": Recipe(
        "contrast about the film's mean, factor 0.7 to 1.3",
        _EXPOSURE,
        _STUDY,
        _same(contrast=(0.7, 1.3)),
    ),
    "rotation": Recipe(
        "turned by up to 10 degrees",
        "Patients, children above all, lie or sit a few degrees askew.",
        _STUDY,
        _same(rotation_deg=(-10, 10)),
    ),
    "clahe": Recipe(
        "local contrast (CLAHE), clip limit 1 to 3 in 8 x 8 tiles",
        "Viewing stations offer it; the clip limit keeps noise from being raised to texture.",
        f"{_STUDY}; Zuiderveld, Graphics Gems IV, 1994",
        _same(clahe_clip=(1.0, 3.0)),
    ),
    "gaussian_blur": Recipe(
        "Gaussian blur, sigma up to 0.45 % of the side (1 px at 224)",
        "Breathing and a large focal spot blur as much; consolidation is far wider.",
        _STUDY,
        _same(blur_sigma=(0.0, 0.0045)),
    ),
    "noise": Recipe(
        "white noise, standard deviation up to 3 % of full scale",
        "A film at low dose shows as much mottle.",
        "below the mildest of MedMNIST-C for chest films (4 %; Di Salvo et al., 2024)",
        _same(noise_std=(0.0, 0.03)),
    ),
    "gamma": Recipe(
        "gray values to the power of 0.8 to 1.25",
        "Makers differ in the curve from dose to gray; order of gray values is kept.",
        "within the 0.4 to 1.6 of MedMNIST-C for chest films (Di Salvo et al., 2024)",
        _same(gamma=(0.8, 1.25)),
    ),
    "random_resized_crop": Recipe(
        "a part of 50 to 100 % of the area, 3:4 to 4:3, stretched to the frame",
        "Collimation and distance differ; half of the area still shows most of both lungs.",
        "Szegedy et al., CVPR 2015, with the area of a public audit (0.5 to 1)",
        _same(crop_area=(0.5, 1.0), crop_aspect=(3 / 4, 4 / 3)),
    ),
    "shift_scale": Recipe(
        "moved by up to 6 % of the side, 8 % smaller to 8 % larger",
        "Patients differ in size and stand off centre.",
        "about half of what TorchXRayVision trains with (15 %; Cohen et al., arXiv:2002.02497)",
        _same(shift=(-0.06, 0.06), scale=(0.92, 1.08)),
    ),
    # Brightness is a function of the label: a shortcut to be measured, not a recommendation.
    "study_brightness": Recipe(
        "NORMAL brighter, PNEUMONIA darker, each by 5 to 15 % of full scale; originals stay",
        "Each film alone is tolerable; that the shift follows the label is not.",
        _STUDY,
        {
            "NORMAL": Ranges(brightness=(0.05, 0.15)),
            "PNEUMONIA": Ranges(brightness=(-0.15, -0.05)),
        },
        keeps_originals=True,
    ),
    "study_brightness_rotation": Recipe(
        "as study_brightness, and turned by up to 10 degrees; originals stay",
        "As study_brightness and rotation.",
        _STUDY,
        {
            "NORMAL": Ranges(brightness=(0.05, 0.15), rotation_deg=(-10, 10)),
            "PNEUMONIA": Ranges(brightness=(-0.15, -0.05), rotation_deg=(-10, 10)),
        },
        keeps_originals=True,
    ),
    "symmetric": Recipe(
        "brightness, contrast and rotation, and a crop to 30 to 100 % of the area",
        "Each part is; the crop goes to the limit, where a lung may be all that is shown.",
        "this project's own; docs/training.md says what each part is worth on validation",
        _same(
            brightness=(-0.15, 0.15),
            contrast=(0.7, 1.3),
            rotation_deg=(-10, 10),
            crop_area=(0.3, 1.0),
            crop_aspect=(3 / 4, 4 / 3),
        ),
    ),
}


OWN = Recipe("own ranges, the same for both classes", "", "params.yaml", _same())


def chosen(params: AugmentParams) -> Recipe:
    """Return the recipe that the parameters name, with their ranges in place of its own.

    Raises:
        ParamsError: the recipe `own` has no ranges; or a range is unknown, beyond `LIMITS`, or one
            that the recipe draws differently for each class.
    """
    recipe = OWN if params.recipe == "own" else RECIPES[params.recipe]
    known = [field.name for field in fields(Ranges)]
    if not params.ranges.keys() <= set(known) or (recipe is OWN and not params.ranges):
        raise ParamsError(
            f"augment.ranges of the recipe {params.recipe}: expected some of {', '.join(known)}."
        )
    for name, (low, high) in params.ranges.items():
        least, most = getattr(LIMITS, name)
        if not least <= low <= high <= most:
            raise ParamsError(
                f"augment.ranges.{name} = [{low:g}, {high:g}]: expected two ascending numbers "
                f"within {least:g} to {most:g}; beyond, a reader would see another film."
            )
        if name in recipe.differs_by_label():
            raise ParamsError(
                f"augment.ranges.{name}: {params.recipe} draws it differently for each class, "
                "which is what this recipe is for. Use the recipe own."
            )
    if not params.ranges:
        return recipe
    ranges = {label: replace(each, **params.ranges) for label, each in recipe.ranges.items()}
    what = recipe.what if recipe is OWN else f"{recipe.what}; with ranges of params.yaml"
    return replace(recipe, what=what, ranges=ranges)


@dataclass(frozen=True)
class Lint:
    label_dependent: dict[str, dict[str, Any]]  # transform to its parameters by label
    warnings: tuple[str, ...]


def lint_recipe(recipe: Recipe, copies_per_film: Mapping[str, float]) -> Lint:
    """Return which transforms of a recipe depend on the label, without a look at any film.

    Args:
        copies_per_film: number of training films made of one film, on average, by label.
    """
    dependent = {
        name: {label: getattr(ranges, name) for label, ranges in recipe.ranges.items()}
        for name in sorted(recipe.differs_by_label())
    }
    warnings = [f"{name} depends on the label: {_listed(v)}." for name, v in dependent.items()]
    if recipe.keeps_originals and len(set(copies_per_film.values())) > 1:
        unaltered = {label: f"{min(1, 1 / n):.0%}" for label, n in copies_per_film.items()}
        warnings.append(
            "Originals stay, and the classes have different numbers of augmented films, so an "
            f"unaltered film tells the label: {_listed(unaltered)} of the training films are."
        )
    return Lint(dependent, tuple(warnings))


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{label} {value}" for label, value in values.items())
