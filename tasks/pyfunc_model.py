"""The model as MLflow serves it: this code and a bundle, no pickle."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from pneumo_core.scoring import Scorer


class PneumoModel(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        self._scorer = Scorer.load(Path(context.artifacts["bundle"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow's signature)
        model_input: np.ndarray,  # bare: MLflow warns of every other type
    ) -> npt.NDArray[np.float64]:
        """Probabilities of PNEUMONIA, [N], for gray films [N, H, W] of the bundle's size."""
        return self._scorer.probabilities(self._scorer.logits(model_input))


set_model(PneumoModel())
