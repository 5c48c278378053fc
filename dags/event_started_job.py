"""Starts a job for each event that a rule wants: a Pub/Sub message, or what happens to a bucket's object."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, AssetWatcher, Param

from gcp_jobs.event_rules.folder import rules
from gcp_jobs.operators.event_jobs import BatchEventJobOperator, CloudRunEventJobOperator
from gcp_jobs.operators.event_starts import EventStartsOperator
from gcp_jobs.params import refuse_unknown
from gcp_jobs.settings import settings
from gcp_jobs.triggers.job_events import triggers

DOC = """
### Jobs started by events

A Pub/Sub message, or what happens to an object of a bucket, starts one run of a job template; the rules say which:
files of `GCP_JOBS_EVENT_RULE_FOLDERS`, each with its source, a template, and what of the event becomes what of the job.

1. A triggerer takes the events at a set rate (`GCP_JOBS_EVENTS_PER_MINUTE`) and acknowledges each after Airflow has
   stored it. What no rule wants, or does not fit its rule, goes to the dead-letter topic
   (`GCP_JOBS_EVENT_DEAD_LETTER_TOPIC`) with the reason in its attribute `gcp_jobs_reason`.
2. Airflow gathers what has come into one run of this DAG. `start_batch` and `start_cloud_run` begin all jobs at once.
3. One mapped task an event waits for its job, follows its log, and ends as the job ends.

However often an event is delivered, it has one job: the job's key is the event's identity (a message's id, an object's
name and generation, or what the rule names). A task whose event came before is skipped and says which task answers.
Clear a task to run its job again.

**Owner:** data-platform. **Schedule:** events. Who may start jobs is who may publish to the topic
(roles/pubsub.publisher) or write to the bucket.

**When it fails**, a mapped task says why its job failed, as in DAG `batch_job`.

| message | what to do |
|---|---|
| import error of this DAG that names a rule's file | correct the rule; events wait in Pub/Sub meanwhile |
| No events come, trying again (triggerer's log) | make the subscription, or grant the role that the message names |
| starts nothing and is dead-lettered (triggerer's log) | correct the rule or the publisher; publish the event again |
| The job of event ... is left to its task | see the mapped task |
| Job failed | see the table of DAG `batch_job` |
"""

known = rules(settings())

events = Asset(
    "gcp_job_events",
    watchers=[
        AssetWatcher(name=name, trigger=trigger) for name, trigger in triggers(known, settings()).items()
    ],
)

with DAG(
    "event_started_job",
    description="Start a job for each message or object that an event rule wants",
    doc_md=DOC,
    schedule=[events],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=25_000,  # nobody's job waits for another one's end
    default_args={"owner": "data-platform", "retries": 3, "retry_delay": timedelta(seconds=10)},
    params={
        "starts": Param(
            [],
            type="array",
            items={"type": "object", "required": ["rule", "identity", "template", "backend"]},
            title="Starts",
            description="Jobs to start as if their events had come; runs of this DAG hand them on to each other.",
        ),
    },
    tags=["events"],
):
    start_batch = EventStartsOperator(
        task_id="start_batch",
        backend="batch",
        waits="run_batch",
        inlets=[events],
        gcp_conn_id=settings().gcp_conn_id,
        pre_execute=refuse_unknown,
        retries=5,
        max_active_tis_per_dag=1,
        priority_weight=1_000,
        weight_rule="absolute",
        doc_md="Begins the events' jobs on Batch; a retry finds those that are there.",
    )
    BatchEventJobOperator.partial(
        task_id="run_batch",
        retry_failed=False,
        gcp_conn_id=settings().gcp_conn_id,
        map_index_template="{{ task.wanted.identity[-100:] }}",
        doc_md="Waits for the job of one event, on Batch.",
    ).expand(start=start_batch.output)
    start_cloud_run = EventStartsOperator(
        task_id="start_cloud_run",
        backend="cloud_run",
        waits="run_cloud_run",
        inlets=[events],
        gcp_conn_id=settings().gcp_conn_id,
        pre_execute=refuse_unknown,
        retries=5,
        max_active_tis_per_dag=1,
        priority_weight=999,
        weight_rule="absolute",
        doc_md="Begins the events' jobs on Cloud Run; a retry finds those that are there.",
    )
    CloudRunEventJobOperator.partial(
        task_id="run_cloud_run",
        retry_failed=False,
        gcp_conn_id=settings().gcp_conn_id,
        map_index_template="{{ task.wanted.identity[-100:] }}",
        doc_md="Waits for the job of one event, on Cloud Run.",
    ).expand(start=start_cloud_run.output)
