"""Erase a patient from every store, or check that none holds anything of one.

The list of erased patients is written first, so ingest leaves the patient out from then on. An
erasure that was stopped begins again and goes on with what is left. The line in the ledger, which
says that it is done, is written when a search of all stores finds nothing.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd

from pneumo_core import params as all_params
from pneumo_core.data import manifest
from pneumo_core.errors import ErasureError
from pneumo_core.evaluation.reference import film_digests
from pneumo_core.labels import LABELS
from pneumo_core.preparation import pins
from pneumo_core.preparation.augmentation import packed_key
from pneumo_core.promotion import policy
from pneumo_core.sources import erased as erased_patients
from pneumo_core.sources import identity
from pneumo_core.sources.erased import KEY, Erased
from tasks import erased_list, explanations, ledger, paths
from tasks.erasure import stores
from tasks.erasure.search import Reader, object_md5
from tasks.erasure.stores import STORES, Holding
from tasks.graph import provenance
from tasks.registry import model_versions

NOTHING = "nothing"

Survey = Mapping[str, Sequence[Holding]]  # by store, in the order of STORES


@dataclass(frozen=True)
class Plan:
    """What an erasure would do."""

    erased: Erased  # the whole list, with the patient
    patient: str  # hash of the key
    survey: Survey

    def lines(self) -> list[str]:
        """Return what each store holds, in words."""
        return [line for store, held in self.survey.items() for line in _lines(store, held)]

    def alike(self) -> list[str]:
        """Return a sentence for each store that has others' films which look the same."""
        return [
            f"{store}: {count} files have films of others that look like the erased ones: copies "
            "under another name? They are not deleted"
            for store, held in self.survey.items()
            if (count := sum(len(each.alike) for each in held))
        ]

    @property
    def is_done(self) -> bool:
        return all(each.is_clear for held in self.survey.values() for each in held)


def plan(patient: str) -> Plan:
    """Search all stores for a patient and change nothing, but for the salt of the first erasure.

    Args:
        patient: key by the source, id of one of the patient's films, or their own id.

    Raises:
        ErasureError: no table knows the patient, or a store cannot be searched.
    """
    whole = erased_list.read_to_add()
    reader = Reader(whole.digest)
    tables = _tables(reader)
    key = tables.key(patient)
    films, known = tables.films_of(key), whole.find(patient)
    if films.empty and tables.names_of(key).empty:
        if known is None:
            raise ErasureError(
                "No table of this project or of DVC's stores has this patient: give the key as "
                "'pneumo who' prints it, or the id of one of the films."
            )
        return _plan(whole, known.patient, reader)
    whole = whole.with_patient(
        key, tables.traces(key, whole.salt), films["perceptual_hash"].dropna().unique()
    )
    return _plan(whole, whole.digest(KEY.format(key)), reader)


def check(patient: str | None) -> list[Plan]:
    """Search all stores for the patients of the list, or for one of them; change nothing.

    Raises:
        ErasureError: the patient is not on the list, or a store cannot be searched.
    """
    whole = erased_list.read()
    reader = Reader(whole.digest)
    if patient is None:
        return [_plan(whole, each.patient, reader) for each in whole.patients]
    found = whole.find(patient)
    if found is None:
        raise ErasureError(f"This patient is not on the list {paths.ERASED}: nobody erased it.")
    return [_plan(whole, found.patient, reader)]


def carry_out(planned: Plan, reason: str) -> Plan:
    """Erase the patient and return what a search finds now.

    Raises:
        ErasureError: a store does not let go; the same command goes on from there.
    """
    erased_patients.write(planned.erased, paths.ERASED)
    for store, holdings in planned.survey.items():
        for held in holdings:
            with _named(store, "cleared"):
                held.remove()
    stores.note_cleared(planned.patient)
    after = _plan(planned.erased, planned.patient, Reader(planned.erased.digest))
    if not after.is_done:
        left = [line for line in after.lines() if not line.endswith(NOTHING)]
        raise ErasureError(f"Not everything is gone: {'; '.join(left)}. Erase again.")
    ledger.append(
        paths.ERASURE_LEDGER,
        who=provenance.who(),
        patient=planned.patient,
        reason=reason,
        stores={name: _counts(held) for name, held in planned.survey.items()},
        models=[held.where for held in planned.survey["registry"]],
        aliases=aliases(planned.patient),
        **provenance.tags(),
    )
    return after


def aliases(patient: str) -> list[str]:
    """Return a sentence for each alias of a version that is marked for the patient."""
    from tasks.erasure.registry import tag_of

    params = all_params.load().promote
    versions = model_versions.versions(params.registered_model)
    found = []
    for alias, number in sorted(model_versions.aliases(params.registered_model).items()):
        relation = versions[number].tags.get(tag_of(patient))
        if relation is not None:
            may = alias not in params.roles or policy.of_role(params, alias).erased == "may_serve"
            found.append(
                f"{alias} is version {number} ({relation}), which "
                + ("may serve until the next training" if may else "is not used any more")
            )
    return found


def _lines(store: str, held: Sequence[Holding]) -> list[str]:
    lines = [f"{store}: {each.describe()}" for each in held if not each.is_clear]
    return lines or [f"{store}: {NOTHING}"]


def _counts(held: Sequence[Holding]) -> dict[str, int]:
    return {
        "films": sum(each.num_films for each in held),
        "made_of_them": sum(each.num_made for each in held),
    }


def _plan(whole: Erased, patient: str, reader: Reader) -> Plan:
    """Search until nothing more is found: what names a file that was found, counts too."""
    while True:
        (of_patient,) = (each for each in whole.patients if each.patient == patient)
        survey: dict[str, list[Holding]] = {}
        for store, find in STORES.items():
            with _named(store, "searched"):
                survey[store] = find(whole.only(of_patient), reader)
        held = [each for holdings in survey.values() for each in holdings]
        films = {found for each in held for found in each.films}
        naming = {found for each in held for found in each.naming}
        grown = whole.grown(patient, films, naming)
        if grown == whole:
            return Plan(whole, patient, survey)
        whole = grown


@contextmanager
def _named(store: str, what: str) -> Iterator[None]:
    """Let any failure name the store: what was not searched or cleared counts as not done."""
    try:
        yield
    except Exception as error:
        raise ErasureError(
            f"The store {store} cannot be {what}: {explanations.in_one_line(error)} "
            "The erasure is not done: mend that and start the same command again."
        ) from error


@dataclass(frozen=True)
class Tables:
    """The tables of all versions that the stores have, each once."""

    names: pd.DataFrame  # of films, as `identity.write` leaves them
    manifests: pd.DataFrame

    def key(self, patient: str) -> str:
        """Return the key of a patient who is named by it, by a film's id or by their own id.

        An unknown patient has the id of the film for a key.
        """
        film = patient.removeprefix(identity.OF_PATIENT)
        found = self.names[self.names["image_id"] == film]
        if not found.empty:
            return str(found["patient"].fillna(found["image_id"]).iloc[0])
        found = self.manifests[self.manifests["image_id"] == film]
        return patient if found.empty else str(found["patient_key"].iloc[0])

    def names_of(self, key: str) -> pd.DataFrame:
        own = self.names["patient"].fillna(self.names["image_id"]) == key
        return self.names[own & ~self.names["image_id"].str.startswith(identity.UNREADABLE)]

    def films_of(self, key: str) -> pd.DataFrame:
        """Return the rows of all manifests, also of those that named patients by their keys."""
        own = self.manifests["image_id"].isin(self.names_of(key)["image_id"])
        return self.manifests[own | (self.manifests["patient_key"] == key)]

    def traces(self, key: str, salt: bytes) -> set[str]:
        """Return every word by which a file could name the patient or one of the films."""
        names, films = self.names_of(key), self.films_of(key)
        pixels = set(films["pixel_sha256"].dropna())
        same = self.manifests.loc[self.manifests["pixel_sha256"].isin(pixels), "sha256"]
        ids = {*names["image_id"], *films["image_id"]}
        files = {*films["sha256"].dropna(), *same.dropna()}
        groups = {*names["group"].dropna(), *films["patient_group"]}
        for table, column in ((self.names, "group"), (self.manifests, "patient_group")):
            groups -= set(table.loc[~table["image_id"].isin(ids), column].dropna())
        pinned = {key, *groups, *(f"film:{file}" for file in files)}
        return {
            key,
            *ids,
            *(f"{identity.OF_PATIENT}{each}" for each in ids),
            *files,
            *pixels,
            *names["file"],
            *films["path"].dropna(),
            *(pins.hash_of(each, salt) for each in pinned),
            *map(str, film_digests(pixels).tolist()),
            *(packed_key(label, each, 0) for label in LABELS for each in pixels),
        } - {""}


def _tables(reader: Reader) -> Tables:
    found: dict[frozenset[str], pd.DataFrame] = {}
    for store, places, name_of in (
        ("results", stores.results, lambda _: None),
        ("DVC cache", stores.dvc_cache, object_md5),
        ("DVC remotes", stores.dvc_remotes, object_md5),
    ):
        with _named(store, "searched"):
            for place in places():
                for name in place.names():
                    content = reader.content(place, name, name_of(name))
                    if content.kind == "table" and content.hashes not in found:
                        found[content.hashes] = pd.read_parquet(io.BytesIO(place.read(name)))
    names = [table for table in found.values() if {*identity.SCHEMA.names} <= {*table.columns}]
    manifests = [manifest.conform(table) for table in found.values() if "patient_key" in table]
    return Tables(
        pd.concat([pd.DataFrame(columns=identity.SCHEMA.names, dtype=object), *names]),
        pd.concat([manifest.conform(pd.DataFrame()), *manifests]),
    )
