"""The gcloud CLI, unmodified, where it is installed: what people type by hand works here as it does on Google."""

import json
import time

import pytest

JOB = {
    "taskGroups": [
        {
            "taskCount": "2",
            "taskSpec": {
                "runnables": [{"script": {"text": "echo task $BATCH_TASK_INDEX; sleep $SLEEP"}}],
                "environment": {"variables": {"SLEEP": "0"}},
            },
        }
    ],
    "labels": {"team": "a"},
    "logsPolicy": {"destination": "CLOUD_LOGGING"},
}


@pytest.fixture
def here(cloud):
    return f"--location={cloud.region}"


def wait_for(gcloud, job, here, state):
    end = time.monotonic() + 60
    while (found := gcloud("batch", "jobs", "describe", job, here)["status"]["state"]) != state:
        assert time.monotonic() < end, f"{job} is {found}"


def test_batch_jobs_from_submit_to_delete(gcloud, cloud, here):
    made = gcloud("batch", "jobs", "submit", "mine", here, "--config=-", stdin=json.dumps(JOB))
    name = f"{cloud.parent}/jobs/mine"
    assert (made["name"], made["status"]["state"]) == (name, "QUEUED")
    wait_for(gcloud, "mine", here, "SUCCEEDED")
    listed = ("batch", "jobs", "list", here, "--sort-by=~createTime")
    found = gcloud(*listed, '--filter=labels.team="a" AND status.state="SUCCEEDED"')
    assert [job["name"] for job in found] == [name]
    assert gcloud(*listed, "--filter=labels.team=b") == []
    tasks = gcloud("batch", "tasks", "list", "--job=mine", here)
    assert [task["name"] for task in tasks] == [f"{name}/taskGroups/group0/tasks/{n}" for n in (0, 1)]
    task = gcloud("batch", "tasks", "describe", "1", "--task_group=group0", "--job=mine", here)
    states = [event["taskState"] for event in task["status"]["statusEvents"]]
    assert states == ["ASSIGNED", "RUNNING", "SUCCEEDED"]
    again = ("batch", "jobs", "submit", "mine", here, "--config=-")
    gcloud(*again, stdin=json.dumps(JOB), error="already exists")
    gcloud("batch", "jobs", "delete", "mine", here)
    gcloud("batch", "jobs", "describe", "mine", here, error="was not found")


def test_a_batch_job_is_cancelled(gcloud, here):
    flags = ("--machine-type=e2-small", "--provisioning-model=SPOT", "--script-text=sleep 100")
    gcloud("batch", "jobs", "submit", "long", here, *flags)
    operation = gcloud("batch", "jobs", "cancel", "long", here)
    assert operation["metadata"]["verb"] == "cancel"
    wait_for(gcloud, "long", here, "CANCELLED")


def test_a_wrong_job_is_refused_in_googles_words(gcloud, here):
    wrong = json.loads(json.dumps(JOB))
    wrong["taskGroups"][0]["taskCount"] = "100001"
    gcloud("batch", "jobs", "submit", "wrong", here, "--config=-", stdin=json.dumps(wrong), error="100000")


def test_logs_are_read(gcloud, cloud, here):
    made = gcloud("batch", "jobs", "submit", "writes", here, "--config=-", stdin=json.dumps(JOB))
    wait_for(gcloud, "writes", here, "SUCCEEDED")
    wanted = f'logName="projects/{cloud.project}/logs/batch_task_logs" AND labels.job_uid="{made["uid"]}"'
    entries = gcloud("logging", "read", wanted, "--order=asc", "--freshness=1h")
    assert sorted(entry["textPayload"] for entry in entries) == ["task 0", "task 1"]
    assert entries[0]["resource"]["type"] == "batch.googleapis.com/Job"
    (newest,) = gcloud("logging", "read", wanted, "--limit=1")
    assert newest["insertId"] == entries[-1]["insertId"]
    gcloud("logging", "read", "timestamp>", error="Unparseable filter")


def test_secrets_and_their_versions(gcloud, cloud):
    gcloud("secrets", "create", "key", "--replication-policy=automatic", "--labels=team=a")
    for value in ("first", "second"):
        gcloud("secrets", "versions", "add", "key", "--data-file=-", stdin=value)

    def access(version, **options):
        return gcloud("secrets", "versions", "access", version, "--secret=key", raw=True, **options)

    assert [access(version) for version in ("1", "latest")] == ["first", "second"]
    (secret,) = gcloud("secrets", "list", "--filter=labels.team=a")
    assert secret["name"] == f"projects/{cloud.project}/secrets/key"
    assert gcloud("secrets", "describe", "key")["replication"] == {"automatic": {}}
    gcloud("secrets", "versions", "disable", "1", "--secret=key")
    access("1", error="is in DISABLED state")
    versions = gcloud("secrets", "versions", "list", "key")
    assert [version["state"] for version in versions] == ["ENABLED", "DISABLED"]
    gcloud("secrets", "delete", "key")
    gcloud("secrets", "describe", "key", error="not found")
