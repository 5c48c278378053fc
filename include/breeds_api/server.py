"""The HTTP server: GET /v1/breeds?limit=&page= and the same below /faults/<fault>/."""

import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from breeds_api.faults import Answer, Faults, Request, parse
from breeds_api.records import Records

MAX_LIMIT = 50_000


class BreedsServer(ThreadingHTTPServer):
    """Serves from threads of this process while used as a context manager; port 0 takes any free one.

    `api_key` makes the x-api-key header compulsory; `fault` spoils every request that names none itself.
    `asked` lists the requests' paths and queries, in order. Raises LookupError for an unknown fault.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        records: Records | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str = "",
        fault: str = "",
    ) -> None:
        parse(fault)
        self.records = records or Records.load()
        self.api_key = api_key
        self.fault = fault
        self.faults = Faults()
        self.asked: list[str] = []
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """The base URL, version included."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/v1"

    def url_with(self, fault: str) -> str:
        """The base URL below which every request meets `fault`. Raises LookupError for an unknown one."""
        parse(fault)
        return self.url.removesuffix("/v1") + f"/faults/{fault}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no event of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BreedsServer

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the caller logs what it asked for."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        try:
            answer = self._answer()
        except (LookupError, ValueError) as error:
            answer = Answer(400, str(error).encode(), {"Content-Type": "text/plain"})
        time.sleep(answer.delay_s)
        self._send(answer)

    def _answer(self) -> Answer:
        url = urlsplit(self.path)
        path, fault = url.path, self.server.fault
        if path.startswith("/faults/"):
            _, _, fault, rest = path.split("/", 3)
            path = f"/{rest}"
        if path != "/v1/breeds":
            return Answer(404, b'{"message": "not found"}', {"Content-Type": "application/json"})
        if refused := self._refused():
            return refused
        query = parse_qs(url.query)
        limit = query.get("limit", [""])[0]
        page = int(query.get("page", ["0"])[0])
        request = Request(min(int(limit), MAX_LIMIT) if limit else None, page)
        return self.server.faults.answer(fault, self.server.records, request)

    def _refused(self) -> Answer | None:
        given = self.headers.get("x-api-key")
        if not self.server.api_key or given == self.server.api_key:
            return None
        kind = {"Content-Type": "application/json"}
        if given is None:
            return Answer(401, b'{"message": "x-api-key is missing"}', kind)
        return Answer(403, b'{"message": "x-api-key is not known"}', kind)

    def _send(self, answer: Answer) -> None:
        if answer.reset:
            self._hang_up()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.body is None:
            self._send_stream(cut=answer.cut)
            return
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.cut:
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self.wfile.flush()
            self._hang_up()
            return
        self.wfile.write(answer.body)

    def _send_stream(self, *, cut: bool) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, part in enumerate(self.server.records.stream()):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            if cut and number:
                self._hang_up()
                return
        self.wfile.write(b"0\r\n\r\n")

    def _hang_up(self) -> None:
        """Closes with a reset instead of a goodbye (SO_LINGER of zero seconds)."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
