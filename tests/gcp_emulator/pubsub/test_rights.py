"""Who may publish and consume: policies through Google's clients, over gRPC and REST, and what they refuse."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core import exceptions
from google.cloud import batch_v1, pubsub_v1, storage
from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
from google.iam.v1.policy_pb2 import Policy
from google.oauth2.credentials import Credentials
from google.pubsub_v1 import PublisherClient, SubscriberClient

from gcp_emulator import process

ANN, BOB, EVE = (f"{name}@p.iam.gserviceaccount.com" for name in ("ann", "bob", "eve"))
REFUSED = "User not authorized to perform this action"
ACAB = b"\x00\x20\x01"
BATCH_AGENT = "serviceAccount:service-123456789012@gcp-sa-cloudbatch.iam.gserviceaccount.com"
PUBSUB_AGENT = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
pytestmark = pytest.mark.filterwarnings("ignore:The return_immediately flag is deprecated")


class Post:
    """A topic and a subscription; `grant` and the calls of those who may or may not."""

    def __init__(self, cloud, transport="grpc"):
        self.cloud, self.transport = cloud, transport
        self.project = f"projects/{cloud.project}"
        self.topic, self.mine = f"{self.project}/topics/events", f"{self.project}/subscriptions/mine"
        self.owner = self.publisher("")
        self.owner.create_topic(name=self.topic)
        self.subscriber("").create_subscription(name=self.mine, topic=self.topic)

    def publisher(self, identity):
        return self.cloud.client(PublisherClient, self.transport, identity)

    def subscriber(self, identity):
        return self.cloud.client(SubscriberClient, self.transport, identity)

    def grant(self, resource, *bindings, etag=b"", identity=""):
        """Bindings are (role without `roles/`, member, ...)."""
        given = [{"role": f"roles/{role}", "members": members} for role, *members in bindings]
        request = {"resource": resource, "policy": {"bindings": given, "etag": etag}}
        return self.publisher(identity).set_iam_policy(request=request)

    def policy(self, resource, identity=""):
        return self.publisher(identity).get_iam_policy(request={"resource": resource})

    def held(self, resource, *permissions, identity):
        request = {"resource": resource, "permissions": permissions}
        return list(self.subscriber(identity).test_iam_permissions(request=request).permissions)

    def send(self, identity, text=b"x"):
        return self.publisher(identity).publish(topic=self.topic, messages=[{"data": text}]).message_ids

    def pull(self, identity):
        pulled = self.subscriber(identity).pull(
            subscription=self.mine, max_messages=10, return_immediately=True
        )
        return pulled.received_messages


@pytest.fixture(params=["grpc", "rest"])
def post(cloud, request):
    return Post(cloud, request.param)


@pytest.fixture
def grpc_post(cloud):
    return Post(cloud)


def test_without_a_policy_all_may_do_all(post):
    assert post.policy(post.topic, EVE) == Policy(etag=ACAB)
    post.send(EVE)
    assert len(post.pull(EVE)) == 1
    permissions = ["pubsub.topics.publish", "pubsub.topics.setIamPolicy"]
    assert post.held(post.topic, *permissions, identity=EVE) == permissions


def test_a_policy_is_kept_as_google_keeps_it_and_read_back(post):
    made = post.grant(
        post.topic,
        ("pubsub.publisher", f"serviceAccount:{ANN}", f"serviceAccount:{ANN}"),
        ("pubsub.viewer", "group:all@example.com"),
        ("pubsub.publisher", f"user:{BOB}"),
        ("pubsub.editor",),
        etag=ACAB,
    )
    assert [(binding.role, list(binding.members)) for binding in made.bindings] == [
        ("roles/pubsub.publisher", [f"serviceAccount:{ANN}", f"user:{BOB}"]),
        ("roles/pubsub.viewer", ["group:all@example.com"]),
    ]
    assert (made.version, len(made.etag)) == (1, 8)
    assert post.policy(post.topic) == made
    assert post.policy(post.mine) == Policy(etag=ACAB)


def test_who_changes_what_another_has_changed_is_aborted(post):
    old = post.grant(post.topic, ("pubsub.publisher", f"user:{ANN}"))
    new = post.grant(post.topic, ("pubsub.publisher", f"user:{BOB}"), etag=old.etag)
    assert new.etag != old.etag
    for stale in (old.etag, ACAB):
        with pytest.raises(
            (exceptions.Aborted, exceptions.Conflict), match="There were concurrent policy changes"
        ):
            post.grant(post.topic, ("pubsub.publisher", f"user:{EVE}"), etag=stale)
    assert post.policy(post.topic) == new


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        (("pubsub.publisher", "ann@example.com"), "The member ann@example.com is of an unknown type"),
        (("pubsub.publisher", "serviceaccount:a@example.com"), "is of an unknown type"),
        (("pubsub.publisher", "user:"), "is of an unknown type"),
        (("pubsub.publisher", "serviceAccount:ann"), "Service account ann does not exist"),
        (("pubsub.publisher", "domain:a@example.com"), "Domain a@example.com does not exist"),
        (("pubsub.writer", "allUsers"), r"Role roles/pubsub\.writer is not supported for this resource"),
        (("storage.admin", "allUsers"), "is not supported for this resource"),
    ],
)
def test_members_and_roles_that_cannot_be_are_refused(post, binding, said):
    with pytest.raises(exceptions.BadRequest, match=said):
        post.grant(post.topic, binding)
    assert post.policy(post.topic) == Policy(etag=ACAB)


def test_every_kind_of_member_is_taken(grpc_post):
    members = [
        "allUsers", "allAuthenticatedUsers", "user:a@example.com", "domain:example.com", "projectOwner:p",
        "deleted:serviceAccount:a@p.iam.gserviceaccount.com?uid=12", "principalSet://goog/group/a@example.com",
    ]  # fmt: skip
    assert list(grpc_post.grant(grpc_post.topic, ("viewer", *members)).bindings[0].members) == members


@pytest.mark.parametrize(
    ("policy", "error", "said"),
    [
        ({"version": 2}, exceptions.BadRequest, "Invalid policy version 2"),
        ({"bindings": [{"role": "roles/viewer", "members": ["allUsers"], "condition": {"expression": "false"}}]},
         exceptions.MethodNotImplemented, "Conditions in a policy"),
        ({"bindings": [{"role": "projects/p/roles/mine", "members": ["allUsers"]}]},
         exceptions.MethodNotImplemented, "Custom roles"),
        ({"audit_configs": [{"service": "allServices"}]}, exceptions.MethodNotImplemented, "audit_configs"),
    ],
)  # fmt: skip
def test_what_a_policy_cannot_say_here_is_refused_by_name(grpc_post, policy, error, said):
    """A condition that nobody looks at would grant to all."""
    with pytest.raises(error, match=said):
        grpc_post.owner.set_iam_policy(request={"resource": grpc_post.topic, "policy": policy})


def test_only_the_bindings_can_be_set(grpc_post):
    with pytest.raises(exceptions.BadRequest, match="update_mask must name bindings"):
        grpc_post.owner.set_iam_policy(
            request={"resource": grpc_post.topic, "policy": {}, "update_mask": {"paths": ["etag"]}}
        )


def test_a_resource_that_is_not_there_has_no_policy(post):
    nowhere = f"{post.project}/topics/nowhere"
    with pytest.raises(exceptions.NotFound, match="resource=nowhere"):
        post.policy(nowhere)
    with pytest.raises(exceptions.NotFound, match="resource=nowhere"):
        post.grant(nowhere, ("pubsub.publisher", "allUsers"))
    assert post.held(nowhere, "pubsub.topics.publish", identity=ANN) == []
    with pytest.raises(exceptions.MethodNotImplemented, match="Schemas of Pub/Sub"):
        post.policy(f"{post.project}/schemas/mine")


def test_a_permission_that_the_kind_has_not_is_refused(post):
    for wrong in ("pubsub.subscriptions.consume", "pubsub.topics.*", "publish"):
        with pytest.raises(exceptions.BadRequest, match="is not valid for this resource"):
            post.held(post.topic, wrong, identity=ANN)


def test_who_may_publish_is_a_right(post):
    post.grant(post.topic, ("pubsub.publisher", f"serviceAccount:{ANN}"))
    post.send(ANN.upper())
    post.send("")  # no credentials: the project's owner
    for identity in (BOB, EVE):
        with pytest.raises(exceptions.Forbidden, match=REFUSED):
            post.send(identity)
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        post.publisher(ANN).get_topic(topic=post.topic)
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        post.grant(post.topic, ("pubsub.publisher", f"serviceAccount:{EVE}"), identity=ANN)
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        post.policy(post.topic, ANN)
    assert len(post.pull("")) == 2


@pytest.mark.parametrize(
    ("member", "may"),
    [
        ("allUsers", True), ("allAuthenticatedUsers", True), (f"user:{ANN}", True),
        ("domain:p.iam.gserviceaccount.com", True), ("domain:iam.gserviceaccount.com", False),
        (f"group:{ANN}", False), (f"serviceAccount:x{ANN}", False), ("projectEditor:p", False),
        (f"deleted:serviceAccount:{ANN}?uid=1", False),
    ],
)  # fmt: skip
def test_whom_a_member_means(grpc_post, member, may):
    grpc_post.grant(grpc_post.topic, ("pubsub.publisher", member))
    assert (grpc_post.held(grpc_post.topic, "pubsub.topics.publish", identity=ANN) != []) == may


def test_the_last_binding_taken_away_leaves_nobody(grpc_post):
    """A topic must not become open to all because somebody removes the last publisher."""
    grpc_post.grant(grpc_post.topic, ("pubsub.publisher", f"serviceAccount:{ANN}"))
    grpc_post.grant(grpc_post.topic)
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        grpc_post.send(ANN)


def test_who_may_consume_is_a_right(post):
    post.send("")
    post.grant(
        post.mine, ("pubsub.subscriber", f"serviceAccount:{ANN}"), ("pubsub.viewer", f"serviceAccount:{BOB}")
    )
    (received,) = post.pull(ANN)
    ann, bob = post.subscriber(ANN), post.subscriber(BOB)
    ids = {"subscription": post.mine, "ack_ids": [received.ack_id]}
    ann.modify_ack_deadline(ack_deadline_seconds=20, **ids)
    for refused in (
        lambda: post.pull(BOB),
        lambda: bob.acknowledge(**ids),
        lambda: bob.modify_ack_deadline(ack_deadline_seconds=0, **ids),
        lambda: bob.seek(request={"subscription": post.mine, "time": {"seconds": 1}}),
        lambda: bob.create_snapshot(name=f"{post.project}/snapshots/bobs", subscription=post.mine),
        lambda: bob.delete_subscription(subscription=post.mine),
        lambda: bob.modify_push_config(subscription=post.mine, push_config={}),
        lambda: bob.update_subscription(
            request={
                "subscription": {"name": post.mine, "labels": {"a": "b"}},
                "update_mask": {"paths": ["labels"]},
            }
        ),
        lambda: ann.get_subscription(subscription=post.mine),
    ):
        with pytest.raises(exceptions.Forbidden, match=REFUSED):
            refused()
    assert bob.get_subscription(subscription=post.mine).name == post.mine
    ann.acknowledge(**ids)
    ann.seek(request={"subscription": post.mine, "time": {"seconds": 1}})
    assert post.pull(ANN) == []


def test_a_subscription_is_attached_by_who_may_attach(post):
    post.grant(
        post.topic,
        ("pubsub.subscriber", f"serviceAccount:{ANN}"),
        ("pubsub.publisher", f"serviceAccount:{BOB}"),
    )
    name = f"{post.project}/subscriptions/other"
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        post.subscriber(BOB).create_subscription(name=name, topic=post.topic)
    post.subscriber(ANN).create_subscription(name=name, topic=post.topic)
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        post.publisher(ANN).detach_subscription(request={"subscription": name})
    post.grant(post.topic, ("pubsub.editor", f"serviceAccount:{ANN}"))
    post.publisher(ANN).detach_subscription(request={"subscription": name})


def test_an_editor_changes_all_but_the_policy_and_an_admin_that_too(post):
    post.grant(
        post.topic, ("pubsub.editor", f"serviceAccount:{ANN}"), ("pubsub.admin", f"serviceAccount:{BOB}")
    )
    labelled = {"topic": {"name": post.topic, "labels": {"a": "b"}}, "update_mask": {"paths": ["labels"]}}
    for identity in (ANN, BOB):
        publisher = post.publisher(identity)
        publisher.update_topic(request=labelled)
        assert publisher.get_topic(topic=post.topic).labels == {"a": "b"}
        assert list(publisher.list_topic_subscriptions(topic=post.topic)) == [post.mine]
        assert list(publisher.list_topic_snapshots(topic=post.topic)) == []
        post.send(identity)
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        post.grant(post.topic, identity=ANN)
    post.grant(post.topic, ("pubsub.admin", f"serviceAccount:{BOB}"), identity=BOB)
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        post.publisher(ANN).delete_topic(topic=post.topic)
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        post.publisher(ANN).update_topic(request=labelled)
    for ask in (post.publisher(ANN).list_topic_subscriptions, post.publisher(ANN).list_topic_snapshots):
        with pytest.raises(exceptions.Forbidden, match=REFUSED):
            ask(topic=post.topic)
    post.publisher(BOB).delete_topic(topic=post.topic)


def test_snapshots_have_policies_too(post):
    name = f"{post.project}/snapshots/before"
    owner, ann = post.subscriber(""), post.subscriber(ANN)
    owner.create_snapshot(name=name, subscription=post.mine)
    post.grant(name, ("pubsub.viewer", f"serviceAccount:{ANN}"))
    assert ann.get_snapshot(snapshot=name).name == name
    for refused in (
        lambda: ann.seek(request={"subscription": post.mine, "snapshot": name}),
        lambda: ann.delete_snapshot(snapshot=name),
        lambda: ann.update_snapshot(
            request={"snapshot": {"name": name, "labels": {"a": "b"}}, "update_mask": {"paths": ["labels"]}}
        ),
        lambda: post.subscriber(EVE).get_snapshot(snapshot=name),
    ):
        with pytest.raises(exceptions.Forbidden, match=REFUSED):
            refused()
    owner.delete_snapshot(snapshot=name)
    owner.create_snapshot(name=name, subscription=post.mine)
    assert post.policy(name) == Policy(etag=ACAB)


def test_a_policy_goes_with_its_resource(post):
    for name in (post.topic, post.mine):
        post.grant(name, ("pubsub.viewer", f"serviceAccount:{ANN}"))
    post.subscriber("").delete_subscription(subscription=post.mine)
    post.owner.delete_topic(topic=post.topic)
    post.owner.create_topic(name=post.topic)
    post.subscriber("").create_subscription(name=post.mine, topic=post.topic)
    assert post.policy(post.topic) == post.policy(post.mine) == Policy(etag=ACAB)
    post.send(EVE)


def test_policies_outlive_a_restart(tmp_path, cloud):
    options = {
        "images": tmp_path,
        "env_cache": tmp_path,
        "state": tmp_path / "state",
        "log": tmp_path / "log",
    }
    with process.start(**options) as ready:
        post = Post(type(cloud)(ready, "kept"))
        made = post.grant(post.topic, ("pubsub.publisher", f"serviceAccount:{ANN}"))
        post.cloud.close()
    with process.start(**options) as ready:
        again = type(cloud)(ready, "kept")
        publisher = again.client(PublisherClient, identity=EVE)
        assert again.client(PublisherClient).get_iam_policy(request={"resource": post.topic}) == made
        with pytest.raises(exceptions.Forbidden, match=REFUSED):
            publisher.publish(topic=post.topic, messages=[{"data": b"x"}])
        again.close()


def test_a_stream_whose_right_is_taken_away_ends(grpc_post):
    """Google's own client does not come again: the future of `subscribe` says why."""
    post, came = grpc_post, threading.Event()
    post.grant(post.mine, ("pubsub.subscriber", f"serviceAccount:{ANN}", f"serviceAccount:{BOB}"))

    def take(message):
        message.ack()
        came.set()

    streams = [post.cloud.client(pubsub_v1.SubscriberClient, identity=identity) for identity in (ANN, BOB)]
    ended = streams[0].subscribe(post.mine, take)
    post.send("", b"first")
    assert came.wait(20)
    post.grant(post.mine, ("pubsub.subscriber", f"serviceAccount:{BOB}"))
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        ended.result(20)
    came.clear()
    going_on = streams[1].subscribe(post.mine, take)
    post.send("", b"second")
    assert came.wait(20)
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        streams[0].subscribe(post.mine, take).result(20)
    assert going_on.running()
    going_on.cancel()
    going_on.result(20)
    for stream in streams:
        stream.close()


def test_a_pull_that_waits_gets_nothing_once_the_right_is_gone(grpc_post):
    post = grpc_post
    post.grant(post.mine, ("pubsub.subscriber", f"serviceAccount:{ANN}"))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post.subscriber(ANN).pull, subscription=post.mine, max_messages=1)
        with post.cloud.http() as http:
            while not any(
                call["method"].endswith("/Pull") and call["resource"] == post.mine
                for call in http.get("/emulator/calls?recent=200").json()["recent"]
            ):
                time.sleep(0.02)
        post.grant(post.mine)
        post.send("", b"secret")
        with pytest.raises(exceptions.Forbidden, match=REFUSED):
            waiting.result(20)
    assert [each.message.data for each in post.pull("")] == [b"secret"]


def test_dead_letters_are_forwarded_by_pubsubs_own_agent(grpc_post):
    post, letters = grpc_post, f"{grpc_post.project}/topics/letters"
    post.owner.create_topic(name=letters)
    owner = post.subscriber("")
    buried = owner.create_subscription(name=f"{post.project}/subscriptions/buried", topic=letters).name
    name = f"{post.project}/subscriptions/poisoned"
    policy = {"dead_letter_topic": letters, "max_delivery_attempts": 5}
    owner.create_subscription(request={"name": name, "topic": post.topic, "dead_letter_policy": policy})
    post.grant(letters, ("pubsub.publisher", f"serviceAccount:{ANN}"))
    post.send("", b"poison")

    def refuse():
        (received,) = owner.pull(subscription=name, max_messages=1).received_messages
        owner.modify_ack_deadline(subscription=name, ack_ids=[received.ack_id], ack_deadline_seconds=0)
        return received.delivery_attempt

    assert [refuse() for _ in range(6)] == [1, 2, 3, 4, 5, 6]  # the agent may not: it comes again
    post.grant(letters, ("pubsub.publisher", PUBSUB_AGENT))
    post.grant(name, ("pubsub.viewer", PUBSUB_AGENT))
    assert refuse() == 7  # nor may it take the message
    post.grant(name, ("pubsub.subscriber", PUBSUB_AGENT))
    refuse()
    (received,) = owner.pull(subscription=buried, max_messages=1).received_messages
    assert received.message.data == b"poison"


def test_a_batch_job_tells_of_itself_as_its_own_identity_and_another_project_as_batchs_agent(grpc_post):
    post = grpc_post
    post.grant(post.topic, ("pubsub.publisher", f"serviceAccount:{ANN}"))

    def run(account, region=post.cloud.parent):
        job = batch_v1.Job(
            task_groups=[{"task_spec": {"runnables": [{"script": {"text": "true"}}]}}],
            allocation_policy={"service_account": {"email": account}},
            notifications=[{"pubsub_topic": post.topic, "message": {"type_": "JOB_STATE_CHANGED"}}],
            logs_policy={"destination": "CLOUD_LOGGING"},
        )
        client = post.cloud.client(batch_v1.BatchServiceClient)
        name = client.create_job(parent=region, job=job).name
        while (job := client.get_job(name=name)).status.state not in (4, 5):
            time.sleep(0.02)
        return [each.description for each in job.status.status_events if each.type_ == "OPERATIONAL_INFO"]

    assert run(BOB) == [f"Failed to publish notifications to {post.topic}: {REFUSED}."]
    assert post.pull("") == []
    assert run(ANN) == []
    assert {each.message.attributes["NewJobState"] for each in post.pull("")} >= {"SUCCEEDED"}
    elsewhere = post.cloud.parent.replace("/locations", "-b/locations")
    assert run(ANN, elsewhere) == [f"Failed to publish notifications to {post.topic}: {REFUSED}."]
    post.grant(post.topic, ("pubsub.publisher", BATCH_AGENT))
    assert run(BOB, elsewhere) == []


def test_a_log_sink_publishes_as_its_writer(grpc_post):
    post = grpc_post
    sink = {"name": "all", "destination": f"pubsub.googleapis.com/{post.topic}", "filter": "textPayload:*"}
    config = post.cloud.client(ConfigServiceV2Client)
    request = {"parent": post.project, "sink": sink, "unique_writer_identity": True}
    writer = config.create_sink(request=request).writer_identity

    def write(text):
        post.cloud.logging().write_log_entries(
            log_name=f"{post.project}/logs/mine", resource={"type": "global"}, labels={},
            entries=[{"text_payload": text}],
        )  # fmt: skip

    post.grant(post.topic, ("pubsub.publisher", f"serviceAccount:{ANN}"))
    write("lost")
    post.grant(post.topic, ("pubsub.publisher", writer))
    write("told")
    (received,) = post.pull("")
    assert b"told" in received.message.data


def test_a_bucket_tells_of_its_objects_as_storages_agent(grpc_post):
    post = grpc_post
    client = storage.Client(
        post.cloud.project, Credentials(token=ANN), client_options={"api_endpoint": post.cloud.ready["rest"]}
    )
    bucket = client.create_bucket(f"{post.cloud.project}-inbox")
    agent = f"serviceAccount:{client.get_service_account_email()}"
    post.grant(post.topic, ("pubsub.publisher", f"serviceAccount:{ANN}"))
    wanted = bucket.notification("events", topic_project=post.cloud.project, payload_format="NONE")
    with pytest.raises(exceptions.Forbidden, match="does not have permission to publish messages"):
        wanted.create()
    post.grant(post.topic, ("pubsub.publisher", agent))
    wanted.create()
    bucket.blob("told").upload_from_string("x")
    post.grant(post.topic, ("pubsub.publisher", f"serviceAccount:{ANN}"))
    bucket.blob("lost").upload_from_string("x")
    post.send(ANN, b"end")
    found = []
    while not any(each.message.data == b"end" for each in found):
        found += post.pull("")
    assert [each.message.attributes.get("objectId") for each in found] == ["told", None]
    client.close()


def test_the_gcloud_cli_grants_and_revokes(gcloud, grpc_post):
    """It reads, changes and writes the policy with the etag that it read."""
    member = f"--member=serviceAccount:{ANN}"
    gcloud("pubsub", "topics", "add-iam-policy-binding", "events", member, "--role=roles/pubsub.publisher")
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        grpc_post.send(BOB)
    grpc_post.send(ANN)
    gcloud("pubsub", "topics", "remove-iam-policy-binding", "events", member, "--role=roles/pubsub.publisher")
    assert gcloud("pubsub", "topics", "get-iam-policy", "events").keys() == {"etag", "version"}
    with pytest.raises(exceptions.Forbidden, match=REFUSED):
        grpc_post.send(ANN)
