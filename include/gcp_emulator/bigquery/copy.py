"""Copy jobs: https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationTableCopy."""

from collections.abc import Mapping
from typing import Any

from gcp_emulator.bigquery import errors, rights
from gcp_emulator.bigquery.catalog import Resource
from gcp_emulator.bigquery.destinations import Destination
from gcp_emulator.bigquery.executor import Executor
from gcp_emulator.bigquery.types import quoted

KINDS = ("COPY", "CLONE", "SNAPSHOT", "RESTORE", "OPERATION_TYPE_UNSPECIFIED")
COPIED = ("timePartitioning", "rangePartitioning", "clustering", "description", "requirePartitionFilter")


def copy(executor: Executor, config: Mapping[str, Any], project: str, caller: str) -> dict[str, str]:
    """Run `configuration.copy`; the job's statistics of it."""
    if config.get("operationType", "COPY") not in KINDS:
        raise errors.unsupported(f"copy jobs of type {config['operationType']}")
    destination = Destination.of(config, config["destinationTable"], project, "WRITE_EMPTY")
    given = config.get("sourceTables") or [config["sourceTable"]]
    sources = [(each.get("projectId") or project, each["datasetId"], each["tableId"]) for each in given]
    for name in sources:
        rights.need(caller, "bigquery.tables.getData", executor.catalog.need_dataset(*name[:2]), name[2])
    around = executor.catalog.need_dataset(*destination.name[:2])
    rights.need(caller, "bigquery.tables.updateData", around, destination.name[2])
    known = [executor.catalog.need_table(*name) for name in sources]
    with executor.writing(destination.name[0]):
        rows = executor.retried(lambda: _copied(executor, destination, known))
    return {"copiedRows": str(rows), "copiedLogicalBytes": "0"}


def _copied(executor: Executor, destination: Destination, sources: list[Resource]) -> int:
    first = sources[0]
    rows = 0
    with executor.transaction():
        fresh = executor.catalog.table(*destination.name) is None or destination.write == "WRITE_TRUNCATE"
        for number, table in enumerate(sources):
            if table["type"] != "TABLE":
                raise errors.invalid(f"Cannot copy {table['id']}: it is a {table['type']}.")
            fields = table["schema"]["fields"]
            if number == 0:
                destination.open(executor, fields, exact=False)
            else:
                target = executor.catalog.need_table(*destination.name)
                destination.take(executor, target, fields, exact=False)
            columns = ", ".join(quoted(field["name"]) for field in fields)
            name = tuple(table["tableReference"][key] for key in ("projectId", "datasetId", "tableId"))
            executor.step(
                f"INSERT INTO {quoted(*destination.name)} ({columns}) SELECT {columns} FROM {quoted(*name)}"
            )
            rows += int((executor.cursor.fetchone() or (0,))[0])
        target = executor.catalog.need_table(*destination.name)
        kept = {key: first[key] for key in COPIED if key in first and key not in target}
        if fresh and not destination.partition:
            executor.put_table(destination.name, {**target, **kept})
        else:
            executor.touch(destination.name)
    return rows
