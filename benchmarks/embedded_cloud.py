"""The embedded Google Cloud of one benchmark: started, asked what it counted, told which jobs must wait."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.request import Request, urlopen

import grpc
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from laptop import cloud, environment
from laptop.child import Child
from laptop.place import Place
from laptop.progress import Progress

PARENT = f"projects/{environment.PROJECT}/locations/{environment.REGION}"
TOPIC = f"projects/{environment.PROJECT}/topics/job-states"


class EmbeddedCloud:
    """What a benchmark asks of an emulator.

    :param said: what its ready file says: `grpc` and `rest` addresses, `env` for clients
    """

    def __init__(self, said: dict[str, Any]) -> None:
        self.grpc: str = said["grpc"]
        self.exports: dict[str, str] = {**said["env"], "GCP_JOBS_STATUS_TOPIC": TOPIC}
        self._rest: str = said["rest"]

    def count(self, *methods: str) -> int:
        """How often anybody called these methods since it started."""
        return sum(
            call.count for call in cloud.calls(self._rest) if call.method.rpartition("/")[2] in methods
        )

    def cancels(self) -> dict[str, float]:
        """When the first call to cancel each job or execution came, in epoch seconds."""
        found: dict[str, float] = {}
        with urlopen(f"{self._rest}/emulator/calls?recent=10000", timeout=30) as answer:
            for call in json.load(answer)["recent"]:
                if call["method"].rpartition("/")[2] in ("CancelJob", "CancelExecution"):
                    found.setdefault(call["resource"], datetime.fromisoformat(call["time"]).timestamp())
        return found

    def refuse(self, *methods: str) -> str:
        """Calls of these methods are refused for want of rights until the fault whose id this gives is taken away."""
        patterns = [f"*/{method}" for method in methods]
        fault = {"kind": "call", "methods": patterns, "code": "PERMISSION_DENIED"}
        return str(self._send("POST", "", fault)["id"])

    def hold(self, machine_type: str) -> str:
        """Jobs of this machine type wait for machines until the fault whose id this gives is taken away."""
        return str(self._send("POST", "", {"kind": "exhaust", "machine_type": machine_type})["id"])

    def release(self, fault: str) -> None:
        """Take a fault away."""
        self._send("DELETE", f"/{fault}")

    def jobs(self) -> list[batch_v1.Job]:
        """All jobs that it knows, in any state."""
        with self.batch() as api:
            return list(api.list_jobs(request={"parent": PARENT, "page_size": 1000}))

    @contextmanager
    def batch(self) -> Iterator[batch_v1.BatchServiceClient]:
        """A client of Batch."""
        with grpc.insecure_channel(self.grpc) as channel:
            yield batch_v1.BatchServiceClient(transport=BatchServiceGrpcTransport(channel=channel))

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body else None
        headers = {"content-type": "application/json"}
        request = Request(f"{self._rest}/emulator/faults{path}", data, headers, method=method)
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def embedded(place: Place, progress: Progress) -> Iterator[EmbeddedCloud]:
    """Start one, with the topic that jobs tell their states to."""
    ready = place.state / "emulator.json"
    argv = [
        "gcp_emulator",
        "--grpc-port=0",
        "--rest-port=0",
        f"--ready-file={ready}",
        f"--parent={os.getpid()}",
    ]
    with Child("gcp_emulator", argv, environment.tools(), place.logs, place.state) as child:
        said = child.ready(ready, progress)
        with grpc.insecure_channel(said["grpc"]) as channel:
            PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(name=TOPIC)
        yield EmbeddedCloud(said)
