"""google-cloud-storage, unmodified: what programs and the Google provider do with it works here as on Google."""

import io
import os

import pytest
from google.api_core import exceptions
from google.cloud.storage import transfer_manager

CHUNK = 256 * 1024


def test_bytes_go_up_and_down_in_every_way_the_client_has(bucket):
    data = os.urandom(3 * CHUNK + 7)
    for chunk_size in (None, CHUNK):
        for content in (data, b""):
            blob = bucket.blob("in/ü x#?.bin", chunk_size=chunk_size)
            blob.upload_from_file(io.BytesIO(content), checksum="crc32c")
            assert (blob.size, blob.download_as_bytes(checksum="md5")) == (len(content), content)
    with bucket.blob("stream").open("wb", chunk_size=CHUNK) as file:  # its size is not known before
        for start in range(0, len(data), 100_000):
            file.write(data[start : start + 100_000])
    with bucket.blob("stream").open("rb", chunk_size=CHUNK) as file:
        file.seek(CHUNK - 3)
        assert file.read(10) == data[CHUNK - 3 : CHUNK + 7]
    assert bucket.blob("stream").download_as_bytes(start=5, end=9) == data[5:10]
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        bucket.blob("stream").download_as_bytes(start=len(data))


def test_many_workers_upload_and_download_the_parts_of_one_object(bucket, tmp_path):
    (tmp_path / "big").write_bytes(os.urandom(12 << 20))
    threads = {"worker_type": transfer_manager.THREAD, "max_workers": 3}
    there, back = bucket.blob("parts"), tmp_path / "back"
    transfer_manager.upload_chunks_concurrently(str(tmp_path / "big"), there, chunk_size=5 << 20, **threads)
    transfer_manager.download_chunks_concurrently(there, str(back), chunk_size=4 << 20, **threads)
    assert back.read_bytes() == (tmp_path / "big").read_bytes()


def test_objects_are_copied_renamed_composed_and_rewritten(bucket):
    first = bucket.blob("a")
    first.metadata = {"k": "v"}
    first.upload_from_string("one", content_type="text/csv")
    bucket.copy_blob(first, bucket, "copy", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.copy_blob(first, bucket, "copy", if_generation_match=0)
    bucket.rename_blob(bucket.blob("copy"), "b")
    both = bucket.blob("both")
    both.compose([first, bucket.blob("b")], if_generation_match=0)
    both.update_storage_class("NEARLINE")
    assert (both.download_as_text(), both.storage_class) == ("oneone", "NEARLINE")
    assert bucket.get_blob("b").metadata == {"k": "v"}
    moved = bucket.move_blob(first, "moved")
    assert [(blob.name, blob.content_type) for blob in bucket.list_blobs(match_glob="[am]*")] == [
        (moved.name, "text/csv")
    ]


def test_a_list_has_folders_pages_and_versions(client, bucket):
    bucket.versioning_enabled = True
    bucket.patch()
    for name in ("a", "b/1", "b/2", "c/1", "a"):
        bucket.blob(name).upload_from_string(name)
    pages = client.list_blobs(bucket, delimiter="/", max_results=None, page_size=2)
    found = [blob.name for page in pages.pages for blob in page]
    assert (found, sorted(pages.prefixes)) == (["a"], ["b/", "c/"])
    assert [blob.name for blob in bucket.list_blobs(start_offset="b/2", end_offset="c/1")] == ["b/2"]
    assert [blob.name for blob in bucket.list_blobs(prefix="a", versions=True)] == ["a", "a"]


def test_a_batch_is_many_calls_in_one(client, bucket):
    for name in ("a", "b"):
        bucket.blob(name).upload_from_string(name)
    kept = bucket.blob("b")
    with client.batch():
        bucket.blob("a").delete()
        kept.metadata = {"k": "v"}
        kept.patch()
    assert [(blob.name, blob.metadata) for blob in bucket.list_blobs()] == [("b", {"k": "v"})]
    with pytest.raises(exceptions.NotFound, match="No such object"), client.batch():
        bucket.blob("none").delete()


def test_an_object_overwritten_while_it_is_read_is_told_by_its_generation(bucket):
    """A reader that comes back for more must not get another object's bytes."""
    blob = bucket.blob("a")
    blob.upload_from_string(b"1" * 1000)
    half = blob.download_as_bytes(end=499, if_generation_match=blob.generation)
    bucket.blob("a").upload_from_string(b"2" * 1000)
    with pytest.raises(exceptions.PreconditionFailed, match="pre-conditions you specified did not hold"):
        bucket.blob("a").download_as_bytes(start=500, if_generation_match=blob.generation)
    with pytest.raises(exceptions.NotFound, match="No such object"):
        bucket.blob("a", generation=blob.generation).download_as_bytes()
    assert half == b"1" * 500
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("a").upload_from_string("3", if_generation_match=0)
    with pytest.raises(exceptions.NotModified):
        bucket.blob("a").reload(if_generation_not_match=bucket.get_blob("a").generation)


def test_buckets_are_made_changed_and_deleted_when_empty(client, cloud):
    made = client.create_bucket(f"{cloud.project}-x", location="europe-west1")
    assert (made.location, made.location_type, made.storage_class) == ("EUROPE-WEST1", "region", "STANDARD")
    with pytest.raises(exceptions.Conflict, match="already own it"):
        client.create_bucket(made.name)
    with pytest.raises(exceptions.Conflict, match="not available"):
        client.create_bucket(made.name, project="another")
    with pytest.raises(exceptions.NotFound, match="specified bucket does not exist"):
        client.get_bucket(f"{cloud.project}-none")
    with pytest.raises(exceptions.NotFound, match="specified bucket does not exist"):
        client.bucket(f"{cloud.project}-none").blob("a").upload_from_string("x")
    made.labels, made.versioning_enabled = {"team": "a"}, True
    made.add_lifecycle_delete_rule(age=30)
    made.patch()
    again = client.get_bucket(made.name)
    assert (again.labels, again.versioning_enabled, again.metageneration) == ({"team": "a"}, True, 2)
    assert list(again.lifecycle_rules) == [{"action": {"type": "Delete"}, "condition": {"age": 30}}]
    with pytest.raises(exceptions.PreconditionFailed):
        again.patch(if_metageneration_match=1)
    made.blob("a").upload_from_string("x")
    with pytest.raises(exceptions.Conflict, match="not empty"):
        made.delete()
    made.blob("a").delete()
    with pytest.raises(exceptions.Conflict, match="not empty"):  # a noncurrent version is left
        made.delete()
    for blob in made.list_blobs(versions=True):
        blob.delete()
    assert [bucket.name for bucket in client.list_buckets()] == [made.name]
    made.delete()
    assert list(client.list_buckets()) == []


def test_who_may_what_is_kept_and_shown(bucket):
    policy = bucket.get_iam_policy(requested_policy_version=3)
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"allUsers"}})
    stale = bucket.get_iam_policy(requested_policy_version=3)
    bucket.set_iam_policy(policy)
    assert bucket.get_iam_policy().bindings[-1]["members"] == {"allUsers"}
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.set_iam_policy(stale)
    assert bucket.test_iam_permissions(["storage.objects.get"]) == ["storage.objects.get"]
    bucket.acl.user("someone@example.com").grant_read()
    bucket.acl.save()
    bucket.acl.reload()
    assert {"entity": "user-someone@example.com", "role": "READER"} in list(bucket.acl)
    blob = bucket.blob("a")
    blob.upload_from_string("x")
    blob.make_public()
    blob.acl.reload()
    assert {"entity": "allUsers", "role": "READER"} in list(blob.acl)


def test_what_the_emulator_cannot_do_it_refuses_by_name(client, cloud):
    bucket = client.bucket(f"{cloud.project}-x")
    bucket.retention_period = 60
    with pytest.raises(exceptions.MethodNotImplemented, match="retention policy"):
        client.create_bucket(bucket)
    made = client.create_bucket(f"{cloud.project}-y")
    with pytest.raises(exceptions.MethodNotImplemented, match="encryption keys"):
        made.blob("a", encryption_key=b"k" * 32).upload_from_string("x")
    with pytest.raises(exceptions.MethodNotImplemented, match="kmsKeyName"):
        made.blob("a", kms_key_name="projects/p/locations/l/keyRings/r/cryptoKeys/k").upload_from_string("x")
