"""The answers of the API, with the texts of its OpenAPI description."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from flows.serving.models import Model
from pneumo_core.inference import reader

NOTICE = (
    "For research, not for diagnosis. NORMAL does not rule out pneumonia or another disease. The "
    "figures hold for films like those that the model learned from; on films from elsewhere, of "
    "other ages or other diseases, it may be no better than chance."
)


class ModelName(BaseModel):
    name: str
    version: str
    alias: str | None = Field(description="Alias in the registry; null for a model from a folder.")


class Share(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    value: float
    ci_low: float = Field(description="Lower end of the 95% interval, which counts films.")
    ci_high: float


class OnValidation(BaseModel):
    """What the operating point did on the films that it was chosen on."""

    model_config = ConfigDict(from_attributes=True)

    sensitivity: Share
    specificity: Share
    prevalence: float = Field(
        description="Share of films with pneumonia, at which the probability holds."
    )


class ModelInUse(BaseModel):
    """The model that answers, and its decision rule."""

    operating_point: str
    threshold: float
    on_validation: OnValidation
    meaning: str = Field(description="`threshold` and `on_validation` in words.")
    notice: str
    model: ModelName

    @classmethod
    def of(cls, model: Model) -> "ModelInUse":
        in_use = model.reader
        return cls(
            operating_point=in_use.operating_point,
            threshold=in_use.threshold,
            on_validation=OnValidation.model_validate(in_use.on_validation),
            meaning=in_use.meaning,
            notice=NOTICE,
            model=ModelName(name=model.name, version=model.version, alias=model.alias),
        )


class Prediction(ModelInUse):
    probability: float = Field(ge=0, le=1, description="Calibrated probability of pneumonia.")
    decision: Literal["NORMAL", "PNEUMONIA"]

    @classmethod
    def by(cls, model: Model, prediction: reader.Prediction) -> "Prediction":
        found = {"probability": prediction.probability, "decision": prediction.decision}
        return cls.model_validate(ModelInUse.of(model).model_dump() | found)


class Alive(BaseModel):
    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"
    model: ModelName
    newer_refused: bool = Field(
        description="True if the alias points to a newer model that cannot be used."
    )
