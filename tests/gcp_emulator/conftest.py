"""An emulator in a process of its own, one a worker, and Google's real clients and stock operators pointed at it."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2
from google.cloud.batch_v1 import BatchServiceClient
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.oauth2.credentials import Credentials
from hypothesis.configuration import set_hypothesis_home_dir

from gcp_emulator import process

set_hypothesis_home_dir(Path(__file__).resolve().parents[2] / ".state" / "cache" / "hypothesis")

DOCKERFILE = 'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["python", "-u", "main.py"]\n'
# Does what its arguments say, one after the other.
WORKER = """
import json, os, pathlib, sys, time
for word in sys.argv[1:]:
    action, _, value = word.partition("=")
    if action == "say":
        print(value)
    elif action == "complain":
        print(value, file=sys.stderr)
    elif action == "env":
        print(json.dumps({name: text for name, text in os.environ.items()}))
    elif action == "read":
        print(pathlib.Path(value).read_text())
    elif action == "mode":
        print(oct(pathlib.Path(value).stat().st_mode & 0o777))
    elif action == "write":
        pathlib.Path(value).write_text("written")
    elif action == "await":
        while not pathlib.Path(value).exists():
            time.sleep(0.01)
    elif action == "sleep":
        time.sleep(float(value))
    elif action == "fill":
        kept = bytearray(os.urandom(1024)) * 1024 * int(value)
        time.sleep(30)
    elif action == "exit":
        sys.exit(int(value))
    elif action == "fail-before":
        sys.exit(1 if int(os.environ["CLOUD_RUN_TASK_ATTEMPT"]) < int(value) else 0)
    elif action == "fail-task":
        sys.exit(7 if os.environ["CLOUD_RUN_TASK_INDEX"] == value else 0)
"""


@dataclass
class Cloud:
    """One emulator's addresses, and clients for it. `project` is the test's own."""

    ready: dict[str, Any]
    project: str
    channels: list[grpc.Channel] = field(default_factory=list)
    transports: list[Any] = field(default_factory=list)

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    @property
    def region(self) -> str:
        return "europe-west1"

    def client(self, cls: Any, transport: str = "grpc", identity: str = "") -> Any:
        """A client over "grpc" or "rest"; `identity` goes along as the bearer token."""
        if transport == "rest":
            options = {"api_endpoint": self.ready["rest"]}
            named = Credentials(token=identity) if identity else AnonymousCredentials()
            client = cls(transport="rest", credentials=named, client_options=options)
            self.transports.append(client.transport)
            return client
        channel = grpc.insecure_channel(self.ready["grpc"])
        self.channels.append(channel)
        if identity:
            channel = grpc.intercept_channel(channel, Bearer(identity))
        return cls(transport=cls.get_transport_class("grpc")(channel=channel))

    def jobs(self, transport: str = "grpc", identity: str = "") -> run_v2.JobsClient:
        return self.client(run_v2.JobsClient, transport, identity)

    def executions(self, transport: str = "grpc") -> run_v2.ExecutionsClient:
        return self.client(run_v2.ExecutionsClient, transport)

    def tasks(self, transport: str = "grpc") -> run_v2.TasksClient:
        return self.client(run_v2.TasksClient, transport)

    def secrets(self, transport: str = "grpc") -> SecretManagerServiceClient:
        return self.client(SecretManagerServiceClient, transport)

    def logging(self) -> LoggingServiceV2Client:
        return self.client(LoggingServiceV2Client)

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.ready["rest"], trust_env=False)

    def create_job(self, job_id: str = "job", *args: str, **task: Any) -> run_v2.Job:
        """A job of the worker image; `args` are what it does, `task` fields of its TaskTemplate."""
        return (
            self.jobs()
            .create_job(parent=self.parent, job_id=job_id, job=worker_job(*args, **task))
            .result(30)
        )

    def run(self, job: run_v2.Job, **overrides: Any) -> run_v2.Execution:
        """Run to the end; the execution as it then is, failed or not."""
        request = run_v2.RunJobRequest(name=job.name, overrides=overrides or None)
        operation = self.jobs().run_job(request)
        operation.exception(60)
        return self.executions().get_execution(name=operation.metadata.name)

    def lines(self, execution: run_v2.Execution, extra: str = "") -> list[str]:
        """What an execution's tasks printed, in the order of time."""
        entries = self.logging().list_log_entries(
            resource_names=[f"projects/{self.project}"],
            filter=f'labels."run.googleapis.com/execution_name"="{short(execution.name)}" {extra} '
            'NOT log_id("run.googleapis.com/varlog/system") NOT logName:"cloudaudit.googleapis.com"',
        )
        return [entry.text_payload for entry in entries]

    @staticmethod
    def short(name: str) -> str:
        """The last part of a resource's name."""
        return short(name)

    @staticmethod
    def worker_job(*args: str, **task: Any) -> run_v2.Job:
        return worker_job(*args, **task)

    def close(self) -> None:
        for transport in self.transports:
            transport.close()
            operations = getattr(
                transport, "_operations_client", None
            )  # has a session of its own, and no close()
            if operations is not None:
                operations.transport._session.close()
        for channel in self.channels:
            channel.close()


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Sends an identity as our plugin's clients do."""

    def __init__(self, identity: str) -> None:
        self._header = ("authorization", f"Bearer {identity}")

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        metadata = [*(details.metadata or ()), self._header]
        return continuation(details._replace(metadata=metadata), request)

    intercept_stream_stream = intercept_unary_unary


def short(name: str) -> str:
    return name.rpartition("/")[2]


def worker_job(*args: str, task_count: int = 1, parallelism: int = 0, **task: Any) -> run_v2.Job:
    container = {"image": "europe-docker.pkg.dev/p/r/worker:1", "args": list(args)}
    container |= task.pop("container", {})
    containers = task.pop("containers", [container])
    return run_v2.Job(
        template={
            "task_count": task_count,
            "parallelism": parallelism,
            "template": {"containers": containers, "max_retries": 0, **task},
        }
    )


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images: `worker` does what its arguments say."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "worker").mkdir()
    (folder / "worker" / "Dockerfile").write_text(DOCKERFILE)
    (folder / "worker" / "main.py").write_text(WORKER)
    return folder


@pytest.fixture(scope="session")
def ready(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A running emulator's ready file."""
    folder = tmp_path_factory.mktemp("emulator")
    with process.start(
        images=images, env_cache=folder / "environments", log=folder / "emulator.log"
    ) as content:
        yield content


@pytest.fixture
def cloud(ready: dict[str, Any]) -> Iterator[Cloud]:
    """The worker's emulator with a project that no other test uses."""
    world = Cloud(ready, f"test-{uuid.uuid4().hex[:10]}")
    yield world
    world.close()


@pytest.fixture(scope="session")
def gcloud_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gcloud's own folder: what it keeps there makes its later starts faster."""
    return tmp_path_factory.mktemp("gcloud")


@pytest.fixture
def gcloud(cloud: Cloud, gcloud_config: Path) -> Callable[..., Any]:
    """The gcloud CLI in the test's project, where it is installed: `gcloud("secrets", "list")` gives its JSON.

    `raw=True` gives the text as it is; `error` is a part of the message with which it must fail.
    """
    if shutil.which("gcloud") is None:
        pytest.skip("the gcloud CLI is not installed")
    settings = {
        "CONFIG": str(gcloud_config),
        "CORE_PROJECT": cloud.project,
        "CORE_DISABLE_PROMPTS": "1",
        "AUTH_DISABLE_CREDENTIALS": "true",
    }
    for service in ("BATCH", "LOGGING", "PUBSUB", "SECRETMANAGER"):
        settings[f"API_ENDPOINT_OVERRIDES_{service}"] = cloud.ready["rest"] + "/"
    settings["API_ENDPOINT_OVERRIDES_STORAGE"] = cloud.ready["rest"] + "/storage/v1/"
    environment = os.environ | {f"CLOUDSDK_{name}": value for name, value in settings.items()}

    def gcloud(*words: str, stdin: str = "", raw: bool = False, error: str = "") -> Any:
        command = ["gcloud", *words, *([] if raw else ["--format=json"])]
        done = subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode != 0) == bool(error), done.stderr
        assert error in done.stderr
        return done.stdout if raw or error else json.loads(done.stdout or "[]")

    return gcloud


@pytest.fixture
def redirected(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients that anybody in this process builds talk to the emulator."""
    channels = []

    def to_emulator(transport: Any, make: Callable[[str], Any]) -> Callable[..., Any]:
        def build(**_: Any) -> Any:
            channel = make(cloud.ready["grpc"])
            channels.append(channel)
            return transport(channel=channel)

        return build

    for client in (run_v2.JobsClient, BatchServiceClient, LoggingServiceV2Client):
        registry = type(client)._transport_registry
        for kind, make in (("grpc", grpc.insecure_channel), ("grpc_asyncio", grpc.aio.insecure_channel)):
            monkeypatch.setitem(registry, kind, to_emulator(client.get_transport_class(kind), make))
    connection = {
        "conn_type": "google_cloud_platform",
        "extra": {"is_anonymous": True, "project": cloud.project},
    }
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(connection))
    yield
    for channel in channels:
        if isinstance(channel, grpc.Channel):
            channel.close()


@pytest.fixture(scope="module")
def database() -> None:
    """A metadata database of this worker's own."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture
def run(redirected: None, database: None, cloud: Any) -> Callable[..., Any]:
    """Run operators one after the other as one DAG; the states and results by task id."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.sdk import DAG, chain

    def run(*operators: tuple[Any, dict[str, Any]]) -> dict[str, tuple[str, Any]]:
        with DAG(f"stock_{cloud.project}", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as dag:
            chain(
                *(make(project_id=cloud.project, region=cloud.region, **given) for make, given in operators)
            )
        bag = DagBag(dag_folder=os.devnull, bundle_path=Path(os.devnull), bundle_name="dags-folder")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        found = dag.test().get_task_instances()
        return {i.task_id: (str(i.state), i.xcom_pull(task_ids=i.task_id)) for i in found}

    return run
