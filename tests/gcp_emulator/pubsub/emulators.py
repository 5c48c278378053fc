"""Google's own Pub/Sub emulator in a process of its own, where the Google Cloud SDK has it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 30.0


def google_jar(config: Path) -> Path | str:
    """The emulator's jar, or why there is none."""
    if shutil.which("gcloud") is None:
        return "the gcloud CLI is not installed, and Google's Pub/Sub emulator comes with it"
    if shutil.which("java") is None:
        return "java is not installed, and Google's Pub/Sub emulator needs it"
    found = subprocess.run(
        ["gcloud", "info", "--format=value(installation.sdk_root)"],
        env={**os.environ, "CLOUDSDK_CONFIG": str(config)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    folder = Path(found.stdout.strip()) / "platform" / "pubsub-emulator" / "lib"
    jars = sorted(folder.glob("cloud-pubsub-emulator-*-all.jar"))
    return (
        jars[-1] if jars else f"no Pub/Sub emulator in {folder} (gcloud components install pubsub-emulator)"
    )


@contextmanager
def google_emulator(jar: Path, log: Path) -> Iterator[str]:
    """Its `host:port`, for the length of the context."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait(process, port, log)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"Google's Pub/Sub emulator did not start: {log.read_text()[-500:]}")
