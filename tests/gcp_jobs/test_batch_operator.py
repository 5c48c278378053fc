"""BatchJobOperator in real DAG runs (dag.test) against the emulator, deferrable and not."""

import inspect
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.batch import BatchBackend
from gcp_jobs.clients import Access
from gcp_jobs.model import JobRef, JobState, JobStatus
from gcp_jobs.operators.batch import BatchJobOperator

pytestmark = pytest.mark.airflow
Run = Callable[..., Any]
both = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])
BACKEND = BatchBackend(Access())


@pytest.fixture(autouse=True)
def _no_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GCP_JOBS_STATUS_TOPIC", raising=False)


def spec(name: str, script: str = "echo hello", **changes: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], "memory": "512Mi", **changes}


def jobs(dag: str) -> list[JobStatus]:
    return list(BACKEND.search("local-project", "europe-west1", f'labels.airflow-dag-id="{dag}"'))


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], bool]], None]]:
    """Try something beside the test again and again until it says that it is done."""
    threads = []

    def start(attempt: Callable[[], bool]) -> None:
        def work() -> None:
            end = time.monotonic() + 60
            while time.monotonic() < end and not attempt():
                time.sleep(0.2)

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def test_it_takes_every_argument_of_the_stock_operator_with_the_same_default() -> None:
    from airflow.providers.google.cloud.operators.cloud_batch import CloudBatchSubmitJobOperator

    stock = inspect.signature(CloudBatchSubmitJobOperator.__init__).parameters
    ours = inspect.signature(BatchJobOperator.__init__).parameters
    assert [name for name in stock if name not in ours] == []
    ours_on_purpose = {"project_id", "region", "job_name", "job", "deferrable"}
    differ = {
        name for name in stock if name not in ("self", "kwargs") and stock[name].default != ours[name].default
    }
    assert differ == ours_on_purpose
    assert set(CloudBatchSubmitJobOperator.template_fields) <= set(BatchJobOperator.template_fields)


def test_a_stock_dag_migrates_by_its_import(emulator: Any, run_operator: Run) -> None:
    from google.cloud import batch_v1

    job = batch_v1.Job(
        task_groups=[
            {
                "task_spec": {
                    "runnables": [
                        {"container": {"image_uri": "busybox", "commands": ["echo", "on {{ ds }}"]}}
                    ],
                    "max_run_duration": {"seconds": 60},
                },
                "task_count": 2,
            }
        ],
        logs_policy={"destination": "CLOUD_LOGGING"},
    )
    ran = run_operator(
        BatchJobOperator, "stock_batch", project_id="local-project", region="europe-west1", job_name="stock-style",
        job=job, polling_period_seconds=1, timeout_seconds=60, gcp_conn_id="google_cloud_default",
    )  # fmt: skip
    assert ran.state == "success", ran.log
    assert (ran.result["job"], ran.result["tasks"]["total"], ran.result["tasks"]["succeeded"]) == (
        "stock-style",
        2,
        2,
    )
    assert "[task 1] on 20" in ran.log


@both
def test_a_job_runs_and_leaves_a_small_result_with_its_log_in_ours(
    emulator: Any, run_operator: Run, deferrable: bool
) -> None:
    dag = f"batch_ok_{deferrable}".lower()
    ran = run_operator(
        BatchJobOperator,
        dag,
        spec=spec("daily-report", "echo hello from $BATCH_JOB_ID; echo goodbye"),
        deferrable=deferrable,
    )
    assert ran.state == "success", ran.log
    (job,) = jobs(dag)
    result = ran.result
    assert (result["job"], result["execution"], result["state"]) == (
        job.ref.job,
        job.ref.uid,
        "SUCCEEDED",
    )
    assert result["job"].startswith("daily-report-")
    assert result["exit_code"] == 0
    assert result["duration_s"] >= 0
    assert len(result["digest"]) == 64
    for line in (f"hello from {job.ref.job}", "goodbye"):
        assert ran.log.count(line) == 1, line


@both
def test_a_failure_says_cause_last_lines_and_what_to_do(
    emulator: Any, run_operator: Run, deferrable: bool
) -> None:
    policy = {"exit_codes": {4: {"means": "the source is down", "todo": "Wait for it."}}}
    ran = run_operator(
        BatchJobOperator,
        f"batch_fails_{deferrable}",
        spec=spec("fails", "echo about to fail; exit 4", **policy),
        deferrable=deferrable,
    )
    assert ran.state == "failed"
    message = ran.log[ran.log.rindex("Job failed [application]") :]
    for part in ("the source is down (exit code 4)", "Wait for it.", "Last log lines:", "  about to fail"):
        assert part in message


@both
def test_past_its_deadline_the_job_is_cancelled_and_the_task_fails(
    emulator: Any, run_operator: Run, deferrable: bool
) -> None:
    dag = f"batch_slow_{deferrable}".lower()
    ran = run_operator(
        BatchJobOperator, dag, spec=spec("slow", "sleep 120"), timeout_seconds=3, polling_period_seconds=1,
        deferrable=deferrable,
    )  # fmt: skip
    assert ran.state == "failed"
    assert "did not end within its deadline and was cancelled (it is CANCELLED)" in ran.log
    assert [job.state for job in jobs(dag)] == [JobState.CANCELLED]


def test_a_job_that_overruns_its_own_limit_is_told_what_to_raise(emulator: Any, run_operator: Run) -> None:
    ran = run_operator(BatchJobOperator, "batch_overrun", spec=spec("overrun", "sleep 60", timeout="1s"))
    assert ran.state == "failed"
    assert "Job failed [timed_out]: a task ran longer than its timeout (exit code 50005)" in ran.log
    assert "Raise `timeout` in the job's template" in ran.log


def test_a_job_cancelled_from_outside_fails_the_task_and_says_so(
    emulator: Any, run_operator: Run, meanwhile: Any
) -> None:
    def cancel() -> bool:
        running = [job for job in jobs("batch_outside") if job.state is JobState.RUNNING]
        for job in running:
            BACKEND.cancel(job.ref)
        return bool(running)

    meanwhile(cancel)
    ran = run_operator(BatchJobOperator, "batch_outside", spec=spec("outside", "sleep 120"))
    assert ran.state == "failed"
    assert "Job failed [cancelled]: the job was cancelled, outside Airflow" in ran.log


def test_the_job_says_by_its_labels_which_dag_run_task_and_try_made_it(
    emulator: Any, run_operator: Run
) -> None:
    from gcp_jobs import clients

    ran = run_operator(
        BatchJobOperator, "batch_labels", spec=spec("labelled"), labels={"team": "{{ dag.dag_id }}"}
    )
    assert ran.state == "success", ran.log
    (status,) = jobs("batch_labels")
    labels = dict(clients.client("BatchService", Access()).get_job(name=status.ref.name).labels)
    assert labels.pop("airflow-run-id").startswith("manual__")
    assert labels.pop("gcp-jobs-run-key") == status.run_key
    assert len(labels.pop("gcp-jobs-spec")) == 32
    assert labels == {
        "airflow-dag-id": "batch_labels", "airflow-task-id": "job", "airflow-try-number": "1", "team": "batch_labels",
        "environment": "local", "managed-by": "gcp-jobs",
    }  # fmt: skip


def test_a_retry_attaches_to_the_job_of_the_try_before(emulator: Any, run_operator: Run) -> None:
    from gcp_jobs.once import Launcher

    begun: list[str] = []
    original = Launcher.start

    def dies_after_the_start(self: Launcher, request: RunRequest, prepare: Any) -> Any:
        started = original(self, request, prepare)
        begun.append(str(started.ref))
        if len(begun) == 1:
            raise ConnectionError("the worker's link to Airflow broke")
        return started

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Launcher, "start", dies_after_the_start)
        ran = run_operator(
            BatchJobOperator, "batch_retried", spec=spec("retried", "sleep 2"), retries=1,
            retry_delay=timedelta(milliseconds=100),
        )  # fmt: skip
    assert ran.state == "success", ran.log
    assert begun == [begun[0]] * 2
    assert "Attaching to job" in ran.log
    assert emulator.count("CreateJob") == 1


def test_a_retry_after_a_failure_runs_a_second_job_even_under_a_name_of_the_users(
    emulator: Any, run_operator: Run
) -> None:
    ran = run_operator(
        BatchJobOperator, "batch_again", spec=spec("again", "exit 7"), job_name="my-very-name", retries=1,
        retry_delay=timedelta(milliseconds=100),
    )  # fmt: skip
    assert ran.state == "failed"
    names = sorted(job.ref.job for job in jobs("batch_again"))
    assert len(names) == 2
    assert names[0] == "my-very-name"
    assert names[1].startswith("my-very-name-")


def test_a_name_that_somebody_elses_job_bears_is_refused_and_that_job_is_left_alone(
    emulator: Any, run_operator: Run
) -> None:
    from gcp_jobs.model import JobSpec

    theirs = JobSpec.model_validate(
        spec("theirs", "sleep 20", project="local-project", region="europe-west1", environment="local")
    )
    ref = JobRef("batch", "local-project", "europe-west1", "theirs")
    BACKEND.submit(RunRequest(ref, run_key="f" * 32, spec=theirs, exact=True))
    ran = run_operator(BatchJobOperator, "batch_theirs", spec=spec("ours"), job_name="theirs", retries=2)
    assert ran.state == "failed"
    assert "a job of this name exists already, and this task did not make it" in ran.log
    assert "AirflowFailException" in ran.log
    assert not BACKEND.get(ref).terminal
    BACKEND.cancel(ref)


def test_a_mapped_operator_submits_one_job_for_each_value(emulator: Any, run_operator: Run) -> None:
    def mapped(task_id: str) -> Any:
        partial = BatchJobOperator.partial(
            task_id=task_id, spec=spec("mapped", 'echo "n=$N."'), pool="default_pool"
        )
        return partial.expand(env=[{"N": str(n)} for n in range(4)])

    ran = run_operator(mapped, "batch_mapped")
    assert ran.state == "success", ran.log
    assert [ran.log.count(f"n={n}.") for n in range(4)] == [1] * 4
    found = jobs("batch_mapped")
    assert len({job.ref.job for job in found}) == 4
    assert {job.state for job in found} == {JobState.SUCCEEDED}


def test_where_a_topic_is_set_each_job_tells_it_of_every_state(
    emulator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gcp_jobs.backends.batch import build
    from gcp_jobs.model import JobSpec
    from gcp_jobs.settings import settings

    monkeypatch.setenv("GCP_JOBS_STATUS_TOPIC", "job-states")
    settings.cache_clear()
    wanted = JobSpec.model_validate(spec("told", project="p-1", region="europe-west1", environment="local"))
    job = build(RunRequest(JobRef("batch", "p-1", "europe-west1", "told"), run_key="a" * 32, spec=wanted))
    (only,) = job.notifications
    assert (only.pubsub_topic, only.message.type_.name) == (
        "projects/local-project/topics/job-states",
        "JOB_STATE_CHANGED",
    )


def test_a_wrong_field_of_a_job_is_named(emulator: Any, run_operator: Run) -> None:
    ran = run_operator(
        BatchJobOperator,
        "batch_wrong",
        job={"task_groups": [{"task_spec": {"max_run_duratoin": "5s"}}]},
        retries=3,
    )
    assert ran.state == "failed"
    assert "max_run_duratoin" in ran.log
    assert "AirflowFailException" in ran.log
    assert emulator.count("CreateJob") == 0
