"""All of `params.yaml`: one section a stage, typed, frozen, and strict about its keys.

The command line checks every value here without loading a heavy package. A stage is stale by the
values, which DVC follows in `params.yaml` itself.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from pneumo_core.errors import ParamsError
from pneumo_core.labels import LABELS, canonical

FILE = Path("params.yaml")  # of the project, in whose folder every command runs

Precision = Literal["auto", "float32", "bfloat16"]
# dvc.yaml puts it on a command line, where other characters could be a command.
ModelName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_][a-zA-Z0-9_./:@-]*$")]
Prevalence = Annotated[float, Field(gt=0, lt=1)]
Name = StrictStr | StrictInt | StrictFloat  # as a table or a folder has it; YAML's yes is no name


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IngestParams(Section):
    source: str
    patients: str = "auto"  # who is on a film: NAMED of sources/patient_rules.py, or a pattern
    ignore: tuple[str, ...] = ()  # folders whose images are left out on purpose
    labels: dict[str, tuple[Name, ...]] = {}  # by class: other names of it, of folders or in tables
    metadata: tuple[str, ...] = ("age", "sex", "view", "site", "scanner")
    max_files: int = Field(default=200_000, gt=0)
    max_total_gb: float = Field(default=50, gt=0)  # gigabytes on disk once unpacked

    @field_validator("labels")
    @classmethod
    def _one_class_a_name(cls, labels: dict[str, tuple[Name, ...]]) -> dict[str, tuple[Name, ...]]:
        if unknown := sorted(set(labels) - set(LABELS)):
            raise ValueError(f"{', '.join(unknown)}: the classes are {' and '.join(LABELS)}")
        class_of = {canonical(label): label for label in LABELS}
        for label, names in labels.items():
            for name in names:
                if class_of.setdefault(canonical(name), label) != label:
                    raise ValueError(f"{name!r} is a name of both classes")
        return labels

    @property
    def class_names(self) -> dict[str, str]:
        """Class by each of its names, as `labels.canonical` spells them."""
        own = {label: (label,) for label in LABELS}
        return {
            canonical(name): label
            for names_of in (own, self.labels)
            for label, names in names_of.items()
            for name in names
        }

    def reading(self, source: str) -> "IngestParams":
        """Return the same rules for another source, whose patients nobody stated a rule for."""
        return self.model_copy(update={"source": source, "patients": "auto"})

    @property
    def max_total_bytes(self) -> int:
        return int(self.max_total_gb * 1e9)


class ValidateParams(Section):
    image_size_px: int = Field(ge=32, le=2048)
    min_side_px: int = Field(default=32, ge=1)
    max_pixels: int = Field(default=100_000_000, gt=0)  # by the header, before decoding
    max_quarantined_fraction: float = Field(default=0.05, ge=0, lt=1)


class DedupParams(Section):
    max_hash_distance_bits: int = Field(default=40, ge=0, le=64)  # between whole films
    max_partial_distance_bits: int = Field(default=32, ge=0, le=64)  # tilted or cut ones
    min_similarity: float = Field(default=0.85, gt=0, le=1)  # correlation of fine detail


class SplitParams(Section):
    seed: int = Field(ge=0)
    val_per_class: int = Field(gt=0)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)  # where the source has no test split
    test_per_class: int | None = Field(default=None, gt=0)  # in place of the fraction
    hold_out_site: str | None = None  # whose films are test, and no others
    pinned_test_hash: str | None = None  # `test_split_hash` of a certificate
    accept_unknown_patients: bool = False  # train though nobody knows who is on some films


RecipeName = Literal[  # what each does: pneumo_core/preparation/recipes.py
    "brightness",
    "contrast",
    "rotation",
    "clahe",
    "gaussian_blur",
    "noise",
    "gamma",
    "random_resized_crop",
    "shift_scale",
    "study_brightness",
    "study_brightness_rotation",
    "symmetric",
]


class AugmentParams(Section):
    seed: int = Field(ge=0)
    recipe: Literal[RecipeName, "own"]
    ranges: dict[str, tuple[float, float]] = {}  # in place of the recipe's: fields of Ranges
    size_per_class: int = Field(gt=0)

    @field_validator("ranges", mode="before")
    @classmethod
    def _null_is_none(cls, ranges: Any) -> Any:
        """`dvc exp run -S` gives a null another value; to an empty dictionary it adds no key."""
        return {} if ranges is None else ranges

    @property
    def shown(self) -> dict[str, Any]:
        """What of it says how films were altered, as JSON has it."""
        return self.model_dump(mode="json", include={"recipe", "ranges", "size_per_class"})


class Strategy(StrEnum):
    FROZEN = "frozen"  # the classifier
    PARTIAL = "partial"  # the last two feature stages and the classifier
    FULL = "full"  # everything


class StrategyParams(Section):
    lr: float = Field(gt=0)
    epochs: int = Field(gt=0)


class TrainParams(Section):
    models: tuple[ModelName, ...] = Field(min_length=1)
    strategies: tuple[Strategy, ...] = Field(min_length=1)
    weights: str | dict[ModelName, str]  # one source, or by model; auto for those without an entry
    seed: int = Field(ge=0)
    precision: Precision
    deterministic: bool = False  # on a GPU; the CPU always is
    batch_size: int = Field(ge=2)
    optimizer: Literal["adam", "adamw"]
    weight_decay: float = Field(ge=0)
    schedule: Literal["step", "one_cycle"]
    class_weights: tuple[PositiveFloat, PositiveFloat]  # NORMAL, PNEUMONIA
    label_smoothing: float = Field(ge=0, lt=1)
    patience_epochs: int | None = Field(default=None, ge=1)
    feature_cache_gb: float = Field(gt=0)
    frozen: StrategyParams
    partial: StrategyParams
    full: StrategyParams

    @field_validator("weights")
    @classmethod
    def _of_models_of_the_grid(
        cls, weights: str | dict[str, str], info: ValidationInfo
    ) -> str | dict[str, str]:
        models = info.data.get("models", ())
        if (
            models
            and not isinstance(weights, str)
            and (extra := sorted(set(weights) - set(models)))
        ):
            raise ValueError(f"{', '.join(extra)}: train.models has only {', '.join(models)}")
        return weights

    def weights_of(self, model: str) -> str:
        return self.weights if isinstance(self.weights, str) else self.weights.get(model, "auto")

    def of(self, strategy: Strategy) -> StrategyParams:
        return cast(StrategyParams, getattr(self, strategy.value))

    def of_cell(self, model: str, strategy: Strategy) -> dict[str, Any]:
        """Return what a cell depends on, beside its model, as JSON has it."""
        others = {"models", "strategies", "feature_cache_gb", *map(str, Strategy)}
        shared = self.model_dump(mode="json", exclude=others)
        shared["weights"] = self.weights_of(model)
        return shared | self.of(strategy).model_dump(mode="json")


READING_AID = "reading_aid"  # the operating point where nobody names another one


# dvc.yaml makes it a stage, an argument of a command and a folder.
SetName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$")]


class EvaluateParams(Section):
    external: dict[SetName, str] = {}  # source by name, of films from elsewhere: the stage external
    operating_point: str = READING_AID  # whose threshold the leaderboard and the report use
    # On validation; the lower bound of the 95 % interval has a floor of its own below them.
    screening_sensitivity: float = Field(default=0.99, gt=0, lt=1)
    min_screening_sensitivity: float = Field(default=0.95, gt=0, lt=1)
    rule_in_specificity: float = Field(default=0.99, gt=0, lt=1)
    min_rule_in_specificity: float = Field(default=0.95, gt=0, lt=1)
    # Of pneumonia among those filmed, for which predictive values are stated: rare, and what Shah
    # et al. (JAMA 2017, 318:462) found among children in North America (.19) and elsewhere (.37).
    prevalences: tuple[Prevalence, ...] = (0.05, 0.2, 0.4)
    num_views: int = Field(default=1, ge=1, le=5)  # of each film that a model reads
    committee_size: int = Field(default=0, ge=0)  # cells in the committee; 0: there is none
    subgroups: tuple[str, ...] = ()  # whose groups are compared; empty: all that is known of films
    num_draws: int = Field(default=2000, ge=100)
    seed: int = Field(default=0, ge=0)

    @field_validator("committee_size")
    @classmethod
    def _not_one(cls, committee_size: int) -> int:
        if committee_size == 1:
            raise ValueError("a committee has at least two cells")
        return committee_size


class AuditParams(Section):
    """Each limit lies between what honest and leaking recipes gave on the archive at 128 px."""

    num_augmented_films: int = Field(default=2000, ge=100)  # of the training set, for the probes
    num_films: int = Field(default=300, ge=20)  # of validation, read ten times by each model
    num_corrupted_films: int = Field(default=40, ge=20)  # of it, read 66 times by the best
    num_explained_films: int = Field(default=40, ge=20)  # of it, whose maps are held to checks

    # Above chance by the noise of a small source; 120 originals of the archive gave 1.00.
    max_metadata_auroc: float = Field(default=0.60, ge=0.5, le=1)
    # A cue alone; 449 films of NIH gave 0.64 for the view, 0.68 for brightness, 0.69 for sharpness
    # and 0.82 for the bytes of the files.
    max_cue_auroc: float = Field(default=0.55, ge=0.5, le=1)
    # Honest recipes added up to 0.05 (CLAHE), the study's 0.30; with no originals kept, 0.47.
    max_brightness_gain: float = Field(default=0.10, ge=0, le=0.5)
    # Raw films have 0.93 already: honest recipes add nothing, the study's 0.04 to 0.07.
    max_statistics_gain: float = Field(default=0.02, ge=0, le=0.5)
    # Honest recipes gave 0.48 to 0.51, the study's 0.92; with no originals kept, 1.00.
    max_exchange_auroc: float = Field(default=0.60, ge=0.5, le=1)
    # Honest recipes gave up to 0.02, the study 0.40 where it balances the archive's classes.
    max_altered_gap: float = Field(default=0.10, ge=0, le=1)
    # Honest models flipped 2 to 3 %, the study's 5 and 13 %.
    max_flip_rate: float = Field(default=0.05, ge=0, le=1)
    # Of calibrated log odds: honest models moved by up to 0.19, the study's by 1.0 and 1.7.
    max_slope: float = Field(default=0.5, ge=0)
    # Honest models up to 0.02, the study's 0.05 and 0.22 (AUROC), 0.10 and 0.25 (balanced accuracy)
    max_swap_gap: float = Field(default=0.05, ge=0, le=1)
    # At most 0.01 there, where brightness tells little; where it tells, a phantom model lost 0.09.
    max_matched_drop: float = Field(default=0.05, ge=0, le=1)
    num_draws: int = Field(default=2000, ge=100)
    seed: int = Field(default=0, ge=0)


class ReportParams(Section):
    num_saliency_films: int = Field(default=8, ge=0)  # drawn from the four outcomes
    num_worst_films: int = Field(default=4, ge=0)  # the worst errors
    seed: int = Field(default=0, ge=0)


class PromoteParams(Section):
    policies: str  # the folder
    roles: tuple[str, ...] = Field(min_length=1)  # each an alias, and a file of that folder
    registered_model: str


class MonitorParams(Section):
    """When later films call for another training; of a command, not of a stage."""

    # Of a comparison with films like those of training: that it calls any figure drifted.
    max_false_alarm_rate: float = Field(default=0.01, gt=0, lt=1)
    # Of the two distributions (Kolmogorov-Smirnov). Re-encoding the archive's films gave up to
    # 0.12, a tenth of contrast 0.21.
    min_distance: float = Field(default=0.15, ge=0, lt=1)
    min_new_films: int = Field(default=200, gt=0)  # with labels


class MeasurementParams(Section):
    """What a model is measured by on any films; the defaults serve outside a project."""

    evaluate: EvaluateParams = EvaluateParams()
    audit: AuditParams = AuditParams()
    report: ReportParams = ReportParams()


class Params(MeasurementParams):
    ingest: IngestParams
    validation: ValidateParams = Field(alias="validate")
    dedup: DedupParams
    split: SplitParams
    augment: AugmentParams
    train: TrainParams
    evaluate: EvaluateParams
    audit: AuditParams
    report: ReportParams
    promote: PromoteParams
    monitor: MonitorParams

    def section(self, stage: str) -> Section:
        """`validate` is a method of every pydantic model, so its section has another name here."""
        return cast(Section, getattr(self, "validation" if stage == "validate" else stage))


def parse(content: Any, origin: str) -> Params:
    """Return the parameters; raise ParamsError, which names each key that is wrong."""
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{origin}: {faults(error)}.") from error


def load(path: Path = FILE) -> Params:
    """Return the parameters in a file; raise ParamsError if it is missing, or as `parse`."""
    try:
        return parse(yaml.safe_load(path.read_text("utf-8")), str(path))
    except FileNotFoundError as error:
        raise ParamsError(f"No {path} here: run this in the project's folder.") from error
    except yaml.YAMLError as error:
        raise ParamsError(not_yaml(path, error)) from error


def load_measurement() -> MeasurementParams:
    """Return the project's values; outside a project the defaults."""
    return load() if FILE.is_file() else MeasurementParams()


def not_yaml(path: Path, error: Exception) -> str:
    """A sentence on a file that is not YAML, which names the line or the marks of a merge."""
    if b"\n<<<<<<< " in b"\n" + path.read_bytes():
        return (
            f"{path} has conflict marks of a merge (<<<<<<<): keep one side and delete the marks."
        )
    mark = getattr(error, "problem_mark", None)
    where = f", line {mark.line + 1}" if mark else ""
    why = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"{path}{where} is not YAML: {why}."


def faults(error: ValidationError) -> str:
    """What is wrong with a file that people write, key by key, in one sentence."""
    return "; ".join(map(_fault, error.errors()))


def _fault(error: Any) -> str:
    key = ".".join(map(str, error["loc"])) or "the whole file"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}"
    if error["type"] == "missing":
        return f"{key} is missing"
    return f"{key} = {error['input']!r}: {error['msg'][:1].lower()}{error['msg'][1:]}"
