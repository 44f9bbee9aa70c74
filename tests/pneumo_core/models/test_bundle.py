import hashlib
import json
import resource
from pathlib import Path

import pytest
import torch

from pneumo_core.errors import BundleError
from pneumo_core.models import bundle, bundled_model
from pneumo_core.models.bundle import Description, OnnxRecord
from pneumo_core.models.weights import create_model

FILES = ["bundle.json", "checksums.json", "reference.safetensors", "weights.safetensors"]


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return create_model("test_efficientnet", "none", 2)[0].eval()


@pytest.fixture
def folder(tmp_path: Path, model: torch.nn.Module, description: Description) -> Path:
    bundled_model.write_weights(model, tmp_path / "trained.safetensors")
    trained = tmp_path / "trained.safetensors"
    bundle.save(tmp_path / "bundle", description, trained, _write_reference)
    return tmp_path / "bundle"


def _write_reference(path: Path) -> None:
    path.write_bytes(b"the bundle checks it, pneumo_core.evaluation.reference reads it")


def _alter(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)


def _sign_again(folder: Path) -> None:
    names = ["bundle.json", "reference.safetensors", "weights.safetensors"]
    sums = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}
    (folder / "checksums.json").write_text(json.dumps(sums))


def test_bundle_loads_as_the_model_that_was_saved(
    folder: Path, model: torch.nn.Module, description: Description
) -> None:
    loaded, read = bundled_model.load(folder)
    x_BCHW = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded.eval()(x_BCHW), model(x_BCHW))
    assert read == description
    assert bundle.read_description(folder) == description


def test_nothing_in_a_bundle_is_a_pickle(folder: Path, model: torch.nn.Module) -> None:
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for name in FILES[:2]:
        assert isinstance(json.loads((folder / name).read_text("utf-8")), dict)
    data = (folder / "weights.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    assert set(header) == set(model.state_dict())
    assert max(tensor["data_offsets"][1] for tensor in header.values()) == len(data) - 8 - length


@pytest.mark.parametrize("name", ["weights.safetensors", "bundle.json"])
@pytest.mark.parametrize("place", [0, 100, -1])
def test_altered_byte_is_found(folder: Path, name: str, place: int) -> None:
    _alter(folder / name, place)
    for read in (bundled_model.load, bundle.read_description):
        with pytest.raises(BundleError, match=f"{name} was altered"):
            read(folder)


def test_altered_checksums_are_found(folder: Path) -> None:
    for place in range(0, (folder / "checksums.json").stat().st_size, 7):
        _alter(folder / "checksums.json", place)
        with pytest.raises(BundleError, match=r"was altered|cannot be read"):
            bundled_model.load(folder)
        _alter(folder / "checksums.json", place)
    bundled_model.load(folder)  # as it was


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"no complete bundle: .*{name} is missing"):
        bundled_model.load(folder)


def test_what_is_no_folder_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "nowhere"):
        with pytest.raises(BundleError, match="no complete bundle"):
            bundled_model.load(path)


@pytest.mark.parametrize("checksums", ["", "[]", "{}", "null", '{"bundle.json": "0"}'])
def test_unusable_checksums_are_an_error(folder: Path, checksums: str) -> None:
    (folder / "checksums.json").write_text(checksums)
    with pytest.raises(BundleError, match=r"checksums\.json cannot be read|was altered"):
        bundled_model.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, "has bundle format 3, this code reads 4"),
        ({"format_version": None}, "has bundle format None"),
        ({"slope": None}, "slope"),
        ({"slope": 0.0}, "slope"),
        ({"temperature": 1.0}, "temperature"),
        ({"surprise": 1}, "surprise"),
        ({"architecture": "test_resnet"}, "does not fit test_resnet"),
    ],
)
def test_description_of_another_kind_is_refused(
    folder: Path, change: dict[str, object], message: str
) -> None:
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    _sign_again(folder)
    with pytest.raises(BundleError, match=message):
        bundled_model.load(folder)


@pytest.fixture
def with_onnx(folder: Path, description: Description) -> Path:
    (folder.parent / "exported").write_bytes(b"the bundle checks it, others read it")
    record = OnnxRecord(opset=17, versions={}, num_films=3, tolerance=1e-4, max_difference={})
    known = description.model_copy(update={"onnx": record})
    trained = folder.parent / "trained.safetensors"
    bundle.save(folder, known, trained, _write_reference, folder.parent / "exported")
    assert bundle.read_description(folder) == known
    return folder


def test_an_exported_model_is_part_of_the_bundle(with_onnx: Path) -> None:
    assert sorted(path.name for path in with_onnx.iterdir()) == sorted([*FILES, "model.onnx"])
    _alter(with_onnx / "model.onnx", 3)
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        bundled_model.load(with_onnx)
    (with_onnx / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"no complete bundle: .*model\.onnx is missing"):
        bundled_model.load(with_onnx)


def test_an_exported_model_without_a_checksum_is_refused(with_onnx: Path) -> None:
    _sign_again(with_onnx)  # as before there was one
    with pytest.raises(BundleError, match=r"differ about model\.onnx"):
        bundled_model.load(with_onnx)


def test_saving_again_replaces_the_bundle_whole(folder: Path, description: Description) -> None:
    before = bundle.identity(folder)
    (folder / "stray").write_text("left by somebody")
    changed = description.model_copy(update={"slope": 2.0})
    bundle.save(folder, changed, folder.parent / "trained.safetensors", _write_reference)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert bundled_model.load(folder)[1].slope == 2.0
    assert bundle.identity(folder) != before


def test_a_full_disk_leaves_the_bundle_as_it_was(folder: Path, description: Description) -> None:
    """The limit on file sizes stands in for the disk: the same writes fail in the same places."""
    before = bundle.identity(folder)
    changed = description.model_copy(update={"slope": 2.0})
    trained = folder.parent / "trained.safetensors"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (trained.stat().st_size // 2, limits[1]))
    try:
        for target in (folder, folder.parent / "new"):
            with pytest.raises(OSError, match="File too large"):
                bundle.save(target, changed, trained, _write_reference)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bundle.identity(folder) == before
    assert bundle.read_description(folder) == description
    assert sorted(path.name for path in folder.parent.iterdir()) == ["bundle", trained.name]
    bundle.save(folder, changed, trained, _write_reference)
    assert bundle.read_description(folder).slope == 2.0


def test_identity_is_that_of_the_content(
    tmp_path: Path, folder: Path, description: Description
) -> None:
    trained = tmp_path / "trained.safetensors"
    bundle.save(tmp_path / "elsewhere", description, trained, _write_reference)
    assert bundle.identity(tmp_path / "elsewhere") == bundle.identity(folder)
