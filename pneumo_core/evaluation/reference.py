"""Numbers of the training data with which later films are compared; no film is among them.

They are in the bundle (`reference.safetensors`):

- `statistics` [N, len(STATISTICS)]: N training films, kept and not augmented;
- `val_probabilities`, `val_labels` [V]: all validation films, calibrated;
- `trained_on` [M]: digests of all training films, which say whether a film is one of them to
  whoever has this film, and nothing else; empty in bundles of before;
- `drift_*` [P]: the validation films with which a later set is compared (`drift_reference`);
- what `project` and `ood_score` need, learned from training films, and `max_ood_score`, which at
  most `false_rejection_rate` of validation exceeds.

The out-of-distribution (OOD) score is the Mahalanobis distance from the training films under
probabilistic PCA (Tipping & Bishop 1999): K directions with a variance each, and one variance for
all other directions.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pneumo_core.arrays import Bools, Floats, Images
from pneumo_core.data.film_statistics import NAMES, film_statistics
from pneumo_core.errors import BundleError
from pneumo_core.models import bundle

if TYPE_CHECKING:
    import pandas as pd

MAX_FILMS = 1000  # of training that are measured
MAX_DIRECTIONS = 64
FALSE_REJECTION_RATE = 0.005
STATISTICS = (*NAMES, "width_px", "height_px", "aspect")  # aspect: width / height of the file

HEADER = "pneumo"  # of the file's metadata

Numbers = npt.NDArray[np.float32]
Digests = npt.NDArray[np.uint64]


def drawn(films: "pd.DataFrame") -> "pd.DataFrame":
    """Return at most `MAX_FILMS` rows, those with the smallest `pixel_sha256`, in their order.

    The draw depends on the films alone, and one film more or less changes one row of it.
    """
    return films.sort_values("pixel_sha256").head(MAX_FILMS).sort_index()


def film_digests(pixel_sha256: Iterable[str]) -> Digests:
    """Return eight bytes of a hash of each film's hash, in ascending order."""
    hashed = (hashlib.sha256(f"trained on {sha}".encode()).digest()[:8] for sha in pixel_sha256)
    return np.sort(np.frombuffer(b"".join(hashed), "<u8").astype(np.uint64))


def drift_reference(films: "pd.DataFrame") -> "pd.Index":
    """Return those of the kept films of train and validation with which later sets are compared.

    They are of validation, since a model scores the films that it learned differently. They are one
    per patient, since films of one patient are alike. Their classes have the shares that they have
    among all patients, since validation is balanced and the source is not.
    """
    patients, chosen = one_per_patient(films), one_per_patient(films[films["split"] == "val"])
    shares = patients["label"].value_counts(normalize=True)
    num_reference = (chosen["label"].value_counts() / shares).min()
    wanted = (num_reference * shares).clip(lower=1).astype(int)
    return chosen.index[chosen.groupby("label").cumcount() < chosen["label"].map(wanted)]


def one_per_patient(films: "pd.DataFrame") -> "pd.DataFrame":
    """Return each patient's film with the smallest `pixel_sha256`, which is as good as random."""
    return films.sort_values("pixel_sha256").drop_duplicates("patient_group")


def measure_films(images: Images, widths_px: Sequence[int], heights_px: Sequence[int]) -> Numbers:
    """Return `STATISTICS` of films [N, H, W] at the bundle's size, from files of these sizes."""
    width_N, height_N = np.asarray(widths_px, np.float32), np.asarray(heights_px, np.float32)
    geometry = np.stack([width_N, height_N, width_N / height_N], axis=1)
    return np.hstack([film_statistics(images), geometry]).astype(np.float32)


@dataclass(frozen=True)
class Reference:
    statistics: Numbers
    drift_statistics: Numbers  # [P, len(STATISTICS)]
    drift_features: Numbers  # [P, K], in the directions
    drift_ood_scores: Numbers
    drift_probabilities: Numbers
    val_probabilities: Numbers
    val_labels: npt.NDArray[np.int64]
    mean: Numbers  # [F]
    directions: Numbers  # [K, F], orthonormal
    variances: Numbers  # [K], along them
    residual_variance: float  # along each of the others
    max_ood_score: float
    false_rejection_rate: float
    trained_on: Digests = field(default_factory=lambda: np.empty(0, np.uint64))

    @classmethod
    def of(
        cls,
        statistics: Numbers,
        features: npt.NDArray[Any],
        val_statistics: Numbers,
        val_features: npt.NDArray[Any],
        val_probabilities: npt.NDArray[Any],
        val_labels: npt.NDArray[np.int64],
        drift_reference: npt.NDArray[np.int64],
        trained_on: Iterable[str] = (),
    ) -> "Reference":
        """Return the reference of a model.

        Args:
            statistics: of training films by `measure_films`, [N, len(STATISTICS)].
            features: of the same films by `scoring.predict`, [N, F]; `val_features` [V, F].
            drift_reference: positions of these films in validation.
            trained_on: `pixel_sha256` of all training films.
        """
        from sklearn.decomposition import PCA  # which a service need not load

        num_directions = min(MAX_DIRECTIONS, len(features) // 4, features.shape[1] // 2)
        space = PCA(num_directions, svd_solver="full").fit(features.astype(np.float64))
        learned = cls(
            statistics=statistics,
            drift_statistics=val_statistics[drift_reference],
            drift_features=np.empty((0, num_directions), np.float32),
            drift_ood_scores=np.empty(0, np.float32),
            drift_probabilities=val_probabilities[drift_reference].astype(np.float32),
            val_probabilities=val_probabilities.astype(np.float32),
            val_labels=val_labels,
            mean=space.mean_.astype(np.float32),
            directions=space.components_.astype(np.float32),
            variances=space.explained_variance_.astype(np.float32),
            residual_variance=float(space.noise_variance_),
            max_ood_score=0.0,
            false_rejection_rate=0.0,
            trained_on=film_digests(trained_on),
        )
        # One more film exceeds the k-th highest of V scores in k of V + 1 cases.
        ood_score = learned.ood_score(val_features)
        highest = np.sort(ood_score)[::-1]
        k = max(1, int(FALSE_REJECTION_RATE * (len(highest) + 1)))
        return replace(
            learned,
            drift_features=learned.project(val_features[drift_reference]),
            drift_ood_scores=ood_score[drift_reference].astype(np.float32),
            max_ood_score=float(highest[k - 1]),
            false_rejection_rate=k / (len(highest) + 1),
        )

    def num_trained_on(self, pixel_sha256: Iterable[str]) -> int | None:
        """Return how many of the films the model learned from; None: the bundle does not know."""
        if not len(self.trained_on):
            return None
        return int(np.isin(film_digests(pixel_sha256), self.trained_on).sum())

    def project(self, features: npt.NDArray[Any]) -> Numbers:
        """Return features [M, F] along the K directions, [M, K], as `drift_features` are."""
        return ((features - self.mean) @ self.directions.T).astype(np.float32)

    def ood_score(self, features: npt.NDArray[Any]) -> Floats:
        """Return the scores of features [M, F], [M]: 0 at the mean of the training films."""
        away = features.astype(np.float64) - self.mean
        along = away @ self.directions.T.astype(np.float64)
        left = np.maximum((away**2).sum(1) - (along**2).sum(1), 0)
        distances: Floats = np.sqrt(
            (along**2 / self.variances).sum(1) + left / self.residual_variance
        )
        return distances

    def refuses(self, features: npt.NDArray[Any]) -> Bools:
        """Return which films of features [M, F] are too unlike the training films, [M]."""
        too_far: Bools = self.ood_score(features) > self.max_ood_score
        return too_far

    def write(self, path: Path) -> None:
        """Write the same bytes for the same reference."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        scalars = {name: value for name, value in values.items() if isinstance(value, float)}
        arrays = {name: np.ascontiguousarray(values[name]) for name in values.keys() - scalars}
        # One entry: safetensors writes several in any order.
        header = {HEADER: json.dumps({"names": STATISTICS, "scalars": scalars})}
        save_file(arrays, path, header)

    @classmethod
    def of_bundle(cls, folder: Path) -> "Reference":
        """Return the reference of a bundle.

        Raises:
            BundleError: the bundle is incomplete or altered, or has other statistics.
        """
        bundle.read_description(folder)
        path = folder / bundle.REFERENCE
        try:
            with safe_open(path, "numpy") as file:
                header = json.loads(file.metadata()[HEADER])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            read = cls(**arrays, **header["scalars"])
            known = tuple(header["names"])
        except (SafetensorError, TypeError, KeyError, ValueError) as error:
            raise BundleError(f"{path} is not a reference: {error}") from error
        if known != STATISTICS:
            raise BundleError(
                f"{path} has the statistics {', '.join(known)}; this code needs "
                f"{', '.join(STATISTICS)}. Run the stage evaluate again."
            )
        return read
