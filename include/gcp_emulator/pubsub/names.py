"""Names of topics, subscriptions and snapshots: https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names"""

import re

from gcp_emulator.pubsub.refusals import Unimplemented, bad_name

DELETED_TOPIC = "_deleted-topic_"  # what a subscription's topic reads once the topic is gone
PROJECT = re.compile(r"projects/[^/\s]+")
RESOURCE = re.compile(
    r"projects/[^/\s]+/(topics|subscriptions|snapshots)/(?!goog)[A-Za-z][\w.~+%-]{2,254}", re.ASCII
)


def check_topic(name: str, field: str = "name") -> str:
    return _check(name, "topics", field)


def check_subscription(name: str, field: str = "name") -> str:
    return _check(name, "subscriptions", field)


def check_snapshot(name: str, field: str = "name") -> str:
    return _check(name, "snapshots", field)


def kind_of(name: str) -> str:
    """`topics`, `subscriptions` or `snapshots`, or InvalidArgument."""
    if "/schemas/" in name:
        raise Unimplemented.feature("Schemas of Pub/Sub", "publish without a schema")
    match = RESOURCE.fullmatch(name)
    if match is None:
        raise bad_name(name, "resource")
    return match[1]


def check_project(name: str) -> str:
    """`projects/p`, or InvalidArgument."""
    if not PROJECT.fullmatch(name):
        raise bad_name(name, "project")
    return name


def project_of(name: str) -> str:
    """`projects/p/topics/t` -> `p`."""
    return name.split("/")[1]


def short(name: str) -> str:
    """`projects/p/topics/t` -> `t`."""
    return name.rpartition("/")[2]


def _check(name: str, kind: str, field: str) -> str:
    match = RESOURCE.fullmatch(name)
    if match is None or match[1] != kind:
        raise bad_name(name, field)
    return name
