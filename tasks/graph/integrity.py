"""The bytes on disk against the hashes that DVC recorded. DVC itself compares times and sizes.

So a bit that flips on the disk, which changes neither, passes for the file that was written.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pneumo_core.errors import PipelineError
from tasks.graph import provenance

OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")
HOW = "'pneumo verify' names every such file, and docs/operations.md says how to repair it"


def require_unaltered(outputs: Collection[Path]) -> None:
    """Raise PipelineError if one of these is in `dvc.lock`, and is missing or altered."""
    for fault in altered_outputs(outputs):
        raise PipelineError(f"{fault}. {HOW}.")


def altered_outputs(
    only: Collection[Path] | None = None, stages: Collection[str] | None = None
) -> Iterator[str]:
    """Yield a sentence for each output in `dvc.lock` that is missing or altered.

    Args:
        only: the outputs to read; by default all.
        stages: those of the graph; what others wrote may be gone, as of a model that the
            parameters do not name any more. By default everything must be there.
    """
    for stage, described in provenance.locked_stages().items():
        for out in described.get("outs", []):
            path = Path(out["path"])
            if only is not None and path not in only:
                continue
            if not path.exists():
                if stages is not None and stage not in stages:
                    continue
                yield f"{path} is missing, which the stage {stage} wrote"
            elif _md5(path) != out["md5"]:
                yield f"{path} is not what the stage {stage} wrote"


def damaged_objects(store: Path) -> Iterator[str]:
    """Yield a sentence for each file of a DVC cache or store whose bytes are not its name's."""
    for path in sorted(store.glob("??/*")):
        name = path.parent.name + path.name
        if OBJECT.fullmatch(name) and _md5(path) != name.removesuffix(".dir"):
            yield f"{path} is not what DVC stored there"


def _md5(path: Path) -> str:
    """Return DVC's hash of a file or a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    files = sorted((file.relative_to(path).as_posix(), file) for file in _files(path))
    listing = [{"md5": _md5(file), "relpath": relpath} for relpath, file in files]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
