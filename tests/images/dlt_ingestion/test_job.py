"""The job whole: what lands, that it lands at once or not at all, and what each fault says and costs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt
import pytest

from breeds_api.records import SAMPLE, Records
from breeds_api.server import BreedsServer
from dlt_ingestion import job, pipeline

BREEDS = {breed["id"]: breed for breed in json.loads(SAMPLE.read_text(encoding="utf-8"))}
Ingest = Callable[..., Any]
RESOURCE = "dog_breeds_raw.dog_breeds_resource"
REJECTED = "dog_breeds_raw.dog_breeds_rejected"


def test_breeds_land_as_they_were_sent(api: BreedsServer, ingest: Ingest, database: Any) -> None:
    outcome = ingest(api.url, PAGE_SIZE=15)
    assert outcome.code == 0
    assert (
        outcome.last | {"exit_code": 0, "rows": 40, "rejected": 0, "pages": 3, "retries": 0} == outcome.last
    )
    assert outcome.last["severity"] == "INFO"
    found = database.rows(f"SELECT row_id, breed_json, updated_at FROM {RESOURCE}")
    assert {row_id: json.loads(text) for row_id, text, _ in found} == BREEDS
    stamps = {stamp for _, _, stamp in found}
    assert len(stamps) == 1
    assert timedelta(0) <= datetime.now(UTC) - stamps.pop() < timedelta(minutes=2)


def test_tables_have_the_shape_of_the_contract(api: BreedsServer, ingest: Ingest, database: Any) -> None:
    """Downstream models select these columns by name and type."""
    ingest(api.url)
    columns = database.rows(
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'dog_breeds_raw' AND table_name LIKE 'dog%' ORDER BY table_name, ordinal_position"
    )
    assert columns == [
        ("dog_breeds_rejected", "row_id", "BIGINT"),
        ("dog_breeds_rejected", "record", "VARCHAR"),
        ("dog_breeds_rejected", "reason", "VARCHAR"),
        ("dog_breeds_rejected", "updated_at", "TIMESTAMP WITH TIME ZONE"),
        ("dog_breeds_resource", "row_id", "BIGINT"),
        ("dog_breeds_resource", "breed_json", "JSON"),
        ("dog_breeds_resource", "updated_at", "TIMESTAMP WITH TIME ZONE"),
    ]
    schemas = database.rows("SELECT DISTINCT table_schema FROM information_schema.tables ORDER BY 1")
    assert schemas == [("dog_breeds_raw",), ("dog_breeds_raw_staging",)]
    assert database.rows("SELECT COUNT(*) FROM dog_breeds_raw_staging.dog_breeds_records") == [(0,)]


def test_dlt_reads_back_what_it_wrote(api: BreedsServer, ingest: Ingest, database: Any) -> None:
    """The DAG's check reads through dlt's dataset access; it needs the schema and the load in dlt's own tables."""
    ingest(api.url)
    dataset = dlt.dataset(dlt.destinations.duckdb(str(database.path)), "dog_breeds_raw")
    assert dataset.schema.name == "dog_breeds"
    assert len(dataset["dog_breeds_resource"].fetchall()) == 40
    assert dataset["dog_breeds_rejected"].fetchall() == []
    assert len(dataset["_dlt_loads"].fetchall()) == 1


def test_a_second_run_replaces_the_first(ingest: Ingest, database: Any) -> None:
    with BreedsServer(Records.load(repeat=60)) as server:
        ingest(server.url)
    with BreedsServer(Records.load(repeat=25)) as server:
        ingest(server.url)
    assert database.ids() == sorted(BREEDS)[:25]


def test_many_load_packages_make_one_table(
    ingest: Ingest, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first package may empty the staging table."""
    monkeypatch.setattr(pipeline, "GROUP_ROWS", 50)
    monkeypatch.setattr("dlt_ingestion.source.BATCH_ROWS", 20)
    with BreedsServer(Records.load(repeat=330)) as server:
        outcome = ingest(server.url, PAGE_SIZE=20, ENVIRONMENT="production")
    assert outcome.code == 0
    assert len(set(database.ids())) == 330


def test_a_run_that_fails_half_way_leaves_the_table_as_it_was(
    api: BreedsServer, ingest: Ingest, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is never half full: not even when load packages are in and the API then goes away."""
    monkeypatch.setattr(pipeline, "GROUP_ROWS", 10)
    monkeypatch.setattr("dlt_ingestion.source.BATCH_ROWS", 10)
    ingest(api.url)
    before = database.rows(f"SELECT * FROM {RESOURCE} ORDER BY 1")
    outcome = ingest(api.url_with("cut-2"), PAGE_SIZE=15, HTTP_ATTEMPTS=2)
    assert outcome.code == 4
    assert outcome.last["pages"] == 2
    assert database.rows("SELECT COUNT(*) FROM dog_breeds_raw_staging.dog_breeds_records") == [(30,)]
    assert database.rows(f"SELECT * FROM {RESOURCE} ORDER BY 1") == before
    assert ingest(api.url).code == 0
    assert database.ids() == sorted(BREEDS)


def test_a_failure_while_publishing_leaves_the_table_as_it_was(
    api: BreedsServer, ingest: Ingest, database: Any
) -> None:
    """Both tables change in one transaction, or none does."""
    ingest(api.url)
    before = database.rows(f"SELECT * FROM {RESOURCE} ORDER BY 1")
    database.rows(f"ALTER TABLE {REJECTED} ADD COLUMN note VARCHAR")
    database.rows(f"ALTER TABLE {REJECTED} ALTER COLUMN reason TYPE INTEGER USING 0")
    outcome = ingest(api.url_with("one-bad"), MAX_REJECTED_SHARE=1)
    assert outcome.code == 5
    assert database.rows(f"SELECT * FROM {RESOURCE} ORDER BY 1") == before


def test_a_table_that_someone_dropped_is_made_again(api: BreedsServer, ingest: Ingest, database: Any) -> None:
    ingest(api.url)
    database.rows(f"DROP TABLE {RESOURCE}")
    database.rows("DROP TABLE dog_breeds_raw_staging.dog_breeds_records")
    assert ingest(api.url).code == 0
    assert len(database.ids()) == 40


def test_a_run_beside_ours_is_noticed(
    api: BreedsServer, ingest: Ingest, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs at once share the staging table; what is published must be one run's rows and all of them."""
    ingest(api.url)
    stage = pipeline.Loader.stage

    def disturbed(self: pipeline.Loader, *arguments: Any) -> None:
        stage(self, *arguments)
        assert self.store.connection
        self.store.connection.execute(
            "DELETE FROM dog_breeds_raw_staging.dog_breeds_records WHERE row_id < 9"
        )

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.Loader, "stage", disturbed)
        outcome = ingest(api.url)
    assert outcome.code == 5
    assert "Another run" in outcome.message
    assert len(database.ids()) == 40


def test_rejected_records_are_kept_with_their_reasons(
    api: BreedsServer, ingest: Ingest, database: Any
) -> None:
    outcome = ingest(api.url_with("one-bad"), MAX_REJECTED_SHARE="0.1")
    assert outcome.code == 0
    assert (outcome.last["rows"], outcome.last["rejected"]) == (9, 1)
    assert outcome.said("1 of 10 records set aside: 1 x Expected `object`, got `null`")
    assert database.rows(f"SELECT record, reason FROM {REJECTED}") == [
        ("null", "Expected `object`, got `null`")
    ]
    assert ingest(api.url).code == 0
    assert database.rows(f"SELECT COUNT(*) FROM {REJECTED}") == [(0,)]


def test_a_record_with_a_nan_is_rejected_alone(api: BreedsServer, ingest: Ingest, database: Any) -> None:
    outcome = ingest(api.url_with("nan"), MAX_REJECTED_SHARE="0.5")
    assert outcome.code == 0
    assert database.ids() == [1, 3]
    assert database.rows(f"SELECT reason FROM {REJECTED}") == [("NaN is no JSON",)]


def test_too_many_rejected_records_fail_the_run_and_can_be_looked_at(
    api: BreedsServer, ingest: Ingest, database: Any
) -> None:
    ingest(api.url)
    outcome = ingest(api.url_with("half-bad"), MAX_REJECTED_SHARE="0.4")
    assert outcome.code == 6
    assert "5 of 10 records cannot be used, more than MAX_REJECTED_SHARE=0.4" in outcome.message
    assert "dog_breeds_raw.dog_breeds_rejected" in outcome.message
    assert len(database.ids()) == 40
    assert database.rows(f"SELECT COUNT(*) FROM {REJECTED}") == [(5,)]
    assert ingest(api.url).code == 0


def test_the_share_is_a_limit_not_a_target(api: BreedsServer, ingest: Ingest) -> None:
    assert ingest(api.url_with("half-bad"), MAX_REJECTED_SHARE="0.5").code == 0


def test_outside_production_the_dataset_has_the_environments_name(
    api: BreedsServer, ingest: Ingest, database: Any
) -> None:
    outcome = ingest(api.url, ENVIRONMENT="pr-7")
    assert outcome.message == "loaded 40 breeds into duckdb dog_breeds_raw_pr_7"
    assert any(line["severity"] == "DEBUG" for line in outcome.lines)
    assert database.rows("SELECT COUNT(*) FROM dog_breeds_raw_pr_7.dog_breeds_resource") == [(40,)]


def test_progress_is_logged_while_it_runs(
    api: BreedsServer, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "PROGRESS_S", 0.05)
    outcome = ingest(api.url_with("slow-0.3"), PAGE_SIZE=20)
    assert outcome.said("reading: 1 pages, 20 records read, 0 staged")


def test_the_key_is_used_and_never_logged(ingest: Ingest) -> None:
    with BreedsServer(api_key="s3cret-k3y") as server:
        good = ingest(server.url, DOG_API_KEY="s3cret-k3y", ENVIRONMENT="dev")
        bad = ingest(server.url, DOG_API_KEY="wr0ng-k3y", ENVIRONMENT="dev")
        none = ingest(server.url)
    assert (good.code, bad.code, none.code) == (0, 3, 3)
    assert "DOG_API_KEY" in bad.message
    assert "k3y" not in json.dumps([good.lines, bad.lines])


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("500", 4, "500 Internal Server Error; gave up after 2 attempts"),
        ("429day", 4, "asks to be left alone for 86400 seconds"),
        ("reset", 4, "the connection failed"),
        ("truncated", 4, "the JSON is broken"),
        ("html", 4, "got an HTML page (text/html; charset=utf-8)"),
        ("empty", 4, "no records (an empty list). The table keeps what it has"),
        ("object", 4, "expected a JSON array of records"),
        ("404", 3, "check DOG_API_BASE_URL and DOG_API_ENDPOINT"),
    ],
)
def test_an_api_that_fails_is_explained_and_a_rerun_heals(
    api: BreedsServer, ingest: Ingest, database: Any, fault: str, code: int, said: str
) -> None:
    outcome = ingest(api.url_with(fault), HTTP_ATTEMPTS=2)
    assert outcome.code == outcome.last["exit_code"] == code
    assert outcome.last["severity"] == "ERROR"
    assert said in outcome.message
    assert ingest(api.url).code == 0
    assert len(database.ids()) == 40


def test_an_empty_answer_does_not_empty_the_table(api: BreedsServer, ingest: Ingest, database: Any) -> None:
    ingest(api.url)
    assert ingest(api.url_with("empty")).code == 4
    assert len(database.ids()) == 40


def test_an_api_that_is_down_is_explained(ingest: Ingest, database: Any) -> None:
    with BreedsServer() as gone:
        url = gone.url
    outcome = ingest(url, HTTP_ATTEMPTS=2)
    assert outcome.code == 4
    assert "Connection refused" in outcome.message
    assert not database.rows("SELECT 1 FROM information_schema.tables WHERE table_schema = 'dog_breeds_raw'")


def test_an_api_that_repeats_its_first_page_does_not_double_rows(
    api: BreedsServer, ingest: Ingest, database: Any
) -> None:
    outcome = ingest(api.url_with("first-page"), PAGE_SIZE=7)
    assert outcome.code == 0
    assert database.ids() == sorted(BREEDS)[:7]
    assert outcome.said("page 1 repeats page 0")


def test_a_wrong_setting_ends_the_run_before_it_begins(api: BreedsServer, ingest: Ingest) -> None:
    outcome = ingest(api.url, DESTINATION="parquet")
    assert outcome.code == 3
    assert outcome.message == "DESTINATION='parquet' cannot be used: set it to bigquery or duckdb"
    assert not api.asked


@pytest.mark.parametrize("kind", ["folder", "text", "parent", "locked", "no such device"])
def test_a_database_that_cannot_be_written_is_explained(
    api: BreedsServer, ingest: Ingest, database: Any, kind: str
) -> None:
    path = database.path
    holder = None
    if kind == "folder":
        path.mkdir(parents=True)
    elif kind == "text":
        path.parent.mkdir()
        path.write_text("no database" * 1_000)
    elif kind == "parent":
        path.parent.write_text("a file where the folder should be")
    elif kind == "locked":
        path.parent.mkdir()
        holder = _holder(str(path))
    else:
        path = type(path)("/proc/breeds.duckdb")
    try:
        outcome = ingest(api.url, DUCKDB_PATH=path)
    finally:
        if holder:
            holder.kill()
            holder.communicate()
    assert outcome.code == 5
    assert outcome.message.startswith(f"DUCKDB_PATH={path}: ")
    assert "may write" in outcome.message
    if kind == "locked":
        assert ingest(api.url).code == 0


def test_records_too_large_for_duckdbs_memory_are_explained(ingest: Ingest, tmp_path: Any) -> None:
    records = tmp_path / "large.json"
    records.write_text(json.dumps([{"id": n, "text": f"{n}" * 1_000_000} for n in range(1, 10)]))
    with BreedsServer(Records.load(records, repeat=20)) as server:
        outcome = ingest(server.url, DUCKDB_MEMORY_LIMIT="10MB")
    assert outcome.code == 5
    assert "raise it, and the container's memory with it" in outcome.message


def _holder(path: str) -> Any:
    """Another process that has the database open."""
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout
    process.stdout.readline()
    return process


def test_a_fault_of_the_program_is_not_blamed_on_others(
    api: BreedsServer, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug must not read like an outage: exit code 1 and a traceback."""

    def broken(*_: Any) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("dlt_ingestion.tables.staged", broken)
    outcome = ingest(api.url)
    assert outcome.code == 1
    assert any("a bug" in line.get("traceback", "") for line in outcome.lines)


def test_nothing_stays_in_the_temporary_folder(
    api: BreedsServer, ingest: Ingest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Cloud Run what lies there is memory."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    ingest(api.url)
    ingest(api.url_with("html"))
    assert list(scratch.iterdir()) == []
