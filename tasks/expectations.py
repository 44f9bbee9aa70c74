"""Check the manifest against the expectations on the data, with Great Expectations.

The suite is code, so that its limits can come from `params.yaml`. The result is a JSON without
times or ids, the same for the same data, and Data Docs for people.
"""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo_core.data import manifest
from pneumo_core.labels import LABELS, SPLITS, UNSPLIT
from pneumo_core.params import ValidateParams

MAX_ROWS_NAMED = 20


def check(table: pd.DataFrame, params: ValidateParams, data_docs: Path) -> dict[str, Any]:
    """Return `success`, `broken` (a sentence each, with the rows) and all outcomes."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.add_data_docs_site(
        "local",
        {
            "class_name": "SiteBuilder",
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(data_docs.resolve()),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    source = context.data_sources.add_pandas("manifest")
    outcomes: list[dict[str, Any]] = []
    for name, rows, expectations in _suites(table, params):
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=batch, suite=suite)
        )
        checkpoint = context.checkpoints.add(
            gx.Checkpoint(
                name=name,
                validation_definitions=[definition],
                actions=[gx.checkpoint.UpdateDataDocsAction(name="docs")],
                result_format={
                    "result_format": "COMPLETE",
                    "unexpected_index_column_names": ["image_id"],
                },
            )
        )
        (result,) = checkpoint.run(batch_parameters={"dataframe": rows}).run_results.values()
        outcomes += [_outcome(name, each) for each in result.results]
    broken = [_sentence(outcome) for outcome in outcomes if not outcome["success"]]
    return {"success": not broken, "broken": broken, "expectations": outcomes}


def _suites(
    table: pd.DataFrame, params: ValidateParams
) -> list[tuple[str, pd.DataFrame, list[Any]]]:
    """Yield the name of each suite, its rows and its expectations."""
    from great_expectations import expectations as gxe

    every_row = [
        gxe.ExpectColumnValuesToBeUnique(column="image_id"),
        gxe.ExpectColumnValuesToBeInSet(column="label", value_set=list(LABELS)),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=[*SPLITS, UNSPLIT]),
        gxe.ExpectColumnValuesToNotBeNull(column="patient_key"),
        gxe.ExpectColumnValuesToNotBeNull(
            column="decoded", mostly=1 - params.max_quarantined_fraction
        ),
    ]
    kept_rows = [
        gxe.ExpectColumnValuesToMatchRegex(column="sha256", regex="^[0-9a-f]{64}$"),
        gxe.ExpectColumnValuesToMatchRegex(column="pixel_sha256", regex="^[0-9a-f]{64}$"),
        gxe.ExpectColumnValuesToBeBetween(column="width_px", min_value=params.min_side_px),
        gxe.ExpectColumnValuesToBeBetween(column="height_px", min_value=params.min_side_px),
    ]

    def both_classes() -> Any:
        labels = list(LABELS)
        return gxe.ExpectColumnDistinctValuesToContainSet(column="label", value_set=labels)

    decoded = table["pixel_sha256"].where(table["state"] == manifest.KEPT)
    kept = manifest.kept(table)
    splits = [split for split in ("train", "test", UNSPLIT) if split in set(table["split"])]
    return [
        ("every file", table.assign(decoded=decoded), every_row),
        ("kept films", kept, kept_rows),
        *((split, manifest.kept(table, split), [both_classes()]) for split in splits),
    ]


def _outcome(suite: str, each: Any) -> dict[str, Any]:
    config = each.expectation_config
    detail = {k: v for k, v in config.kwargs.items() if k not in {"batch_id", "column"}}
    unexpected = each.result.get("unexpected_index_list") or []
    return {
        "suite": suite,
        "expectation": config.type,
        "column": config.kwargs.get("column"),
        "arguments": detail,
        "success": bool(each.success),
        "num_unexpected": each.result.get("unexpected_count", 0 if each.success else None),
        "unexpected": sorted({row["image_id"] for row in unexpected}),
    }


def _sentence(outcome: dict[str, Any]) -> str:
    rows = outcome["unexpected"]
    named = ", ".join(rows[:MAX_ROWS_NAMED]) + (" ..." if len(rows) > MAX_ROWS_NAMED else "")
    what = f"{outcome['expectation']} of {outcome['column']} among {outcome['suite']}"
    return f"{what} ({len(rows)} rows: {named})" if rows else what
