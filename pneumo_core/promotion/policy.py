"""What a role asks of a model: a file in `mlflow/roles/`, named like the alias."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, PositiveFloat, ValidationError

from pneumo_core.errors import PromotionError
from pneumo_core.params import PromoteParams, Section, SetName, faults, not_yaml

FigureName = Literal["auroc", "balanced_accuracy", "sensitivity", "specificity"]
Proportion = Literal["sensitivity", "specificity"]
Erased = Literal["may_serve", "refuse"]
Subject = Literal["data", "augmentation", "model"]  # of the shortcut audit


class Floors(Section):
    """Floors on lower bounds of 95 % intervals. Both kinds of error have one above 0, so that a
    model which reads every film the same passes no policy."""

    auroc: float = Field(gt=0.5, lt=1)
    sensitivity: float = Field(gt=0, lt=1)
    specificity: float = Field(gt=0, lt=1)


Share = Annotated[float, Field(gt=0, lt=1)]
ExternalFloors = Annotated[dict[FigureName, Share], Field(min_length=1)]


class Ceilings(Section):
    """Ceilings on upper bounds, at the share of pneumonia among the test films."""

    ece: float = Field(gt=0, lt=1)
    brier: float = Field(gt=0, lt=1)


class Policy(Section):
    purpose: str
    drawn_films_only: bool = False  # a low bar for the phantom, closed to real films
    operating_point: str
    choose_by: FigureName  # on validation: the cell with the highest is the challenger
    improve: FigureName  # on test: above the champion's beyond chance
    margins: dict[FigureName, PositiveFloat]  # on test: below the champion's by less than this
    min_ci_low: Floors
    max_ci_high: Ceilings
    worst_group_min_ci_low: dict[Proportion, PositiveFloat] = Field(min_length=1)
    # By dimension (`metrics/dimensions.py`): the same for its groups, of which two must be large
    group_min_ci_low: dict[str, dict[Proportion, PositiveFloat]] = Field(default={})
    # By external set (evaluate.external), which must be there and share nothing with our own films.
    external_min_ci_low: dict[SetName, ExternalFloors] = Field(default={})
    signed: bool = False  # neither promoted nor used without the signature of a trusted key
    # What becomes of a version that learned from an erased patient or was judged on one: it is not
    # used any more (but a service that runs goes on), or it may be until the next promotion.
    erased: Erased = "refuse"
    audited: tuple[Subject, ...]
    min_test_films: int = Field(gt=0)
    max_test_looks: int | None = Field(default=None, gt=0)  # models ever scored on this test split


def path_of(params: PromoteParams, role: str) -> Path:
    """Return the file of a role's policy."""
    return Path(params.policies) / f"{role}.yaml"


def of_role(params: PromoteParams, role: str) -> Policy:
    """Return the policy of a role; raise PromotionError as `load` does."""
    return load(path_of(params, role))


def load(path: Path) -> Policy:
    """Return the policy in a file; raise PromotionError if there is none."""
    try:
        return Policy.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except FileNotFoundError as error:
        raise PromotionError(
            f"No policy at {path}: see promote.policies and promote.roles."
        ) from error
    except yaml.YAMLError as error:
        raise PromotionError(not_yaml(path, error)) from error
    except ValidationError as error:
        raise PromotionError(f"{path} is no policy: {faults(error)}.") from error
