"""BigQuery as google-cloud-bigquery sees it, in a project of the test's own."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.oauth2.credentials import Credentials


@pytest.fixture
def client_of(cloud: Any) -> Iterator[Callable[..., bigquery.Client]]:
    """Clients by the name of who calls; no name is no credentials."""
    made = []

    def client_of(caller: str = "", **more: Any) -> bigquery.Client:
        credentials = Credentials(caller) if caller else AnonymousCredentials()
        options = {"api_endpoint": cloud.ready["rest"]}
        client = bigquery.Client(cloud.project, credentials=credentials, client_options=options, **more)
        made.append(client)
        return client

    yield client_of
    for client in made:
        client.close()


@pytest.fixture
def client(client_of: Callable[..., bigquery.Client]) -> bigquery.Client:
    """With a dataset `d`, which queries look into by themselves."""
    client = client_of()
    client.create_dataset("d")
    client.default_query_job_config = bigquery.QueryJobConfig(default_dataset=f"{client.project}.d")
    return client


@pytest.fixture
def rows(client: bigquery.Client) -> Callable[[str], list[tuple[Any, ...]]]:
    """What a query gives."""
    return lambda query: [tuple(row) for row in client.query(query).result()]


@pytest.fixture
def load(client: bigquery.Client) -> Callable[..., Any]:
    """Load text, bytes or dicts into a table of `d`; the job when it is done."""

    def load(table: str, data: Any, kind: str = "NEWLINE_DELIMITED_JSON", **config: Any) -> Any:
        if isinstance(data, list):
            data = "".join(json.dumps(row) + "\n" for row in data)
        raw = data.encode() if isinstance(data, str) else data
        settings = bigquery.LoadJobConfig(source_format=kind, **config)
        job = client.load_table_from_file(io.BytesIO(raw), f"{client.project}.d.{table}", job_config=settings)
        job.result()
        return job

    return load
