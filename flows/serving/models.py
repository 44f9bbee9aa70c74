"""A model for use: a bundle from a folder or from the registry."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo_core import params as all_params
from pneumo_core.models import bundle as bundles
from pneumo_core.params import READING_AID, PromoteParams
from pneumo_core.promotion import policy
from pneumo_core.promotion.alias_history import PROMOTED
from tasks import ledger, paths
from tasks.graph import provenance

if TYPE_CHECKING:
    from pneumo_core.inference.reader import Reader


@dataclass(frozen=True)
class Model:
    reader: "Reader"
    name: str
    version: str
    alias: str | None  # None: a folder, not the registry
    in_ledger: bool  # whether this bundle was promoted once

    @property
    def identity(self) -> str:
        role = f"@{self.alias}" if self.alias else ""
        return f"{self.name}{role}, version {self.version}"

    def describe(self) -> str:
        unverified = "" if self.in_ledger else f" (unverified: not in {paths.PROMOTION_LEDGER})"
        elsewhere = (
            f" It did not learn from the films in {paths.SPLIT.parent}: a model of them is in "
            f"{paths.EVALUATED}/CELL/{paths.BUNDLE}, for --bundle."
            if self.alias and self._learned_elsewhere()
            else ""
        )
        return (
            f"Model {self.identity}{unverified}, {self.reader.operating_point} at "
            f"{self.reader.threshold:.3f}. Research use only.{elsewhere}"
        )

    def _learned_elsewhere(self) -> bool:
        """Return whether the films of the last run are others than those that it learned from."""
        if not paths.TRAIN_FILMS.is_file():
            return False
        learned_from = self.reader.scorer.description.origin.data_sha256
        return learned_from != provenance.data_hashes()["data_sha256"]


def load_model(bundle: Path | None, alias: str) -> Model:
    """Return the model in a folder, or the one with the alias.

    Raises:
        BundleError: the bundle is incomplete, was altered or has no operating point for its role.
        PromotionError: no version has the alias, or another one by the ledger.
        LedgerError: the ledger cannot be read.
    """
    role, in_ledger = None, True
    if bundle is not None:
        folder, operating_point = bundle, READING_AID
        name, identity = bundles.read_description(bundle).name, bundles.identity(bundle)
        version, in_ledger = identity[:12], _in_ledger(identity)
    else:
        from tasks.registry import model_versions

        params, role = all_params.load().promote, alias
        name, operating_point = params.registered_model, _operating_point_of(role, params)
        folder, version = model_versions.champion_bundle(name, role)
    from pneumo_core.inference.reader import Reader

    return Model(Reader.load(folder, operating_point), name, version, role, in_ledger)


def _in_ledger(bundle_sha256: str) -> bool:
    entries = ledger.read(paths.PROMOTION_LEDGER)
    return any(
        (entry.get("outcome"), entry.get("bundle_sha256")) == (PROMOTED, bundle_sha256)
        for entry in entries
    )


def successor(model: Model) -> Model | None:
    """Return the model that has the alias now, or None if it is still this one.

    Raises:
        BundleError, PromotionError: as `load_model`.
        NotTrustedError: it is this one, and may not be loaded again, for a patient was erased.
    """
    if model.alias is None:
        return None
    from tasks.registry import model_versions

    in_use = model_versions.find_champion(model.name, model.alias)
    if in_use is not None and str(in_use.version) == model.version:
        model_versions.require_not_erased(in_use, model.alias)  # told, while the model stays
        return None
    return load_model(None, model.alias)


def _operating_point_of(alias: str, params: PromoteParams) -> str:
    if alias not in params.roles:
        return READING_AID
    return policy.of_role(params, alias).operating_point
