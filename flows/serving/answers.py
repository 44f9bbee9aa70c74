"""The answers of the API, with the texts of its OpenAPI description."""

from typing import Literal

from pydantic import BaseModel, Field

from flows.serving.models import Model
from pneumo_core.inference import reader

NOTICE = (
    "For research, not for diagnosis. The figures hold for films like those that the model learned "
    "from; on films from elsewhere, of other ages or other diseases, it may be wrong more often."
)


class ModelName(BaseModel):
    name: str
    version: str
    alias: str | None = Field(description="Alias in the registry; null for a model from a folder.")


class ModelInUse(BaseModel):
    """The model that answers, and its decision rule."""

    operating_point: str
    threshold: float
    meaning: str = Field(
        description="Sensitivity and specificity of the operating point on validation, in words."
    )
    notice: str
    model: ModelName

    @classmethod
    def of(cls, model: Model) -> "ModelInUse":
        in_use = model.reader
        return cls(
            operating_point=in_use.operating_point,
            threshold=in_use.threshold,
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
