"""DltDatasetCheckOperator: what landed is read back through dlt, from a real DuckDB file."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gcp_jobs.errors import DataCheckFailed, SettingsError
from gcp_jobs.operators.dlt_check import DltDatasetCheckOperator

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dlt")


@pytest.fixture
def land(tmp_path: Path) -> Callable[[int, int], str]:
    def write(rows: int, rejected: int) -> str:
        path = tmp_path / "landed.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE SCHEMA breeds_local")
            connection.execute(f"CREATE TABLE breeds_local.dogs AS SELECT range AS row_id FROM range({rows})")
            connection.execute(
                f"CREATE TABLE breeds_local.dogs_rejected AS SELECT range AS row_id FROM range({rejected})"
            )
        return str(path)

    return write


def check(path: str | None, **changes: Any) -> DltDatasetCheckOperator:
    arguments = {
        "destination": "duckdb", "duckdb_path": path, "dataset": "breeds_local", "table": "dogs",
        "rejected_table": "dogs_rejected", "max_rejected_share": "0.05",
    }  # fmt: skip
    return DltDatasetCheckOperator(task_id="check", **(arguments | changes))


def counts(operator: DltDatasetCheckOperator) -> Any:
    return operator._judge(*operator._counts())


def test_rows_and_rejected_records_are_counted(land: Callable[[int, int], str]) -> None:
    found = counts(check(land(97, 3)))
    assert (found["rows"], found["rejected"], found["rejected_share"]) == (97, 3, 0.03)
    assert found["table"].endswith("landed.duckdb:breeds_local.dogs")


def test_an_empty_table_fails(land: Callable[[int, int], str]) -> None:
    with pytest.raises(DataCheckFailed, match="0 rows landed, at least 1"):
        counts(check(land(0, 0)))


def test_too_many_rejected_records_fail_and_say_where_they_are(land: Callable[[int, int], str]) -> None:
    with pytest.raises(
        DataCheckFailed, match=r"10 of 100 records were rejected \(10\.0%, allowed 5\.0%\).*dogs_rejected"
    ):
        counts(check(land(90, 10)))


def test_a_file_that_never_came_is_no_empty_table(tmp_path: Path) -> None:
    missing = tmp_path / "none.duckdb"
    with pytest.raises(DataCheckFailed, match="nothing has landed: the file does not exist"):
        counts(check(str(missing)))
    assert not missing.exists()


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    broken = tmp_path / "broken.duckdb"
    broken.write_text("not a database at all" * 1000)
    with pytest.raises(DataCheckFailed, match="cannot be read"):
        counts(check(str(broken)))


def test_a_missing_table_is_named(land: Callable[[int, int], str]) -> None:
    with pytest.raises(DataCheckFailed, match=r"the tables cannot be read.*cats"):
        counts(check(land(1, 0), table="cats"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"destination": "oracle"}, "Use bigquery or duckdb"), ({"duckdb_path": ""}, "duckdb_path is not set")],
)
def test_wrong_settings_say_what_to_set(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        counts(check("/nowhere.duckdb", **changes))


def test_the_result_goes_to_xcom_and_to_the_asset(
    land: Callable[[int, int], str], run_operator: Callable[..., Any]
) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.sdk import Asset
    from airflow.utils.session import create_session

    path = land(5, 0)
    parameters = [
        name for name in inspect.signature(DltDatasetCheckOperator.__init__).parameters if name != "self"
    ]
    assert "outlets" not in parameters
    ran = run_operator(
        DltDatasetCheckOperator, "checks", destination="duckdb", duckdb_path=path,
        dataset="breeds{{ settings.dataset_suffix }}", table="dogs", outlets=[Asset("dogs_of_a_test")],
    )  # fmt: skip
    assert ran.state == "success", ran.log
    assert ran.result["rows"] == 5
    with create_session() as session:
        extra = session.query(AssetEvent).order_by(AssetEvent.id.desc()).first().extra
    assert extra["rows"] == 5


def test_google_credentials_of_a_connection_reach_dlt_without_the_native_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from google.auth.compute_engine import Credentials

    from gcp_jobs.operators import dlt_check

    google = Credentials()
    monkeypatch.setattr(dlt_check, "credentials", lambda access: (google, "p-1"))
    destination = check(None, destination="bigquery", location="EU")._bigquery()
    resolved = destination.configuration(destination.spec()._bind_dataset_name("d")).credentials
    assert resolved.to_native_credentials() is google
    assert resolved.project_id == "p-1"
