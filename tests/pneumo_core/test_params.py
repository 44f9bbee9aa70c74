from pathlib import Path
from typing import Any

import pytest
import yaml

from pneumo_core.errors import ParamsError
from pneumo_core.params import (
    IngestParams,
    MeasurementParams,
    Params,
    Strategy,
    load,
    load_measurement,
    parse,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def content() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


def test_params_of_the_project_load_as_they_are_written(
    default_params: Params, content: dict[str, Any]
) -> None:
    assert content["augment"]["ranges"] is None  # so that `dvc exp run -S` can set the first one
    content["augment"]["ranges"] = {}
    assert default_params.model_dump(mode="json", by_alias=True) == content
    for stage in content:
        section = default_params.section(stage)
        assert section.model_dump(mode="json") == content[stage]


def test_weights_are_of_all_models_or_by_model(content: dict[str, Any]) -> None:
    content["train"] |= {"models": ["resnet50", "densenet121"]}
    assert parse(content, "x").train.weights_of("resnet50") == "auto"
    content["train"]["weights"] = {"resnet50": "a.safetensors"}
    train = parse(content, "x").train
    assert [train.weights_of(model) for model in train.models] == ["a.safetensors", "auto"]
    assert train.of_cell("resnet50", Strategy.FROZEN)["weights"] == "a.safetensors"


def test_weights_of_a_model_that_is_not_in_the_grid_are_an_error(content: dict[str, Any]) -> None:
    content["train"]["weights"] = {"resnet50": "none"}
    message = "train.weights = .*, resnet50: train.models has only tf_efficientnet_lite0"
    with pytest.raises(ParamsError, match=message):
        parse(content, "x")


def test_train_knows_the_settings_of_each_strategy(default_params: Params) -> None:
    train = default_params.train
    assert [train.of(s) for s in Strategy] == [train.frozen, train.partial, train.full]


@pytest.mark.parametrize(
    ("section", "key"),
    [("train", "batchsize"), ("validate", "image_size"), ("dedup", "x"), ("promote", "alias")],
)
def test_unknown_key_is_named(content: dict[str, Any], section: str, key: str) -> None:
    content[section][key] = 1
    with pytest.raises(ParamsError, match=rf"^some\.yaml: unknown key {section}\.{key}\.$"):
        parse(content, "some.yaml")


@pytest.mark.parametrize(
    "key", ["split.seed", "train.models", "train.frozen.lr", "validate.image_size_px", "augment"]
)
def test_missing_key_is_named(content: dict[str, Any], key: str) -> None:
    *path, last = key.split(".")
    holder = content
    for part in path:
        holder = holder[part]
    del holder[last]
    with pytest.raises(ParamsError, match=rf"{key} is missing"):
        parse(content, "some.yaml")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("ingest", "max_files", 0),
        ("ingest", "labels", {"COVID": ["x"]}),
        ("ingest", "labels", {"NORMAL": ["normal", "Pneumonia"]}),
        ("ingest", "labels", {"NORMAL": [1], "PNEUMONIA": ["1.0"]}),
        ("ingest", "labels", {"NORMAL": [False]}),
        ("validate", "image_size_px", 8),
        ("validate", "max_quarantined_fraction", 1),
        ("dedup", "max_hash_distance_bits", 257),
        ("split", "val_per_class", -1),
        ("split", "seed", "nought"),
        ("augment", "recipe", "flips"),
        ("train", "models", []),
        ("train", "models", ["resnet50", "x$(id > f)"]),
        ("train", "models", ["resnet50;id"]),
        ("train", "models", ["--help"]),
        ("train", "batch_size", 1),
        ("train", "precision", "float16"),
        ("train", "class_weights", [1.0]),
        ("train", "label_smoothing", 1.0),
        ("evaluate", "min_screening_sensitivity", float("nan")),
        ("evaluate", "num_draws", 1),
    ],
)
def test_bad_value_is_named(content: dict[str, Any], section: str, key: str, value: object) -> None:
    content[section][key] = value
    with pytest.raises(ParamsError, match=rf"{section}\.{key} ?=?") as raised:
        parse(content, "some.yaml")
    assert "some.yaml" in str(raised.value)


def test_all_faults_are_told_at_once(content: dict[str, Any]) -> None:
    content["split"] = {"seed": -1, "sede": 0}
    with pytest.raises(ParamsError) as raised:
        parse(content, "some.yaml")
    for message in ("split.seed = -1", "unknown key split.sede", "split.val_per_class is missing"):
        assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"), [("", "the whole file"), ("train: [", "is not YAML"), (None, "No .* here")]
)
def test_file_that_holds_no_params_is_a_clear_error(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ParamsError, match=message) as raised:
        load(path)
    assert str(path) in str(raised.value)


def test_params_cannot_be_changed(default_params: Params) -> None:
    with pytest.raises(ValueError, match="frozen"):
        default_params.split.seed = 5


def test_defaults_are_what_the_file_has(default_params: Params) -> None:
    for _, section in default_params:
        for key, field in type(section).model_fields.items():
            if not field.is_required():
                assert getattr(section, key) == field.default, key


def test_a_model_is_measured_by_the_projects_values_or_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_measurement() == MeasurementParams()
    asked = load(ROOT / "profiles" / "phantom.yaml").model_dump(mode="json", by_alias=True)
    asked["evaluate"]["num_draws"] = 150
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(asked))
    assert load_measurement().evaluate.num_draws == 150


def test_names_of_the_classes_are_in_any_case() -> None:
    named = IngestParams(source="x", labels={"PNEUMONIA": ["Virus", 1], "NORMAL": ["No Finding"]})
    assert named.class_names == {
        "normal": "NORMAL",
        "pneumonia": "PNEUMONIA",
        "virus": "PNEUMONIA",
        "1": "PNEUMONIA",
        "no finding": "NORMAL",
    }
