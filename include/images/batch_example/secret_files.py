"""Secrets as files on Batch, which has them as variables only: written at the start, taken from the environment."""

import os
from collections.abc import MutableMapping
from pathlib import Path

PREFIX = "GCP_JOBS_SECRET_FILE_"  # ..._0 holds the secret, ..._0_PATH where it belongs


def write_secret_files(environment: MutableMapping[str, str]) -> list[Path]:
    """Write each secret to its path, readable by this user alone, and take it out of the environment."""
    written = []
    for name in sorted(key for key in environment if key.startswith(PREFIX) and key.endswith("_PATH")):
        path, content = Path(environment.pop(name)), environment.pop(name.removesuffix("_PATH"), "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(handle, "w") as file:
            file.write(content)
        written.append(path)
    return written
