"""What stands beside Airflow on a laptop: the embedded Google Cloud with what is deployed there, and the sample API."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from laptop import environment, project
from laptop.child import Child
from laptop.place import Place
from laptop.progress import Progress


def _serve(stack: ExitStack, place: Place, progress: Progress, name: str, *argv: str) -> Mapping[str, Any]:
    """Starts the module `name` of include/ and returns what its ready file says."""
    file = place.state / f"{name}.json"
    file.unlink(missing_ok=True)
    child = Child(name, [name, *argv, f"--ready-file={file}"], environment.tools(), place.logs, place.state)
    return stack.enter_context(child).ready(file, progress)


def start(
    stack: ExitStack, place: Place, progress: Progress, records: Path | None = None
) -> tuple[Mapping[str, str], str]:
    """Starts emulator and sample API; returns the emulator's exports and the API's base URL.

    `records`: a JSON file that the API serves instead of its sample.
    """
    key = environment.api_key(place)
    kept = (f"--env-cache={place.image_environments}", f"--state={place.emulator_state}")
    ours = ("--grpc-port=0", "--rest-port=0", f"--parent={os.getpid()}")
    emulator = _serve(stack, place, progress, "gcp_emulator", *ours, *kept)
    progress.say(f"embedded Google Cloud: gRPC {emulator['grpc']}, REST {emulator['rest']}")
    project.deploy(emulator["grpc"], emulator["rest"], key)
    if live := environment.live_api():
        progress.say(f"breeds come from {live}")
        return emulator["env"], live
    served = (f"--records={records.resolve()}",) if records else ()
    locked = f"--api-key-file={environment.sample_key_file(place)}"
    api = str(_serve(stack, place, progress, "breeds_api", "--port=0", locked, *served)["url"])
    progress.say(f"breeds API: {api}, {records.name}" if records else f"sample breeds API: {api}")
    return emulator["env"], api
