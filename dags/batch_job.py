"""Submits one Batch job as its params describe it, waits for it, and says how it ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.params import refuse_unknown
from gcp_jobs.settings import settings

DOC = """
### Batch job

Submits one Google Cloud Batch job, follows its log, and ends as the job ends. Start it by this form, by the REST API,
or by `bin/run-batch.sh`, which checks its input against the very params below. All of them have defaults: without any
the example image counts primes.

The job's id begins with `job_name_prefix`, whatever text that is, and ends with a part that only this run has, so that
a retry of the task finds its job again. XCom `return_value` holds the job, its uid, state, exit code and duration; the
task's links lead to the job and to its log.

A worker that dies costs the run nothing: another try finds the job and waits on. A job that failed is not run again.

**Owner:** data-platform. **Schedule:** none, started by people and scripts. Runs do not wait for one another.

**When it fails**, the last line of the task's log names the class of the failure, its cause and what to do.

| message | what to do |
|---|---|
| unknown param, or a param that does not fit its schema | start the run with the params of this form only |
| Job failed [image] | push the image, or correct `docker_image_uri` |
| Job failed [configuration] | correct the param that the message names |
| Job failed [permission] | grant the role that the message names, on what it names, to whom it names |
| Job failed [timed_out] | raise `max_run_duration` |
| Job failed [out_of_memory] | raise `memory_mib` |
| Job failed [stock_out], [preempted] | try again, or another `machine_type`, `region` or `provisioning_model` |
| Job failed [host_lost] | a machine of Google's failed, not the work: clear the task |
| Job failed [quota] | wait for other jobs to end, or ask for a larger quota of what the message names |
| Job failed [network], [dependency_down] | clear the task when what the job talks to answers again; check `network` |
| Job failed [application] | the container's last log lines, below the message, say why |
| Job failed [cancelled], [gone] | somebody cancelled or deleted the job: the audit log says who; clear the task |
| Job failed [unknown] | all that was seen is in the message; Google's console has the job's events |
"""

variables: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
name: dict[str, Any] = {"propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}}

params = {
    "job_name_prefix": Param(
        "java-batch-job-", type="string", minLength=1, maxLength=200, title="Start of the job's name",
        description="Any text; what a job id cannot hold becomes a hyphen.",
    ),
    "docker_image_uri": Param(
        f"{settings().registry}/batch-example:{settings().image_tag}", type="string", minLength=1,
        pattern=r"^[a-z0-9][\w.:/@-]*$", title="Image", description="URI of the container image.",
    ),
    "java_app_args": Param(
        [], type="array", items={"type": "string"}, title="Arguments",
        description="Arguments of the container; none: what the image says.",
    ),
    "container_env_vars": Param(
        {}, **variables, **name, title="Environment", description="Environment variables: name to text.",
    ),
    "machine_type": Param(
        "e2-standard-2", type=["string", "null"], pattern="^[a-z][a-z0-9-]*$", title="Machine type",
        description="Compute Engine machine type; none: Batch takes one that fits cpu and memory.",
    ),
    "max_run_duration": Param(
        "3600s", type="string", pattern="^[1-9][0-9]{0,6}s$", title="Longest run of a task",
        description="Whole seconds, written like 3600s.",
    ),
    "cpu_milli": Param(
        1000, type="integer", minimum=1, maximum=1_000_000, title="CPU of a task",
        description="Thousandths of a vCPU.",
    ),
    "memory_mib": Param(
        2048, type="integer", minimum=1, maximum=12_000_000, title="Memory of a task", description="MiB.",
    ),
    "task_count": Param(
        1, type="integer", minimum=1, maximum=100_000, title="Tasks",
        description="How many tasks the job has; each knows its BATCH_TASK_INDEX and the BATCH_TASK_COUNT.",
    ),
    "parallelism": Param(
        1, type="integer", minimum=1, maximum=5_000, title="Tasks at once", description="How many run at once.",
    ),
    "max_retries": Param(
        0, type="integer", minimum=0, maximum=10, title="Retries of a task",
        description="By Batch itself; leave 0 for work that must not run twice.",
    ),
    "project": Param(
        None, type=["string", "null"], minLength=1, title="Project", description="None: the setting's.",
    ),
    "region": Param(
        None, type=["string", "null"], pattern="^[a-z]+-[a-z]+[0-9]+$", title="Region",
        description="None: the setting's.",
    ),
    "provisioning_model": Param(
        "STANDARD", type="string", enum=["STANDARD", "SPOT"], title="Provisioning model",
        description="SPOT is cheaper and may be taken away at any time.",
    ),
    "labels": Param(
        {}, **variables, title="Labels", description="Labels of the job, beside those that name DAG, run and task.",
        propertyNames={"pattern": "^[a-z][a-z0-9_-]{0,62}$"},
    ),
    "secrets": Param(
        {}, **variables, **name, title="Secrets as variables",
        description="Variable to secret, as in dog-api-key or dog-api-key:3.",
    ),
    "secret_files": Param(
        {}, **variables, title="Secrets as files",
        description="Absolute path to secret. The image's entrypoint writes them (as batch_example does).",
        propertyNames={"pattern": "^/"},
    ),
    "network": Param(
        None, type=["object", "null"], title="Network", additionalProperties=False,
        description="network, subnetwork, tags, no_external_ip; none: the project's default network.",
        properties={
            "network": {"type": "string"}, "subnetwork": {"type": "string"}, "no_external_ip": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    ),
}  # fmt: skip

with DAG(
    "batch_job",
    description="Submit one Batch job and wait for its end",
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=25_000,  # nobody's job waits for another one's end; as many as one triggerer may hold
    default_args={"owner": "data-platform", "retries": 3, "retry_delay": timedelta(seconds=10)},
    params=params,
    tags=["batch"],
):
    BatchJobOperator(
        task_id="run",
        template="batch_job.yaml",
        job_name_prefix="{{ params.job_name_prefix }}",
        retry_failed=False,
        gcp_conn_id=settings().gcp_conn_id,
        pre_execute=refuse_unknown,
        doc_md="Submits the job, follows its log, and leaves job, uid, state and exit code in XCom.",
    )
