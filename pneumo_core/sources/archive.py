"""A zip archive as a source of images. It is not trusted: it may come from a stranger."""

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pneumo_core.errors import ArchiveError
from pneumo_core.params import IngestParams
from pneumo_core.sources.layout import (
    find_places,
    over_limits,
    require_placed,
    settle_places,
)
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.source import SourceFile

# RuntimeError: encrypted; ValueError: a name that is not UTF-8, as its flag says.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)

# With any other, zipfile unpacks a whole chunk before it checks the size in the header.
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class ZipSource:
    path: Path
    limits: IngestParams
    notes: Notes = field(default_factory=Notes)

    def files(self) -> list[SourceFile]:
        """Return the images of the archive.

        Raises:
            ArchiveError: not a zip, a member that leaves the archive's root, or over the limits.
            SourceError: no images, or images in no split and class.
        """
        try:
            archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            # NotImplementedError: zipfile cannot read this part of the format
            raise ArchiveError(f"{self.path} is not a readable zip archive: {error}.") from error
        members = [member for member in archive.infolist() if not member.is_dir()]
        self._check(members)
        files = [(_path(member), member) for member in members]
        limits = self.limits
        placed, others = find_places(files, limits.class_names, limits.ignore, self.notes)
        require_placed(placed, others, str(self.path), self.notes)
        found = []
        for place, path, member in placed:
            read = _reader(archive, member)
            file = SourceFile(*place, member.file_size, read, origin="zip")
            found.append((len(path.parts), file))
        return settle_places(found, described_as=str(self.path))

    def _check(self, members: list[zipfile.ZipInfo]) -> None:
        for member in members:
            path = _path(member)
            if path.is_absolute() or ".." in path.parts or ":" in path.as_posix().split("/")[0]:
                raise ArchiveError(
                    f"{self.path} was refused: its member {member.filename!r} points outside it."
                )
        if excess := over_limits([member.file_size for member in members], self.limits):
            raise ArchiveError(f"{self.path} {excess}.")


def _path(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename.replace("\\", "/"))


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        if member.compress_type not in COMPRESSIONS:
            raise OSError("compressed in the archive by something other than deflate")
        try:
            with archive.open(member) as stream:
                # With a size, zipfile unpacks no more than that, whatever follows.
                return stream.read(member.file_size + 1)
        except RuntimeError as error:  # whose text names the member, as others' do
            raise OSError("encrypted in the archive") from error
        except _DAMAGE as error:
            raise OSError("damaged in the archive") from error

    return read
