"""From a task template to what the runtime runs: volumes and probes that no other test meets."""

import pytest
from google.protobuf import json_format

from gcp_emulator.messages import Execution
from gcp_emulator.run.spec import Surroundings, for_attempt, main_container, prepare
from gcp_emulator.runtime.model import Mount, Probe

MIB = 2**20


class NoSecrets:
    def payload(self, version_name):
        raise AssertionError(f"{version_name} was read although no secret is asked for")


@pytest.fixture
def spec_of(tmp_path):
    def make(template):
        execution = json_format.ParseDict(
            {
                "name": "projects/p/locations/l/jobs/j/executions/j-x",
                "job": "j",
                "taskCount": 3,
                "template": template,
            },
            Execution(),
        )
        return execution, prepare(execution, Surroundings(NoSecrets(), tmp_path, "default@x.iam"))

    return make


def test_the_service_account_defaults_to_the_projects(spec_of):
    assert spec_of({"containers": [{"image": "a"}]})[1].service_account == "default@x.iam"
    assert (
        spec_of({"containers": [{"image": "a"}], "serviceAccount": "own@x.iam"})[1].service_account
        == "own@x.iam"
    )


def test_volumes_are_folders_memory_or_nothing(spec_of, tmp_path):
    volumes = [
        {"name": "bucket", "gcs": {"bucket": "b", "readOnly": True}},
        {"name": "share", "nfs": {"server": "10.0.0.2", "path": "/exports/data"}},
        {"name": "memory", "emptyDir": {"medium": "MEMORY", "sizeLimit": "10Mi"}},
        {"name": "sql", "cloudSqlInstance": {"instances": ["p:l:i"]}},
    ]
    mounts = [{"name": "share", "mountPath": "/data"}]
    _, spec = spec_of({"containers": [{"image": "a", "volumeMounts": mounts}], "volumes": volumes})
    bucket, share, memory, sql = spec.volumes
    assert (bucket.path, bucket.read_only) == (str(tmp_path / "gcs" / "b"), True)
    assert (share.path, share.read_only) == (str(tmp_path / "nfs" / "10.0.0.2" / "exports" / "data"), False)
    assert (memory.path, memory.size_limit_bytes) == (None, 10 * MIB)
    assert (sql.path, sql.files) == (None, {})
    assert spec.containers[0].mounts == (Mount("share", "/data"),)


@pytest.mark.parametrize(
    ("container", "probe"),
    [
        ({}, None),
        ({"startupProbe": {"tcpSocket": {"port": 5432}}}, Probe(port=5432)),
        (
            {"startupProbe": {"httpGet": {"path": "/up"}}, "ports": [{"containerPort": 9000}]},
            Probe(9000, "/up"),
        ),
        ({"startupProbe": {"httpGet": {"port": 80}}}, Probe(80, "/")),
        (
            {"startupProbe": {"grpc": {"port": 50051}, "failureThreshold": 7}},
            Probe(50051, failure_threshold=7),
        ),
        (
            {"startupProbe": {"initialDelaySeconds": 2, "timeoutSeconds": 3, "periodSeconds": 4}},
            Probe(8080, initial_delay_s=2, timeout_s=3, period_s=4),
        ),
    ],
)
def test_startup_probes_have_cloud_runs_defaults(spec_of, container, probe):
    assert spec_of({"containers": [{"image": "a", **container}]})[1].containers[0].startup_probe == probe


def test_each_attempt_knows_its_place(spec_of):
    execution, shared = spec_of(
        {"containers": [{"image": "a", "env": [{"name": "A", "value": "1"}]}], "timeout": "1.5s"}
    )
    spec = for_attempt(shared, execution, 2, 1)
    assert spec.timeout_s == 1.5
    assert spec.name == "j-x-task2-1"
    assert spec.containers[0].env == {
        "A": "1",
        "CLOUD_RUN_JOB": "j",
        "CLOUD_RUN_EXECUTION": "j-x",
        "CLOUD_RUN_TASK_INDEX": "2",
        "CLOUD_RUN_TASK_COUNT": "3",
        "CLOUD_RUN_TASK_ATTEMPT": "1",
    }


def test_the_container_that_nobody_waits_for_decides(spec_of):
    def main_of(*containers):
        execution, _ = spec_of({"containers": [{"image": "a", **container} for container in containers]})
        return main_container(execution.template.containers)

    assert main_of({"name": "init"}, {"name": "work", "dependsOn": ["init"]}) == "work"
    assert main_of({"name": "work", "dependsOn": ["proxy"]}, {"name": "proxy"}) == "work"
    assert main_of({"name": "work"}, {"name": "beside"}) == "work"
