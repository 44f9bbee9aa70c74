"""Every store that may hold something of a patient: the one list for erasing and for checking.

In the order in which they are cleared: what explains the others goes last.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo_core import params as all_params
from pneumo_core.atomic import read_json, write_json
from pneumo_core.errors import ErasureError
from pneumo_core.preparation import pins
from pneumo_core.preparation.pins import Pins
from pneumo_core.sources.erased import Erased
from tasks import ledger, paths
from tasks.erasure import registry, search
from tasks.erasure.places import Bucket, LocalFolder, Place, RunArtifacts
from tasks.erasure.search import Found, Reader
from tasks.stores.buckets import Folder
from tasks.stores.preflight import access_of
from tasks.tracking import connection

if TYPE_CHECKING:
    from mlflow.entities import RunInfo

CLEARED_HERE = paths.SCRATCH / "erased.json"  # patients whom this checkout was rid of
REGISTERED = "registry"  # copies of registered models: what may be used of them says the registry
MADE_ANEW = (  # in var/, of contents that do not say whose they are, or of which all may be deleted
    *("features", "checkpoints", "dedup", "data_docs", "augment_compare", "monitor"),
    *(REGISTERED, "sources", "failures"),
)
OTHER_STORES = ("mlartifacts", "mlflow.db", "dvc-store", "services", "versions", "locks")
EXPERIMENTS = Path(".dvc/tmp/exps")  # copies of the project by `dvc exp run --temp`


@dataclass(frozen=True)
class Holding:
    """What one place of a store holds of a patient."""

    where: str
    films: frozenset[str]  # hashes of their bytes
    naming: frozenset[str]  # hashes of the bytes of what was made of them
    num_films: int
    num_made: int
    alike: tuple[str, ...]  # others' films that look the same
    remove: Callable[[], None]

    @property
    def is_clear(self) -> bool:
        return not self.num_films + self.num_made

    def describe(self) -> str:
        return f"{self.where}: {self.num_films} films, {self.num_made} made of them or naming them"


# Of a list with one patient; whatever it raises means that the store was not searched.
Find = Callable[[Erased, Reader], list[Holding]]


def _holding(place: Place, of_name: search.Contents, found: Found) -> Holding:
    def remove() -> None:
        for name in found.held:
            place.remove(name)

    return Holding(
        place.address,
        frozenset[str]().union(*(of_name[name].hashes for name in found.films)),
        frozenset[str]().union(*(of_name[name].hashes for name in found.naming)),
        len(found.films),
        len(found.naming) + len(found.beside),
        tuple(sorted(found.alike)),
        remove,
    )


def _in_files(
    places: Iterable[Place], erased: Erased, reader: Reader, spread: bool = True
) -> list[Holding]:
    holdings = []
    for place in places:
        of_name = {name: reader.content(place, name) for name in place.names()}
        holdings.append(_holding(place, of_name, search.in_files(of_name, erased, spread)))
    return holdings


def _in_objects(places: Iterable[Place], erased: Erased, reader: Reader) -> list[Holding]:
    holdings = []
    for place in places:
        of_name = {
            name: reader.content(place, name, search.object_md5(name)) for name in place.names()
        }
        holdings.append(_holding(place, of_name, search.in_objects(place, of_name, erased)))
    return holdings


def _registry(erased: Erased, reader: Reader) -> list[Holding]:
    name = all_params.load().promote.registered_model
    (patient,) = erased.patients
    tag, client = registry.tag_of(patient.patient), connection.connect()
    tables = None if patient.patient in _erased_before() else reader.tables()
    return [
        _marking(
            f"{name} version {version.version}: {relation}",
            partial(client.set_model_version_tag, name, version.version, tag, relation),
        )
        for version, relation in registry.relations(name, erased, tables)
        if tag not in version.tags
    ]


def _marking(where: str, mark: Callable[[], None]) -> Holding:
    return Holding(where, frozenset(), frozenset(), 0, 1, (), mark)


def _erased_before() -> set[str]:
    return {str(entry["patient"]) for entry in ledger.read(paths.ERASURE_LEDGER)}


def _ledger(erased: Erased, _: Reader) -> list[Holding]:
    """The pins of the patient are taken out; no other line may name a patient."""
    folder = paths.PROMOTION_LEDGER.parent
    for path in sorted(folder.glob("*.jsonl")):
        words = set(path.read_text("utf-8").replace('"', " ").split())
        if any(erased.knows(word) for word in words):
            raise ErasureError(f"{path} names the patient, and its lines cannot be altered.")
    before = pins.read(paths.PINNED_PATIENTS, erased.salt).split_of
    kept = {name: split for name, split in before.items() if not erased.knows(name)}
    if len(kept) == len(before):
        return []
    where = str(paths.PINNED_PATIENTS)
    return [_marking(where, partial(pins.write, Pins(erased.salt, kept), paths.PINNED_PATIENTS))]


def _runs(erased: Erased, reader: Reader) -> list[Holding]:
    from mlflow.entities import ViewType

    client = connection.connect()
    experiment = connection.experiment_id(client)
    page = client.search_runs([experiment], run_view_type=ViewType.ALL)
    runs = list(page)
    while page.token:
        page = client.search_runs([experiment], run_view_type=ViewType.ALL, page_token=page.token)
        runs += page
    return _in_files([_artifacts(run.info) for run in runs], erased, reader)


def _artifacts(info: "RunInfo") -> Place:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    address = str(info.artifact_uri)
    if address.startswith("s3://"):
        return Bucket(Folder(address))
    return RunArtifacts(str(info.run_id), get_artifact_repository(address))


def _releases(erased: Erased, reader: Reader) -> list[Holding]:
    """Their reports; their models are those of the registry."""
    addresses = {str(entry["address"]) for entry in ledger.read(paths.RELEASE_LEDGER)}
    places = [Bucket(Folder(address) / "report") for address in sorted(addresses)]
    return _in_files(places, erased, reader)


def dvc_remotes() -> list[Place]:
    """Raise ErasureError if a remote is of a kind that cannot be searched, or is not there."""
    from dvc.repo import Repo

    with Repo() as repo:
        remotes = dict(repo.config["remote"])
    places: list[Place] = []
    for name, settings in remotes.items():
        address = str(settings["url"])
        if address.startswith("s3://"):
            places.append(Bucket(Folder(address, access_of(settings))))
        elif "://" not in address:
            places.append(_folder(Path(address)))
        else:
            raise ErasureError(
                f"DVC's remote {name} ({address.partition('://')[0]}) is of a kind that pneumo "
                "cannot search; a folder and S3 are. Take it out of .dvc/config once it is empty."
            )
    return places


def dvc_cache() -> list[Place]:
    """Raises ErasureError if it is outside the project and not there."""
    from dvc.repo import Repo

    with Repo() as repo:
        return [_folder(Path(repo.cache.legacy.path), without=("runs",))]


def _folder(path: Path, without: tuple[str, ...] = ()) -> LocalFolder:
    """Return a folder, which need not be there in the project itself.

    Raises:
        ErasureError: another one is not there, as on a disk that is not mounted.
    """
    if not path.is_dir() and Path.cwd() not in path.resolve().parents:
        raise ErasureError(f"{path} is not there.")
    return LocalFolder(path, without)


def results() -> list[Place]:
    """Return the results but for the raw films."""
    ingest = paths.INGESTED.parent
    return [
        LocalFolder(ingest.parent, without=(ingest.name,)),
        LocalFolder(ingest, without=(paths.RAW.name,)),
    ]


def _results(erased: Erased, reader: Reader) -> list[Holding]:
    raw = _in_files([LocalFolder(paths.RAW)], erased, reader, spread=False)
    return [*_in_files(results(), erased, reader), *raw]


def _scratch(erased: Erased, reader: Reader) -> list[Holding]:
    """What is made anew goes whole, once: features and checkpoints do not say whose they are."""
    (patient,) = erased.patients
    kept = (*OTHER_STORES, REGISTERED, paths.SALT.name, CLEARED_HERE.name)
    rest = LocalFolder(paths.SCRATCH, without=kept)
    holdings = []
    if patient.patient not in cleared_here():
        places = [LocalFolder(paths.SCRATCH / name) for name in MADE_ANEW]
        for place in [*places, LocalFolder(EXPERIMENTS)]:
            if names := place.names():
                made = Found(beside=frozenset(names))
                holdings.append(_holding(place, {}, made))
        rest = LocalFolder(rest.root, (*rest.without, *MADE_ANEW))
    return [*holdings, *_in_files([rest], erased, reader, spread=False)]


def cleared_here() -> list[str]:
    return read_json(CLEARED_HERE)["patients"] if CLEARED_HERE.is_file() else []


def note_cleared(patient: str) -> None:
    write_json(CLEARED_HERE, {"patients": sorted({*cleared_here(), patient})})


STORES: Mapping[str, Find] = {
    "registry": _registry,
    "ledger": _ledger,
    "MLflow runs": _runs,
    "releases": _releases,
    "DVC remotes": lambda *asked: _in_objects(dvc_remotes(), *asked),
    "DVC cache": lambda *asked: _in_objects(dvc_cache(), *asked),
    "reports": lambda *asked: _in_files([LocalFolder(paths.REPORT)], *asked),
    "results": _results,
    "var": _scratch,
}
