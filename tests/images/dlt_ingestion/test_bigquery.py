"""BigQuery as on Cloud Run: credentials come from a metadata server, and dlt must take them.

google-auth reads its environment at import, so each case is a process of its own.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from breeds_api.server import BreedsServer
from dlt_ingestion import job

IMAGE = Path(job.__file__).parents[1]
ACCOUNT = (
    "ingestion"  # for what looks like a Google account, google-auth would ask googleapis.com for its region
)
NATIVE = """
import dlt, google.auth
credentials, project = google.auth.default()
assert type(credentials).__module__ == "google.auth.compute_engine.credentials", type(credentials)
destination = dlt.destinations.bigquery({arguments})
dlt.pipeline("p", dataset_name="d", pipelines_dir="{scratch}", destination=destination).run([1], table_name="t")
"""


class _Google(BaseHTTPRequestHandler):
    """The metadata server of a Cloud Run task, and a BigQuery that refuses everything."""

    server: "Google"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        path = self.path.partition("?")[0].removeprefix("/computeMetadata/v1")
        known = {
            "/": "",
            "": "",
            "/project/project-id": "my-project",
            "/universe/universe-domain": "googleapis.com",
            "/universe/universe_domain": "googleapis.com",
            "/instance/service-accounts/default/": {
                "email": ACCOUNT,
                "scopes": ["cloud-platform"],
                "aliases": [],
            },
            f"/instance/service-accounts/{ACCOUNT}/token": {"access_token": "t0ken", "expires_in": 3600},
            "/instance/service-accounts/default/token": {"access_token": "t0ken", "expires_in": 3600},
        }
        if path in known:
            self._send(200, known[path])
        else:
            denied = {"message": "Access Denied: Dataset my-project:dog_breeds_raw", "reason": "accessDenied"}
            self._send(403, {"error": {"code": 403, "message": denied["message"], "errors": [denied]}})

    do_POST = do_GET

    def _send(self, status: int, body: object) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/text" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class Google(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Google)
        self.asked: list[tuple[str, str]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def google() -> Iterator[Google]:
    with Google() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


def run(arguments: list[str], tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    paths = os.pathsep.join(filter(None, [str(IMAGE), inherited.get("PYTHONPATH")]))
    base = inherited | {
        "PYTHONPATH": paths,
        "HOME": str(tmp_path),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        env=base | environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def on_cloud_run(google: Google) -> dict[str, str]:
    return {
        "GCE_METADATA_HOST": google.host,
        "GCE_METADATA_IP": google.host,
        "BIGQUERY_EMULATOR_HOST": f"http://{google.host}",
    }


def test_the_job_reaches_bigquery_as_its_own_service_account(google: Google, tmp_path: Path) -> None:
    """With InvalidGoogleNativeCredentialsType not one call to BigQuery would be made."""
    with BreedsServer() as api:
        ended = run(
            ["-m", "dlt_ingestion"],
            tmp_path,
            DESTINATION="bigquery",
            GCP_PROJECT_ID="my-project",
            DOG_API_BASE_URL=api.url,
            **on_cloud_run(google),
        )
    last = json.loads(ended.stdout.splitlines()[-1])
    assert "InvalidGoogleNativeCredentialsType" not in ended.stdout + ended.stderr
    assert (ended.returncode, last["exit_code"]) == (5, 5)
    assert "BigQuery my-project.dog_breeds_raw (US)" in last["message"]
    assert "Access Denied" in last["message"]
    assert "roles/bigquery.dataEditor" in last["message"]
    calls = [(path, token) for path, token in google.asked if path.startswith(("/bigquery", "/projects"))]
    assert calls
    assert {token for _, token in calls} == {"Bearer t0ken"}


def test_what_really_raises_the_credentials_error(google: Google, tmp_path: Path) -> None:
    """The error comes when the native object is handed over, whether or not the project is named."""
    for arguments in (
        "credentials=credentials, project_id=project, location='US'",
        "credentials=credentials",
    ):
        code = NATIVE.format(scratch=tmp_path, arguments=arguments)
        ended = run(["-c", code], tmp_path, **on_cloud_run(google))
        assert ended.returncode == 1
        assert "InvalidGoogleNativeCredentialsType" in ended.stderr


def test_without_an_identity_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    with BreedsServer() as api:
        ended = run(
            ["-m", "dlt_ingestion"],
            tmp_path,
            GCP_PROJECT_ID="my-project",
            DOG_API_BASE_URL=api.url,
            NO_GCE_CHECK="true",
        )
    last = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, last["exit_code"]) == (3, 3)
    assert "gcloud auth application-default login" in last["message"]
    assert len(last["message"]) < 400
