"""Where a model comes from, as a statement of in-toto with the provenance of SLSA."""

import platform
from pathlib import Path

from pneumo_core import params as all_params
from pneumo_core import versions
from pneumo_core.atomic import JsonDict, file_sha256, read_json
from pneumo_core.models import bundle
from pneumo_core.promotion.signatures import STATEMENT
from tasks import paths
from tasks.graph import provenance

TYPE, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD = "urn:pneumo:dvc-pipeline:1"
COMMIT = "git"


def of_cell(cell: str) -> JsonDict:
    """Return the statement on the bundle of an evaluated cell.

    It names no file and no folder of the source: films are known by hashes.
    """
    folder = paths.EVALUATED / cell
    description = bundle.read_description(folder / paths.BUNDLE)
    origin = description.origin
    evaluation = sorted((folder / "test").glob("*.*"))  # metrics.json, predictions.csv and others
    return {
        "_type": TYPE,
        "subject": [
            {
                "name": f"{paths.BUNDLE}/{bundle.CHECKSUMS}",
                "digest": {"sha256": bundle.identity(folder / paths.BUNDLE)},
            }
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": _parameters(),
                "internalParameters": {"cell": cell},
                "resolvedDependencies": [
                    {"name": "films", "digest": {"sha256": origin.data_sha256}},
                    {"name": "training films", "digest": {"sha256": origin.train_sha256}},
                    *(
                        _file(path)
                        for path in (paths.CERTIFICATE, provenance.LOCK)
                        if path.is_file()
                    ),
                    *_commit(),
                ],
            },
            "runDetails": {
                "builder": {
                    "id": "urn:pneumo",
                    "version": {"python": platform.python_version()} | _libraries(),
                },
                "byproducts": [*map(_file, evaluation)],
            },
        },
    }


def contradictions(folder: Path) -> list[str]:
    """Return a sentence for each result here that is not as the statement of this model says.

    Args:
        folder: of a registered version. Results of another model, commit, library or parameter may
            differ, and contradict nothing.
    """
    if not (folder / STATEMENT).is_file():  # of a version before there were statements
        return []
    predicate = read_json(folder / STATEMENT)["predicate"]
    cell = predicate["buildDefinition"]["internalParameters"]["cell"]
    own = paths.EVALUATED / cell / paths.BUNDLE
    if not own.is_dir() or bundle.identity(own) != bundle.identity(folder / paths.BUNDLE):
        return []
    if _made_by(predicate) != _made_by(of_cell(cell)["predicate"]):
        return []
    return [
        f"{product['name']} is not the one that its statement names"
        for product in predicate["runDetails"]["byproducts"]
        if not Path(product["name"]).is_file() or _file(Path(product["name"])) != product
    ]


def _made_by(predicate: JsonDict) -> tuple[JsonDict, JsonDict, list[JsonDict]]:
    """Return the parameters, the libraries and the commit that gave the results."""
    definition, builder = predicate["buildDefinition"], predicate["runDetails"]["builder"]
    commit = [each for each in definition["resolvedDependencies"] if each["name"] == COMMIT]
    return definition["externalParameters"], builder, commit


def _parameters() -> JsonDict:
    """Return `params.yaml` without the places that films come from."""
    params = all_params.load(paths.PARAMS).model_dump(mode="json")
    params["ingest"].pop("source")
    params["evaluate"]["external"] = sorted(params["evaluate"]["external"])
    return params


def _file(path: Path) -> JsonDict:
    return {"name": path.as_posix(), "digest": {"sha256": file_sha256(path)}}


def _commit() -> list[JsonDict]:
    """Return the commit, and whether files differ from it; nothing outside a repository."""
    tags = provenance.tags()
    if not tags:
        return []
    return [
        {
            "name": COMMIT,
            "digest": {"gitCommit": tags["git_commit"]},
            "annotations": {"git_dirty": tags["git_dirty"]},
        }
    ]


def _libraries() -> dict[str, str]:
    """Return the version of each library that decides pixels, learning or scoring."""
    return versions.installed(sorted({name for names in versions.FILES.values() for name in names}))
