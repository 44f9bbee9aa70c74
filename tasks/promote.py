"""The best cell by validation registered, and made champion if the policy lets it."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from pydantic import ValidationError

from pneumo_core import bundle, manifest
from pneumo_core.atomic import write_json
from pneumo_core.errors import PromotionError
from pneumo_core.evaluation import as_scores, predict
from pneumo_core.inventory import take_inventory
from pneumo_core.params import PromoteParams, ValidateParams
from pneumo_core.promotion import Candidate, Policy, decide
from pneumo_core.scoring import Scorer
from tasks import dvc_graph, ledger, places, provenance


def run(params: PromoteParams) -> None:
    from tasks import registry

    policy = load_policy(Path(params.policy))
    cell = str(pd.read_csv(places.LEADERBOARD).iloc[0]["cell"])
    folder = places.EVALUATED / cell
    challenger = _challenger(folder)
    in_use = registry.find_champion(params.registered_model, policy.alias)
    champion = None
    if in_use is not None:
        champion = _champion(registry.download_bundle(params.registered_model, in_use.version))
    decision = decide(challenger, champion, policy)

    evidence = {
        registry.BUNDLE_TAG: challenger.bundle_sha256,
        "cell": cell,
        **{f"dvc:{path}": md5 for path, md5 in dvc_graph.locked_hashes("split", "augment").items()},
        **provenance.tags(),
    }
    version = registry.register(params.registered_model, folder / places.BUNDLE, folder, evidence)
    if decision.promote:
        registry.set_alias(params.registered_model, policy.alias, version)
    ledger.append(
        places.PROMOTION_LEDGER,
        model=params.registered_model,
        alias=policy.alias,
        version=version,
        outcome=decision.outcome,
        reasons=decision.reasons,
        **evidence,
    )
    write_json(places.DECISION, {"cell": cell, "alias": policy.alias} | asdict(decision))
    print(
        f"promote: {cell} is version {version} of {params.registered_model}, {decision.outcome} as "
        f"{policy.alias}: {'; '.join(decision.reasons)}"
    )


def load_policy(path: Path) -> Policy:
    """
    Raises:
        PromotionError: the file is missing or says something that a policy cannot say.
    """
    try:
        return Policy.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except FileNotFoundError as error:
        raise PromotionError(f"No policy at {path}: see promote.policy.") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise PromotionError(f"{path} is no policy: {error}") from error


def _challenger(folder: Path) -> Candidate:
    """The cell's evaluation, if its bundle is whole and the evaluation is there."""
    metrics = folder / "test" / "metrics.json"
    predictions = folder / "test" / "predictions.csv"
    bundle.read_description(folder / places.BUNDLE)
    identity = bundle.identity(folder / places.BUNDLE)
    if not metrics.is_file() or not predictions.is_file():
        return Candidate(identity, None, None)
    scores = as_scores(pd.read_csv(predictions))
    return Candidate(identity, json.loads(metrics.read_text()), scores)


def _champion(folder: Path) -> Candidate:
    """The champion scored now, on the same test films as the challenger."""
    scorer = Scorer.load(folder)
    films = manifest.kept(manifest.read(places.SPLIT), "test")
    with tempfile.TemporaryDirectory() as scratch:
        looked, images = take_inventory(
            films,
            lambda path: (places.RAW / path).read_bytes(),
            ValidateParams(image_size_px=scorer.description.image_size_px),
            Path(scratch),
        )
        scores = as_scores(predict(scorer, looked, images[looked["packed_row"].to_numpy(np.int64)]))
    return Candidate(bundle.identity(folder), None, scores)
