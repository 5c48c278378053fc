"""What runnables, their environments and volumes must look like."""

import re
from collections import Counter
from typing import Any

from gcp_emulator.errors import InvalidArgument

MAX_RUNNABLES = 100  # https://cloud.google.com/batch/quotas#job_limits
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET = re.compile(r"projects/[^/]+/secrets/[\w-]+/versions/[\w-]+", re.ASCII)
IMAGE = re.compile(r"[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?", re.ASCII)
BUCKET = re.compile(r"[a-z0-9][\w.-]*[a-z0-9](/[^\0]*)?", re.ASCII)


def check_runnables(path: str, runnables: Any) -> None:
    """InvalidArgument when there is none, too many, or one that cannot run."""
    if not 1 <= len(runnables) <= MAX_RUNNABLES:
        raise InvalidArgument.field(
            path, f"between 1 and {MAX_RUNNABLES} runnables are needed, got {len(runnables)}"
        )
    for index, runnable in enumerate(runnables):
        _check_runnable(f"{path}[{index}]", runnable)
    if all(runnable.background or runnable.HasField("barrier") for runnable in runnables):
        raise InvalidArgument.field(
            path, "at least one script or container must not be a background runnable"
        )


def _check_runnable(path: str, runnable: Any) -> None:
    kind = runnable.WhichOneof("executable")
    if kind is None:
        raise InvalidArgument.field(path, "needs a container, a script or a barrier")
    if kind == "container" and not IMAGE.fullmatch(runnable.container.image_uri):
        raise InvalidArgument.field(
            f"{path}.container.image_uri", f"'{runnable.container.image_uri}' is not an image's URI"
        )
    if kind == "script" and not (runnable.script.text or runnable.script.path):
        raise InvalidArgument.field(f"{path}.script", "needs a text or a path")
    if kind == "barrier" and (runnable.background or runnable.always_run):
        raise InvalidArgument.field(path, "a barrier can be neither background nor always_run")
    check_environment(f"{path}.environment", runnable.environment)
    if runnable.HasField("timeout") and runnable.timeout.ToNanoseconds() <= 0:
        raise InvalidArgument.field(f"{path}.timeout", "must be a positive duration")


def check_environment(path: str, environment: Any) -> None:
    for name in (*environment.variables, *environment.secret_variables):
        if not ENV_NAME.fullmatch(name):
            raise InvalidArgument.field(path, f"'{name}' is not a variable's name")
    for name, secret in environment.secret_variables.items():
        if not SECRET.fullmatch(secret):
            raise InvalidArgument.field(
                f"{path}.secret_variables",
                f"{name}: '{secret}' is not projects/<project>/secrets/<secret>/versions/<version>",
            )
    if environment.encrypted_variables.cipher_text:
        raise InvalidArgument.field(
            f"{path}.encrypted_variables", "the emulator has no Cloud KMS: use secret_variables"
        )


def check_volumes(path: str, volumes: Any) -> None:
    mounts = Counter(volume.mount_path for volume in volumes)
    for index, volume in enumerate(volumes):
        here = f"{path}[{index}]"
        if volume.WhichOneof("source") is None:
            raise InvalidArgument.field(here, "needs a source: gcs, nfs or device_name")
        if volume.HasField("gcs") and not BUCKET.fullmatch(volume.gcs.remote_path):
            raise InvalidArgument.field(
                f"{here}.gcs.remote_path", f"'{volume.gcs.remote_path}' is not a bucket or a folder in one"
            )
        if not volume.mount_path.startswith("/") or volume.mount_path == "/" or mounts[volume.mount_path] > 1:
            raise InvalidArgument.field(
                f"{here}.mount_path", f"'{volume.mount_path}' must be an absolute path of its own"
            )
        if ".." in (volume.gcs.remote_path + "/" + volume.nfs.remote_path).split("/"):
            raise InvalidArgument.field(here, "its path must not hold '..'")
