"""The model that answers, replaced whole when its alias has moved."""

import asyncio
import logging
from collections.abc import Callable

from flows.serving.models import Model
from flows.serving.telemetry import Telemetry

logger = logging.getLogger(__name__)


class CurrentModel:
    """The model in use, and why a newer one is not.

    Args:
        look: returns the model that replaces the given one, checked and tried, or None.
    """

    def __init__(
        self, model: Model, look: Callable[[Model], Model | None], telemetry: Telemetry
    ) -> None:
        self.model = model
        self.refusal: str | None = None  # why the one behind the alias is not used
        self._look, self._telemetry = look, telemetry
        telemetry.model(model)

    def refresh(self) -> None:
        """Take the newer model if there is one; keep the present one if it cannot be used."""
        try:
            found = self._look(self.model)
        except Exception as error:  # a registry fails in many ways, none may end the service
            if str(error) != self.refusal:
                logger.error("The model stays %s: %s", self.model.describe(), error)
            self.refusal = str(error)
            self._telemetry.refusal()
            return
        self.refusal = None
        if found is not None:
            self.model = found
            self._telemetry.model(found)
            logger.warning("Now answering: %s", found.describe())

    async def follow(self, every_s: float) -> None:
        """Look for a newer model for ever."""
        while True:
            await asyncio.sleep(every_s)
            await asyncio.to_thread(self.refresh)
