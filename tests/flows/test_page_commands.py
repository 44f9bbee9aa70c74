"""Every command in the pages' blocks is run: here, or by the test that is named."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from pneumo_core.sources.phantom import PhantomSource

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
RUN_BY = {
    "make": "test_documents.py::test_make_targets_exist",  # CI itself runs `make test`
    "pneumo run --ray": "flows/runs/test_ray_cells.py::"
    "test_a_killed_run_leaves_no_stage_and_the_next_ends_as_on_one_machine",
    "make run": "flows/test_drivers.py::test_both_drivers_give_the_same_hashes",
    "dvc repro": "flows/test_drivers.py::test_both_drivers_give_the_same_hashes",
    "dvc pu": "flows/test_remote.py::test_s3_needs_nothing_but_a_url_and_the_environment",
    **dict.fromkeys(
        ("dvc metrics", "dvc plots", "dvc params", "dvc data", "dvc gc", "dvc get", "dvc import"),
        "flows/test_experiments.py::test_dvcs_own_commands_show_something",
    ),
    "dvc exp": "flows/test_experiments.py::test_experiment_counts_its_look_and_promotes_nothing",
    "dvc queue": "flows/test_experiments.py::test_two_workers_take_experiments_from_the_queue",
    "pneumo run": "flows/test_drivers.py::test_both_drivers_give_the_same_hashes",
    "pneumo run --profile": "test_documents.py::test_every_profile_gives_valid_parameters",
    "pneumo certificate PATH --patients": "flows/cli/test_certificate.py::"
    "test_certificate_is_valid_only_where_patients_are_known",
    "pneumo diff": "flows/test_retraining.py::"
    "test_summary_stands_beside_the_figures_of_a_commit_that_has_results",
    "pneumo run --set train.weights": "pneumo_core/models/test_offline_weights.py::"
    "test_mirror_of_the_package_gives_the_same_logits_and_normalisation",
    "pneumo run --set evaluate.committee_size": "tasks/test_evaluate.py::"
    "test_the_committee_of_the_best_cells_is_a_cell_like_any_other",
    "pneumo weights": "flows/cli/test_weights.py::test_fetched_folder_is_verified",
    "pneumo benchmark": "flows/cli/test_benchmark.py::test_benchmark_needs_no_data_and_no_stage",
    "pneumo augment compare": "flows/cli/test_augment.py::"
    "test_all_recipes_are_compared_and_test_is_never_opened",
    "pneumo registry member": "tasks/registry/test_members.py::"
    "test_the_command_prints_a_password_once",
    **dict.fromkeys(
        ("mkdir", "openssl"),
        "tasks/registry/test_signatures.py::"
        "test_nothing_of_a_revoked_key_is_used_and_another_key_takes_over",
    ),
    "pneumo registry rollback": "tasks/registry/test_rollback.py::"
    "test_rollback_gives_the_role_back_and_writes_it_down",
    "pneumo erase": "flows/test_erasure.py::"
    "test_check_searches_nine_stores_and_sees_what_comes_back",
    "pneumo release": "flows/cli/test_release.py::"
    "test_champion_is_released_checked_and_found_altered",
    "pneumo attest": "tasks/attestation/test_attest.py::test_as_people_type_it",
    "pneumo attest s3": "flows/cli/test_release.py::"
    "test_champion_is_released_checked_and_found_altered",
    "pneumo monitor": "flows/runs/test_monitoring.py::test_what_cron_gets",
    "pneumo serve": "flows/serving/test_following.py::"
    "test_role_of_a_real_registry_is_served_at_its_operating_point",
    "pneumo serve token": "flows/serving/test_tokens.py::"
    "test_token_is_printed_once_and_its_file_holds_no_token",
    "pneumo serve --host": "flows/serving/test_tokens.py::"
    "test_service_with_tokens_and_tls_as_users_start_it",
    "curl --header": "flows/serving/test_tokens.py::"
    "test_service_with_tokens_and_tls_as_users_start_it",
    **dict.fromkeys(
        ("ray", "export RAY"),
        "flows/runs/test_ray_cells.py::"
        "test_a_killed_run_leaves_no_stage_and_the_next_ends_as_on_one_machine",
    ),
    "curl --form": "flows/serving/test_page.py::test_dropped_film_is_read_and_explained",
    "pneumo who": "flows/test_names_stay_in.py::test_who_tells_what_the_reports_leave_out",
    "mlflow models serve": "tasks/registry/test_pyfunc_model.py::"
    "test_film_as_file_and_as_gray_levels",
    "curl http": "tasks/registry/test_pyfunc_model.py::test_film_as_file_and_as_gray_levels",
    "prefect automation create": "flows/test_operations.py::"
    "test_a_failure_and_a_drift_are_sent_as_notifications",
    "export": "tasks/registry/test_pyfunc_model.py::test_film_as_file_and_as_gray_levels",
}


def _commands() -> list[str]:
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.M | re.S)
    ]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return sorted({re.sub(" +", " ", line.partition(" #")[0]).strip() for line in lines} - {""})


def _run_by(command: str) -> str | None:
    """The test of the longest beginning that fits."""
    fitting = [begin for begin in RUN_BY if command.startswith(begin)]
    return RUN_BY[max(fitting, key=len)] if fitting else None


HERE = [command for command in _commands() if _run_by(command) is None]


def test_the_tests_that_are_named_are_there() -> None:
    assert len(_commands()) > 20
    for begin, name in RUN_BY.items():
        assert any(command.startswith(begin) for command in _commands()), begin
        path, _, test = name.partition("::")
        assert f"def {test}(" in (ROOT / "tests" / path).read_text()


@pytest.fixture(scope="module")
def place(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has run, with what the pages' commands name."""
    project = tmp_path_factory.mktemp("reader") / "project"
    shutil.copytree(trained, project, symlinks=True)
    film = next((project / "results/ingest/raw/test/PNEUMONIA").iterdir())
    shutil.copy(film, project / "film.jpeg")
    for file in PhantomSource.from_description(project / "sources/phantom.yaml").files():
        (project / "PATH" / file.place).parent.mkdir(parents=True, exist_ok=True)
        (project / "PATH" / file.place).write_bytes(file.read())
    (cell,) = (project / "results/evaluate/cells").iterdir()
    for name in ("A", "B", "FILE.csv"):
        (project / name).symlink_to(cell / "test" / "predictions.csv")
    return project


@pytest.mark.parametrize("command", HERE)
def test_command_ends_well(command: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    program, *arguments = shlex.split(command)
    assert program == "pneumo", command
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
