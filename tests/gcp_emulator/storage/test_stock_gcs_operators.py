"""The Google provider's own Storage operators, sensors and triggers, unmodified, in DAG runs against the emulator."""

import gzip
from datetime import UTC, datetime

import pytest

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # Airflow's .airflowignore
    pytest.mark.filterwarnings("ignore:.*Planned removal date"),  # what the provider warns itself of
]


@pytest.fixture
def stock(run, cloud, client):
    """Run operators one after the other; `STORAGE_EMULATOR_HOST` is all that they are told."""

    def make(operator):
        return lambda region, project_id, **given: operator(**given)

    return lambda *operators: run(*((make(operator), given) for operator, given in operators))


def test_stock_operators_and_sensors_from_create_to_delete(stock, cloud, client, tmp_path):
    """Whoever has DAGs for Cloud Storage runs them on a laptop as they are."""
    from airflow.providers.google.cloud.operators import gcs
    from airflow.providers.google.cloud.sensors import gcs as sensors
    from airflow.providers.google.cloud.transfers.gcs_to_gcs import GCSToGCSOperator
    from airflow.providers.google.cloud.transfers.gcs_to_local import GCSToLocalFilesystemOperator
    from airflow.providers.google.cloud.transfers.local_to_gcs import LocalFilesystemToGCSOperator

    (tmp_path / "a.csv").write_text("id\n1\n")
    here, there = f"{cloud.project}-a", f"{cloud.project}-b"
    project = {"resource": {"labels": {"team": "a"}}, "location": "EU", "storage_class": "STANDARD"}
    wait = {"bucket": here, "poke_interval": 0.1, "timeout": 20}
    copied = {"source_bucket": here, "destination_bucket": there}
    prefixes = sensors.GCSObjectsWithPrefixExistenceSensor
    ends = stock(
        (gcs.GCSCreateBucketOperator, {"task_id": "make", "bucket_name": here, **project}),
        (gcs.GCSCreateBucketOperator, {"task_id": "make_2", "bucket_name": there}),
        (
            LocalFilesystemToGCSOperator,
            {"task_id": "up", "src": str(tmp_path / "*.csv"), "dst": "in/", "bucket": here, "gzip": True},
        ),
        (sensors.GCSObjectExistenceSensor, {"task_id": "seen", "object": "in/a.csv", **wait}),
        (
            sensors.GCSObjectExistenceSensor,
            {"task_id": "seen_deferred", "object": "in/a.csv", "deferrable": True, **wait},
        ),
        (prefixes, {"task_id": "prefix", "prefix": "in/", **wait}),
        (prefixes, {"task_id": "prefix_deferred", "prefix": "in/", "deferrable": True, **wait}),
        (
            GCSToGCSOperator,
            {
                "task_id": "move",
                "source_object": "in/*.csv",
                "destination_object": "out/",
                "move_object": True,
            }
            | copied,
        ),
        (gcs.GCSListObjectsOperator, {"task_id": "list", "bucket": there, "match_glob": "**/*.csv"}),
        (
            sensors.GCSUploadSessionCompleteSensor,
            {"task_id": "session", "prefix": "out/", "inactivity_period": 0.2, "min_objects": 1}
            | wait
            | {"bucket": there},
        ),
        (
            gcs.GCSFileTransformOperator,
            {"task_id": "change", "source_object": "out/a.csv", "destination_object": "changed/a.csv"}
            | {"source_bucket": there, "destination_bucket": here, "transform_script": ["cp"]},
        ),
        (
            gcs.GCSSynchronizeBucketsOperator,
            {"task_id": "sync", "source_bucket": here, "destination_bucket": there},
        ),
        (
            sensors.GCSObjectUpdateSensor,
            {
                "task_id": "updated",
                "object": "changed/a.csv",
                "ts_func": lambda _: datetime(2020, 1, 1, tzinfo=UTC),
            }
            | wait,
        ),
        (
            GCSToLocalFilesystemOperator,
            {
                "task_id": "down",
                "bucket": there,
                "object_name": "changed/a.csv",
                "filename": str(tmp_path / "got"),
            },
        ),
        (
            gcs.GCSBucketCreateAclEntryOperator,
            {"task_id": "acl", "bucket": there, "entity": "user-a@example.com", "role": "READER"},
        ),
        (
            gcs.GCSBucketAddIamBindingOperator,
            {
                "task_id": "iam",
                "bucket": there,
                "role": "roles/storage.objectViewer",
                "member": "user:a@example.com",
            },
        ),
        (gcs.GCSDeleteObjectsOperator, {"task_id": "remove", "bucket_name": there, "prefix": "out/"}),
        (gcs.GCSDeleteBucketOperator, {"task_id": "drop", "bucket_name": here, "force": True}),
    )
    assert {task: state for task, (state, _) in ends.items()} == dict.fromkeys(ends, "success")
    assert ends["list"][1] == ["out/a.csv"]
    assert ends["prefix"][1] == ends["prefix_deferred"][1] == ["in/a.csv"]
    assert [bucket.name for bucket in client.list_buckets()] == [there]
    assert [blob.name for blob in client.list_blobs(there)] == ["changed/a.csv"]
    assert gzip.decompress((tmp_path / "got").read_bytes()) == b"id\n1\n"
