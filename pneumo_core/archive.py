"""A zip archive as a source of images, opened as if a stranger had sent it."""

import lzma
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pneumo_core.errors import ArchiveError
from pneumo_core.params import IngestParams
from pneumo_core.sources import SourceFile, parse_place, settle_places

# RuntimeError: encrypted; its child NotImplementedError: unknown compression;
# ValueError: a name that is not the UTF-8 that it claims to be.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, RuntimeError, ValueError),
)


@dataclass(frozen=True)
class ZipSource:
    path: Path
    limits: IngestParams

    def files(self) -> list[SourceFile]:
        """
        Raises:
            ArchiveError: no zip, a member that leaves the archive's root, or over the limits.
        """
        try:
            archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise ArchiveError(f"{self.path} is no readable zip archive: {error}.") from error
        members = [member for member in archive.infolist() if not member.is_dir()]
        self._check(members)
        found = []
        for member in members:
            path = PurePosixPath(member.filename.replace("\\", "/"))
            place = parse_place(path)
            if place is not None:
                file = SourceFile(*place, member.file_size, _reader(archive, member))
                found.append((len(path.parts), file))
        return settle_places(found, described_as=str(self.path))

    def _check(self, members: list[zipfile.ZipInfo]) -> None:
        for member in members:
            path = PurePosixPath(member.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in path.as_posix().split("/")[0]:
                raise ArchiveError(
                    f"{self.path} was refused: its member {member.filename!r} points outside it."
                )
        if len(members) > self.limits.max_files:
            raise ArchiveError(
                f"{self.path} holds {len(members)} files, ingest.max_files allows "
                f"{self.limits.max_files}."
            )
        total = sum(member.file_size for member in members)
        if total > self.limits.max_total_bytes:
            raise ArchiveError(
                f"{self.path} would unpack to {total / 1e9:.1f} GB, ingest.max_total_gb allows "
                f"{self.limits.max_total_gb:g}."
            )


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        # zipfile gives no byte more than the header states, and checks the CRC.
        try:
            return archive.read(member)
        except _DAMAGE as error:
            raise OSError(f"damaged in the archive: {error}") from error

    return read
