"""The model as MLflow serves it: this code and a bundle, no pickle.

A row's `image` is one film: a JPEG, PNG, DICOM or other file in base64, or its gray levels [H, W],
0 to 255. What MLflow's `inputs` and `instances` make one row, a list of films, is read as such.

Where PNEUMO_TRUSTED_KEYS names a folder of public keys, only a model that one of them signed loads.
"""

import base64
import binascii
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from pneumo_core.arrays import Gray, Images
from pneumo_core.errors import ImageError
from pneumo_core.inference.reader import Reader
from pneumo_core.params import READING_AID
from pneumo_core.promotion.signatures import TrustedKeys, verify_folder

TRUSTED_KEYS = "PNEUMO_TRUSTED_KEYS"
META = "registered_model_meta"  # MLflow leaves it beside a model that came from the registry


class PneumoModel(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        bundle = Path(context.artifacts["bundle"])
        if keys := os.environ.get(TRUSTED_KEYS):
            verify_folder(bundle.parent, TrustedKeys.read(Path(keys)))
        self._reader = Reader.load(bundle, READING_AID)
        meta = bundle.parents[1] / META
        registered = yaml.safe_load(meta.read_text()) if meta.is_file() else {}
        # A number or a text, as the registry is embedded or a server.
        self._name, self._version = (
            str(registered[key]) if registered.get(key) else None
            for key in ("model_name", "model_version")
        )

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow's signature)
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """A row a film; `version` is null where the model did not come from the registry.

        Raises:
            MlflowException: no such operating point, no image, or a picture that is no chest film.
        """
        name = (params or {}).get("operating_point", READING_AID)
        points = self._reader.scorer.description.operating_points
        if name not in points:
            raise MlflowException.invalid_parameter_value(
                f"No operating point {name!r}; this model has {', '.join(points)}."
            )
        reader = replace(self._reader, operating_point=name)
        films = [self._fit(film) for cell in model_input["image"] for film in _films(cell)]
        found = pd.DataFrame(map(asdict, reader.predict(np.stack(films))))
        return found.assign(
            operating_point=name,
            threshold=reader.threshold,
            model=self._name,
            version=self._version,
        )

    def _fit(self, film: str | Gray) -> Gray:
        if not isinstance(film, str):
            return self._reader.scorer.fit_to_size(film)
        try:
            return self._reader.admit(base64.b64decode(film, validate=True))
        except (binascii.Error, ImageError) as error:
            raise MlflowException.invalid_parameter_value(f"No film: {error}.") from error


def _films(cell: Any) -> list[str | Gray]:
    """Return one film, or each of a list of films.

    Raises:
        MlflowException: neither text nor gray levels.
    """
    if isinstance(cell, str):
        return [cell]
    if len(cell) and all(isinstance(film, str) for film in cell):
        return list(cell)
    try:
        levels = np.asarray(cell, dtype=np.float64)
    except ValueError as error:
        raise MlflowException.invalid_parameter_value(f"No gray levels: {error}.") from error
    if levels.ndim not in (2, 3) or not levels.size or levels.min() < 0 or levels.max() > 255:
        raise MlflowException.invalid_parameter_value(
            f"Expected gray levels [H, W] of 0 to 255, got shape {levels.shape}."
        )
    films: Images = levels.round().astype(np.uint8)
    return list(films if films.ndim == 3 else films[np.newaxis])


set_model(PneumoModel())
