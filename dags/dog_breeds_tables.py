"""Makes checked, documented tables of the breeds whenever new ones have landed."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, Param

from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.params import refuse_unknown
from gcp_jobs.settings import settings

DOC = """
### Dog breeds tables

Makes tables for readers of what `dog_breeds_ingestion` has loaded, each time that the asset `dog_breeds_raw` is
updated (only by hand where the ingestion's destination is DuckDB), and says so by updating `dim_breeds` and
`breed_temperaments`.

`tables` runs the Cloud Run job `dog-breeds-tables` (template `dog_breeds_tables.yaml`, image
`include/images/dog_breeds_tables`): the dbt project `include/dbt/dog_breeds`. It looks at the raw table's age, parses,
normalises, checks, and then replaces `dim_breeds` and `breed_temperaments`. Each run leaves a report; the task's link
**Report** leads there.

**Owner:** data-platform. One run at a time, no catch-up. Outside production the datasets carry the environment's name,
as in `dog_breeds_local`.

**When it fails**, the last line of the failed task's log says why; clear the task to run it again.

| message | what to do |
|---|---|
| checks failed (exit code 6) | read the report, and the rows in `breeds_quarantine`; readers' tables are as they were |
| the raw table is missing or too old (4) | run `dog_breeds_ingestion`; it may be 15 days old |
| BigQuery is away or refuses (5) | wait until it answers, or check rights and quota of the job's service account |
| the settings of the tables' job are wrong (3) | the log names the variable |
| unknown param | start the run with the params of this form only |
"""

params = {
    "raw_dataset": Param(
        settings().ingestion_dataset,
        title="Raw dataset",
        description="Dataset that the ingestion loads; outside production the environment's name is put behind it.",
        type="string",
        pattern="^[a-z][a-z0-9_]{0,149}$",
    ),
    "tables_dataset": Param(
        settings().tables_dataset,
        title="Tables' dataset",
        description="Dataset of the tables; outside production the environment's name is put behind it.",
        type="string",
        pattern="^[a-z][a-z0-9_]{0,149}$",
    ),
}
BUCKET = settings().reports_bucket
REPORT = "dog_breeds_tables/{{ run_id | replace(':', '') }}"

with DAG(
    "dog_breeds_tables",
    description="Make checked tables of the breeds that have landed",
    doc_md=DOC,
    schedule=[Asset("dog_breeds_raw")] if settings().ingestion_destination == "bigquery" else None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "data-platform",
        "retries": settings().retries,
        "retry_delay": timedelta(minutes=5),
    },
    params=params,
    tags=["tables", "cloud-run"],
):
    CloudRunJobOperator(
        task_id="tables",
        template="dog_breeds_tables.yaml",
        gcp_conn_id=settings().gcp_conn_id,
        env={
            "RAW_DATASET": "{{ params.raw_dataset }}",
            "TABLES_DATASET": "{{ params.tables_dataset }}",
            "REPORT": f"/reports/{REPORT}" if BUCKET else "",
        },
        report_uri=f"gs://{BUCKET}/{REPORT}.html" if BUCKET else None,
        timeout_seconds=1800 + 600,
        pre_execute=refuse_unknown,
        outlets=[Asset("dim_breeds"), Asset("breed_temperaments")],
        doc_md="Runs the job, follows its log, links its report, and leaves execution, exit code and duration in XCom.",
    )
