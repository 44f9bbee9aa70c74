"""Where a model comes from, as a statement of in-toto with the provenance of SLSA.

`tasks/attestation` computes again what it says.
"""

import platform
from collections.abc import Mapping
from pathlib import Path

from pneumo_core import params as all_params
from pneumo_core import versions
from pneumo_core.atomic import JsonDict, file_sha256, read_json
from pneumo_core.models import bundle
from pneumo_core.promotion import policy
from pneumo_core.promotion.signatures import STATEMENT
from tasks import paths
from tasks.graph import provenance

TYPE, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD = "urn:pneumo:dvc-pipeline:1"
FILMS, TRAINING_FILMS, COMMIT = "films", "training films", "git"  # names of dependencies
STAGES = "stages of dvc.lock"
CODE_DIRTY = "code_dirty"
DECISIONS = "pneumo_decisions"  # SLSA has fields of others begin with their name
LEDGERS = (paths.TEST_LEDGER, paths.PROMOTION_LEDGER)  # of which some gates depend


def of_cell(cell: str, decisions: Mapping[str, JsonDict]) -> JsonDict:
    """Return the statement on the bundle of an evaluated cell.

    It names no file and no folder of the source: films are known by hashes.

    Args:
        decisions: by role, with all gates and the champion of then, as they are taken now.
    """
    folder = paths.EVALUATED / cell
    description = bundle.read_description(folder / paths.BUNDLE)
    origin = description.origin
    evaluation = [
        path
        for split in (*paths.VALIDATIONS, "test")
        for path in sorted((folder / split).glob("*.*"))  # metrics.json, predictions.csv
    ]
    asked = all_params.load().promote
    files = [paths.CERTIFICATE, *(policy.path_of(asked, role) for role in decisions), *LEDGERS]
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
                "externalParameters": parameters(),
                "internalParameters": {"cell": cell},
                "resolvedDependencies": [
                    {"name": FILMS, "digest": {"sha256": origin.data_sha256}},
                    {"name": TRAINING_FILMS, "digest": {"sha256": origin.train_sha256}},
                    *(_file(path) for path in files if path.is_file()),
                    *_stages(),
                    *_commit(),
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:pneumo", "version": libraries()},
                "byproducts": [*map(_file, evaluation)],
            },
            DECISIONS: dict(decisions),
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
    definition, builder = predicate["buildDefinition"], predicate["runDetails"]["builder"]
    commit = [each for each in definition["resolvedDependencies"] if each["name"] == COMMIT]
    made_by = (definition["externalParameters"], builder["version"], commit)
    if made_by != (parameters(), libraries(), _commit()):
        return []
    return [
        f"{product['name']} is not the one that its statement names"
        for product in predicate["runDetails"]["byproducts"]
        if not Path(product["name"]).is_file() or _file(Path(product["name"])) != product
    ]


def parameters() -> JsonDict:
    """Return `params.yaml` without the places that films come from."""
    params = all_params.load().model_dump(mode="json")
    params["ingest"].pop("source")
    params["evaluate"]["external"] = sorted(params["evaluate"]["external"])
    return params


def _file(path: Path) -> JsonDict:
    return {"name": path.as_posix(), "digest": {"sha256": file_sha256(path)}}


def _stages() -> list[JsonDict]:
    digest = provenance.locked_digest()
    return [{"name": STAGES, "digest": {"sha256": digest}}] if digest else []


def _commit() -> list[JsonDict]:
    """Return the commit, and what differs from it: any file, code; nothing outside a repository."""
    tags = provenance.tags()
    if not tags:
        return []
    code_dirty = str(bool(provenance.code_differing("HEAD"))).lower()
    return [
        {
            "name": COMMIT,
            "digest": {"gitCommit": tags["git_commit"]},
            "annotations": {"git_dirty": tags["git_dirty"], CODE_DIRTY: code_dirty},
        }
    ]


def libraries() -> dict[str, str]:
    """Return the version of Python, and of each library that decides pixels, learning, scoring."""
    names = sorted({name for names in versions.FILES.values() for name in names})
    return {"python": platform.python_version()} | versions.installed(names)
