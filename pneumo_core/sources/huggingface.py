"""A data set of the Hugging Face hub whose images are in Parquet files.

They are plain tables, which pyarrow reads; it is a dependency anyway. The package `datasets` would
bring many others and a second cache of the same bytes. The hub's own settings give a token, if one
is needed (`HF_TOKEN`, `hf auth login`), and the cache for downloads (`HF_HOME`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Self

from pydantic import model_validator

from pneumo_core.atomic import file_sha256
from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.facts import KERMANY_HUGGING_FACE, DataSet
from pneumo_core.sources.layout import parse_split, split_name
from pneumo_core.sources.parquet import ImageRow, read_rows
from pneumo_core.sources.source import SourceFile


class HuggingFaceDescription(Description):
    kind: Literal["huggingface"]
    repo: str = KERMANY_HUGGING_FACE.handle
    revision: str = KERMANY_HUGGING_FACE.version  # a branch or a tag may move, a commit may not
    path: str | None = None  # of a folder with Parquet files, fetched by hand
    labels: tuple[str, ...] | None = None  # names of the label numbers, else those in the files

    @model_validator(mode="after")
    def _from_the_hub_or_from_a_folder(self) -> Self:
        if self.path is not None and {"repo", "revision"} & self.model_fields_set:
            raise ValueError("give either path, or repo and revision")
        return self

    def source(self, opening: Opening) -> "HuggingFaceSource":
        given = None if self.path is None else opening.path(self.path)
        return HuggingFaceSource(self, opening.limits, opening.cache / "huggingface", given)


@dataclass(frozen=True)
class HuggingFaceSource:
    wanted: HuggingFaceDescription
    limits: IngestParams
    cache: Path
    given: Path | None

    def files(self) -> list[SourceFile]:
        """Return the images; raise SourceError if the files cannot be fetched or have no labels."""
        folder = self.given or self._download()
        paths = sorted(folder.rglob("*.parquet"))
        if not paths:
            raise SourceError(f"No Parquet files in {folder}: expected train-….parquet and others.")
        files: dict[str, SourceFile] = {}
        for number, path in enumerate(paths):
            split = split_of(PurePosixPath(path.relative_to(folder).as_posix()))
            for row in self._rows(path):
                place = f"{split}/{row.label}"
                name = row.name or f"row-{number:03d}-{row.number:05d}"
                if f"{place}/{name}" in files:
                    name = f"{Path(name).stem}-{number:03d}-{row.number:05d}{Path(name).suffix}"
                files[f"{place}/{name}"] = SourceFile(
                    split,
                    row.label,
                    name,
                    row.num_bytes,
                    row.read,
                    origin="huggingface",
                    data_set=self._data_set(),
                    metadata=row.metadata,
                )
        return [files[place] for place in sorted(files)]

    def _data_set(self) -> DataSet | None:
        known = self.wanted.repo == KERMANY_HUGGING_FACE.handle and self.given is None
        return KERMANY_HUGGING_FACE if known else None

    def _rows(self, path: Path) -> Iterator[ImageRow]:
        unpacked = self.cache / f"{file_sha256(path)}.arrow"
        limits = self.limits
        return read_rows(path, unpacked, self.wanted.labels, limits.class_names, limits.metadata)

    def _download(self) -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, RevisionResolutionError

        repo, revision = self.wanted.repo, self.wanted.revision
        try:
            return Path(
                snapshot_download(
                    repo, repo_type="dataset", revision=revision, allow_patterns="*.parquet"
                )
            )
        except (OSError, ValueError, HfHubHTTPError, RevisionResolutionError) as error:
            raise SourceError(
                f"Hugging Face did not give {repo} at {revision}: {error}\n"
                f"By hand: open https://huggingface.co/datasets/{repo}/tree/{revision}, download "
                "the .parquet files into a folder, name it as `path:` in place of repo and "
                "revision in the description (sources/huggingface.yaml) and run again with "
                "--set ingest.source=sources/huggingface.yaml."
            ) from error


def split_of(path: PurePosixPath) -> str:
    """Return the split of a Parquet file: `train-00000-of-00007.parquet`, `train/0000.parquet`.

    Raises:
        SourceError: neither its name nor its folder's name begins with a split.
    """
    for name in (path.stem, path.parent.name):
        if split := split_name(re.split(r"[-._]", name)[0]):
            return split
    return parse_split(path.stem, str(path))
