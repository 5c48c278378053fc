"""Serves an ASGI application from inside a running event loop, on a socket of our own."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from gcp_emulator.errors import StartError


class _Uvicorn(uvicorn.Server):
    """Uvicorn without signal handlers: the process that embeds it has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """An HTTP server on `host:port`; port 0 is any free one."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1, ws="none"
        )
        self._server = _Uvicorn(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """The port it listens on; StartError when it is taken."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # asyncio turns Nagle's algorithm off (40 ms an answer) only where the protocol is named
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
        except OSError as error:
            listener.close()
            raise StartError(
                f"--rest-port: cannot listen on {self._host}:{self._port} ({error.strerror}); "
                "choose another, or 0 for a free one"
            ) from error
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise StartError(f"the REST server on {self._host}:{self._port} ended at once")
            await asyncio.sleep(0.005)
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
