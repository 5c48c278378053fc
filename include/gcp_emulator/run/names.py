"""Cloud Run's resource names: the allowed ones, their parts, and how a missing resource is reported."""

import random
import re
import string

from gcp_emulator.errors import InvalidArgument, NotFound

LOCATION = re.compile(r"projects/[^/]+/locations/[^/]+")
JOB_ID = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
TOKEN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
MAX_NAME = 63  # https://cloud.google.com/run/docs/create-jobs
SUFFIX = string.ascii_lowercase + string.digits


def location(name: str) -> str:
    """`projects/p/locations/l` of any resource in it."""
    return "/".join(name.split("/")[:4])


def project(name: str) -> str:
    return name.split("/")[1]


def region(name: str) -> str:
    return name.split("/")[3]


def short(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def job_of(name: str) -> str:
    """The job that an execution or task name belongs to."""
    return "/".join(name.split("/")[:6])


def execution_of(name: str) -> str:
    """The execution that a task name belongs to."""
    return "/".join(name.split("/")[:8])


def new_execution_id(job_id: str) -> str:
    return f"{job_id}-{''.join(random.choices(SUFFIX, k=5))}"


def check_parent(parent: str) -> None:
    if not LOCATION.fullmatch(parent):
        raise InvalidArgument.field("parent", f"'{parent}' is not projects/<project>/locations/<location>")


def check_job_id(job_id: str) -> None:
    if not JOB_ID.fullmatch(job_id):
        raise InvalidArgument.field(
            "job_id",
            f"'{job_id}' is not a job name: only lowercase letters, digits and hyphens, beginning with a letter, "
            f"not ending with a hyphen, at most {MAX_NAME} characters",
        )


def check_token(job_id: str, token: str) -> None:
    """An execution token becomes the suffix of a name, so it has a name's letters and length."""
    if not TOKEN.fullmatch(token) or len(job_id) + 1 + len(token) > MAX_NAME:
        raise InvalidArgument.field(
            "job.create_execution",
            f"the token '{token}' must hold lowercase letters, digits and hyphens, and with the job's name stay "
            f"below {MAX_NAME} characters",
        )


def missing(kind: str, name: str) -> NotFound:
    """Google's words for a Cloud Run resource that does not exist."""
    parts = name.split("/")
    where = f" in region '{parts[3]}' in project '{parts[1]}'" if len(parts) > 3 else ""
    return NotFound(f"Resource '{short(name)}' of kind '{kind}'{where} does not exist.")
