"""What BigQuery refuses, in its words and with the reasons that clients act on; faults; a restart."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest
from google.api_core.exceptions import BadRequest, Forbidden, GoogleAPICallError, NotFound, ServiceUnavailable
from google.cloud import bigquery
from google.cloud.bigquery import AccessEntry, QueryJobConfig

from gcp_emulator import process

READER, STRANGER = "reader@mine.iam.gserviceaccount.com", "stranger@mine.iam.gserviceaccount.com"


@pytest.fixture
def shared(client):
    """Dataset `d` with a table, which only its owner and a reader may look into."""
    client.query("CREATE TABLE t AS SELECT 1 AS id").result()
    dataset = client.get_dataset("d")
    dataset.access_entries = [
        AccessEntry("OWNER", "specialGroup", "projectOwners"),
        AccessEntry("READER", "userByEmail", READER),
    ]
    client.update_dataset(dataset, ["access_entries"])
    return f"{client.project}.d"


def test_a_dataset_that_is_not_there_is_named(client, load):
    with pytest.raises(
        NotFound, match=f"Not found: Dataset {client.project}:no was not found in location US"
    ):
        client.query("SELECT * FROM no.t").result()
    with pytest.raises(NotFound, match=f"Not found: Dataset {client.project}:no"):
        client.load_table_from_json([{"id": 1}], "no.t")


def test_a_column_that_is_not_there_is_named(client):
    client.query("CREATE TABLE t AS SELECT 1 AS id").result()
    with pytest.raises(BadRequest, match="Unrecognized name: nam") as refused:
        client.query("SELECT nam FROM t").result()
    assert refused.value.errors[0]["reason"] == "invalidQuery"


def test_a_job_in_the_wrong_place_does_not_find_the_dataset(client):
    abroad = bigquery.Dataset(f"{client.project}.eu")
    abroad.location = "europe-west1"
    client.create_dataset(abroad)
    made = client.query("CREATE TABLE eu.t AS SELECT 1 AS id")
    made.result()
    assert made.location == "europe-west1", "where the data is, is where its job runs"
    with pytest.raises(NotFound, match=r"Dataset .*:eu was not found in location US"):
        client.query("SELECT id FROM eu.t", location="US").result()
    with pytest.raises(NotFound, match=r"Dataset .*:eu was not found in location EU"):
        client.load_table_from_json([{"id": 2}], f"{client.project}.eu.t", location="EU").result()
    with pytest.raises(NotFound, match="Not found: Job"):
        client.get_job(made.job_id, location="US")
    assert client.get_job(made.job_id, location="europe-west1").state == "DONE"


def test_a_caller_needs_rights_that_the_dataset_gives(client_of, shared):
    reader, stranger = client_of(READER), client_of(STRANGER)
    assert [tuple(row) for row in reader.query(f"SELECT id FROM `{shared}.t`").result()] == [(1,)]
    for client, query, permission in (
        (reader, f"INSERT INTO `{shared}.t` (id) VALUES (2)", "updateData"),
        (reader, f"CREATE TABLE `{shared}.u` AS SELECT 1 AS id", "create"),
        (reader, f"DROP TABLE `{shared}.t`", "delete"),
        (stranger, f"SELECT id FROM `{shared}.t`", "getData"),
    ):
        with pytest.raises(Forbidden, match=rf"Access Denied: Table .*bigquery\.tables\.{permission} denied"):
            client.query(query).result()
    with pytest.raises(Forbidden, match=r"bigquery\.tables\.updateData"):
        reader.load_table_from_json([{"id": 2}], f"{shared}.t").result()
    with pytest.raises(Forbidden, match=r"bigquery\.tables\.getData"):
        list(stranger.list_rows(f"{shared}.t", selected_fields=[bigquery.SchemaField("id", "INTEGER")]))
    with pytest.raises(Forbidden, match=r"bigquery\.datasets\.get denied on dataset"):
        stranger.get_dataset(shared)
    with pytest.raises(Forbidden, match=r"bigquery\.datasets\.delete"):
        reader.delete_dataset(shared, delete_contents=True)


def test_a_job_waits_runs_ends_or_is_cancelled(client):
    numbers = "UNNEST(GENERATE_ARRAY(1, 60000))"
    job = client.query(f"SELECT SUM(MOD(x * y, 7)) AS n FROM {numbers} AS x, {numbers} AS y")
    assert job.state in ("PENDING", "RUNNING")
    assert job.job_id in [each.job_id for each in client.list_jobs(state_filter="running")]
    started = time.monotonic()
    job.cancel()
    with pytest.raises(GoogleAPICallError, match="Job execution was cancelled: User requested cancellation"):
        job.result()
    assert time.monotonic() - started < 30
    assert (job.state, job.error_result["reason"]) == ("DONE", "stopped")


def test_a_fault_of_the_emulator_is_one_of_bigquery(cloud, client):
    """What a client retries it retries here, and what it does not it tells."""
    with cloud.http() as http:
        fault = {"kind": "call", "methods": ["bigquery.datasets.get"], "code": "UNAVAILABLE", "times": 1}
        assert http.post("/emulator/faults", json=fault).status_code in (200, 201)
        with pytest.raises(ServiceUnavailable):
            client.get_dataset("d", retry=None)
        assert client.get_dataset("d").dataset_id == "d"
        calls = {each["method"] for each in http.get("/emulator/calls").json()["calls"]}
    assert {"bigquery.datasets.insert", "bigquery.datasets.get"} <= calls


def test_a_query_whose_answer_was_lost_runs_once(cloud, client, rows):
    """The client sends it again with the same request id."""
    client.query("CREATE TABLE t (id INT64)").result()
    with cloud.http() as http:
        fault = {
            "kind": "call",
            "methods": ["bigquery.jobs.query"],
            "code": "UNAVAILABLE",
            "times": 1,
            "when": "after",
        }
        assert http.post("/emulator/faults", json=fault).status_code in (200, 201)
    client.query_and_wait("INSERT INTO t (id) VALUES (1)")
    assert rows("SELECT id FROM t") == [(1,)]


def test_the_emulator_starts_without_loading_a_database():
    """Who uses Pub/Sub alone does not wait for DuckDB."""
    code = (
        "import sys, gcp_emulator.server as s; sys.exit('duckdb' in sys.modules or 'sqlglot' in sys.modules)"
    )
    path = os.pathsep.join(sys.path)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_what_is_not_served_is_refused_by_name(client):
    table = bigquery.Table(f"{client.project}.d.x")
    table.external_data_configuration = bigquery.ExternalConfig("CSV")
    with pytest.raises(Exception, match="does not serve tables with externalDataConfiguration"):
        client.create_table(table)
    with pytest.raises(Exception, match="does not serve INTERVALs in a result"):
        client.query("SELECT INTERVAL 1 MONTH AS i").result()
    config = QueryJobConfig(use_legacy_sql=True)
    with pytest.raises(Exception, match="legacy SQL's comma between tables"):
        client.query("SELECT * FROM [d.t], [d.u]", config).result()


def test_tables_outlive_a_restart_in_a_file_for_each_project(tmp_path):
    state, log = tmp_path / "state", tmp_path / "log"

    def query(ready, text):
        path = f"{ready['rest']}/bigquery/v2/projects/my-project/queries"
        answer = httpx.post(path, json={"query": text, "useLegacySql": False}, trust_env=False, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    with process.start(log=log, state=state) as ready:
        query(ready, "CREATE SCHEMA d")
        query(ready, "CREATE TABLE d.t (id INT64 OPTIONS (description = 'its number'))")
        query(ready, "INSERT INTO d.t VALUES (1)")
    assert (state / "bigquery" / "my-project.duckdb").is_file()
    with process.start(log=log, state=state) as ready:
        assert query(ready, "SELECT id FROM d.t")["rows"] == [{"f": [{"v": "1"}]}]
        path = f"{ready['rest']}/projects/my-project/datasets/d/tables/t"
        [field] = httpx.get(path, trust_env=False).json()["schema"]["fields"]
        assert field == {"name": "id", "type": "INTEGER", "mode": "NULLABLE", "description": "its number"}


def test_records_of_jobs_outlive_even_a_kill(tmp_path):
    state, log = tmp_path / "state", tmp_path / "log"

    def insert(ready, name, text):
        jobs = f"{ready['rest']}/bigquery/v2/projects/my-project/jobs"
        body = {
            "jobReference": {"jobId": name},
            "configuration": {"query": {"query": text, "useLegacySql": False}},
        }
        return httpx.post(jobs, json=body, trust_env=False, timeout=60).json()

    def get(ready, path):
        return httpx.get(
            f"{ready['rest']}/bigquery/v2/projects/my-project/{path}", trust_env=False, timeout=60
        )

    with process.start(log=log, state=state) as ready:
        insert(ready, "made", "CREATE SCHEMA d")
        insert(ready, "wrote", "CREATE TABLE d.t AS SELECT 1 AS id")
        insert(ready, "read", "SELECT id FROM d.t")
        insert(ready, "wrong", "SELECT zork FROM d.t")
        for name in ("made", "wrote", "read", "wrong"):
            get(ready, f"queries/{name}")
        before = {name: get(ready, f"jobs/{name}").json() for name in ("wrote", "read", "wrong")}
        endless = "SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 30000)) AS a, UNNEST(GENERATE_ARRAY(1, 30000)) AS b, "
        insert(ready, "cut-off", f"{endless} UNNEST(GENERATE_ARRAY(1, 30000)) AS c WHERE a + b + c = 0")
        while (state_of := get(ready, "jobs/cut-off").json()["status"]["state"]) == "PENDING":
            time.sleep(0.05)
        assert state_of == "RUNNING"
        os.kill(ready["pid"], signal.SIGKILL)
    with process.start(log=log, state=state) as ready:
        after = {name: get(ready, f"jobs/{name}").json() for name in before}
        assert after == before, "a record is as it was"
        status = get(ready, "jobs/cut-off").json()["status"]
        assert status["state"] == "DONE"
        assert status["errorResult"]["reason"] == "backendError", "on which Google's clients try again"
        listed = [job["jobReference"]["jobId"] for job in get(ready, "jobs").json()["jobs"]]
        assert listed == ["cut-off", "wrong", "read", "wrote", "made"], "the newest first"
        rows = get(ready, "queries/read")
        assert (rows.status_code, "has expired" in rows.text) == (404, True)
        assert insert(ready, "read", "SELECT 1")["error"]["errors"][0]["reason"] == "duplicate"


def test_what_a_column_may_not_hold_is_not_written(client, rows, load):
    client.query("CREATE TABLE t (a ARRAY<INT64>, s STRING(3))").result()
    null = "Array cannot have a null element; error in writing field a"
    for text in (
        "INSERT INTO t (a) VALUES ([1, NULL])",
        "CREATE TABLE u AS SELECT [1, NULL] AS a",
        "SELECT [NULL] AS a",
    ):
        with pytest.raises(BadRequest, match=null):
            client.query(text).result()
    with pytest.raises(BadRequest, match="Field s: STRING\\(3\\) has maximum length 3"):
        client.query("INSERT INTO t (s) VALUES ('abcd')").result()
    with pytest.raises(BadRequest, match="has maximum length 3"):
        load("t", [{"s": "abcd"}])
    client.query("INSERT INTO t VALUES ([1], 'abc')").result()
    assert rows("SELECT a, s FROM t") == [([1], "abc")]
