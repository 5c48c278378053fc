"""The first page: everything there is, the newest of each kind."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from gcp_emulator.messages import BatchJob, Execution, Job
from gcp_emulator.run.names import project, region, short
from gcp_emulator.site.buckets import bucket_path
from gcp_emulator.site.markup import (
    Html,
    batch_path,
    document,
    execution_path,
    link,
    logs_path,
    section,
    table,
)
from gcp_emulator.site.states import batch_counts, batch_state, execution_counts, execution_state, moment
from gcp_emulator.site.world import World

SHOWN = 50  # of each kind, newest first
CALLS = 200
Rows = Iterator[Sequence[object]]
Kind = TypeVar("Kind")


def overview(world: World) -> str:
    """The page as HTML."""
    where = ("Project", "Region")
    return document(
        "Embedded Google Cloud",
        section(
            "Cloud Run jobs",
            table(("Job", *where, "Executions", "Latest execution", "Created"), _jobs(world)),
        ),
        section(
            "Cloud Run executions",
            table(("Execution", *where, "State", "Tasks", "Created", ""), _executions(world)),
        ),
        section("Batch jobs", table(("Job", *where, "State", "Tasks", "Created", ""), _batch_jobs(world))),
        section(
            "Storage buckets", table(("Bucket", "Project", "Location", "Objects", "Bytes"), _buckets(world))
        ),
        section("Pub/Sub topics", table(("Topic", "Project", "Subscriptions"), _topics(world))),
        section(
            "Pub/Sub subscriptions",
            table(("Subscription", "Project", "Topic", "Unacknowledged"), _subscriptions(world)),
        ),
        section("Log sinks", table(("Sink", "Destination", "Filter", "Published", "Dropped"), _sinks(world))),
        section("Faults", table(("Fault", "Kind", "Asked", "Struck"), _faults(world))),
        section("Calls", table(("Method", "Caller", "Count"), _calls(world))),
        section("As JSON", _elsewhere()),
    )


def _jobs(world: World) -> Rows:
    for _, job in world.store.page(Job, "projects/-/locations/-", limit=SHOWN):
        latest = job.latest_created_execution.name
        name = f"{job.name}/executions/{latest}"
        known = latest and world.store.get(Execution, name) is not None
        shown = link(execution_path(name), latest) if known else latest
        yield short(job.name), *_place(job.name), job.execution_count, shown, moment(job.create_time)


def _executions(world: World) -> Rows:
    for _, stored in world.store.page(Execution, "projects/-/locations/-/jobs/-", limit=SHOWN):
        name, counts = stored.name, execution_counts(stored)
        shown = link(execution_path(name), short(name)), *_place(name), execution_state(stored), counts
        yield *shown, moment(stored.create_time), link(logs_path(name), "logs")


def _batch_jobs(world: World) -> Rows:
    for _, stored in world.store.page(BatchJob, "projects/-/locations/-", limit=SHOWN):
        job = world.batch.live(stored.name) or stored
        shown = link(batch_path(job.name), short(job.name)), *_place(job.name), batch_state(job)
        yield *shown, batch_counts(job), moment(job.create_time), link(logs_path(job.name), "logs")


def _buckets(world: World) -> Rows:
    catalogue = world.shelf.catalogue
    for bucket in catalogue.buckets()[:SHOWN]:
        name = bucket["name"]
        yield (
            link(bucket_path(name), name),
            catalogue.project(name),
            bucket["location"],
            *catalogue.totals(name),
        )


def _topics(world: World) -> Rows:
    for topic in _newest(world.pubsub.topics.all()):
        yield short(topic.resource.name), project(topic.resource.name), len(topic.subscriptions)


def _subscriptions(world: World) -> Rows:
    for subscription in _newest(world.pubsub.subscriptions.all()):
        resource = subscription.resource
        waiting = len(subscription.backlog.unacknowledged())
        yield short(resource.name), project(resource.name), resource.topic, waiting


def _sinks(world: World) -> Rows:
    for name, sink in _newest(world.sinks.all()):
        yield name, sink.resource.destination, sink.resource.filter, sink.published, sink.dropped


def _faults(world: World) -> Rows:
    for active in world.faults.all():
        yield active.id, active.fault.kind, active.seen, active.hits


def _calls(world: World) -> Rows:
    for call in world.calls.as_dict()["calls"][:CALLS]:
        yield call["method"], call["caller"], call["count"]


def _elsewhere() -> Html:
    paths = ("/emulator/calls", "/emulator/faults", "/emulator/health")
    return Html(" ".join(link(path, path) for path in paths))


def _newest(found: list[Kind]) -> list[Kind]:
    return found[: -SHOWN - 1 : -1]


def _place(name: str) -> tuple[str, str]:
    return project(name), region(name)
