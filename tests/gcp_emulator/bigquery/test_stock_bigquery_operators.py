"""The Google provider's own BigQuery operators, sensors and triggers, unmodified, in DAG runs against the emulator."""

import gc

import pytest
from google.api_core.client_options import ClientOptions

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # Airflow's .airflowignore
    # the provider's own: hooks that close no client, defaults it means to change, rows read without their types
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::airflow.exceptions.AirflowProviderDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Unknown type:FutureWarning"),
]
# runs for longer than the emulator takes to answer an insertion, so that a deferrable operator has to wait
SLOW = "SELECT SUM(x * y) AS total FROM UNNEST(GENERATE_ARRAY(1, 8000)) AS x, UNNEST(GENERATE_ARRAY(1, 8000)) AS y"


@pytest.fixture
def stock(run, cloud, monkeypatch):
    """Run operators one after the other, with the emulator's address in all three libraries of the provider.

    google-cloud-bigquery reads BIGQUERY_EMULATOR_HOST; gcloud-aio, in triggers, puts a second scheme before it; the
    discovery client of check operators does not look at it.
    """
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

    options = ClientOptions(api_endpoint=cloud.ready["rest"])
    monkeypatch.setattr(BigQueryHook, "get_client_options", lambda *_, **__: options)
    root = f"{cloud.ready['rest']}/bigquery/v2"
    monkeypatch.setattr("gcloud.aio.bigquery.bigquery.init_api_root", lambda *_: (True, root))
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", cloud.ready["rest"])
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.ready["rest"])

    def make(operator):
        return lambda region, **given: operator(**given)

    yield lambda *operators: run(*((make(operator), given) for operator, given in operators))
    gc.collect()  # what the hooks left open goes here, where it is forgiven, not in somebody else's test


def values(rows):
    """Of rows as they lie in an XCom, where a tuple is one that says so."""
    return [[str(value) for value in (row["__data__"] if isinstance(row, dict) else row)] for row in rows]


def job(query, **more):
    return {"query": {"query": query, "useLegacySql": False, **more}}


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
def test_a_dag_of_stock_operators_makes_checks_and_reads_a_table(stock, cloud, deferrable):
    from airflow.providers.google.cloud.operators import bigquery as stock_operators
    from airflow.providers.google.cloud.sensors.bigquery import BigQueryTableExistenceSensor

    table = {"dataset_id": "d", "table_id": "t"}
    into = {"destinationTable": {"projectId": cloud.project, "datasetId": "d", "tableId": "slow"}}
    check = {"use_legacy_sql": False, "location": "US", "deferrable": deferrable}
    seen = {**table, "poke_interval": 0.1, "deferrable": deferrable}
    states = stock(
        (stock_operators.BigQueryCreateEmptyDatasetOperator, {"task_id": "dataset", "dataset_id": "d"}),
        (
            stock_operators.BigQueryInsertJobOperator,
            {
                "task_id": "table",
                "location": "US",
                "deferrable": deferrable,
                "configuration": job(
                    "CREATE TABLE d.t PARTITION BY day AS SELECT DATE '2026-01-02' AS day, 7 AS n"
                ),
            },
        ),
        (
            stock_operators.BigQueryInsertJobOperator,
            {
                "task_id": "slow",
                "location": "US",
                "deferrable": deferrable,
                "poll_interval": 0.1,
                "configuration": job(SLOW, **into),
            },
        ),
        (BigQueryTableExistenceSensor, {"task_id": "there", **seen}),
        (
            stock_operators.BigQueryCheckOperator,
            {"task_id": "check", "sql": f"SELECT COUNT(*) > 0 FROM `{cloud.project}.d.t`", **check},
        ),
        (
            stock_operators.BigQueryValueCheckOperator,
            {"task_id": "value", "sql": f"SELECT n FROM `{cloud.project}.d.t`", "pass_value": 7, **check},
        ),
        (
            stock_operators.BigQueryGetDataOperator,
            {
                "task_id": "data",
                **table,
                "location": "US",
                "max_results": 10,
                "use_legacy_sql": False,
                "selected_fields": "n",
                "deferrable": deferrable,
            },
        ),
        (
            stock_operators.BigQueryDeleteDatasetOperator,
            {"task_id": "delete", "dataset_id": "d", "delete_contents": True},
        ),
    )
    assert {name: state for name, (state, _) in states.items() if state != "success"} == {}
    assert values(states["data"][1]) == [["7"]]


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
def test_a_failed_query_or_check_fails_its_stock_operator(stock, cloud, deferrable):
    from airflow.providers.google.cloud.operators import bigquery as stock_operators

    how = {"location": "US", "deferrable": deferrable}
    states = stock(
        (
            stock_operators.BigQueryCheckOperator,
            {"task_id": "check", "sql": "SELECT FALSE", "use_legacy_sql": False, **how},
        ),
        (
            stock_operators.BigQueryInsertJobOperator,
            {
                "task_id": "query",
                "configuration": job("SELECT no FROM d.nothing"),
                "trigger_rule": "all_done",
                **how,
            },
        ),
    )
    assert {state for state, _ in states.values()} == {"failed"}


def test_objects_become_a_table_and_a_table_an_object(stock, cloud):
    from airflow.providers.google.cloud.operators import bigquery as stock_operators
    from airflow.providers.google.cloud.operators.gcs import GCSCreateBucketOperator
    from airflow.providers.google.cloud.transfers.bigquery_to_gcs import BigQueryToGCSOperator
    from airflow.providers.google.cloud.transfers.gcs_to_bigquery import GCSToBigQueryOperator

    bucket, name = f"stock-{cloud.project}", f"{cloud.project}.d"
    states = stock(
        (GCSCreateBucketOperator, {"task_id": "bucket", "bucket_name": bucket}),
        (stock_operators.BigQueryCreateEmptyDatasetOperator, {"task_id": "dataset", "dataset_id": "d"}),
        (
            stock_operators.BigQueryInsertJobOperator,
            {"task_id": "table", "location": "US", "configuration": job("CREATE TABLE d.t AS SELECT 7 AS n")},
        ),
        (
            BigQueryToGCSOperator,
            {
                "task_id": "out",
                "source_project_dataset_table": f"{name}.t",
                "destination_cloud_storage_uris": [f"gs://{bucket}/t.csv"],
                "location": "US",
            },
        ),
        (
            GCSToBigQueryOperator,
            {
                "task_id": "in",
                "bucket": bucket,
                "source_objects": ["t.csv"],
                "destination_project_dataset_table": f"{name}.u",
                "schema_fields": [{"name": "n", "type": "INTEGER"}],
                "skip_leading_rows": 1,
                "location": "US",
            },
        ),
        (
            stock_operators.BigQueryGetDataOperator,
            {
                "task_id": "data",
                "dataset_id": "d",
                "table_id": "u",
                "location": "US",
                "use_legacy_sql": False,
            },
        ),
    )
    assert {task: state for task, (state, _) in states.items() if state != "success"} == {}
    assert values(states["data"][1]) == [["7"]]
