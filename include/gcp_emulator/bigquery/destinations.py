"""Where a load, query or copy job writes: create and write dispositions, schema updates, one partition or all.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gcp_emulator.bigquery import errors
from gcp_emulator.bigquery.catalog import Name, Resource
from gcp_emulator.bigquery.executor import Executor
from gcp_emulator.bigquery.types import Field, column, duck_type, literal, quoted
from gcp_emulator.json_api import Refusal

ADDITION, RELAXATION = "ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION"
# Type of the data -> types of columns that take it as it is.
TAKEN_BY: Mapping[str, frozenset[str]] = {
    "INTEGER": frozenset({"FLOAT", "NUMERIC", "BIGNUMERIC"}),
    "NUMERIC": frozenset({"FLOAT", "BIGNUMERIC"}),
    "BIGNUMERIC": frozenset({"NUMERIC", "FLOAT"}),
    "STRING": frozenset({"JSON", "GEOGRAPHY"}),
    "JSON": frozenset({"STRING"}),
    "DATETIME": frozenset({"TIMESTAMP"}),
    "TIMESTAMP": frozenset({"DATETIME"}),
    "DATE": frozenset({"DATETIME", "TIMESTAMP"}),
}
# timePartitioning.type -> how a partition's id spells its time
PARTITIONS = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}
NEW = ("timePartitioning", "rangePartitioning", "clustering", "description", "friendlyName", "labels")


@dataclass(frozen=True, slots=True)
class Destination:
    """A table, or with `partition` (its id after the $) a part of one."""

    name: Name
    partition: str
    create: bool
    write: str
    updates: frozenset[str]
    properties: Mapping[str, Any]

    @classmethod
    def of(
        cls, config: Mapping[str, Any], table: Mapping[str, str], project: str, write: str
    ) -> "Destination":
        """`write` is the disposition where the job gives none."""
        id_, _, partition = str(table["tableId"]).partition("$")
        told = {**config, **config.get("destinationTableProperties", {})}
        return cls(
            (table.get("projectId") or project, table["datasetId"], id_),
            partition,
            config.get("createDisposition") != "CREATE_NEVER",
            config.get("writeDisposition") or write,
            frozenset(config.get("schemaUpdateOptions") or ()),
            {key: told[key] for key in NEW if told.get(key)},
        )

    def __str__(self) -> str:
        return "{}:{}.{}".format(*self.name)

    def open(self, executor: Executor, fields: Sequence[Field], *, exact: bool) -> list[Field]:
        """Within a transaction: the table is there, empty if it is to be, and takes these fields; its fields.

        `exact`: the fields are a schema that the job gives, else they are what the data turned out to have.
        """
        executor.catalog.need_dataset(*self.name[:2])
        known = executor.catalog.table(*self.name)
        if known is None:
            if not self.create:
                raise errors.not_found("Table", str(self))
            return self._make(executor, fields, {})
        if known["type"] != "TABLE":
            raise errors.invalid(f"Cannot write to {self}: it is a {known['type']}.")
        if self.write == "WRITE_EMPTY" and int(known["numRows"]):
            raise errors.duplicate("Table", str(self))
        if self.write == "WRITE_TRUNCATE" and not self.partition and fields:
            return self._make(executor, fields, known)
        if self.write.startswith("WRITE_TRUNCATE"):
            where = self._partition_filter(known)
            executor.step(f"DELETE FROM {quoted(*self.name)}{where}")
        return self.take(executor, known, fields, exact=exact)

    def _make(self, executor: Executor, fields: Sequence[Field], known: Resource) -> list[Field]:
        if not fields:
            raise errors.invalid("No schema specified on job or table.")
        columns = ", ".join(map(column, fields))
        executor.step(f"CREATE OR REPLACE TABLE {quoted(*self.name)} ({columns})")
        told = {**known, **self.properties, "schema": {"fields": list(fields)}}
        executor.put_table(self.name, told)
        return list(fields)

    def _partition_filter(self, known: Resource) -> str:
        if not self.partition:
            return ""
        time, numbers = known.get("timePartitioning"), known.get("rangePartitioning")
        if time and time.get("field"):
            column_name = quoted(time["field"])
            kind = time.get("type") or "DAY"
            try:
                start = datetime.datetime.strptime(self.partition, PARTITIONS[kind])
            except ValueError:
                raise errors.invalid(
                    f"Invalid partition id '{self.partition}' of table {self} ({kind})."
                ) from None
            moment = f"CAST({column_name} AS TIMESTAMP)"
            return f" WHERE date_trunc('{kind.lower()}', {moment}) = TIMESTAMP {literal(str(start))}"
        if numbers and self.partition.lstrip("-").isdigit():
            low, width = int(self.partition), int(numbers["range"]["interval"])
            return (
                f" WHERE {quoted(numbers['field'])} >= {low} AND {quoted(numbers['field'])} < {low + width}"
            )
        raise errors.unsupported(f"partition decorators of {self}, which has no column to partition by")

    def take(
        self, executor: Executor, known: Resource, fields: Sequence[Field], *, exact: bool
    ) -> list[Field]:
        """The table's fields once it takes these; Refusal invalid for what it may not take."""
        present = {field["name"].lower(): field for field in known["schema"].get("fields", ())}
        changed = False
        for new in fields:
            old = present.get(new["name"].lower())
            if old is None:
                self._add(executor, new)
                present[new["name"].lower()] = {**new, "mode": _added_mode(new)}
                changed = True
            else:
                merged = self._fitted(executor, old, new, exact=exact)
                changed = changed or merged != old
                present[new["name"].lower()] = merged
        found = list(present.values())
        if changed:
            executor.put_table(self.name, {**known, "schema": {"fields": found}})
        return found

    def _add(self, executor: Executor, new: Field) -> None:
        if ADDITION not in self.updates:
            raise self._mismatch(f"Cannot add fields (field: {new['name']})")
        executor.step(
            f"ALTER TABLE {quoted(*self.name)} ADD COLUMN {column({**new, 'mode': _added_mode(new)})}"
        )

    def _fitted(self, executor: Executor, old: Field, new: Field, *, exact: bool) -> Field:
        name, table = old["name"], quoted(*self.name)
        if (old.get("mode") == "REPEATED") != (new.get("mode") == "REPEATED"):
            raise self._mismatch(f"Field {name} has changed mode from {old.get('mode')} to {new.get('mode')}")
        if new["type"] != old["type"] and (exact or old["type"] not in TAKEN_BY.get(new["type"], ())):
            raise self._mismatch(f"Field {name} has changed type from {old['type']} to {new['type']}")
        result = dict(old)
        if old["type"] == "RECORD":
            result = self._nested(executor, old, new)
        if exact and old.get("mode") != "REQUIRED" and new.get("mode") == "REQUIRED":
            raise self._mismatch(f"Field {name} has changed mode from NULLABLE to REQUIRED")
        if exact and old.get("mode") == "REQUIRED" and new.get("mode") != "REQUIRED":
            if RELAXATION not in self.updates:
                raise self._mismatch(f"Field {name} has changed mode from REQUIRED to NULLABLE")
            executor.step(f"ALTER TABLE {table} ALTER COLUMN {quoted(name)} DROP NOT NULL")
            result["mode"] = "NULLABLE"
        return result

    def _nested(self, executor: Executor, old: Field, new: Field) -> Field:
        result = union(old, new)
        if result != old:
            if ADDITION not in self.updates:
                raise self._mismatch(f"Cannot add fields (field: {old['name']})")
            executor.step(
                f"ALTER TABLE {quoted(*self.name)} ALTER COLUMN {quoted(old['name'])} SET DATA TYPE {duck_type(result)}"
            )
        return result

    def _mismatch(self, what: str) -> Refusal:
        return errors.invalid(f"Provided Schema does not match Table {self}. {what}")


def union(old: Field, new: Field) -> Field:
    """A record with the subfields that another one has more."""
    known = {child["name"].lower(): child for child in old["fields"]}
    for child in new["fields"]:
        same = known.get(child["name"].lower())
        if same is None:
            known[child["name"].lower()] = {**child, "mode": _added_mode(child)}
        elif same["type"] == child["type"] == "RECORD":
            known[child["name"].lower()] = union(same, child)
    return {**old, "fields": list(known.values())}


def _added_mode(field: Field) -> str:
    """A column of a table that has rows cannot be required."""
    return "REPEATED" if field.get("mode") == "REPEATED" else "NULLABLE"
