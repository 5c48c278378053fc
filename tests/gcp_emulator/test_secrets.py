"""Secret Manager through the real clients, gRPC and REST."""

import google_crc32c
import pytest
from google.api_core import exceptions

TRANSPORTS = pytest.mark.parametrize("transport", ["grpc", "rest"])


def create(cloud, client, secret_id="key", **secret):
    content = {"replication": {"automatic": {}}, **secret}
    return client.create_secret(parent=f"projects/{cloud.project}", secret_id=secret_id, secret=content)


def add(client, secret, data=b"value"):
    return client.add_secret_version(parent=secret.name, payload={"data": data})


@TRANSPORTS
def test_versions_count_up_and_latest_is_the_newest(cloud, transport):
    client = cloud.secrets(transport)
    secret = create(cloud, client)
    names = [add(client, secret, data).name for data in (b"one", b"two")]
    assert names == [f"{secret.name}/versions/1", f"{secret.name}/versions/2"]
    newest = client.access_secret_version(name=f"{secret.name}/versions/latest")
    assert (newest.name, newest.payload.data) == (names[1], b"two")
    assert newest.payload.data_crc32c == google_crc32c.value(b"two")
    assert client.access_secret_version(name=names[0]).payload.data == b"one"
    assert [version.name for version in client.list_secret_versions(parent=secret.name)] == names[::-1]
    assert client.get_secret_version(name=f"{secret.name}/versions/latest").name == names[1]


@TRANSPORTS
def test_a_version_is_disabled_enabled_and_destroyed(cloud, transport):
    client = cloud.secrets(transport)
    version = add(client, create(cloud, client))
    assert client.disable_secret_version(name=version.name).state.name == "DISABLED"
    with pytest.raises(exceptions.GoogleAPICallError, match="is in DISABLED state") as refusal:
        client.access_secret_version(name=version.name)
    assert refusal.value.code == 400
    assert client.enable_secret_version(name=version.name).state.name == "ENABLED"
    assert client.access_secret_version(name=version.name).payload.data == b"value"
    destroyed = client.destroy_secret_version(name=version.name)
    assert destroyed.state.name == "DESTROYED"
    assert destroyed.destroy_time
    for call in (client.access_secret_version, client.enable_secret_version):
        with pytest.raises(exceptions.GoogleAPICallError, match="DESTROYED"):
            call(name=version.name)


def test_accessing_a_disabled_version_is_a_failed_precondition(cloud):
    client = cloud.secrets()
    version = add(client, create(cloud, client))
    client.disable_secret_version(name=version.name)
    with pytest.raises(exceptions.FailedPrecondition):
        client.access_secret_version(name=f"{version.name.rpartition('/')[0]}/latest")


@TRANSPORTS
def test_labels_are_replaced_and_the_rest_stays(cloud, transport):
    client = cloud.secrets(transport)
    secret = create(cloud, client, labels={"a": "1", "b": "2"})
    changed = {"name": secret.name, "labels": {"c": "3"}, "annotations": {"not": "named"}}
    updated = client.update_secret(secret=changed, update_mask={"paths": ["labels"]})
    assert dict(updated.labels) == {"c": "3"}
    assert not updated.annotations
    assert client.get_secret(name=secret.name) == updated
    with pytest.raises(exceptions.GoogleAPICallError, match="replication"):
        client.update_secret(secret=changed, update_mask={"paths": ["replication"]})


@TRANSPORTS
def test_secrets_are_listed_filtered_in_pages(cloud, transport):
    client = cloud.secrets(transport)
    for number in range(5):
        create(cloud, client, f"s-{number}", labels={"odd": str(number % 2)})
    parent = f"projects/{cloud.project}"
    pages = list(client.list_secrets(request={"parent": parent, "page_size": 2}).pages)
    assert [len(page.secrets) for page in pages] == [2, 2, 1]
    assert pages[0].total_size == 5
    odd = client.list_secrets(request={"parent": parent, "filter": "labels.odd=1"})
    assert [cloud.short(secret.name) for secret in odd] == ["s-3", "s-1"]
    named = client.list_secrets(request={"parent": parent, "filter": "name:s-4"})
    assert [cloud.short(secret.name) for secret in named] == ["s-4"]


def test_versions_are_filtered_by_state(cloud):
    client = cloud.secrets()
    secret = create(cloud, client)
    first, second = add(client, secret), add(client, secret)
    client.disable_secret_version(name=first.name)
    enabled = client.list_secret_versions(request={"parent": secret.name, "filter": "state:ENABLED"})
    assert [version.name for version in enabled] == [second.name]


def test_what_does_not_exist_is_not_found(cloud):
    client = cloud.secrets()
    name = f"projects/{cloud.project}/secrets/none"
    for call in (client.get_secret, client.delete_secret):
        with pytest.raises(exceptions.NotFound, match="not found"):
            call(name=name)
    for version in ("1", "latest"):
        with pytest.raises(exceptions.NotFound, match="not found"):
            client.access_secret_version(name=f"{name}/versions/{version}")
    with pytest.raises(exceptions.NotFound):
        add(client, type(create(cloud, client))(name=name))


def test_a_second_create_is_refused_and_a_deleted_name_is_free(cloud):
    client = cloud.secrets()
    secret = create(cloud, client)
    add(client, secret)
    with pytest.raises(exceptions.AlreadyExists):
        create(cloud, client)
    client.delete_secret(name=secret.name)
    again = create(cloud, client)
    assert list(client.list_secret_versions(parent=again.name)) == []
    assert add(client, again).name.endswith("/versions/1")


@pytest.mark.parametrize("secret_id", ["", "a b", "a/b", "x" * 256, "ü"])
def test_bad_secret_names_are_refused(cloud, secret_id):
    with pytest.raises(exceptions.InvalidArgument):
        create(cloud, cloud.secrets(), secret_id)


def test_bad_payloads_are_refused(cloud):
    client = cloud.secrets()
    secret = create(cloud, client)
    for data, checksum in ((b"", None), (b"x" * 65_537, None), (b"x", 1)):
        payload = {"data": data} | ({} if checksum is None else {"data_crc32c": checksum})
        with pytest.raises(exceptions.InvalidArgument, match="Payload"):
            client.add_secret_version(parent=secret.name, payload=payload)
    with pytest.raises(exceptions.InvalidArgument, match="replication"):
        client.create_secret(parent=f"projects/{cloud.project}", secret_id="bare", secret={})
