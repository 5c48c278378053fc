"""Load jobs: each format, what is refused, and that a load which fails half way leaves the table as it was."""

import io

import pyarrow as pa
import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from google.cloud.bigquery import SchemaField
from pyarrow import parquet

BREEDS = [SchemaField("id", "INTEGER", mode="REQUIRED"), SchemaField("name", "STRING")]


def parquet_file(**columns):
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()


@pytest.fixture
def bucket(cloud):
    """A bucket of the emulator's Cloud Storage."""
    options = {"api_endpoint": cloud.ready["rest"]}
    with storage.Client(cloud.project, credentials=AnonymousCredentials(), client_options=options) as client:
        yield client.create_bucket(f"loads-{cloud.project}")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("CSV", "id,name\n1,Akita\n2,\n"),
        ("NEWLINE_DELIMITED_JSON", '{"id": 1, "name": "Akita"}\n{"id": "2"}\n'),
        ("PARQUET", parquet_file(id=[1, 2], name=["Akita", None])),
    ],
)
def test_a_file_becomes_rows_by_its_schema(load, rows, kind, data):
    header = {"skip_leading_rows": 1} if kind == "CSV" else {}
    job = load("t", data, kind, schema=BREEDS, **header)
    assert (job.output_rows, job.destination.table_id) == (2, "t")
    assert rows("SELECT id, name FROM t ORDER BY id") == [(1, "Akita"), (2, None)]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("CSV", "id,name,at\n1,Akita,2026-01-02 03:04:05\n"),
        ("NEWLINE_DELIMITED_JSON", '{"id": 1, "name": "Akita", "at": "2026-01-02T03:04:05Z"}\n'),
    ],
)
def test_a_schema_is_found_in_the_data_where_asked(client, load, rows, kind, data):
    load("t", data, kind, autodetect=True)
    fields = {field.name: field.field_type for field in client.get_table(f"{client.project}.d.t").schema}
    assert fields == {"id": "INTEGER", "name": "STRING", "at": "TIMESTAMP"}
    assert rows("SELECT id, name FROM t") == [(1, "Akita")]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("INTEGER", "12.7", None),
        ("INTEGER", "12.0", 12),
        ("INTEGER", "x", None),
        ("BOOLEAN", "yes", True),
        ("BOOLEAN", "maybe", None),
        ("DATE", "2026-02-30", None),
        ("FLOAT", "1e3", 1000.0),
        ("TIMESTAMP", "1700000000", "2023-11-14T22:13:20+00:00"),
        ("TIMESTAMP", "2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05+00:00"),
        ("TIMESTAMP", "yesterday", None),
        ("STRING", '""', ""),
    ],
)
def test_text_is_taken_by_bigquerys_rules_not_by_duckdbs(load, rows, field, value, expected):
    """12.7 is no INT64, though a cast would make 13 of it."""
    schema = [SchemaField("x", field), SchemaField("y", "STRING")]
    if expected is None:
        with pytest.raises(BadRequest, match=f"Could not parse '{value}'"):
            load("t", f"{value},a\n", "CSV", schema=schema)
        return
    load("t", f"{value},a\n", "CSV", schema=schema)
    [(found, _)] = rows("SELECT x, y FROM t")
    assert (found.isoformat() if field == "TIMESTAMP" else found) == expected


@pytest.mark.parametrize("write", ["WRITE_APPEND", "WRITE_TRUNCATE"])
def test_a_load_that_fails_half_way_leaves_the_old_rows(load, rows, write):
    load("t", [{"id": 1, "name": "Akita"}], schema=BREEDS)
    many = [{"id": number} for number in range(2, 5000)]
    with pytest.raises(BadRequest, match="Could not parse 'no number' as INT64 for field id"):
        load("t", [*many, {"id": "no number"}], schema=BREEDS, write_disposition=write)
    with pytest.raises(BadRequest, match="Missing required field: id"):
        load("t", [*many, {"name": "Boxer"}], schema=BREEDS, write_disposition=write)
    assert rows("SELECT id, name FROM t") == [(1, "Akita")]


def test_a_schema_may_grow_where_allowed_and_never_narrows(client, load, rows):
    load("t", [{"id": 1, "name": "Akita"}], schema=BREEDS)
    more = [*BREEDS, SchemaField("size", "INTEGER")]
    with pytest.raises(
        BadRequest, match=r"Provided Schema does not match Table .*Cannot add fields \(field: size\)"
    ):
        load("t", [{"id": 2, "size": 5}], schema=more)
    with pytest.raises(BadRequest, match="No such field: size"):
        load("t", [{"id": 2, "size": 5}])
    load("t", [{"id": 2, "size": 5}], ignore_unknown_values=True)
    load("t", [{"id": 3, "size": 5}], schema=more, schema_update_options=["ALLOW_FIELD_ADDITION"])
    assert rows("SELECT id, size FROM t ORDER BY id") == [(1, None), (2, None), (3, 5)]
    narrow = [SchemaField("id", "INTEGER", mode="REQUIRED"), SchemaField("name", "INTEGER")]
    with pytest.raises(BadRequest, match="Field name has changed type from STRING to INTEGER"):
        load("t", [{"id": 4, "name": 5}], schema=narrow)
    table = client.get_table(f"{client.project}.d.t")
    for schema, why in (
        (table.schema[1:], "Field id is missing in new schema"),
        (
            [*table.schema[:2], SchemaField("size", "STRING")],
            "Field size has changed type from INTEGER to STRING",
        ),
        ([*table.schema, SchemaField("age", "INTEGER", mode="REQUIRED")], "Cannot add required fields"),
    ):
        table.schema = schema
        with pytest.raises(BadRequest, match=why):
            client.update_table(table, ["schema"])
        table = client.get_table(table)
    table.schema = [SchemaField("id", "INTEGER"), *table.schema[1:], SchemaField("age", "INTEGER")]
    assert [field.mode for field in client.update_table(table, ["schema"]).schema] == ["NULLABLE"] * 4


def test_a_nested_column_grows_too(client, load, rows):
    def schema(*names):
        fields = [SchemaField(name, "STRING") for name in names]
        return [SchemaField("parts", "RECORD", mode="REPEATED", fields=fields)]

    load("t", [{"parts": [{"a": "1"}]}], schema=schema("a"))
    with pytest.raises(BadRequest, match=r"No such field: parts\.b"):
        load("t", [{"parts": [{"a": "1", "b": "2"}]}])
    options = {"schema_update_options": ["ALLOW_FIELD_ADDITION"]}
    load("t", [{"parts": [{"a": "1", "b": "2"}]}], schema=schema("a", "b"), **options)
    assert rows("SELECT p.a, p.b FROM t, UNNEST(parts) AS p ORDER BY 2") == [("1", None), ("1", "2")]


def test_an_object_is_loaded_and_a_table_is_extracted_to_one(client, bucket, rows):
    for number in (1, 2):
        bucket.blob(f"in/{number}.csv").upload_from_string(f"{number},breed {number}\n")
    config = bigquery.LoadJobConfig(source_format="CSV", schema=BREEDS)
    table = f"{client.project}.d.t"
    job = client.load_table_from_uri(f"gs://{bucket.name}/in/*.csv", table, job_config=config)
    assert (job.result().output_rows, job.input_files) == (2, 2)
    client.extract_table(table, f"gs://{bucket.name}/out.csv").result()
    assert bucket.blob("out.csv").download_as_text().splitlines() == ["id,name", "1,breed 1", "2,breed 2"]
    as_json = bigquery.ExtractJobConfig(destination_format="NEWLINE_DELIMITED_JSON")
    client.extract_table(table, f"gs://{bucket.name}/out-*.json", job_config=as_json).result()
    text = bucket.blob("out-000000000000.json").download_as_text()
    assert text.splitlines()[0] == '{"id":"1","name":"breed 1"}'
    as_parquet = bigquery.ExtractJobConfig(destination_format="PARQUET")
    client.extract_table(table, f"gs://{bucket.name}/out.parquet", job_config=as_parquet).result()
    again = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
    client.load_table_from_uri(f"gs://{bucket.name}/out.parquet", table, job_config=again).result()
    assert rows("SELECT COUNT(*) FROM t") == [(2,)]
    with pytest.raises(NotFound, match="gs://"):
        client.load_table_from_uri(f"gs://{bucket.name}/none*", table, job_config=config).result()


def test_what_cannot_be_read_is_refused_by_name(load):
    with pytest.raises(Exception, match="does not serve load jobs of format AVRO"):
        load("t", b"Obj", "AVRO")


def test_one_partition_is_replaced_and_the_others_stay(client, load, rows):
    table = bigquery.Table(f"{client.project}.d.t", [SchemaField("day", "DATE"), SchemaField("n", "INTEGER")])
    table.time_partitioning = bigquery.TimePartitioning(field="day")
    client.create_table(table)
    load("t", [{"day": "2026-01-01", "n": 1}, {"day": "2026-01-02", "n": 2}])
    load("t$20260102", [{"day": "2026-01-02", "n": 3}], write_disposition="WRITE_TRUNCATE")
    assert rows("SELECT n FROM t ORDER BY day") == [(1,), (3,)]


def test_a_large_file_comes_in_chunks(client, rows):
    """More than a multipart upload may hold: the client sends it piece by piece."""
    line = b'{"id": 1, "name": "' + b"x" * 1000 + b'"}\n'
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=BREEDS)
    file = io.BytesIO(line * 3000)
    client.load_table_from_file(file, f"{client.project}.d.t", job_config=config).result()
    assert rows("SELECT COUNT(*), SUM(LENGTH(name)) FROM t") == [(3000, 3_000_000)]
