"""The model whose statement is checked."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core import params as all_params
from pneumo_core.atomic import JsonDict, read_json
from pneumo_core.data import manifest
from pneumo_core.errors import BundleError, NotCheckedError
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.models import bundle
from pneumo_core.models.bundle import Description
from pneumo_core.params import Params
from pneumo_core.promotion.signatures import STATEMENT
from tasks import paths
from tasks.attestation.claims import WHERE, require
from tasks.registry import statement

COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Subject:
    folder: Path  # bundle, statement, and signature if there is one
    statement: JsonDict
    seed: int  # of what is drawn

    @classmethod
    def read(cls, folder: Path, seed: int) -> "Subject":
        """Return the subject; raise BundleError if the folder has no statement on a model."""
        path = folder / STATEMENT
        try:
            found = read_json(path)
            subject = cls(folder, found, seed)
            well_formed = isinstance(subject.cell, str) and all(
                isinstance(each, dict) for each in (subject.stated_parameters, subject.libraries)
            )
        except FileNotFoundError as error:
            raise BundleError(f"{folder} holds no {STATEMENT}: nothing is claimed.") from error
        except (ValueError, KeyError, TypeError):
            well_formed = False
        if not well_formed:
            raise BundleError(f"{path} is no statement on a model of pneumo.")
        return subject

    @property
    def definition(self) -> JsonDict:
        found: JsonDict = self.statement["predicate"]["buildDefinition"]
        return found

    @property
    def cell(self) -> str:
        return str(self.definition["internalParameters"]["cell"])

    @property
    def stated_parameters(self) -> JsonDict:
        found: JsonDict = self.definition["externalParameters"]
        return found

    @property
    def libraries(self) -> JsonDict:
        found: JsonDict = self.statement["predicate"]["runDetails"]["builder"]["version"]
        return found

    @cached_property
    def other_versions(self) -> list[str]:
        """Return "torch 2.8 there, 2.9 here" for each library that differs."""
        here = statement.libraries()
        return [
            f"{name} {self.libraries.get(name, 'none')} there, {here.get(name, 'none')} here"
            for name in sorted(here.keys() | self.libraries.keys())
            if here.get(name) != self.libraries.get(name)
        ]

    def dependency(self, name: str) -> JsonDict:
        """Return what the statement says of one thing that the model was made from.

        Raises:
            NotCheckedError: nothing.
        """
        for each in self.definition["resolvedDependencies"]:
            if each["name"] == name:
                found: JsonDict = each
                return found
        raise NotCheckedError(f"the statement does not name {name}")

    def sha256_of(self, name: str) -> str:
        """Return the digest of a dependency; raises as `dependency`."""
        return str(self.dependency(name)["digest"]["sha256"])

    @property
    def commit(self) -> str:
        """Return the commit, which is given to git; NotCheckedError where none is named."""
        named = str(self.dependency(statement.COMMIT)["digest"]["gitCommit"])
        if not COMMIT_ID.fullmatch(named):
            raise NotCheckedError("the statement names no commit")
        return named

    @cached_property
    def params(self) -> Params:
        return all_params.load()

    @cached_property
    def scorer(self) -> Scorer:
        return Scorer.load(self.folder / paths.BUNDLE)

    @property
    def description(self) -> Description:
        return self.scorer.description

    @cached_property
    def evaluated(self) -> Path:
        """Return the folder of the cell's evaluation here.

        Raises:
            NotCheckedError: it is not here, or is of another model.
        """
        folder = paths.EVALUATED / self.cell
        require(folder / paths.BUNDLE / bundle.CHECKSUMS)
        if bundle.identity(folder / paths.BUNDLE) != bundle.identity(self.folder / paths.BUNDLE):
            raise NotCheckedError(f"{folder} is of another model: {WHERE}")
        return folder

    @cached_property
    def table(self) -> pd.DataFrame:
        """Return the manifest with its splits; NotCheckedError where it is not here."""
        require(paths.SPLIT)
        return manifest.read(paths.SPLIT)

    def draw(self, number: int, of: Collection[Any]) -> list[int]:
        """Return the places of what is checked, ascending; the same for a seed."""
        chosen = np.random.default_rng(self.seed).permutation(len(of))[:number]
        return sorted(chosen.tolist())
