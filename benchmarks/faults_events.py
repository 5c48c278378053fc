"""Faults that meet events on their way to a job: part of `make faults`.

`python -m benchmarks.faults_events RESULT [ONLY]` shows them in an emulator of its own: rules as the DAG's file reads
them, messages through the trigger in Airflow's own shared stream. Each once more without the fault.
"""

import asyncio
import json
import logging
import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from gcp_emulator import process

PROJECT = "local-project"
AIRFLOW, DEPLOYER, STRANGER = (
    f"{name}@{PROJECT}.iam.gserviceaccount.com" for name in ("airflow", "deployer", "stranger")
)
PATIENCE_S = 60.0
ORDERS: Mapping[str, Any] = {
    "name": "orders", "source": {"attributes": {"kind": "order"}}, "template": "job.yaml", "env": {"ID": "{body.id}"},
}  # fmt: skip
UPLOADS: Mapping[str, Any] = {
    "name": "uploads", "source": {"bucket": "inbox", "prefix": "in/"}, "template": "job.yaml",
}  # fmt: skip
UPLOADED = {"eventType": "OBJECT_FINALIZE", "bucketId": "inbox", "objectId": "in/a", "objectGeneration": "1"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """Rules that cannot be meant."""

    name: str
    reads: str
    rules: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to events.

    :param act: done before the good event is sent; gives what its doer reads, if anything
    :param heal: done once the fault was read
    :param dead: how many dead letters there must be
    """

    name: str
    caught: str
    reads: str
    act: Callable[["Post"], str | None]
    heal: Callable[["Post"], None] = lambda _: None
    dead: int = 0
    rules: Sequence[Mapping[str, Any]] = (ORDERS,)


class Post:
    """Topics and subscriptions of one fault."""

    def __init__(self) -> None:
        from gcp_jobs.clients import Access, client

        self.publisher: Any = client("Publisher", Access())
        self.subscriber: Any = client("Subscriber", Access())
        self.owner: Any = client("Publisher", Access(impersonation_chain=(DEPLOYER,)))
        self.stranger: Any = client("Publisher", Access(impersonation_chain=(STRANGER,)))
        tail = uuid.uuid4().hex[:12]
        self.topic, self.letters = (f"projects/{PROJECT}/topics/{what}-{tail}" for what in ("events", "dead"))
        self.subscription, self.buried = (
            f"projects/{PROJECT}/subscriptions/{what}-{tail}" for what in ("events", "dead")
        )
        for topic, subscription in ((self.topic, self.subscription), (self.letters, self.buried)):
            self.publisher.create_topic(name=topic)
            self.subscriber.create_subscription(name=subscription, topic=topic, ack_deadline_seconds=10)

    def send(self, data: bytes, **attributes: str) -> None:
        """Publish an event."""
        self.publisher.publish(topic=self.topic, messages=[{"data": data, "attributes": attributes}])

    def rights(self, resource: str, role: str = "") -> None:
        """From now on Airflow has this role there, and nobody but the owner has another."""
        roles = {"admin": DEPLOYER} | ({role: AIRFLOW} if role else {})
        bindings = [
            {"role": f"roles/pubsub.{each}", "members": [f"serviceAccount:{who}"]}
            for each, who in roles.items()
        ]
        self.owner.set_iam_policy(request={"resource": resource, "policy": {"bindings": bindings}})

    def lose(self) -> None:
        """Delete the subscription."""
        self.subscriber.delete_subscription(subscription=self.subscription)

    def find(self) -> None:
        """Make it anew."""
        self.subscriber.create_subscription(name=self.subscription, topic=self.topic)

    def dead(self) -> list[Any]:
        """What was dead-lettered."""
        answer = self.subscriber.pull(subscription=self.buried, max_messages=10)
        return [each.message for each in answer.received_messages]


def _twice(post: Post) -> None:
    for _ in range(2):
        post.send(b"", **UPLOADED)


def _unburied(post: Post) -> None:
    post.publisher.delete_topic(topic=post.letters)
    post.send(b"{", kind="order")


def _unburiable(post: Post) -> None:
    post.rights(post.letters)
    post.send(b"{", kind="order")


def _intrude(post: Post) -> str:
    from google.api_core.exceptions import GoogleAPICallError

    post.rights(post.topic, "publisher")
    try:
        message = {"data": b'{"id": "intruder"}', "attributes": {"kind": "order"}}
        post.stranger.publish(topic=post.topic, messages=[message])
    except GoogleAPICallError as error:
        return f"{STRANGER} reads {type(error).__name__}: {error.message}"
    return "it was taken"


RULES = (
    Wrong("an event rule with an unknown field", r"souce: unknown field; did you mean 'source'",
          [{"name": "orders", "souce": {}, "template": "job.yaml"}]),
    Wrong("two event rules for one object", r"rules uploads and others both want the same events: .*gs://inbox/in/deep/",
          [UPLOADS, {**UPLOADS, "name": "others", "source": {"bucket": "inbox", "prefix": "in/deep/"}}]),
    Wrong("an event rule whose job writes to the bucket that starts it",
          r"uploads writes to gs://inbox/in/out/, which starts uploads", [{**UPLOADS, "output": "gs://inbox/in/out/"}]),
)  # fmt: skip
EVENTS = (
    Fault("an event that is no JSON", "trigger: dead-lettered", r"no JSON", lambda post: post.send(b"{", kind="order"),
          dead=1),
    Fault("an event without what its rule maps", "trigger: dead-lettered", r"body\.id is missing",
          lambda post: post.send(b"{}", kind="order"), dead=1),
    Fault("an event that no rule wants", "trigger: dead-lettered", r"no rule wants it",
          lambda post: post.send(b"{}", kind="invoice"), dead=1),
    Fault("an object that two rules want", "trigger: dead-lettered", r"rules uploads, others all want it",
          _twice, dead=2,
          rules=(ORDERS, UPLOADS, {**UPLOADS, "name": "others", "source": {"bucket": "inbox", "glob": "in/?"}})),
    Fault("a job that starts itself by messages", "trigger: dead-lettered", r"4 jobs have started each other in a row",
          lambda post: post.send(b'{"id": 1}', kind="order", **{"gcp-jobs-depth": "4"}), dead=1),
    Fault("the subscription of events deleted under the trigger", "trigger: backs off",
          r"subscription of events does not exist .*gcloud pubsub subscriptions create", Post.lose, Post.find),
    Fault("the dead-letter topic of events is missing", "trigger: the event comes again",
          r"cannot be dead-lettered.*gcloud pubsub topics create",
          _unburied),
    Fault("an event from a publisher without the right", "Pub/Sub: refused",
          r"stranger@.*PermissionDenied: User not authorized to perform this action", _intrude),
    Fault("no right on the subscription of events", "trigger: backs off",
          r"not allowed to pull events.*airflow@.*roles/pubsub\.subscriber on the subscription",
          lambda post: post.rights(post.subscription), lambda post: post.rights(post.subscription, "subscriber")),
    Fault("no right on the dead-letter topic of events", "trigger: the event comes again",
          r"cannot be dead-lettered.*airflow@.*roles/pubsub\.publisher on the topic",
          _unburiable, lambda post: post.rights(post.letters, "publisher")),
)  # fmt: skip


@dataclass
class Taken:
    """What the trigger has fired."""

    ids: list[str] = field(default_factory=list)


async def _runs(post: Post, rules: Sequence[Mapping[str, Any]], taken: Taken) -> None:
    """The trigger as a triggerer runs it, each of whose events is stored at once."""
    from airflow.triggers.shared_stream import SharedStreamManager

    from gcp_jobs.triggers.job_events import JobEventTrigger

    trigger = JobEventTrigger(
        post.subscription, json.dumps(rules), post.letters, "google_cloud_default", 6_000, 100
    )
    manager, key = SharedStreamManager(), trigger.shared_stream_key()
    shared = manager.subscribe(trigger_id=1, trigger=trigger, key=key)
    try:
        async for event in trigger.filter_shared_stream(shared):
            taken.ids += [start["env"]["ID"] for start in event.payload["starts"]]
            seq = manager.bind_pending_event(trigger_id=1, key=key)
            manager.confirm_persisted([] if seq is None else [seq])
    finally:
        await manager.unsubscribe(1, key)


async def _story(fault: Fault, post: Post, log: StringIO) -> tuple[bool, bool]:
    """Whether the good event came in spite of the fault and nothing else did, and another one after it."""
    taken = Taken()
    running = asyncio.create_task(_runs(post, fault.rules, taken))

    async def until(condition: Callable[[], Any]) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    await asyncio.sleep(0.05)
                return True
        return False

    try:
        if said := await asyncio.to_thread(fault.act, post):
            log.write(f"{said}\n")
        read = await until(lambda: re.search(fault.reads, log.getvalue()))
        await asyncio.to_thread(fault.heal, post)
        await asyncio.to_thread(post.send, b'{"id": "good"}', kind="order")
        came = await until(lambda: "good" in taken.ids)
        await asyncio.to_thread(post.send, b'{"id": "after"}', kind="order")
        healed = await until(lambda: "after" in taken.ids)
        return read and came and set(taken.ids) <= {"good", "after"}, healed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def shown(fault: Fault) -> dict[str, Any]:
    """The fault's row of the table."""
    log, post = StringIO(), Post()
    handler = logging.StreamHandler(log)
    logger = logging.getLogger("gcp_jobs.triggers.intake")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        passed, healed = asyncio.run(_story(fault, post, log))
    finally:
        logger.removeHandler(handler)
    dead = post.dead() if fault.dead else []
    reasons = [message.attributes.get("gcp_jobs_reason", "") for message in dead]
    error = next((line for line in log.getvalue().splitlines() if re.search(fault.reads, line)), "")
    ok = passed and healed and bool(error) and len(dead) == fault.dead
    ok = ok and all(re.search(fault.reads, reason) for reason in reasons)
    return {"fault": fault.name, "caught": fault.caught, "error": error, "healed": healed, "ok": ok}


def refused(wrong: Wrong, folder: Path) -> dict[str, Any]:
    """The row of rules that are refused."""
    import yaml

    from gcp_jobs.errors import RuleError
    from gcp_jobs.event_rules.folder import rules
    from gcp_jobs.settings import settings

    place = folder / uuid.uuid4().hex
    place.mkdir()
    (folder / "job.yaml").write_text("base: {name: job, image: busybox}\n")
    os.environ.update(GCP_JOBS_EVENT_RULE_FOLDERS=str(place), GCP_JOBS_TEMPLATE_FOLDERS=str(folder))
    settings.cache_clear()

    def load(*wanted: Mapping[str, Any]) -> str:
        for number, rule in enumerate(wanted):
            (place / f"rule{number}.yaml").write_text(yaml.safe_dump(dict(rule)))
        try:
            rules(settings())
        except RuleError as error:
            return str(error)
        return ""

    error = load(*wrong.rules)
    for file in place.iterdir():
        file.unlink()
    healed = load(UPLOADS, ORDERS) == ""
    ok = bool(re.search(wrong.reads, error)) and "rule0.yaml" in error and healed
    return {"fault": wrong.name, "caught": "when rules are read", "error": error, "healed": healed, "ok": ok}


def main() -> None:
    """Writes the rows; each fault's line as it is done."""
    result, only = Path(sys.argv[1]), re.compile(sys.argv[2] if len(sys.argv) > 2 else "")
    rows = []
    with tempfile.TemporaryDirectory(prefix="faults-events-") as folder:
        connection = {
            "conn_type": "google_cloud_platform",
            "extra": {"is_anonymous": True, "project": PROJECT},
        }
        os.environ.update(
            AIRFLOW_HOME=folder, AIRFLOW__CORE__LOAD_EXAMPLES="False", NO_GCE_CHECK="true",
            AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT=json.dumps(connection), GCP_JOBS_ENVIRONMENT="local",
            GCP_JOBS_AIRFLOW_SERVICE_ACCOUNT=AIRFLOW,
        )  # fmt: skip
        with process.start(project=PROJECT, log=Path(folder) / "emulator.log") as ready:
            os.environ.update(ready["env"])
            for fault in (each for each in (*RULES, *EVENTS) if only.search(each.name)):
                start = time.monotonic()
                rows.append(refused(fault, Path(folder)) if isinstance(fault, Wrong) else shown(fault))
                said = "ok" if rows[-1]["ok"] else "NOT as it should be"
                print(f"{fault.name}: {said} ({time.monotonic() - start:.1f} s)", flush=True)
    result.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
