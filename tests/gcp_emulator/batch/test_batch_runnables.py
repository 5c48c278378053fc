"""What tasks really do: scripts and containers in order, with their environment, volumes and limits."""

from google.cloud import batch_v1

State = batch_v1.JobStatus.State
PYTHON = {"container": {"image_uri": "python:3.12", "commands": ["python", "-c", "print('from python')"]}}


def test_runnables_run_in_order_and_scripts_share_the_machine(batch):
    job = batch.run(
        "echo one > /tmp/note",
        PYTHON,
        batch.script("#!/usr/bin/env python3\nprint(open('/tmp/note').read().strip())"),
        batch.script("#!/bin/bash\necho ${BASH_VERSION:+bash}"),
    )
    assert job.status.state == State.SUCCEEDED
    assert batch.lines(job) == ["from python", "one", "bash"]


def test_an_image_folder_runs_with_its_entrypoint(batch):
    container = {"image_uri": "europe-docker.pkg.dev/p/r/worker:1", "commands": ["say=hello", "complain=oh"]}
    job = batch.run({"container": container})
    assert sorted(batch.lines(job)) == ["hello", "oh"]
    assert batch.lines(job, extra="severity=ERROR") == ["oh"]


def test_public_images_have_stand_ins(batch):
    """The examples of Google's documents run on a laptop without a registry."""
    steps = [
        {"container": {"image_uri": image, "entrypoint": "/bin/sh", "commands": ["-c", f"echo {index}"]}}
        for index, image in enumerate(
            ("gcr.io/google-containers/busybox", "ubuntu", "debian:12", "busybox:1")
        )
    ]
    job = batch.run(*steps)
    assert job.status.state == State.SUCCEEDED, job.status
    assert batch.lines(job) == ["0", "1", "2", "3"]


def test_a_missing_image_fails_the_task_and_says_how_to_add_one(batch):
    job = batch.run({"container": {"image_uri": "europe-docker.pkg.dev/p/r/python:1"}})
    assert batch.exit_codes(job) == [125]
    (said,) = batch.lines(job, "batch_agent_logs", "severity=ERROR")
    assert "add a folder" in said
    assert "need none: alpine" in said
    (line,) = batch.lines(job)
    assert line.startswith("docker: Image 'europe-docker.pkg.dev/p/r/python:1' not found: add a folder")


def test_variables_come_from_every_level_and_from_batch(batch):
    secrets = batch.cloud.secrets()
    secret = secrets.create_secret(
        parent=f"projects/{batch.cloud.project}", secret_id="key", secret={"replication": {"automatic": {}}}
    )
    secrets.add_secret_version(parent=secret.name, payload={"data": b"hidden"})
    dump = "import json, os; print(json.dumps({'env': dict(os.environ)}))"
    container = {"image_uri": "python", "commands": ["python", "-c", dump], "options": "-e FROM=options --rm"}
    job = batch.run(
        {"container": container, "environment": {"variables": {"A": "runnable"}}},
        environment={
            "variables": {"A": "spec", "B": "spec", "C": "spec"},
            "secret_variables": {"KEY": f"{secret.name}/versions/latest"},
        },
        group={"task_environments": [{"variables": {"B": "first"}}, {"variables": {"B": "second"}}]},
    )
    assert job.task_groups[0].task_count == 2
    entries = batch.cloud.logging().list_log_entries(
        resource_names=[f"projects/{batch.cloud.project}"],
        filter=f'labels.job_uid="{job.uid}" labels.task_id="{job.uid}-group0-1" jsonPayload.env:*',
    )
    (env,) = (dict(entry.json_payload["env"]) for entry in entries)
    expected = {
        "A": "runnable", "B": "second", "C": "spec", "KEY": "hidden", "FROM": "options",
        "BATCH_TASK_INDEX": "1", "BATCH_TASK_COUNT": "2", "BATCH_TASK_RETRY_ATTEMPT": "0",
        "BATCH_JOB_UID": job.uid, "BATCH_JOB_ID": job.name.rpartition("/")[2],
    }  # fmt: skip
    assert {name: env.get(name) for name in expected} == expected
    assert env["BATCH_NODE_LIST"]
    assert "GCE_METADATA_HOST" in env


def test_a_secret_that_cannot_be_read_fails_the_task(batch):
    name = f"projects/{batch.cloud.project}/secrets/none/versions/1"
    job = batch.run("true", environment={"secret_variables": {"KEY": name}})
    assert batch.exit_codes(job) == [50000]
    assert name in batch.lines(job, "batch_agent_logs", "severity=ERROR")[0]


def test_failures_stop_the_task_but_for_what_must_run_or_may_fail(batch):
    job = batch.run(
        batch.script("exit 4", ignore_exit_status=True),
        batch.script("echo next; exit 5"),
        batch.script("echo skipped"),
        batch.script("echo always; exit 6", always_run=True),
    )
    assert batch.lines(job) == ["next", "always"]
    assert batch.exit_codes(job) == [5]


def test_a_background_runnable_serves_the_others_and_ends_with_them(batch):
    job = batch.run(
        batch.script("echo ready > /tmp/ready; sleep 60", background=True),
        "until test -e /tmp/ready; do sleep 0.01; done; cat /tmp/ready",
    )
    assert job.status.state == State.SUCCEEDED
    assert batch.lines(job) == ["ready"]


def test_a_background_runnable_that_fails_fails_the_task(batch):
    job = batch.run(
        batch.script("trap 'touch /tmp/gone' EXIT; exit 9", background=True),
        "until test -e /tmp/gone; do sleep 0.01; done; sleep 1",  # it is gone a moment after it has said so
    )
    assert batch.exit_codes(job) == [9]


def test_a_runnable_over_its_own_time_ends_with_50005(batch):
    job = batch.run(batch.script("sleep 60", timeout={"nanos": 200_000_000}))
    assert batch.exit_codes(job) == [50005]


def test_tasks_wait_for_each_other_at_a_barrier(batch):
    """Without it the second half would not see what other tasks wrote in the first."""
    volume = {"gcs": {"remote_path": batch.cloud.project}, "mount_path": "/mnt/disks/share"}
    job = batch.run(
        "sleep 0.$BATCH_TASK_INDEX; touch /mnt/disks/share/$BATCH_TASK_INDEX",
        {"barrier": {}},
        "ls /mnt/disks/share",
        volumes=[volume],
        group={"task_count": 3},
    )
    assert job.status.state == State.SUCCEEDED
    assert sorted(batch.lines(job)) == sorted(["0", "1", "2"] * 3)


def test_volumes_are_folders_that_outlive_the_job(batch):
    volume = {"gcs": {"remote_path": f"{batch.cloud.project}/sub"}, "mount_path": "/mnt/disks/bucket"}
    first = batch.run("echo kept > /mnt/disks/bucket/file", volumes=[volume])
    assert first.status.state == State.SUCCEEDED
    whole = {"gcs": {"remote_path": batch.cloud.project}, "mount_path": "/data"}
    read = {"image_uri": "busybox", "commands": ["cat", "/in/file"], "volumes": ["/data/sub:/in:ro"]}
    job = batch.run({"container": read}, volumes=[whole])
    assert batch.lines(job) == ["kept"]
    script = batch.run(
        "printf '#!/bin/bash\\necho by path' > /data/run.sh",
        {"script": {"path": "/data/run.sh"}},
        volumes=[whole],
    )
    assert batch.lines(script) == ["by path"]


def test_memory_is_limited_but_the_disk_is_not_memory(batch):
    fill = "import os, time; kept = bytearray(os.urandom(1024)) * 1024 * 200; time.sleep(30)"
    container = {"image_uri": "python", "commands": ["python", "-c", fill]}
    job = batch.run({"container": container}, compute_resource={"memory_mib": 64})
    assert batch.exit_codes(job) == [137]
    assert "Memory limit of 64 MiB exceeded" in batch.lines(job, "batch_agent_logs", "severity=ERROR")[0]
    disk = batch.run(
        "head -c 100000000 /dev/zero > /tmp/file; sleep 0.3", compute_resource={"memory_mib": 64}
    )
    assert disk.status.state == State.SUCCEEDED


def test_tasks_share_machines_as_far_as_they_fit(batch):
    """taskCountPerNode tells how many; a machine's disk is seen by all tasks on it."""
    batch_job = batch.run("true", group={"task_count": 4, "task_count_per_node": 2})
    places = {
        event.description.rpartition(" on ")[2].split()[0]
        for task in batch.tasks(batch_job)
        for event in task.status.status_events
        if event.task_state == 3
    }
    assert len(places) == 2
    assert batch_job.status.task_groups["group0"].instances[0].task_pack == 2


def test_labels_of_job_and_runnable_are_on_the_log_entries(batch):
    job = batch.job(
        {"script": {"text": 'echo \'{"message": "said", "severity": "WARNING"}\''}, "labels": {"step": "a"}}
    )
    job.labels = {"team": "data"}
    job = batch.wait(batch.create(job).name)
    (entry,) = batch.cloud.logging().list_log_entries(
        resource_names=[f"projects/{batch.cloud.project}"],
        filter=f'log_id("batch_task_logs") labels.job_uid="{job.uid}"',
    )
    assert entry.json_payload["message"] == "said"
    assert entry.severity == 400
    assert dict(entry.labels) == {
        "team": "data", "step": "a", "job_uid": job.uid, "task_group_name": f"{job.name}/taskGroups/group0",
        "task_id": f"{job.uid}-group0-0", "hostname": entry.labels["hostname"],
    }  # fmt: skip
    assert (entry.resource.type, dict(entry.resource.labels)) == (
        "batch.googleapis.com/Job",
        {"resource_container": batch.cloud.project, "location": "europe-west1", "job_id": job.uid},
    )


def test_without_a_logs_policy_nothing_is_kept_and_with_a_path_a_file(batch):
    silent = batch.job("echo lost")
    silent.logs_policy = batch_v1.LogsPolicy()
    assert batch.lines(batch.wait(batch.create(silent).name)) == []
    volume = {"gcs": {"remote_path": batch.cloud.project}, "mount_path": "/logs"}
    filed = batch.job("echo filed", volumes=[volume])
    filed.logs_policy = {"destination": "PATH", "logs_path": "/logs"}
    uid = batch.wait(batch.create(filed).name).uid
    assert batch.lines(batch.run(f"cat /logs/output-{uid}-group0-0.log", volumes=[volume])) == ["filed"]


def test_a_job_reads_its_identity_from_the_metadata_server(batch):
    ask = (
        "import os, urllib.request as r; h = os.environ['GCE_METADATA_HOST']; "
        "q = r.Request(f'http://{h}/computeMetadata/v1/instance/service-accounts/default/email', "
        "headers={'Metadata-Flavor': 'Google'}); print(r.urlopen(q).read().decode())"
    )
    job = batch.job({"container": {"image_uri": "python", "commands": ["python", "-c", ask]}})
    job.allocation_policy = {"service_account": {"email": "worker@p.iam.gserviceaccount.com"}}
    assert batch.lines(batch.wait(batch.create(job).name)) == ["worker@p.iam.gserviceaccount.com"]


def pretend(*words):
    return {"container": {"image_uri": "gcp-emulator/pretend", "commands": list(words)}}


def test_pretended_tasks_take_no_process_and_no_slot(batch):
    """Load tests wait for more jobs than a machine could run."""
    job = batch.run(pretend("seconds=0.3", "say=hello"), group={"task_count": 300, "parallelism": 300})
    assert job.status.state == State.SUCCEEDED
    assert job.status.run_duration.total_seconds() < 10
    assert batch.lines(job) == ["hello"] * 300


def test_pretended_tasks_fail_and_stop_as_real_ones(batch):
    assert batch.exit_codes(batch.run(pretend("exit=3"))) == [3]
    assert batch.exit_codes(batch.run(pretend("seconds=60"), max_run_duration={"nanos": 100_000_000})) == [
        50005
    ]
    limited = {**pretend("seconds=60"), "timeout": {"nanos": 100_000_000}}
    assert batch.exit_codes(batch.run(limited)) == [50005]
    job = batch.create(batch.job(pretend("seconds=60")))
    batch.wait(job.name, State.RUNNING)
    batch.client.cancel_job(name=job.name).result(30)
    assert batch.client.get_job(name=job.name).status.state == State.CANCELLED
    wrong = batch.run(pretend("minutes=1"))
    assert batch.exit_codes(wrong) == [125]
    assert "takes seconds=S" in batch.lines(wrong, "batch_agent_logs", "severity=ERROR")[0]
