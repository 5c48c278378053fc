"""`python -m gcp_emulator`: serves the embedded Google Cloud until it is told to stop."""

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from gcp_emulator import lightweight

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # a port that is taken is told in our words, not in C++'s
lightweight.install()

from gcp_emulator.batch.parts import DELAY_S  # noqa: E402
from gcp_emulator.errors import StartError  # noqa: E402
from gcp_emulator.server import PACKAGE, Addresses, Emulator, Options  # noqa: E402

PARENT_S = 1.0
app = typer.Typer(add_completion=False)
HELP = """Serve the embedded Google Cloud: Cloud Run jobs, Batch, Pub/Sub, Secret Manager, Logging and Storage.

It speaks gRPC and REST, runs the containers of jobs as local processes, and stops on Ctrl-C or SIGTERM with all that
it started. When it is ready it prints its addresses, then the exports that point clients at it.
"""


def announce(addresses: Addresses, ready_file: Path | None) -> None:
    """Print the ready line and the exports; the ready file appears whole or not at all."""
    print(f"gcp_emulator ready: grpc={addresses.grpc} rest={addresses.rest}", flush=True)
    for name, value in addresses.exports.items():
        print(f"export {name}={value}", flush=True)
    if ready_file is None:
        return
    content = {
        "grpc": addresses.grpc,
        "rest": addresses.rest,
        "env": dict(addresses.exports),
        "pid": os.getpid(),
    }
    ready_file.parent.mkdir(parents=True, exist_ok=True)
    draft = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(ready_file)


async def outlive(parent: int) -> None:
    """Returns when the process has ended; a parent's end is seen even while nobody has reaped it."""
    ours = os.getppid() == parent
    while os.getppid() == parent if ours else _exists(parent):
        await asyncio.sleep(PARENT_S)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def serve(options: Options, ready_file: Path | None, parent: int | None) -> None:
    stop = asyncio.Event()
    watch = asyncio.create_task(outlive(parent)) if parent else None
    if watch:
        watch.add_done_callback(lambda _: stop.set())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    emulator = Emulator(options)
    try:
        announce(await emulator.start(), ready_file)
        await stop.wait()
    finally:
        await emulator.stop()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


@app.command(help=HELP)
def main(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC port; 0: any free one.")] = 8085,
    rest_port: Annotated[int, typer.Option(min=0, max=65535, help="REST port; 0: any free one.")] = 8086,
    state: Annotated[
        Path | None, typer.Option(help="Folder for jobs, executions and secrets that outlive a restart.")
    ] = None,
    images: Annotated[Path, typer.Option(help="Folder with one folder for each image.")] = PACKAGE.parent
    / "images",
    env_cache: Annotated[
        Path | None, typer.Option(help="Folder for the images' Python environments; kept if given.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="JSON file to write when ready: grpc, rest, env, pid.")
    ] = None,
    parent: Annotated[
        int | None, typer.Option(min=1, help="Id of a process: stop when it has ended, however it ends.")
    ] = None,
    project: Annotated[str, typer.Option(help="The default project's id.")] = "local-project",
    batch_delay: Annotated[
        float,
        typer.Option(min=0, help="Seconds a Batch job stays QUEUED, then SCHEDULED, or is being stopped."),
    ] = DELAY_S,
    pubsub: Annotated[
        str, typer.Option(help="HOST:PORT of another Pub/Sub (Google's emulator) for Batch's notifications.")
    ] = "",
    verbose: Annotated[bool, typer.Option(help="Log what the emulator does, to stderr.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    options = Options(host, grpc_port, rest_port, state, images, env_cache, project, batch_delay, pubsub)
    try:
        asyncio.run(serve(options, ready_file, parent))
    except StartError as error:
        print(f"gcp_emulator: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app(prog_name="python -m gcp_emulator")
