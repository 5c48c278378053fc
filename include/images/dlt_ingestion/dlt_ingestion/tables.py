"""The tables: what is staged, and what readers see."""

from datetime import datetime

import pyarrow as pa  # type: ignore[import-untyped]
from dlt import Schema
from dlt.common.data_types import TDataType
from dlt.common.schema.typing import TColumnSchema
from dlt.common.schema.utils import new_table

from dlt_ingestion.breeds import Batch

BREEDS = "dog_breeds_resource"
REJECTED = "dog_breeds_rejected"
STAGED = "dog_breeds_records"

# Rows and rejected records travel in one table, `reason` null for a row, so that one load package holds both. JSON is
# staged as text: BigQuery loads no parquet into JSON columns, and one parse at the end is enough.
_STAGED = pa.schema(
    [
        pa.field("row_id", pa.int64()),
        pa.field("record", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("updated_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


def staged(batch: Batch, updated_at: datetime) -> pa.Table:
    """The batch as rows of the staging table."""
    rejected = batch.rejected
    columns = [
        pa.array([*batch.row_ids, *[None] * len(rejected)], pa.int64()),
        pa.array([*batch.texts, *(r.record for r in rejected)], pa.string()),
        pa.array([*[None] * len(batch.row_ids), *(r.reason for r in rejected)], pa.string()),
        pa.repeat(pa.scalar(updated_at, _STAGED.field("updated_at").type), batch.records),
    ]
    return pa.Table.from_arrays(columns, schema=_STAGED)


def staging() -> Schema:
    """The staging dataset, as dlt describes it."""
    columns = [_column("row_id", "bigint", True), _column("record", "text"), _column("reason", "text", True)]
    return _schema("dog_breeds_staging", {STAGED: columns})


def published() -> Schema:
    """What readers see, as dlt describes it."""
    breeds = [_column("row_id", "bigint"), _column("breed_json", "json")]
    rejected = [_column("row_id", "bigint", True), _column("record", "text"), _column("reason", "text")]
    return _schema("dog_breeds", {BREEDS: breeds, REJECTED: rejected})


def _schema(name: str, tables: dict[str, list[TColumnSchema]]) -> Schema:
    schema = Schema(name)
    for table, columns in tables.items():
        columns.append(_column("updated_at", "timestamp"))
        schema.update_table(new_table(table, write_disposition="append", columns=columns))
    return schema


def _column(name: str, data_type: TDataType, nullable: bool = False) -> TColumnSchema:
    return {"name": name, "data_type": data_type, "nullable": nullable}
