"""The state of a training on disk: complete or absent, and never that of another training."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pneumo_core.atomic import replacing_file


@dataclass(frozen=True)
class Checkpoint:
    """One file; it counts as absent if another training (`key`) left it."""

    path: Path
    key: str

    def load(self) -> dict[str, Any] | None:
        if not self.path.is_file():
            return None
        state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        return state if state["key"] == self.key else None

    def save(self, **state: Any) -> None:
        """Raises OSError where there is no room; what was saved before stays."""
        with replacing_file(self.path) as draft, draft.open("wb") as file:
            try:
                torch.save({"key": self.key} | state, file)
            except RuntimeError as error:  # torch's writer stumbles over what the file said
                why = error.__context__ or error
                raise OSError(f"{self.path} cannot be written: {why}") from error

    def forget(self) -> None:
        """Remove the file and what a kill left half written; call it once the result is written."""
        self.path.unlink(missing_ok=True)
        for draft in self.path.parent.glob(f".{self.path.name}.*"):
            draft.unlink()


def key_of(*parts: object) -> str:
    """Return one key for everything that the end of a training depends on."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode())
    return digest.hexdigest()
