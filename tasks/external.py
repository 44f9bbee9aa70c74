"""Score the models on one external set: films from elsewhere, named in `evaluate.external`."""

from pneumo_core.atomic import replacing_folder, write_json
from pneumo_core.data import manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.errors import EvaluationError
from pneumo_core.inference import external
from pneumo_core.inference.external import Own
from pneumo_core.params import Params
from pneumo_core.sources import identity
from tasks import paths
from tasks.stores.sources import open_source
from tasks.tracking import connection, runs


def run(params: Params, name: str) -> None:
    """Raise EvaluationError if nothing names the set, or if its films give no figures."""
    sources = params.evaluate.external
    if name not in sources:
        raise EvaluationError(f"evaluate.external has no set {name!r}: name its source there.")
    opened = open_source(params.ingest.reading(sources[name]))
    bundles = {cell.name: cell / paths.BUNDLE for cell in sorted(paths.EVALUATED.iterdir())}
    own_films = identity.with_names(manifest.read(paths.SPLIT), identity.read(paths.NAMES))
    own = Own(own_films, PackedImages.open(paths.IMAGES), paths.SEARCHED)
    with replacing_folder(paths.EXTERNAL / name) as draft:
        try:
            found = external.write_set(draft, opened, own, bundles, params.evaluate, params.monitor)
        except EvaluationError as error:
            raise EvaluationError(f"The external set {name}: {error}") from error
        write_json(draft / paths.EXTERNAL_SET, found)
    for remark in opened.notes.sentences():
        print(f"external: {name}: {remark}")
    with connection.copying("the figures of an external set"):
        runs.record_external(name, params.train)
    remark = "" if found["is_external"] else "; NOT EXTERNAL, it shares films or patients"
    num_films = found["patients"]["films"]
    print(f"external: {name}: {len(bundles)} models on {num_films} films{remark}")
