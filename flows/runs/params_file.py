"""`params.yaml` rewritten from a profile and single values, comments kept."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.runs import model_check
from pneumo_core import params
from pneumo_core.atomic import write_text
from pneumo_core.errors import ParamsError
from pneumo_core.params import Params
from pneumo_core.preparation import recipes
from pneumo_core.promotion import policy
from pneumo_core.sources.collect import require_both_classes, require_classes
from pneumo_core.sources.metadata import require_given
from tasks.stores.sources import open_source

PROFILES = Path("profiles")
BASE_PROFILE = "phantom"


def rewrite(profile: str | None, assignments: list[str]) -> None:
    """Write `params.yaml`, or leave it as it was where a key or a value is wrong.

    A profile states what differs from the profile `phantom`, which states everything.

    Raises:
        ParamsError, PromotionError: no such profile, an unknown key, a bad value or policy.
        SourceError, DataError: the source of the images cannot be used.
        WeightsError, TrainingError: a model that timm does not know, or that cannot learn from
            films of this size.
    """
    content = _read(params.FILE)
    if profile is not None:
        content = _read(PROFILES / f"{BASE_PROFILE}.yaml")
        _merge(content, _read(PROFILES / f"{profile}.yaml"), ())
    for assignment in assignments:
        _assign(content, assignment)
    buffer = io.StringIO()
    _yaml().dump(content, buffer)
    wanted = params.parse(YAML(typ="safe").load(buffer.getvalue()), "The parameters asked for")
    _require(wanted)
    films = open_source(wanted.ingest).files()
    require_classes(films)
    require_given(films, wanted.ingest.metadata)
    for name, source in wanted.evaluate.external.items():
        require_both_classes(name, open_source(wanted.ingest.reading(source)).files())
    write_text(params.FILE, buffer.getvalue())


def check() -> None:
    """Find a bad value before the run starts.

    Raises:
        ParamsError, PromotionError: in `params.yaml`, or in the policy of a role.
        WeightsError, TrainingError: a model, as in `rewrite`.
    """
    _require(params.load())


def _require(asked: Params) -> None:
    """Check what types cannot: the ranges of a recipe, the models, and each role's policy."""
    recipes.chosen(asked.augment)
    model_check.require_trainable(asked)
    for role in asked.promote.roles:
        policy.of_role(asked.promote, role)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 100
    yaml.representer.add_representer(type(None), _write_null)
    return yaml


def _write_null(representer: Any, _: None) -> Any:
    """Write null as the profiles do, not as an empty value."""
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _read(path: Path) -> Any:
    try:
        return _yaml().load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(sorted(each.stem for each in PROFILES.glob("*.yaml")))
        raise ParamsError(f"No {path} here; the profiles are: {known or 'none'}.") from error
    except YAMLError as error:
        raise ParamsError(params.not_yaml(path, error)) from error


def _merge(base: Any, changes: Any, above: tuple[str, ...]) -> None:
    for key, value in changes.items():
        if key not in base:
            raise ParamsError(f"unknown key {'.'.join((*above, key))}")
        if base[key] and isinstance(base[key], dict) and isinstance(value, dict):
            _merge(base[key], value, (*above, key))
        else:
            base[key] = value


def _assign(content: Any, assignment: str) -> None:
    dotted, equals, text = assignment.partition("=")
    if not equals:
        raise ParamsError(f"{assignment!r}: expected section.key=value.")
    *sections, key = dotted.split(".")
    place = content
    for name in sections:
        place = place.get(name) if isinstance(place, dict) else None
    if not isinstance(place, dict) or key not in place:
        raise ParamsError(f"unknown key {dotted}")
    place[key] = _value(text)


def _value(text: str) -> Any:
    """Read a value as YAML, but no comment: outside quotes and brackets a # is a character."""
    value = YAML(typ="safe").load(text)
    is_plain = isinstance(value, str | None) and not text.lstrip().startswith(("'", '"'))
    return text if is_plain and "#" in text else value
