"""Fans work out over the tasks of one Batch job, waits for the jobs of another run, and brings the parts together."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.params import refuse_unknown
from gcp_jobs.sensors.batch import BatchJobSensor
from gcp_jobs.settings import settings

DOC = """
### Fan out, fan in

An example of array jobs and of waiting for the jobs of others.

1. `count` is one Batch job of `tasks` tasks; each counts the primes of its own slice and leaves a part in the bucket.
2. `others` waits until the jobs that another run has submitted have all succeeded: those with the label
   `airflow-run-id` of `others_run_id`. Without such a run it has nothing to wait for.
3. `gather` comes after both: it adds the parts up.

**Owner:** data-platform. **Schedule:** none, started by hand.

**When it fails**, the failed task's last log line says why: `count` and `gather` name the class of the failure with the
last lines of the container, `others` names the jobs that did not succeed. Clear the failed task to run it again.
"""

params = {
    "upto": Param(
        1_000_000, type="integer", minimum=1, maximum=10_000_000_000, title="Largest number",
        description="Primes are counted up to this number.",
    ),
    "tasks": Param(4, type="integer", minimum=1, maximum=1_000, title="Tasks", description="Tasks of the array job."),
    "bucket": Param(
        "gcp-jobs-parts", type="string", pattern="^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", title="Bucket",
        description="Cloud Storage bucket through which the parts go; it must exist.",
    ),
    "others_run_id": Param(
        None, type=["string", "null"], title="Run to wait for",
        description="Run id of a DAG whose Batch jobs must have succeeded first; none: nothing is waited for.",
    ),
}  # fmt: skip

SPEC = {
    "image": "{{ settings.registry }}/batch-example:{{ settings.image_tag }}",
    "memory": "512Mi",
    "timeout": "1800s",
    "volumes": [{"name": "parts", "path": "/parts", "gcs": "{{ params.bucket }}"}],
}

with DAG(
    "batch_fan_in",
    description="Count primes in an array job, wait for other jobs, add up the parts",
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data-platform", "retries": 3, "retry_delay": timedelta(seconds=10)},
    params=params,
    tags=["batch", "example"],
):
    count = BatchJobOperator(
        task_id="count",
        spec={
            **SPEC,
            "name": "count-primes",
            "args": ["count", "--upto", "{{ params.upto }}", "--parts", "/parts/{{ run_id }}"],
            "task_count": "{{ params.tasks }}",
            "parallelism": "{{ params.tasks }}",
        },
        retry_failed=False,
        gcp_conn_id=settings().gcp_conn_id,
        pre_execute=refuse_unknown,
        doc_md="One Batch job with many tasks, each of which leaves its part in the bucket.",
    )
    others = BatchJobSensor(
        task_id="others",
        labels={"airflow-run-id": "{{ label_value(params.others_run_id or 'none') }}"},
        at_least="{{ 1 if params.others_run_id else 0 }}",
        retries=0,
        gcp_conn_id=settings().gcp_conn_id,
        pre_execute=refuse_unknown,
        doc_md="Waits for all Batch jobs of another run, whoever submitted them.",
    )
    gather = BatchJobOperator(
        task_id="gather",
        spec={
            **SPEC,
            "name": "gather-primes",
            "args": ["gather", "--parts", "/parts/{{ run_id }}", "--expect", "{{ params.tasks }}"],
        },
        retry_failed=False,
        gcp_conn_id=settings().gcp_conn_id,
        doc_md="Adds up what the tasks of `count` left.",
    )
    [count, others] >> gather
