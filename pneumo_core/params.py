"""All of `params.yaml`: one section a stage, each a class beside the code that it steers."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from pneumo_core.augmentation import AugmentParams
from pneumo_core.duplicates import DedupParams
from pneumo_core.errors import ParamsError
from pneumo_core.evaluation import EvaluateParams
from pneumo_core.inventory import ValidateParams
from pneumo_core.section import Section
from pneumo_core.sources import IngestParams
from pneumo_core.splits import SplitParams
from pneumo_core.training import TrainParams


class ReportParams(Section):
    num_saliency_films: int = Field(default=8, ge=0)
    seed: int = Field(default=0, ge=0)


class PromoteParams(Section):
    policy: str
    registered_model: str


class Params(Section):
    ingest: IngestParams
    validation: ValidateParams = Field(alias="validate")
    dedup: DedupParams
    split: SplitParams
    augment: AugmentParams
    train: TrainParams
    evaluate: EvaluateParams
    report: ReportParams
    promote: PromoteParams

    def section(self, stage: str) -> Section:
        """`validate` is a method of every pydantic model, so its section has another name here."""
        chosen: Section = getattr(self, "validation" if stage == "validate" else stage)
        return chosen


def parse(content: Any, origin: str) -> Params:
    """
    Raises:
        ParamsError: unknown keys, missing ones or bad values, each named as `section.key`.
    """
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{origin}: {'; '.join(map(_fault, error.errors()))}.") from error


def load(path: Path) -> Params:
    """Raises ParamsError; see `parse`."""
    try:
        return parse(yaml.safe_load(path.read_text("utf-8")), str(path))
    except FileNotFoundError as error:
        raise ParamsError(f"No {path} here: run this in the project's folder.") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not YAML: {error}") from error


def _fault(error: Any) -> str:
    key = ".".join(map(str, error["loc"])) or "the whole file"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}"
    if error["type"] == "missing":
        return f"{key} is missing"
    return f"{key} = {error['input']!r}: {error['msg'][:1].lower()}{error['msg'][1:]}"
