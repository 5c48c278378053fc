"""The dlt pipeline: groups of batches into a staging dataset, then everything swapped in by one transaction."""

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import dlt
import pyarrow as pa  # type: ignore[import-untyped]
from dlt.common.destination.exceptions import DestinationException
from dlt.common.storages.load_package import create_load_id
from dlt.destinations.job_client_impl import SqlJobClientBase

from dlt_ingestion import tables
from dlt_ingestion.breeds import Batch
from dlt_ingestion.destination import Store
from dlt_ingestion.errors import DestinationError
from dlt_ingestion.log import adopt_dlt
from dlt_ingestion.settings import Destination, Settings
from dlt_ingestion.source import Counts

log = logging.getLogger(__name__)

PIPELINE = "dog_breeds_pipeline"
# One load package: enough rows to pay for its fixed costs, few enough to lie on a file system that is memory.
GROUP_ROWS = 150_000
GROUP_BYTES = 64 * 1024 * 1024
CONFIG = {
    f"{PIPELINE}.{key}": value
    for key, value in {
        "extract.workers": 1,
        "normalize.workers": 1,
        "load.workers": 1,
        "load.delete_completed_jobs": True,
        "restore_from_destination": False,  # the source keeps no state
        "data_writer.compression": "zstd",  # a tenth of the disk, and quicker than snappy
        "runtime.intercept_signals": False,  # dlt would swallow a SIGTERM that comes as a step ends
    }.items()
}


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads one run's rows, all stamped `updated_at`; `work` is a folder for dlt's packages."""

    settings: Settings
    store: Store
    updated_at: datetime
    work: str

    @property
    def staging_dataset(self) -> str:
        """Where rows wait until all are there."""
        return f"{self.settings.dataset}_staging"

    def stage(self, batches: Iterator[Batch], counts: Counts) -> None:
        """Writes all rows to the staging dataset, one load package for each group of batches."""
        pipeline, schema = self._pipeline(self.staging_dataset), tables.staging()
        with _client(pipeline, schema) as client:
            client.sql_client.truncate_tables(tables.STAGED)
        self.store.compress(False)
        for number in itertools.count():
            counts.enter("reading")
            first = next(batches, None)
            if first is None:
                return
            resource = dlt.resource(self._group(first, batches, counts), name=tables.STAGED)
            pipeline.run(resource, schema=schema, write_disposition="append", loader_file_format="parquet")
            log.debug("load package %d is in: %d records so far", number + 1, counts.staged)

    def publish(self, counts: Counts, *, breeds: bool) -> None:
        """Replaces the readers' tables by what was staged, in one transaction.

        Without `breeds` only the rejected records are replaced. Raises DestinationError when the staging dataset does
        not hold exactly what this run put there.
        """
        counts.enter("publishing")
        self.store.compress(True)
        with _client(self._pipeline(self.settings.dataset), tables.published()) as client:
            self._check(client, counts)
            self._at_once(client, list(self._swap(client, breeds=breeds)))
            counts.published = breeds
            self._empty(client)

    def _group(self, first: Batch, batches: Iterator[Batch], counts: Counts) -> Iterator[pa.Table]:
        rows, size = 0, 0
        for batch in itertools.chain([first], batches):
            rows, size = rows + batch.records, size + batch.size
            yield tables.staged(batch, self.updated_at)
            if rows >= GROUP_ROWS or size >= GROUP_BYTES:
                break
        counts.enter("loading")
        counts.staged += rows

    def _pipeline(self, dataset: str) -> dlt.Pipeline:
        pipeline = dlt.pipeline(
            PIPELINE,
            pipelines_dir=f"{self.work}/{dataset}",
            destination=self.store.target,
            dataset_name=dataset,
        )
        adopt_dlt()
        return pipeline

    def _staged(self, client: SqlJobClientBase) -> str:
        with client.sql_client.with_alternative_dataset_name(self.staging_dataset):
            return client.sql_client.make_qualified_table_name(tables.STAGED)

    def _check(self, client: SqlJobClientBase, counts: Counts) -> None:
        found = client.sql_client.execute_sql(
            f"SELECT COUNT(*), COUNT(reason) FROM {self._staged(client)} WHERE {self._ours}"
        )
        staged, rejected = found[0] if found else (0, 0)
        if (staged, rejected) != (counts.records, counts.rejected):
            raise DestinationError(
                f"{self.staging_dataset}.{tables.STAGED} holds {staged} records of this run ({rejected} rejected), but "
                f"{counts.records} ({counts.rejected} rejected) were sent. Another run may have emptied it at the same "
                "time; the tables are as they were. Run again when no other run is on"
            )

    def _swap(self, client: SqlJobClientBase, *, breeds: bool) -> Iterator[str]:
        """The statements that replace the tables' rows."""
        name = client.sql_client.make_qualified_table_name
        source, ours = self._staged(client), self._ours
        if breeds:
            yield f"DELETE FROM {name(tables.BREEDS)} WHERE 1 = 1"
            yield (
                f"INSERT INTO {name(tables.BREEDS)} (row_id, breed_json, updated_at) "
                f"SELECT row_id, {self._json('record')}, updated_at FROM {source} WHERE reason IS NULL AND {ours}"
            )
            yield self._load_entry(client)
        columns = "row_id, record, reason, updated_at"
        yield f"DELETE FROM {name(tables.REJECTED)} WHERE 1 = 1"
        yield (
            f"INSERT INTO {name(tables.REJECTED)} ({columns}) "
            f"SELECT {columns} FROM {source} WHERE reason IS NOT NULL AND {ours}"
        )

    def _at_once(self, client: SqlJobClientBase, statements: list[str]) -> None:
        """Runs `statements` in one transaction.

        On BigQuery as one script: it ends by itself, while a session whose process has died would hold its locks on
        the tables for hours.
        """
        sql = client.sql_client
        if self.settings.destination is Destination.BIGQUERY:
            sql.execute_sql("; ".join(["BEGIN TRANSACTION", *statements, "COMMIT TRANSACTION"]))
            return
        with sql.begin_transaction():
            for statement in statements:
                sql.execute_sql(statement)

    def _load_entry(self, client: SqlJobClientBase) -> str:
        """What dlt's own loads put into its table of loads (SqlJobClientBase.complete_load)."""
        loads = client.sql_client.make_qualified_table_name(client.schema.loads_table_name)
        schema = client.schema
        values = f"'{create_load_id()}', '{schema.name}', 0, {self._stamp}, '{schema.version_hash}'"
        return f"INSERT INTO {loads} ({client.loads_table_schema_columns}) VALUES ({values})"

    @property
    def _ours(self) -> str:
        """Tells this run's rows from those of another that may be writing at the same time."""
        return f"updated_at = {self._stamp}"

    @property
    def _stamp(self) -> str:
        kind = "TIMESTAMP" if self.settings.destination is Destination.BIGQUERY else "TIMESTAMPTZ"
        return f"{kind} '{self.updated_at.isoformat(sep=' ')}'"

    def _json(self, column: str) -> str:
        if self.settings.destination is Destination.BIGQUERY:
            return f"PARSE_JSON({column}, wide_number_mode=>'round')"
        return f"CAST({column} AS JSON)"

    def _empty(self, client: SqlJobClientBase) -> None:
        """Frees what has been published; the next run empties it all the same."""
        try:
            with client.sql_client.with_alternative_dataset_name(self.staging_dataset):
                client.sql_client.truncate_tables(tables.STAGED)
        except DestinationException as error:
            log.warning("%s.%s could not be emptied: %s", self.staging_dataset, tables.STAGED, error)


@contextmanager
def _client(pipeline: dlt.Pipeline, schema: dlt.Schema) -> Iterator[SqlJobClientBase]:
    """A connection to the pipeline's dataset, in which all tables of `schema` are there, also those someone dropped."""
    pipeline.schemas.save_schema(schema)
    with cast(SqlJobClientBase, pipeline.destination_client(schema.name)) as client:
        client.initialize_storage()
        client.update_stored_schema(force=True)
        yield client
