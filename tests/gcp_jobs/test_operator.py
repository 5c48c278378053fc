"""CloudRunJobOperator in real DAG runs (dag.test) against the emulator, deferrable and not."""

import inspect
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gcp_jobs.backends.base import RunRequest
from gcp_jobs.backends.cloud_run import CloudRunBackend
from gcp_jobs.clients import Access
from gcp_jobs.model import JobRef, JobState
from gcp_jobs.operators.cloud_run import CloudRunJobOperator

pytestmark = pytest.mark.airflow
Run = Callable[..., Any]
both = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])
BACKEND = CloudRunBackend(Access())


def spec(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "image": "repo/sample-job:1", "memory": "512Mi", **changes}


def ref(job: str, run: str = "") -> JobRef:
    return JobRef("cloud_run", "local-project", "europe-west1", job, run)


def test_it_takes_every_argument_of_the_stock_operator_with_the_same_default() -> None:
    from airflow.providers.google.cloud.operators.cloud_run import CloudRunExecuteJobOperator

    stock = inspect.signature(CloudRunExecuteJobOperator.__init__).parameters
    ours = inspect.signature(CloudRunJobOperator.__init__).parameters
    assert [name for name in stock if name not in ours] == []
    ours_on_purpose = {"project_id", "region", "job_name", "deferrable", "verbose"}
    differ = {
        name for name in stock if name not in ("self", "kwargs") and stock[name].default != ours[name].default
    }
    assert differ == ours_on_purpose
    assert set(CloudRunExecuteJobOperator.template_fields) <= set(CloudRunJobOperator.template_fields)


def test_a_stock_dag_migrates_by_its_import(emulator: Any, run_operator: Run) -> None:
    from gcp_jobs.model import JobSpec

    job = spec(
        "stock-style", project="local-project", region="europe-west1", environment="local", args=["exit", "9"]
    )
    BACKEND.ensure(JobSpec.model_validate(job))
    ran = run_operator(
        CloudRunJobOperator,
        "stock_style",
        project_id="local-project",
        region="europe-west1",
        job_name="stock-style",
        overrides={"container_overrides": [{"args": ["ok"]}], "task_count": 2},
        polling_period_seconds=1,
        timeout_seconds=60,
        gcp_conn_id="google_cloud_default",
    )
    assert ran.state == "success", ran.log
    assert ran.result["tasks"] == {"total": 2, "succeeded": 2, "failed": 0, "cancelled": 0, "retried": 0}
    assert "[task 1] hello" in ran.log


@both
def test_a_job_runs_and_leaves_a_small_result_with_its_log_in_ours(
    emulator: Any, run_operator: Run, deferrable: bool
) -> None:
    name = f"ok-{deferrable}".lower()
    ran = run_operator(
        CloudRunJobOperator, f"ok_{deferrable}", spec=spec(name), args=["json"], deferrable=deferrable
    )
    assert ran.state == "success", ran.log
    result = ran.result
    assert (result["job"], result["state"], result["exit_code"]) == (name, "SUCCEEDED", 0)
    assert result["execution"].startswith(f"{name}-")
    assert result["duration_s"] >= 0
    assert len(result["digest"]) == 64
    for line in (f"hello from {result['execution']}", "counted rows=7", "goodbye"):
        assert ran.log.count(line) == 1, line
    assert ran.log.index("hello from") < ran.log.index("counted") < ran.log.index("goodbye")


@both
def test_a_failure_says_cause_last_lines_and_what_to_do(
    emulator: Any, run_operator: Run, deferrable: bool
) -> None:
    policy = {"exit_codes": {4: {"means": "the source is down", "todo": "Wait for it."}}}
    ran = run_operator(
        CloudRunJobOperator,
        f"fails_{deferrable}",
        spec=spec(f"fails-{deferrable}".lower(), **policy),
        args=["exit", "4"],
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
    name = f"slow-{deferrable}".lower()
    ran = run_operator(
        CloudRunJobOperator,
        f"slow_{deferrable}",
        spec=spec(name),
        args=["sleep", "120"],
        timeout_seconds=3,
        polling_period_seconds=1,
        deferrable=deferrable,
    )
    assert ran.state == "failed"
    assert "did not end within its deadline and was cancelled (it is CANCELLED)" in ran.log
    assert [s.state for s in BACKEND.list(ref(name))] == [JobState.CANCELLED]


def test_a_job_cancelled_from_outside_fails_the_task_and_says_so(emulator: Any, run_operator: Run) -> None:
    import threading

    def cancel() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            running = [s for s in _listed("outside") if s.state is JobState.RUNNING]
            if running:
                BACKEND.cancel(running[0].ref)
                return
            time.sleep(0.2)

    thread = threading.Thread(target=cancel)
    thread.start()
    ran = run_operator(CloudRunJobOperator, "outside", spec=spec("outside"), args=["sleep", "120"])
    thread.join()
    assert ran.state == "failed"
    assert "Job failed [cancelled]: the execution was cancelled, outside Airflow" in ran.log


def _listed(job: str) -> Any:
    from gcp_jobs.errors import NotFound

    try:
        return BACKEND.list(ref(job))
    except NotFound:
        return []


def test_a_job_over_its_memory_is_told_what_to_raise(emulator: Any, run_operator: Run) -> None:
    never = {"out_of_memory": {"budget": 0}}
    ran = run_operator(CloudRunJobOperator, "hungry", spec=spec("hungry", policy=never), args=["eat", "700"])
    assert ran.state == "failed"
    assert "Job failed [out_of_memory]" in ran.log
    assert "Raise `memory` in the job's template" in ran.log


def test_a_missing_image_ends_the_task_without_retries(emulator: Any, run_operator: Run) -> None:
    ran = run_operator(
        CloudRunJobOperator, "no_image", spec={"name": "no-image", "image": "repo/nothing-here:1"}, retries=3
    )
    assert ran.state == "failed"
    assert "AirflowFailException" in ran.log
    assert "nothing-here" in ran.log


def test_a_missing_secret_ends_the_task_naming_it(emulator: Any, run_operator: Run) -> None:
    ran = run_operator(
        CloudRunJobOperator, "no_secret", spec=spec("no-secret", secrets={"KEY": "nobody"}), retries=3
    )
    assert ran.state == "failed"
    assert "AirflowFailException" in ran.log
    assert "nobody" in ran.log


def test_a_wrong_field_ends_the_task_naming_field_and_fix(emulator: Any, run_operator: Run) -> None:
    ran = run_operator(CloudRunJobOperator, "wrong_field", spec=spec("wrong", memroy="1Gi"), retries=3)
    assert ran.state == "failed"
    assert "base.memroy: unknown key; did you mean 'memory'?" in ran.log
    assert emulator.count("RunJob") == 0


def test_where_a_deployment_writes_jobs_drift_is_reported_and_nothing_is_written(
    emulator: Any, run_operator: Run
) -> None:
    from gcp_jobs.model import JobSpec

    deployed = spec(
        "deployed", project="local-project", region="europe-west1", environment="local", memory="1Gi"
    )
    BACKEND.ensure(JobSpec.model_validate(deployed))
    emulator.reset()
    ran = run_operator(CloudRunJobOperator, "deployed", spec=spec("deployed"), args=["ok"], manage_job=False)
    assert ran.state == "success", ran.log
    assert "Job deployed differs from its template: memory: wanted '512Mi', found '1Gi'" in ran.log
    assert (emulator.count("CreateJob"), emulator.count("UpdateJob")) == (0, 0)


def test_a_job_that_nobody_deployed_says_how_to_get_it(emulator: Any, run_operator: Run) -> None:
    ran = run_operator(CloudRunJobOperator, "undeployed", spec=spec("undeployed"), manage_job=False)
    assert ran.state == "failed"
    assert "Deploy it from its template, or run with manage_job=True." in ran.log


def test_the_job_learns_who_runs_it_and_under_which_key(emulator: Any, run_operator: Run) -> None:
    names = ["GCP_JOBS_DAG_ID", "GCP_JOBS_TASK_ID", "GCP_JOBS_TRY_NUMBER", "GCP_JOBS_RUN_KEY", "MINE"]
    ran = run_operator(
        CloudRunJobOperator, "who", spec=spec("who"), args=["env", *names], env={"MINE": "{{ dag.dag_id }}!"}
    )
    assert ran.state == "success", ran.log
    (run,) = BACKEND.list(ref("who"))
    expected = f'"GCP_JOBS_DAG_ID": "who", "GCP_JOBS_RUN_KEY": "{run.run_key}"'
    assert expected in ran.log
    assert '"GCP_JOBS_TASK_ID": "job", "GCP_JOBS_TRY_NUMBER": "1", "MINE": "who!"' in ran.log


def test_values_under_sensitive_names_appear_nowhere(emulator: Any, run_operator: Run) -> None:
    hidden = "v3ry-h1dden-value"
    ran = run_operator(
        CloudRunJobOperator,
        "sensitive",
        spec=spec("sensitive", env={"API_KEY": hidden}),
        args=["ok"],
        env={"DB_PASSWORD": hidden},
        overrides={"container_overrides": [{"env": [{"name": "AUTH_TOKEN", "value": hidden}]}]},
    )
    assert ran.state == "success", ran.log
    assert hidden not in ran.log
    assert hidden not in str(ran.rendered)
    assert hidden not in str(ran.result)


def test_a_template_from_the_folders_of_the_setting_is_rendered_and_shown(
    emulator: Any, run_operator: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gcp_jobs.settings import settings

    (tmp_path / "mine.yaml").write_text(
        "base:\n  name: from-file\n  image: {{ (settings.registry ~ '/sample-job:1') | tojson }}\n"
        "  memory: 512Mi\n  args: [env, DAY]\n  env: {DAY: {{ ds | tojson }}}\n"
    )
    shipped = settings().template_folders[0]
    monkeypatch.setenv("GCP_JOBS_TEMPLATE_FOLDERS", f"{tmp_path}{os.pathsep}{shipped}")
    settings.cache_clear()
    ran = run_operator(CloudRunJobOperator, "from_file", template="mine.yaml")
    assert ran.state == "success", ran.log
    assert "name: from-file" in ran.rendered["template"]
    assert "settings.registry" not in ran.rendered["template"]


def test_a_retry_attaches_to_the_run_of_the_try_before(emulator: Any, run_operator: Run) -> None:
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
            CloudRunJobOperator,
            "retried",
            spec=spec("retried"),
            args=["sleep", "2"],
            retries=1,
            retry_delay=timedelta(milliseconds=100),
        )
    assert ran.state == "success", ran.log
    assert begun == [begun[0]] * 2
    assert "Attaching to execution" in ran.log
    assert emulator.count("RunJob") == 1


def test_a_mapped_operator_runs_its_template_once_for_each_value(
    emulator: Any, run_operator: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gcp_jobs.settings import settings

    (tmp_path / "mapped.yaml").write_text(
        "base:\n  name: mapped-{{ settings.environment }}\n  image: repo/sample-job:1\n  args: [env, N]\n"
    )
    monkeypatch.setenv("GCP_JOBS_TEMPLATE_FOLDERS", f"{tmp_path}{os.pathsep}{settings().template_folders[0]}")
    settings.cache_clear()

    def mapped(task_id: str) -> Any:
        partial = CloudRunJobOperator.partial(task_id=task_id, template="mapped.yaml")
        return partial.expand(env=[{"N": "one"}, {"N": "two"}])

    ran = run_operator(mapped, "mapped")
    assert ran.state == "success", ran.log
    assert [ran.log.count(f'env {{"N": "{value}"}}') for value in ("one", "two")] == [1, 1]
    assert len(BACKEND.list(ref("mapped-local"))) == 2


def test_a_job_elsewhere_than_allowed_is_refused(
    emulator: Any, run_operator: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gcp_jobs.settings import settings

    monkeypatch.setenv("GCP_JOBS_REGIONS", "europe-west4")
    settings.cache_clear()
    ran = run_operator(CloudRunJobOperator, "elsewhere", spec=spec("elsewhere"))
    assert "region europe-west1 is not allowed (task job). GCP_JOBS_REGIONS allows europe-west4." in ran.log
