"""What every part of one training works with."""

import re
from dataclasses import dataclass

from torch import nn

from pneumo_core.labels import LABELS
from pneumo_core.models.architectures import require_trainable
from pneumo_core.models.bundle import PretrainedWeights
from pneumo_core.models.compute import Device, choose_device
from pneumo_core.models.randomness import seeded
from pneumo_core.models.strategies import freeze
from pneumo_core.models.weights import create_model
from pneumo_core.params import Strategy, StrategyParams, TrainParams
from pneumo_core.training.events import Sink, ignore
from pneumo_core.training.processes import Processes


@dataclass(frozen=True)
class Cell:
    """One cell of the grid: a model (a timm name, or hf-hub:owner/name) and a strategy."""

    architecture: str
    strategy: Strategy

    @property
    def name(self) -> str:
        """The name of files and runs, on one level."""
        return re.sub("[:/@]", "_", f"{self.architecture}-{self.strategy.value}")


@dataclass(frozen=True)
class Context:
    cell: Cell
    params: TrainParams
    sink: Sink
    device: Device
    processes: Processes

    @classmethod
    def of(cls, cell: Cell, params: TrainParams, sink: Sink = ignore) -> "Context":
        """Return the context on this machine's device and among the processes that were joined."""
        return cls(cell, params, sink, choose_device(params.precision), Processes.here())

    @property
    def schedule(self) -> StrategyParams:
        """Peak learning rate and number of epochs of the cell's strategy."""
        return self.params.of(self.cell.strategy)

    @property
    def leads_to_partial(self) -> bool:
        """Whether the features of this cell's trunk pass through those of another cell."""
        return self.cell.strategy is Strategy.FROZEN and Strategy.PARTIAL in self.params.strategies

    def start_model(self, size_px: int) -> tuple[nn.Module, PretrainedWeights]:
        """Return the model before its first step, on the device, with its frozen part frozen.

        Raises:
            WeightsError: the weights asked for are not to be had.
            TrainingError: the model does not take these films, or cannot train by the strategy.
        """
        name, weights = self.cell.architecture, self.params.weights_of(self.cell.architecture)
        require_trainable(name, size_px, [self.cell.strategy], pretrained=weights != "none")
        with seeded(self.params.seed, self.device):
            model, pretrained = create_model(name, weights, len(LABELS), size_px)
        model = self.device.place(model)
        freeze(model, self.cell.strategy)
        return model, pretrained
