"""Batch's resource names and ids, and how a missing resource is reported."""

import re
import secrets
import uuid

from gcp_emulator.errors import AlreadyExists, InvalidArgument, NotFound

GROUP = "group0"  # a job has exactly one task group, and Batch gives it this name
LOCATION = re.compile(r"projects/[^/]+/locations/[a-z][a-z0-9-]*")
JOB = re.compile(rf"{LOCATION.pattern}/jobs/[^/]+")
TASK_GROUP = re.compile(rf"{JOB.pattern}/taskGroups/[^/]+")
TASK = re.compile(rf"{TASK_GROUP.pattern}/tasks/[^/]+")
JOB_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
NIL_UUID = "00000000-0000-0000-0000-000000000000"
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def check_parent(parent: str, *, wildcard: bool = False) -> None:
    if not LOCATION.fullmatch(parent) and not (
        wildcard and re.fullmatch(r"projects/[^/]+/locations/-", parent)
    ):
        raise InvalidArgument.field("parent", f"'{parent}' is not projects/<project>/locations/<region>")


def check_job_id(job_id: str) -> None:
    if not JOB_ID.fullmatch(job_id):
        raise InvalidArgument.field(
            "job_id",
            f"'{job_id}' must match ^[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?$: at most 63 lowercase letters, digits and "
            "hyphens, beginning with a letter, not ending with a hyphen",
        )


def check_name(name: str, pattern: re.Pattern[str], what: str) -> None:
    if not pattern.fullmatch(name):
        raise InvalidArgument.field("name", f"'{name}' is not the name of a {what}")


def check_request_id(request_id: str) -> None:
    """A UUID other than zero, or nothing."""
    if request_id and (not UUID.fullmatch(request_id) or request_id == NIL_UUID):
        raise InvalidArgument.field(
            "request_id", f"'{request_id}' is not a valid UUID (the zero UUID is not supported)"
        )


def new_job_id() -> str:
    return f"j-{uuid.uuid4()}"


def new_uid(job_id: str) -> str:
    """As Batch makes them: the id's first 18 characters and a random part; unique for ever, unlike the id."""
    return f"{job_id[:18]}-{str(uuid.uuid4())[:18]}0"


def new_instance_id() -> str:
    """A Compute Engine instance id: an unsigned 64-bit number."""
    return str(secrets.randbits(61) + (1 << 61))


def job_of(name: str) -> str:
    """The job of a task or task group."""
    return "/".join(name.split("/")[:6])


def group_of(job: str) -> str:
    return f"{job}/taskGroups/{GROUP}"


def task_name(job: str, index: int) -> str:
    return f"{group_of(job)}/tasks/{index}"


def task_uid(job_uid: str, index: int) -> str:
    """`UID-group0-3`: the id by which logs and notifications name a task."""
    return f"{job_uid}-{GROUP}-{index}"


def missing(name: str) -> NotFound:
    return NotFound(f"Resource '{name}' was not found")


def exists(name: str) -> AlreadyExists:
    return AlreadyExists(f"Resource '{name}' already exists")
