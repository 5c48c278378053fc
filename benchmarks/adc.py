"""Application default credentials for a process that the emulator does not start itself: a metadata server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gcp_emulator.metadata import Identity, application


@contextmanager
def granted(account: str, project: str) -> Iterator[dict[str, str]]:
    """The environment by which google-auth finds the service account `account` of `project`."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = application(Identity(account, project, "123456789012", "europe-west1"))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    try:
        yield {"GCE_METADATA_HOST": address, "GCE_METADATA_IP": address}
    finally:
        server.should_exit = True
        thread.join()
