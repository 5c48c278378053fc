"""Lists, replays and discards dead letters: job runs that failed for good."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from gcp_jobs.operators.dead_letters import (
    BatchReplayOperator,
    CloudRunReplayOperator,
    DeadLettersOperator,
    ReplaysOfOperator,
)
from gcp_jobs.params import refuse_unknown
from gcp_jobs.settings import settings

DOC = """
### Dead letters

A job run that failed for good is a dead letter until somebody decides: every budget is spent, ours and Airflow's, or
another try would end alike, or it was refused before it ran (a run that somebody cancelled is none). It is run again
here, or discarded with a reason. They are a view of the ledger; nothing is copied and nothing goes away.

- **list** prints them, and what lies in the subscription of `GCP_JOBS_DEAD_LETTER_SUBSCRIPTION`.
- **replay** runs each again by the same operators as any job, one mapped task a letter, as it is recorded or with the
  fields of `change`. The new run names its origin (`replay_of`) in the ledger, and `GCP_JOBS_REPLAY_OF` tells the
  container. By a filter, letters that were replayed before, or whose task was cleared and
  has succeeded since, are left out; by `entries` they are run once more.
  What a template says beside the job, `exit_codes` and `policy`, is not recorded: a replay has the defaults.
- **discard** writes who, when and why into the ledger.

**Owner:** data-platform. **Schedule:** none, started by people and scripts.

**When it fails**, nothing has been replayed or discarded unless the log says so.

| message | what to do |
|---|---|
| the ledger does not hold the value of ... | clear the task in its own DAG run, which renders the job anew |
| entry is no dead letter (any more) | look it up by action list, or `python -m gcp_jobs.ledger show` |
| unknown param; cannot be changed | take a field of job templates that the message allows |
| there is no ledger; the ledger does not answer | see `GCP_JOBS_LEDGER_CONN_ID` |
| Job failed, in a replay task | as in any task; what ends for good is a dead letter of its own |
"""

params = {
    "action": Param(
        "list", type="string", enum=["list", "replay", "discard"], title="Action", description="What to do with them.",
    ),
    "entries": Param(
        [], type="array", items={"type": "string", "pattern": "^[0-9a-f]{4,32}$"}, title="Entries",
        description="Letters by their entry in the ledger; its start is enough.",
    ),
    "dag_id": Param(None, type=["string", "null"], title="DAG", description="Filter: letters of this DAG."),
    "failure_class": Param(
        None, type=["string", "null"], title="Class", description="Filter: how they failed, such as preempted.",
    ),
    "since": Param(
        None, type=["string", "null"], title="Since", description="Filter: ended then or later, 2026-11-02T02:00:00Z.",
    ),
    "project": Param(None, type=["string", "null"], title="Project", description="Filter: ran in this project."),
    "region": Param(None, type=["string", "null"], title="Region", description="Filter: ran in this region."),
    "change": Param(
        {}, type="object", title="Changed fields",
        description="For replay: fields of a job template, such as memory; mappings are merged, null removes.",
    ),
    "reason": Param(
        None, type=["string", "null"], maxLength=2000, title="Reason", description="For discard: why they are let go.",
    ),
}  # fmt: skip

with DAG(
    "dead_letters",
    description="List, replay or discard job runs that failed for good",
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data-platform", "retries": 0, "retry_delay": timedelta(minutes=5)},
    params=params,
    tags=["operations"],
):
    letters = DeadLettersOperator(
        task_id="letters",
        gcp_conn_id=settings().gcp_conn_id,
        pre_execute=refuse_unknown,
        doc_md="Lists, discards, or chooses what is replayed.",
    )
    batch = ReplaysOfOperator(
        task_id="batch", of="letters", backend="batch", doc_md="The replays that run on Batch."
    )
    cloud_run = ReplaysOfOperator(
        task_id="cloud_run", of="letters", backend="cloud_run", doc_md="The replays that run on Cloud Run."
    )
    BatchReplayOperator.partial(
        task_id="replay_batch",
        gcp_conn_id=settings().gcp_conn_id,
        map_index_template="{{ task.env['GCP_JOBS_REPLAY_OF'] }}",
        doc_md="Runs a letter again, as any job is run.",
    ).expand_kwargs(batch.output)
    CloudRunReplayOperator.partial(
        task_id="replay_cloud_run",
        gcp_conn_id=settings().gcp_conn_id,
        map_index_template="{{ task.env['GCP_JOBS_REPLAY_OF'] }}",
        doc_md="Runs a letter again, as any job is run.",
    ).expand_kwargs(cloud_run.output)
    letters >> [batch, cloud_run]
