"""A data set of Kaggle, fetched by its own client into its own cache (`KAGGLEHUB_CACHE`).

Public data sets need no credentials. Others take them from that client's settings:
`KAGGLE_API_TOKEN`, `KAGGLE_USERNAME` with `KAGGLE_KEY`, or `~/.kaggle/`.
"""

import tarfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pneumo_core.errors import SourceError
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.facts import KERMANY_KAGGLE
from pneumo_core.sources.source import SourceFile


class KaggleDescription(Description):
    kind: Literal["kaggle"]
    dataset: str = KERMANY_KAGGLE.handle
    version: int | None = None  # None: the newest, requested each time

    def source(self, opening: Opening) -> "KaggleSource":
        return KaggleSource(self, opening)


@dataclass(frozen=True)
class KaggleSource:
    wanted: KaggleDescription
    opening: Opening

    def files(self) -> list[SourceFile]:
        """Return the images; raise SourceError if they cannot be fetched or have another layout."""
        data_set = KERMANY_KAGGLE if self.wanted.dataset == KERMANY_KAGGLE.handle else None
        folder = self.opening.source(str(self._download().absolute()))
        return [replace(file, origin="kaggle", data_set=data_set) for file in folder.files()]

    def _download(self) -> Path:
        import kagglehub
        from kagglehub import exceptions

        handle = self.wanted.dataset
        if self.wanted.version is not None:
            handle += f"/versions/{self.wanted.version}"
        try:
            return Path(kagglehub.dataset_download(handle))
        except (
            OSError,
            ValueError,
            zipfile.BadZipFile,
            tarfile.TarError,
            exceptions.BackendError,
            exceptions.CredentialError,
            exceptions.NotFoundError,
            exceptions.DataCorruptionError,
            exceptions.UnauthenticatedError,
        ) as error:
            raise SourceError(
                f"Kaggle did not give {handle}: {error}\n"
                f"By hand: open https://www.kaggle.com/datasets/{self.wanted.dataset}, download "
                "the archive, and run again with --set ingest.source=PATH_TO_THE_ZIP."
            ) from error
