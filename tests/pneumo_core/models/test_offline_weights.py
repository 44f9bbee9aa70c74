"""A folder of weights: written from a package and from a stand-in of the hub, used, checked."""

import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file

from pneumo_core.errors import WeightsError
from pneumo_core.models import fetch_weights, offline_weights
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.weights import create_model, load_pretrained

LITE0 = "tf_efficientnet_lite0"
SMALL = "test_efficientnet"  # timm's own for tests
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def lite0_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirror")
    fetch_weights.fetch(LITE0, folder)
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The hub's cache with one model in it, and no network: what it holds."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--timm--test_efficientnet.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    torch.manual_seed(3)
    state: dict[str, torch.Tensor] = timm.create_model(SMALL).state_dict()
    save_file(state, repository / "snapshots" / COMMIT / "model.safetensors")
    return state


def test_mirror_of_the_package_gives_the_same_logits_and_normalisation(lite0_mirror: Path) -> None:
    direct, _ = load_pretrained(LITE0, "packaged")
    mirrored, _ = load_pretrained(LITE0, str(lite0_mirror))
    x_BCHW = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(mirrored.eval()(x_BCHW), direct.eval()(x_BCHW))
    assert Normalisation.of_model(mirrored) == Normalisation.of_model(direct)


def test_provenance_is_that_of_the_origin(lite0_mirror: Path) -> None:
    _, direct = create_model(LITE0, "packaged", 2)
    model, mirrored = create_model(LITE0, str(lite0_mirror), 2)
    entry = offline_weights.read_index(lite0_mirror).models[LITE0]
    assert mirrored.sha256 == direct.sha256 == entry.state_sha256
    assert mirrored.source == str(lite0_mirror)
    assert mirrored.origin == f"mirror of {direct.origin}"
    assert model.classifier.out_features == 2
    assert (entry.revision, entry.licence) == ("0.1.0", "apache-2.0")
    assert entry.timm_version == timm.__version__


def test_mirror_of_the_hub_states_repository_and_commit(
    hub: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    entry = fetch_weights.fetch(SMALL, tmp_path / "mirror")
    mirrored, _ = load_pretrained(SMALL, str(tmp_path / "mirror"))
    assert entry.origin == "timm hub: timm/test_efficientnet.r160_in1k"
    assert entry.revision == COMMIT
    assert entry.input_size == (3, 160, 160)
    assert all(torch.equal(tensor, hub[name]) for name, tensor in mirrored.state_dict().items())


def test_normalisation_travels_with_the_weights(
    hub: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """Another timm may state another one for the same name."""
    del hub
    fetch_weights.fetch(SMALL, tmp_path)
    index = tmp_path / offline_weights.INDEX
    content = json.loads(index.read_text())
    content["models"][SMALL] |= {"mean": [0.25] * 3, "std": [0.125] * 3}
    index.write_text(json.dumps(content))
    model, _ = create_model(SMALL, str(tmp_path), 2)
    assert Normalisation.of_model(model) == Normalisation(0.25, 0.125)


def test_a_second_model_is_added(hub: dict[str, torch.Tensor], tmp_path: Path) -> None:
    del hub
    fetch_weights.fetch(LITE0, tmp_path / "mirror")
    fetch_weights.fetch(SMALL, tmp_path / "mirror")
    assert list(offline_weights.read_index(tmp_path / "mirror").models) == [SMALL, LITE0]
    assert offline_weights.find_faults(tmp_path / "mirror") == []


def test_hub_out_of_reach_writes_nothing(hub: dict[str, torch.Tensor], tmp_path: Path) -> None:
    del hub
    with pytest.raises(WeightsError, match="No pretrained weights for test_resnet from timm's hub"):
        fetch_weights.fetch("test_resnet", tmp_path / "mirror")
    assert not (tmp_path / "mirror").exists()


def test_model_that_is_not_there_is_an_error_that_says_which_are(lite0_mirror: Path) -> None:
    with pytest.raises(WeightsError, match=f"holds no {SMALL}; it holds {LITE0}"):
        create_model(SMALL, str(lite0_mirror), 2)


@pytest.fixture
def small_mirror(hub: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    del hub
    fetch_weights.fetch(SMALL, tmp_path / "small")
    return tmp_path / "small"


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "fault", "message"),
    [
        (_flip_a_bit, f"altered: {SMALL}.safetensors", "was altered: its SHA-256 is not that"),
        (Path.unlink, f"missing: {SMALL}.safetensors", "cannot be read: fetch it again"),
        (lambda path: path.with_name("b.bin").touch(), "extra: b.bin", None),
    ],
)
def test_files_that_are_not_as_fetched_are_named_and_never_loaded(
    small_mirror: Path, harm: Callable[[Path], None], fault: str, message: str | None
) -> None:
    assert offline_weights.find_faults(small_mirror) == []
    harm(small_mirror / f"{SMALL}.safetensors")
    assert offline_weights.find_faults(small_mirror) == [fault]
    if message:
        with pytest.raises(WeightsError, match=message):
            create_model(SMALL, str(small_mirror), 2)


@pytest.mark.parametrize("file", ["../outside.safetensors", "/etc/passwd", "a/b.safetensors"])
def test_index_cannot_point_out_of_its_folder(small_mirror: Path, file: str) -> None:
    index = small_mirror / offline_weights.INDEX
    content = json.loads(index.read_text())
    content["models"][SMALL]["file"] = file
    index.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=r"weights\.json cannot be read"):
        create_model(SMALL, str(small_mirror), 2)


def test_folder_without_an_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no weights\.json.*pneumo weights fetch"):
        create_model(SMALL, str(tmp_path), 2)
