"""Every file decoded and measured, what cannot be is quarantined, the rest held to expectations."""

from pneumo_core import manifest
from pneumo_core.atomic import replacing_file, write_json
from pneumo_core.errors import DataError
from pneumo_core.inventory import take_inventory
from pneumo_core.params import ValidateParams
from tasks import expectations, places


def run(params: ValidateParams) -> None:
    table = manifest.read(places.INGESTED)
    looked, _ = take_inventory(
        table, lambda path: (places.RAW / path).read_bytes(), params, places.IMAGES
    )
    quarantined = looked[looked["state"] == manifest.QUARANTINED]
    with replacing_file(places.QUARANTINE) as draft:
        quarantined[["image_id", "file_bytes", "reason"]].to_csv(draft, index=False)
    result = expectations.check(looked, params, places.DATA_DOCS)
    write_json(places.VALIDATION, result)
    print(f"validate: {len(looked)} files, {len(quarantined)} quarantined")
    if not result["success"]:
        raise DataError(
            f"The data breaks {len(result['broken'])} expectations: "
            f"{'; '.join(result['broken'])}. See {places.VALIDATION} and {places.QUARANTINE}."
        )
    manifest.write(looked, places.VALIDATED)
