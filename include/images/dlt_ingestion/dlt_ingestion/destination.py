"""The dlt destination that the settings name, and its failures in plain words."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.destination import Destination as DltDestination

from dlt_ingestion.errors import ConfigurationError, DestinationError, IngestionError
from dlt_ingestion.settings import Destination, Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# dlt says ConfigFieldMissingException, and lists every place it looked, when google-auth finds no credentials
_IDENTITY = ("ConfigFieldMissingException", "DefaultCredentialsError", "RefreshError")
_THEIRS = ("dlt", "duckdb", "_duckdb", "google", "requests", "urllib3")


@dataclass(frozen=True, slots=True)
class Store:
    """An open destination: `target` for dlt, and the connection below it where there is one."""

    target: "DltDestination[Any, Any]"
    connection: "DuckDBPyConnection | None" = None

    def compress(self, wanted: bool) -> None:
        """Says whether rows written from now on are worth compressing: those in the staging dataset are not."""
        if self.connection:
            self.connection.execute(f"SET force_compression = '{'auto' if wanted else 'uncompressed'}'")


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The destination of `settings`, open until the end of the context.

    BigQuery gets the project by name and no credentials: dlt then asks google-auth for the Application Default
    Credentials itself. The native object that google-auth gives on Cloud Run (compute_engine.Credentials), passed as
    `credentials=`, is what dlt refuses with InvalidGoogleNativeCredentialsType.

    DuckDB is opened once for the whole run: dlt alone would open and close it three times a load package, and write
    a checkpoint each time.
    """
    if settings.destination is Destination.BIGQUERY:
        # only reading large results would want it
        warnings.filterwarnings("ignore", "Cannot create BigQuery Storage client", UserWarning)
        yield Store(dlt.destinations.bigquery(project_id=settings.project_id, location=settings.location))
        return
    import duckdb

    path = Path(settings.duckdb_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    limits: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.duckdb_memory_limit,
        "threads": 1,
        "preserve_insertion_order": False,
        # what does not fit the limit goes beside the database, not into the container's own (memory) file system
        "temp_directory": f"{path}.tmp",
    }
    with duckdb.connect(str(path), config=limits) as connection:
        yield Store(dlt.destinations.duckdb(connection), connection)


def explained(error: BaseException, settings: Settings) -> IngestionError | None:
    """`error`, which dlt may have wrapped several times, as one of ours; None when it is a fault of this program."""
    chain = _chain(error)
    for link in chain:
        if isinstance(link, IngestionError):
            return link
    root = chain[-1]
    if type(root).__module__.split(".")[0] not in _THEIRS and not isinstance(root, OSError):
        return None
    reason = f"{type(root).__name__}: {' '.join(str(root).split())[:400] or 'no details'}"
    if any(type(link).__name__ in _IDENTITY for link in chain):
        return ConfigurationError(
            f"BigQuery in project {settings.project_id}: no usable identity ({reason:.120}). Run as a service account, "
            "or locally after `gcloud auth application-default login`"
        )
    if type(root).__name__ == "OutOfMemoryException":
        return DestinationError(
            f"DUCKDB_PATH={settings.duckdb_path}: {reason:.160}. The records are too large for "
            f"DUCKDB_MEMORY_LIMIT={settings.duckdb_memory_limit}: raise it, and the container's memory with it"
        )
    if settings.destination is Destination.DUCKDB:
        return DestinationError(
            f"DUCKDB_PATH={settings.duckdb_path}: {reason}. It must be a DuckDB database that this process may "
            "write, in a folder that it may write, and that no other process has open"
        )
    return DestinationError(
        f"BigQuery {settings.project_id}.{settings.dataset} ({settings.location}): {reason}. The identity needs "
        "roles/bigquery.jobUser on the project and roles/bigquery.dataEditor on the dataset and its _staging twin"
    )


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it came from, outermost first."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain
