"""Loads the dog API's breeds every week."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, CronTriggerTimetable, Param

from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.operators.dlt_check import DltDatasetCheckOperator
from gcp_jobs.params import refuse_unknown
from gcp_jobs.settings import settings

DOC = """
### Dog breeds ingestion

Loads all breeds of the dog API into `dog_breeds_raw.dog_breeds_resource` (replace: the table is never half full),
checks what landed, and says so by updating the asset `dog_breeds_raw`.

1. `ingest` runs the Cloud Run job `dlt-dog-breeds-ingestion` (template `dog_breeds_ingestion.yaml`, image
   `include/images/dlt_ingestion`) and follows its log.
2. `check` reads the destination: there must be rows, and not too many rejected records.

**Owner:** data-platform. **Schedule:** Mondays 02:00 UTC (`GCP_JOBS_INGESTION_SCHEDULE`, `..._TIMEZONE`), one run at a
time, no catch-up. Outside production the dataset carries the environment's name, as in `dog_breeds_raw_local`.

**When it fails**, the last line of the failed task's log says why and what to do; clear the task to run it again.

| message | what to do |
|---|---|
| the dog API did not deliver (exit code 4) | wait until it does; the table still holds the last full load |
| the destination could not be written (5) | check rights and quota of the ingestion's service account |
| too many records were rejected (6) | read `dog_breeds_rejected`; raise `max_rejected_share` if they are right |
| the ingestion's settings are wrong (3) | the log names the variable; correct the setting or the param |
| no rows landed | the API answered with an empty list: look at it before the next run |
| unknown param | start the run with the params of this form only |
"""

params = {
    "api_base_url": Param(
        settings().ingestion_api_base_url,
        type="string",
        pattern="^https?://[^/\\s?#]+[^\\s?#]*$",
        title="API address",
        description="Base address of the dog API, without the endpoint.",
    ),
    "dataset": Param(
        settings().ingestion_dataset,
        type="string",
        pattern="^[a-z][a-z0-9_]{0,149}$",
        title="Dataset",
        description="Dataset that the tables land in; outside production the environment's name is put behind it.",
    ),
    "page_size": Param(
        100,
        type="integer",
        minimum=1,
        maximum=10_000,
        title="Page size",
        description="Records asked for at a time.",
    ),
    "max_rejected_share": Param(
        0.05,
        type="number",
        minimum=0,
        maximum=1,
        title="Largest share of rejected records",
        description="A record that cannot be parsed is kept aside; above this share (0 to 1) the run fails.",
    ),
    "http_timeout_s": Param(
        30,
        type="number",
        minimum=0.1,
        maximum=600,
        title="HTTP time-out",
        description="Seconds to wait for each answer of the API.",
    ),
    "http_attempts": Param(
        5,
        type="integer",
        minimum=1,
        maximum=20,
        title="Attempts a request",
        description="How often a request that failed is sent in all, with growing pauses in between.",
    ),
}

with DAG(
    "dog_breeds_ingestion",
    description="Load the dog API's breeds and check what landed",
    doc_md=DOC,
    schedule=CronTriggerTimetable(settings().ingestion_schedule, timezone=settings().ingestion_timezone),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "data-platform",
        "retries": settings().retries,
        "retry_delay": timedelta(minutes=5),
    },
    params=params,
    tags=["ingestion", "cloud-run"],
):
    ingest = CloudRunJobOperator(
        task_id="ingest",
        template="dog_breeds_ingestion.yaml",
        gcp_conn_id=settings().gcp_conn_id,
        env={
            "DOG_API_BASE_URL": "{{ params.api_base_url }}",
            "BIGQUERY_DATASET": "{{ params.dataset }}",
            "PAGE_SIZE": "{{ params.page_size }}",
            "MAX_REJECTED_SHARE": "{{ params.max_rejected_share }}",
            "HTTP_TIMEOUT_S": "{{ params.http_timeout_s }}",
            "HTTP_ATTEMPTS": "{{ params.http_attempts }}",
        },
        timeout_seconds=2 * 1800 + 600,
        pre_execute=refuse_unknown,
        doc_md="Runs the job, follows its log, and leaves execution, exit code and duration in XCom.",
    )
    check = DltDatasetCheckOperator(
        task_id="check",
        destination="{{ settings.ingestion_destination }}",
        duckdb_path="{{ settings.ingestion_duckdb_path or '' }}",
        project_id="{{ settings.project }}",
        location="{{ settings.bigquery_location }}",
        gcp_conn_id=settings().gcp_conn_id,
        dataset="{{ params.dataset }}{{ settings.dataset_suffix }}",
        table="dog_breeds_resource",
        rejected_table="dog_breeds_rejected",
        max_rejected_share="{{ params.max_rejected_share }}",
        outlets=[Asset("dog_breeds_raw")],
        doc_md="Reads the destination through dlt; fails on no rows or too many rejected records.",
    )
    ingest >> check
