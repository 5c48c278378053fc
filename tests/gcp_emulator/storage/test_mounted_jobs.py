"""Jobs that mount a bucket, Cloud Run's and Batch's: they and the API see the same objects."""

import time

from google.cloud import batch_v1
from google.pubsub_v1 import PublisherClient, SubscriberClient

END = (batch_v1.JobStatus.State.SUCCEEDED, batch_v1.JobStatus.State.FAILED)


def test_a_cloud_run_job_reads_what_was_uploaded_and_its_files_become_objects(cloud, bucket):
    """And whoever waits for an object hears of it, once the task has ended."""
    topic = f"projects/{cloud.project}/topics/objects"
    cloud.client(PublisherClient).create_topic(name=topic)
    subscriber, name = cloud.client(SubscriberClient), f"projects/{cloud.project}/subscriptions/objects"
    subscriber.create_subscription(name=name, topic=topic)
    bucket.notification(topic_name="objects", topic_project=cloud.project, blob_name_prefix="out").create()
    bucket.blob("in.txt").upload_from_string("uploaded")
    volume = {"name": "data", "gcs": {"bucket": bucket.name}}
    container = {
        "image": "europe-docker.pkg.dev/p/r/worker:1",
        "args": ["read=/data/in.txt", "write=/data/out.txt"],
        "volume_mounts": [{"name": "data", "mount_path": "/data"}],
    }
    job = cloud.create_job("mounts", container=container, volumes=[volume])
    execution = cloud.run(job)
    assert (execution.succeeded_count, cloud.lines(execution)) == (1, ["uploaded"])
    (told,) = subscriber.pull(subscription=name, max_messages=10).received_messages
    assert told.message.attributes["eventType"] == "OBJECT_FINALIZE"
    made = bucket.get_blob("out.txt")
    assert (made.download_as_text(), str(made.generation)) == (
        "written",
        told.message.attributes["objectGeneration"],
    )
    assert made.content_type == "text/plain"


def test_a_batch_job_mounts_a_folder_of_a_bucket(cloud, bucket):
    bucket.blob("in/a.txt").upload_from_string("uploaded")
    script = "tr a-z A-Z < /mnt/disks/in/a.txt > /mnt/disks/in/b.txt"
    volume = {"gcs": {"remote_path": f"{bucket.name}/in"}, "mount_path": "/mnt/disks/in"}
    spec = {"runnables": [{"script": {"text": script}}], "volumes": [volume]}
    client = cloud.client(batch_v1.BatchServiceClient)
    job = batch_v1.Job(task_groups=[{"task_spec": spec}], logs_policy={"destination": "CLOUD_LOGGING"})
    made, end = client.create_job(parent=cloud.parent, job_id="mounts", job=job), time.monotonic() + 30
    while (found := client.get_job(name=made.name)).status.state not in END:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert found.status.state == batch_v1.JobStatus.State.SUCCEEDED
    assert bucket.blob("in/b.txt").download_as_text() == "UPLOADED"


def test_a_bucket_that_only_a_job_has_mounted_is_the_projects(cloud, client):
    """On Google such a job does not start; here its files are not lost."""
    name = f"{cloud.project}-of-job"
    container = {
        "image": "europe-docker.pkg.dev/p/r/worker:1",
        "args": ["write=/data/out.txt"],
        "volume_mounts": [{"name": "data", "mount_path": "/data"}],
    }
    cloud.run(
        cloud.create_job("mounts", container=container, volumes=[{"name": "data", "gcs": {"bucket": name}}])
    )
    assert [bucket.name for bucket in client.list_buckets()] == [name]
    assert [blob.name for blob in client.list_blobs(name)] == ["out.txt"]
