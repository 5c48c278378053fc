"""The dlt destination that the settings name, and its failures in plain words."""

from pathlib import Path
from typing import Any

import dlt
from dlt.common.destination import Destination as DltDestination

from dlt_ingestion.errors import ConfigurationError, DestinationError, IngestionError
from dlt_ingestion.settings import Destination, Settings

_IDENTITY = ("DefaultCredentialsError", "RefreshError")


def build(settings: Settings) -> "DltDestination[Any, Any]":
    """The destination of `settings`.

    BigQuery gets the project by name and no credentials: dlt then asks google-auth for the Application Default
    Credentials itself. The native object that google-auth gives on Cloud Run (compute_engine.Credentials), passed as
    `credentials=`, is what dlt refuses with InvalidGoogleNativeCredentialsType.
    """
    if settings.destination is Destination.BIGQUERY:
        return dlt.destinations.bigquery(project_id=settings.project_id, location=settings.location)
    from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

    folder = Path(settings.duckdb_path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(f"DUCKDB_PATH={settings.duckdb_path}: cannot make the folder {folder}: {error}") from error
    limits = {
        "memory_limit": settings.duckdb_memory_limit,
        "threads": 2,
        "preserve_insertion_order": False,
        # what does not fit the limit goes beside the database, not into the container's own (memory) file system
        "temp_directory": f"{settings.duckdb_path}.tmp",
    }
    return dlt.destinations.duckdb(DuckDbCredentials(settings.duckdb_path, global_config=limits))


def explained(error: BaseException, settings: Settings) -> IngestionError:
    """`error`, which dlt may have wrapped several times, as one of ours; our own come out unchanged."""
    chain = _chain(error)
    for link in chain:
        if isinstance(link, IngestionError):
            return link
    root = chain[-1]
    reason = f"{type(root).__name__}: {str(root).strip() or 'no details'}"
    if any(type(link).__name__ in _IDENTITY for link in chain):
        return ConfigurationError(
            f"BigQuery in project {settings.project_id}: no usable identity ({reason}). Run as a service account, "
            "or locally `gcloud auth application-default login`"
        )
    if settings.destination is Destination.DUCKDB:
        return DestinationError(
            f"DUCKDB_PATH={settings.duckdb_path}: {reason:.600}. The file must be a DuckDB database that this process "
            "may write and that no other process has open"
        )
    return DestinationError(
        f"BigQuery {settings.project_id}.{settings.dataset} ({settings.location}): {reason:.600}. The identity needs "
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
