"""Faults that meet data on its way to BigQuery and Cloud Storage: part of `make faults`.

`python -m benchmarks.faults_destination RESULT [ONLY]` shows them through Google's client libraries in an emulator of
its own. Each says what must be as it was, and once more without the fault.
"""

import io
import json
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.storage import Client as Storage
from google.oauth2.credentials import Credentials

from gcp_emulator import process

PROJECT = "local-project"
STRANGER = "stranger@mine.iam.gserviceaccount.com"
OWNER_ONLY = [bigquery.AccessEntry("OWNER", "specialGroup", "projectOwners")]
Rows = Sequence[tuple[Any, ...]]


class World:
    """A dataset with a table `t` of one row, and a bucket with an object, of one fault."""

    def __init__(self, rest: str) -> None:
        self._rest = rest
        self.queries = self.client()
        self.dataset = f"{PROJECT}.d{uuid.uuid4().hex[:12]}"
        self.table = f"{self.dataset}.t"
        self.queries.create_dataset(self.dataset)
        self.query(f"CREATE TABLE `{self.table}` (id INT64, name STRING)")
        self.query(f"INSERT INTO `{self.table}` (id, name) VALUES (1, 'old')")
        objects = Storage(PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": rest})
        self.bucket = objects.create_bucket(f"b{uuid.uuid4().hex[:12]}")
        self.bucket.blob("a").upload_from_string("old")

    def client(self, caller: str = "") -> bigquery.Client:
        """A client of this caller."""
        credentials = Credentials(caller) if caller else AnonymousCredentials()
        return bigquery.Client(PROJECT, credentials=credentials, client_options={"api_endpoint": self._rest})

    def query(self, text: str, location: str | None = None) -> Rows:
        """What a query gives."""
        return [tuple(row.values()) for row in self.queries.query(text, location=location).result()]

    def load(self, table: str, lines: str, **config: Any) -> None:
        """Load lines of JSON, as a load job."""
        settings = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", **config)
        self.queries.load_table_from_file(io.BytesIO(lines.encode()), table, job_config=settings).result()

    def rows(self) -> Rows:
        """What the table holds."""
        return self.query(f"SELECT id, name FROM `{self.table}` ORDER BY id")


@dataclass(frozen=True, slots=True)
class Fault:
    """:param act: what fails, and how it is read; :param heal: the same as it should be"""

    name: str
    caught: str
    reads: str
    act: Callable[[World], Any]
    heal: Callable[[World], Any]


def _locked(world: World) -> None:
    dataset = world.queries.get_dataset(world.dataset)
    dataset.access_entries = OWNER_ONLY
    world.queries.update_dataset(dataset, ["access_entries"])
    world.client(STRANGER).query(f"SELECT id FROM `{world.table}`").result()


def _let_in(world: World) -> None:
    dataset = world.queries.get_dataset(world.dataset)
    dataset.access_entries = [*OWNER_ONLY, bigquery.AccessEntry("READER", "userByEmail", STRANGER)]
    world.queries.update_dataset(dataset, ["access_entries"])
    world.client(STRANGER).query(f"SELECT id FROM `{world.table}`").result()


def _half(world: World) -> None:
    good = "".join(f'{{"id": {number}, "name": "new"}}\n' for number in range(2, 5000))
    world.load(world.table, good + '{"id": "no number", "name": "new"}\n', write_disposition="WRITE_TRUNCATE")


def _narrower(world: World) -> None:
    schema = [bigquery.SchemaField("id", "INTEGER"), bigquery.SchemaField("name", "INTEGER")]
    world.load(world.table, '{"id": 2, "name": 7}\n', schema=schema, write_disposition="WRITE_APPEND")


def _overwritten(world: World) -> bytes:
    seen = world.bucket.get_blob("a").generation
    world.bucket.blob("a").upload_from_string("new")
    data: bytes = world.bucket.blob("a").download_as_bytes(if_generation_match=seen)
    return data


FAULTS = (
    Fault(
        "a dataset that is missing",
        "BigQuery, 404 notFound",
        r"Not found: Dataset local-project:nowhere",
        lambda world: world.load("nowhere.t", '{"id": 2}\n', autodetect=True),
        lambda world: world.load(f"{world.dataset}.u", '{"id": 2}\n', autodetect=True),
    ),
    Fault(
        "a job in another place than its dataset",
        "BigQuery, 404 notFound",
        r"Not found: Dataset \S+ was not found in location EU",
        lambda world: world.query(f"SELECT id FROM `{world.table}`", location="EU"),
        World.rows,
    ),
    Fault(
        "no right on the dataset",
        "BigQuery, 403 accessDenied",
        r"Access Denied: Table .*bigquery\.tables\.getData",
        _locked,
        _let_in,
    ),
    Fault(
        "a load job that fails half way",
        "BigQuery, the job's error",
        r"Could not parse 'no number' as INT64 for field id",
        _half,
        lambda world: world.load(world.table, '{"id": 2, "name": "new"}\n', write_disposition="WRITE_APPEND"),
    ),
    Fault(
        "a schema change that narrows",
        "BigQuery, the job's error",
        r"Field name has changed type from STRING to INTEGER",
        _narrower,
        lambda world: world.load(world.table, '{"id": 2, "name": "7"}\n', write_disposition="WRITE_APPEND"),
    ),
    Fault(
        "a query over an unknown column",
        "BigQuery, 400 invalidQuery",
        r"Unrecognized name: nmae",
        lambda world: world.query(f"SELECT nmae FROM `{world.table}`"),
        World.rows,
    ),
    Fault(
        "an object that is overwritten while it is read",
        "Storage, 412 conditionNotMet",
        r"pre-conditions? you specified did not hold|conditionNotMet",
        _overwritten,
        lambda world: world.bucket.get_blob("a").download_as_bytes(),
    ),
)


def shown(fault: Fault, rest: str) -> dict[str, Any]:
    """The fault's row of the table."""
    world, error = World(rest), ""
    try:
        fault.act(world)
    except GoogleAPICallError as refused:
        error = str(refused)
    kept = world.rows() == [(1, "old")]
    try:
        fault.heal(world)
        healed = True
    except GoogleAPICallError:
        healed = False
    ok = bool(re.search(fault.reads, error)) and kept and healed
    return {"fault": fault.name, "caught": fault.caught, "error": error, "healed": healed, "ok": ok}


def main() -> None:
    """Writes the rows; each fault's line as it is done."""
    result, only = Path(sys.argv[1]), re.compile(sys.argv[2] if len(sys.argv) > 2 else "")
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="faults-destination-") as folder,
        process.start(project=PROJECT, log=Path(folder) / "emulator.log") as ready,
    ):
        for fault in (each for each in FAULTS if only.search(each.name)):
            start = time.monotonic()
            rows.append(shown(fault, ready["rest"]))
            said = "ok" if rows[-1]["ok"] else "NOT as it should be"
            print(f"{fault.name}: {said} ({time.monotonic() - start:.1f} s)", flush=True)
    result.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
