"""OPTIONS(..), PARTITION BY and CLUSTER BY as properties of REST resources."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import datatypes
from gcp_emulator.bigquery.types import Field

PLAIN = {
    "description": "description",
    "friendly_name": "friendlyName",
    "location": "location",
    "require_partition_filter": "requirePartitionFilter",
    "default_kms_key_name": "defaultKmsKeyName",
    "kms_key_name": "kmsKeyName",
    "default_rounding_mode": "defaultRoundingMode",
    "max_staleness": "maxStaleness",
    "storage_billing_model": "storageBillingModel",
    "is_case_insensitive": "isCaseInsensitive",
    "max_time_travel_hours": "maxTimeTravelHours",
}
DAYS = {
    "default_table_expiration_days": "defaultTableExpirationMs",
    "default_partition_expiration_days": "defaultPartitionExpirationMs",
}
IGNORED = frozenset({"enable_refresh", "refresh_interval_minutes", "privacy_policy"})


def value(node: exp.Expression | None) -> Any:
    """A constant of OPTIONS as JSON has it."""
    match node:
        case None | exp.Null():
            return None
        case exp.Literal():
            return node.this if node.is_string else (int(node.this) if node.is_int else float(node.this))
        case exp.Boolean():
            return bool(node.this)
        case exp.RawString():
            return node.this
        case exp.Paren() | exp.Cast():
            return value(node.this)
        case exp.Array() | exp.Tuple():
            return [value(item) for item in node.expressions]
        case exp.Anonymous() if node.name.upper() == "STRUCT":
            return [value(item) for item in node.expressions]
        case exp.Neg():
            return -value(node.this)
    raise unsupported(f"OPTIONS with the value {node.sql('bigquery')}")


def resource(properties: Iterable[exp.Expression]) -> dict[str, Any]:
    """REST properties of `key=value` pairs; None for those set to NULL."""
    made: dict[str, Any] = {}
    for pair in properties:
        if not isinstance(pair, exp.Property | exp.EQ):
            raise unsupported(f"the option {pair.sql('bigquery')}")
        key = pair.this.name.lower()
        node = pair.args["value"] if isinstance(pair, exp.Property) else pair.expression
        _option(made, key, node)
    return made


def _option(made: dict[str, Any], key: str, node: exp.Expression) -> None:
    if key == "expiration_timestamp":
        made["expirationTime"] = _moment(node)
    elif key in DAYS:
        days = value(node)
        made[DAYS[key]] = None if days is None else str(int(days * 86_400_000))
    elif key == "partition_expiration_days":
        days = value(node)
        made["timePartitioning"] = {"expirationMs": None if days is None else str(int(days * 86_400_000))}
    elif key == "labels":
        made["labels"] = {pair[0]: pair[1] for pair in value(node) or ()}
    elif key in PLAIN:
        made[PLAIN[key]] = value(node)
    elif key not in IGNORED:
        raise unsupported(f"the option {key}")


def _moment(node: exp.Expression) -> Any:
    """Milliseconds of a constant timestamp; an expression is left to the caller as it is."""
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Cast | exp.Literal):
        text = str(value(node)).removesuffix("UTC").strip()
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return str(int(moment.timestamp() * 1000))
    return node


def clustering(names: Iterable[exp.Expression]) -> dict[str, Any]:
    return {"fields": [each.name for each in names]}


def partitioning(node: exp.Expression) -> dict[str, Any]:
    """timePartitioning or rangePartitioning of PARTITION BY."""
    node = node.this if isinstance(node, exp.Schema | exp.Paren) and node.this else node
    if isinstance(node, exp.Column | exp.Identifier):
        day = node.name.upper() in ("_PARTITIONDATE", "_PARTITIONTIME")
        return {"timePartitioning": {"type": "DAY", **({} if day else {"field": node.name})}}
    if not isinstance(node, exp.Anonymous):
        raise invalid_query(
            f"PARTITION BY expression {node.sql('bigquery')} is not one of the supported ones"
        )
    call, arguments = node.name.upper(), node.expressions
    if call == "DATE" and len(arguments) == 1:
        return {"timePartitioning": {"type": "DAY", "field": arguments[0].name}}
    if call in ("DATE_TRUNC", "TIMESTAMP_TRUNC", "DATETIME_TRUNC"):
        return {"timePartitioning": {"type": arguments[1].name.upper(), "field": arguments[0].name}}
    if call == "RANGE_BUCKET" and arguments[1].name.upper() == "GENERATE_ARRAY":
        start, end, step = (
            str(value(each)) for each in [*arguments[1].expressions, exp.Literal.number(1)][:3]
        )
        return {
            "rangePartitioning": {
                "field": arguments[0].name,
                "range": {"start": start, "end": end, "interval": step},
            }
        }
    raise unsupported(f"PARTITION BY {call}")


def column(node: exp.ColumnDef) -> Field:
    """The REST field of a column definition."""
    made = datatypes.field(node.name, node.args["kind"])
    for constraint in node.args.get("constraints") or ():
        kind = constraint.kind
        if isinstance(kind, exp.NotNullColumnConstraint):
            made["mode"] = "NULLABLE" if kind.args.get("allow_null") else "REQUIRED"
        elif isinstance(kind, exp.DefaultColumnConstraint):
            made["defaultValueExpression"] = kind.this.sql("bigquery")
        elif isinstance(kind, exp.Properties):
            made |= {"description": resource(kind.expressions).get("description")}
        elif not isinstance(kind, exp.PrimaryKeyColumnConstraint):
            raise unsupported(f"the column constraint {kind.sql('bigquery')}")
    return made
