"""Decode and measure every file, quarantine what cannot be decoded, check the expectations."""

from pneumo_core.atomic import replacing_file, write_json
from pneumo_core.data import manifest
from pneumo_core.errors import DataError
from pneumo_core.params import ValidateParams
from pneumo_core.preparation.inventory import NO_CONTRAST, take_inventory
from tasks import expectations, paths

MAX_NAMED = 5  # files in a message


def run(params: ValidateParams) -> None:
    table = manifest.read(paths.INGESTED)
    looked, _ = take_inventory(
        table, lambda path: (paths.RAW / path).read_bytes(), params, paths.IMAGES
    )
    quarantined = looked[looked["state"] == manifest.QUARANTINED]
    with replacing_file(paths.QUARANTINE) as draft:
        quarantined[["image_id", "file_bytes", "reason"]].to_csv(draft, index=False)
    result = expectations.check(looked, params, paths.DATA_DOCS)
    write_json(paths.VALIDATION, result)
    num_pale = int((quarantined["reason"] == NO_CONTRAST).sum())
    pale = f", {num_pale} of them for almost no contrast" if num_pale else ""
    print(f"validate: {len(looked)} files, {len(quarantined)} quarantined{pale}")
    if len(quarantined) > params.max_quarantined_fraction * len(looked):
        raise DataError(
            f"{len(quarantined)} of {len(looked)} files cannot be used, most of them because: "
            f"{quarantined['reason'].mode()[0]}. validate.max_quarantined_fraction allows "
            f"{params.max_quarantined_fraction:.0%}; {paths.QUARANTINE} names them: "
            f"{', '.join(quarantined['image_id'][:MAX_NAMED])}. 'pneumo who ID' says which file."
        )
    if not result["success"]:
        raise DataError(
            f"The data breaks {len(result['broken'])} expectations: "
            f"{'; '.join(result['broken'])}. See {paths.VALIDATION} and {paths.QUARANTINE}."
        )
    manifest.write(looked, paths.VALIDATED)
