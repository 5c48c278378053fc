"""google-cloud-bigquery, unmodified: what a program that reads and writes BigQuery does."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound, PreconditionFailed
from google.cloud import bigquery
from google.cloud.bigquery import QueryJobConfig, SchemaField, Table

FIELDS = [
    SchemaField("id", "INTEGER", mode="REQUIRED", description="its number"),
    SchemaField("name", "STRING"),
    SchemaField("seen", "TIMESTAMP"),
    SchemaField("day", "DATE"),
    SchemaField("ratio", "FLOAT"),
    SchemaField("price", "NUMERIC"),
    SchemaField("raw", "BYTES"),
    SchemaField("info", "JSON"),
    SchemaField("parts", "RECORD", mode="REPEATED", fields=[SchemaField("size", "INTEGER")]),
]
ROW = {
    "id": 1,
    "name": "Akita",
    "seen": "2026-01-02T03:04:05.678901Z",
    "day": "2026-01-02",
    "ratio": 0.1,
    "price": "1.23",
    "raw": "AAE=",
    "info": {"a": [1, None]},
    "parts": [{"size": 2}, {"size": 3}],
}


def test_a_dataset_is_made_changed_listed_and_deleted(client):
    dataset = client.create_dataset(bigquery.Dataset(f"{client.project}.other"), exists_ok=True)
    dataset.description, dataset.labels = "two words", {"team": "a"}
    dataset.default_table_expiration_ms = 3_600_000
    changed = client.update_dataset(dataset, ["description", "labels", "default_table_expiration_ms"])
    assert (changed.description, changed.labels, changed.location) == ("two words", {"team": "a"}, "US")
    assert [each.dataset_id for each in client.list_datasets(filter="labels.team:a")] == ["other"]
    with pytest.raises(PreconditionFailed):
        client.update_dataset(dataset, ["description"])  # by an etag from before the change
    with pytest.raises(Conflict):
        client.create_dataset("other")
    table = client.create_table(Table(f"{client.project}.other.t", FIELDS))
    assert table.expires is not None
    with pytest.raises(BadRequest, match="still in use"):
        client.delete_dataset("other")
    client.delete_dataset("other", delete_contents=True)
    with pytest.raises(NotFound, match=f"Not found: Dataset {client.project}:other"):
        client.get_dataset("other")


def test_a_table_keeps_what_duckdb_does_not_know(client):
    table = Table(f"{client.project}.d.t", FIELDS)
    table.time_partitioning = bigquery.TimePartitioning(field="seen")
    table.clustering_fields, table.labels, table.description = ["name"], {"team": "a"}, "breeds"
    client.create_table(table)
    kept = client.get_table(table)
    assert kept.schema == FIELDS
    assert kept.time_partitioning.field == "seen"
    assert (kept.clustering_fields, kept.labels, kept.description) == (["name"], {"team": "a"}, "breeds")
    kept.labels, kept.description = {"team": None, "tier": "1"}, None
    changed = client.update_table(kept, ["labels", "description"])
    assert (changed.labels, changed.description) == ({"tier": "1"}, None)
    assert [each.table_id for each in client.list_tables("d")] == ["t"]


def test_rows_come_back_as_they_went_in(client, load, rows):
    client.create_table(Table(f"{client.project}.d.t", FIELDS))
    load("t", [ROW, {"id": 2}])
    listed = [dict(row) for row in client.list_rows(f"{client.project}.d.t")]
    assert [dict(row) for row in client.query("SELECT * FROM t ORDER BY id").result()] == listed
    first, empty = listed
    assert (first["raw"], str(first["price"]), first["info"]) == (b"\x00\x01", "1.23", {"a": [1, None]})
    assert first["seen"].isoformat() == "2026-01-02T03:04:05.678901+00:00"
    assert first["parts"] == [{"size": 2}, {"size": 3}]
    assert empty == {**dict.fromkeys(ROW), "id": 2, "parts": []}


@pytest.mark.filterwarnings(
    "ignore:Retrieving DataFrames via google-cloud-bigquery:PendingDeprecationWarning"
)
@pytest.mark.filterwarnings("ignore:Loading DataFrames via google-cloud-bigquery:PendingDeprecationWarning")
def test_a_frame_has_the_columns_types(client, load):
    load("t", [{"id": 1, "name": "Akita"}, {"id": 2, "name": None}], autodetect=True)
    query = "SELECT id, name, TIMESTAMP '2026-01-01' AS seen FROM t ORDER BY id"
    for frame in (client.query(query).to_dataframe(), client.query_and_wait(query).to_dataframe()):
        assert frame["id"].tolist() == [1, 2]
        assert str(frame["id"].dtype) == "Int64"
        assert frame["seen"][0].isoformat() == "2026-01-01T00:00:00+00:00"
    listed = client.list_rows(f"{client.project}.d.t").to_dataframe(create_bqstorage_client=False)
    assert listed["name"].isna().tolist() == [False, True]
    frame = client.query(query).to_dataframe()
    client.load_table_from_dataframe(frame, f"{client.project}.d.copy").result()
    assert client.get_table(f"{client.project}.d.copy").num_rows == 2


def test_pages_are_as_large_as_asked_for_and_hold_every_row_once(client):
    numbers = client.query("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 2500)) AS x ORDER BY x").result(
        page_size=1000
    )
    assert [len(list(page)) for page in numbers.pages] == [1000, 1000, 500]
    client.query("CREATE TABLE t AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 25)) AS x").result()
    listed = client.list_rows(f"{client.project}.d.t", page_size=10)
    assert sorted(row.x for page in listed.pages for row in page) == list(range(1, 26))
    assert listed.total_rows == 25
    assert len(list(client.list_rows(f"{client.project}.d.t", max_results=3, start_index=24))) == 1


def test_parameters_reach_the_query(client):
    config = QueryJobConfig(
        query_parameters=[
            bigquery.ScalarQueryParameter("least", "INT64", 2),
            bigquery.ArrayQueryParameter("names", "STRING", ["a", "b'"]),
        ]
    )
    query = "SELECT x, n FROM UNNEST([1, 2, 3]) AS x, UNNEST(@names) AS n WHERE x >= @least ORDER BY x, n"
    found = [tuple(row) for row in client.query(query, job_config=config).result()]
    assert found == [(2, "a"), (2, "b'"), (3, "a"), (3, "b'")]


def test_streamed_rows_are_there_at_once_and_bad_ones_are_named(client, rows):
    table = client.create_table(Table(f"{client.project}.d.t", FIELDS[:2]))
    assert client.insert_rows_json(table, [{"id": 1, "name": "Akita"}], row_ids=["one"]) == []
    assert client.insert_rows_json(table, [{"id": 1, "name": "Akita"}], row_ids=["one"]) == []
    bad = client.insert_rows_json(table, [{"id": 2}, {"id": "x"}, {"id": 3, "no": 1}])
    reasons = [(each["index"], each["errors"][0]["reason"]) for each in bad]
    assert reasons == [(0, "stopped"), (1, "invalid"), (2, "invalid")]
    assert "No such field: no" in bad[2]["errors"][0]["message"]
    bad = client.insert_rows_json(table, [{"id": 2}, {"id": "x"}], skip_invalid_rows=True)
    assert [each["index"] for each in bad] == [1]
    assert rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


def test_dml_counts_its_rows(client):
    client.query("CREATE TABLE t (id INT64, name STRING)").result()
    before = client.get_table(f"{client.project}.d.t").modified
    for query, count in (
        ("INSERT INTO t (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')", 3),
        ("UPDATE t SET name = 'x' WHERE id > 1", 2),
        ("DELETE FROM t WHERE id = 3", 1),
    ):
        job = client.query(query)
        job.result()
        assert (job.num_dml_affected_rows, job.statement_type) == (count, query.split()[0])
        assert job.destination.table_id == "t"
    assert client.get_table(f"{client.project}.d.t").modified > before


def test_a_dry_run_tells_the_schema_and_does_nothing(client, rows):
    client.query("CREATE TABLE t AS SELECT 1 AS id").result()
    job = client.query("SELECT id, 'x' AS name FROM t", QueryJobConfig(dry_run=True))
    assert [(field.name, field.field_type) for field in job.schema] == [("id", "INTEGER"), ("name", "STRING")]
    assert (job.total_bytes_processed, [each.table_id for each in job.referenced_tables]) == (0, ["t"])
    client.query("DELETE FROM t WHERE TRUE", QueryJobConfig(dry_run=True))
    assert rows("SELECT id FROM t") == [(1,)]
    with pytest.raises(BadRequest, match="Unrecognized name: no"):
        client.query("SELECT no FROM t", QueryJobConfig(dry_run=True))


def test_a_query_fills_a_table_by_its_dispositions(client, rows):
    into = {"destination": f"{client.project}.d.t"}
    job = client.query("SELECT 1 AS id, 'a' AS name", QueryJobConfig(**into))
    assert [tuple(row) for row in job.result()] == [(1, "a")]
    with pytest.raises(Conflict, match="Already Exists: Table"):
        client.query("SELECT 2 AS id", QueryJobConfig(**into)).result()
    append = {**into, "write_disposition": "WRITE_APPEND"}
    client.query("SELECT 2 AS id", QueryJobConfig(**append)).result()
    assert rows("SELECT id, name FROM t ORDER BY id") == [(1, "a"), (2, None)]
    with pytest.raises(BadRequest, match=r"Cannot add fields \(field: more\)"):
        client.query("SELECT 3 AS id, 1 AS more", QueryJobConfig(**append)).result()
    added = {**append, "schema_update_options": ["ALLOW_FIELD_ADDITION"]}
    client.query("SELECT 3 AS id, 1 AS more", QueryJobConfig(**added)).result()
    client.query("SELECT 9 AS other", QueryJobConfig(**into, write_disposition="WRITE_TRUNCATE")).result()
    assert [dict(row) for row in client.list_rows(f"{client.project}.d.t")] == [{"other": 9}]
    config = QueryJobConfig(destination=f"{client.project}.d.no", create_disposition="CREATE_NEVER")
    with pytest.raises(NotFound):
        client.query("SELECT 1 AS id", config).result()


def test_a_view_follows_its_tables_and_keeps_its_text(client, rows):
    client.query("CREATE TABLE t AS SELECT 1 AS id").result()
    view = Table(f"{client.project}.d.v")
    view.view_query = f"SELECT id * 2 AS twice FROM `{client.project}.d.t`"
    client.create_table(view)
    client.query("INSERT INTO t (id) VALUES (5)").result()
    assert rows("SELECT twice FROM v ORDER BY 1") == [(2,), (10,)]
    kept = client.get_table(view)
    assert (kept.table_type, kept.view_query) == ("VIEW", view.view_query)
    assert [field.name for field in kept.schema] == ["twice"]
    kept.view_query = f"SELECT id AS once FROM `{client.project}.d.t`"
    client.update_table(kept, ["view_query"])
    assert rows("SELECT once FROM v ORDER BY 1") == [(1,), (5,)]


def test_a_session_keeps_temporary_tables_and_undoes_a_transaction(client, rows):
    first = client.query("CREATE TEMP TABLE mine AS SELECT 1 AS id", QueryJobConfig(create_session=True))
    first.result()
    here = [bigquery.ConnectionProperty("session_id", first.session_info.session_id)]
    in_session = QueryJobConfig(connection_properties=here)

    def run(query):
        return [tuple(row) for row in client.query(query, in_session).result()]

    assert run("SELECT id FROM mine") == [(1,)]
    run("CREATE TABLE t AS SELECT 1 AS id")
    run("BEGIN TRANSACTION")
    run("INSERT INTO t (id) VALUES (2)")
    assert run("SELECT COUNT(*) FROM t") == [(2,)]
    assert rows("SELECT COUNT(*) FROM t") == [(1,)], "what is not committed is nobody else's"
    run("ROLLBACK TRANSACTION")
    assert run("SELECT COUNT(*) FROM t") == [(1,)]
    run("CALL BQ.ABORT_SESSION()")
    with pytest.raises(BadRequest, match="terminated"):
        run("SELECT 1")


def test_transactions_that_only_insert_are_not_in_each_others_way(client, rows):
    client.query("CREATE TABLE t (id INT64)").result()
    inserts = "BEGIN TRANSACTION; INSERT INTO t (id) VALUES ({}); COMMIT TRANSACTION"
    jobs = [client.query(inserts.format(number), job_retry=None) for number in range(8)]
    for job in jobs:
        job.result()
    assert rows("SELECT COUNT(DISTINCT id) FROM t") == [(8,)]


def test_a_script_that_fails_in_a_transaction_changes_nothing(client, rows):
    client.query("CREATE TABLE t AS SELECT 1 AS id").result()
    script = (
        "BEGIN TRANSACTION; DELETE FROM t WHERE TRUE; INSERT INTO t (id) VALUES (1/0); COMMIT TRANSACTION"
    )
    with pytest.raises(BadRequest):
        client.query(script).result()
    assert rows("SELECT id FROM t") == [(1,)]


def test_two_columns_of_one_name_are_refused(client):
    with pytest.raises(BadRequest, match=r"Duplicate column names .*Found duplicate\(s\): a"):
        client.query("SELECT 1 AS a, 2 AS a").result()


def test_a_script_has_a_job_for_each_statement(client):
    job = client.query(
        "CREATE TEMP TABLE s AS SELECT 1 AS id; INSERT INTO s VALUES (2); SELECT COUNT(*) FROM s"
    )
    assert [tuple(row) for row in job.result()] == [(2,)]
    assert (job.statement_type, job.num_child_jobs) == ("SCRIPT", 3)
    kinds = [child.statement_type for child in client.list_jobs(parent_job=job.job_id)]
    assert kinds == ["SELECT", "INSERT", "CREATE_TABLE_AS_SELECT"]


def test_tables_are_copied_with_their_modes(client, load, rows):
    client.create_table(Table(f"{client.project}.d.t", FIELDS[:2]))
    load("t", [{"id": 1}])
    for number in (1, 2):
        config = bigquery.CopyJobConfig(write_disposition="WRITE_APPEND")
        client.copy_table(f"{client.project}.d.t", f"{client.project}.d.u", job_config=config).result()
        assert rows("SELECT COUNT(*) FROM u") == [(number,)]
    assert client.get_table(f"{client.project}.d.u").schema == FIELDS[:2]
    config = bigquery.CopyJobConfig(write_disposition="WRITE_EMPTY")
    with pytest.raises(Conflict):
        client.copy_table(f"{client.project}.d.t", f"{client.project}.d.u", job_config=config).result()


def test_a_job_id_is_used_once_and_finds_the_job_again(client):
    id_ = f"mine-{uuid.uuid4().hex}"
    client.query("SELECT 1", job_id=id_, job_retry=None).result()
    assert [tuple(row) for row in client.get_job(id_).result()] == [(1,)]
    with pytest.raises(Conflict, match="Already Exists: Job"):
        client.query("SELECT 2", job_id=id_, job_retry=None).result()
    assert id_ in [job.job_id for job in client.list_jobs(state_filter="done")]
    client.delete_job_metadata(id_, location="US")
    with pytest.raises(NotFound, match="Not found: Job"):
        client.get_job(id_)


def test_a_renamed_table_keeps_its_rows_and_descriptions(client, rows):
    client.query("CREATE TABLE t (id INT64 OPTIONS (description = 'its number'))").result()
    client.query("INSERT INTO t (id) VALUES (1)").result()
    client.query("ALTER TABLE t RENAME TO u").result()
    assert rows("SELECT id FROM u") == [(1,)]
    assert client.get_table(f"{client.project}.d.u").schema[0].description == "its number"
    with pytest.raises(NotFound):
        client.get_table(f"{client.project}.d.t")


def test_an_expired_table_is_gone_and_its_name_is_free(client, rows):
    client.query("CREATE TABLE t AS SELECT 1 AS id").result()
    table = client.get_table(f"{client.project}.d.t")
    table.expires = datetime.now(UTC) + timedelta(seconds=1)
    client.update_table(table, ["expires"])
    assert rows("SELECT id FROM t") == [(1,)]
    while list(client.list_tables("d")):
        time.sleep(0.05)
    with pytest.raises(NotFound, match="Table"):
        rows("SELECT id FROM t")
    client.query("CREATE TABLE t AS SELECT 2 AS id").result()
    assert rows("SELECT id FROM t") == [(2,)]
