"""ALTER of tables, views and datasets, and what OPTIONS say."""

import re
from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import binding, datatypes, dialect, options
from gcp_emulator.bigquery.sql.names import Resource, TableName, Translation
from gcp_emulator.bigquery.sql.queries import Compiler
from gcp_emulator.bigquery.sql.tables import parts_of, resolved
from gcp_emulator.bigquery.types import Field, duck_type, quoted, sql_type

ALTERED = re.compile(
    r"(?is)\s*(TABLE|SCHEMA)\s+(IF\s+EXISTS\s+)?(\S+)\s+(?:ALTER\s+COLUMN\s+(\S+)\s+)?SET\s+OPTIONS\s*(\(.*\))\s*"
)


class Alterations:
    """Translates one ALTER statement of `text`."""

    def __init__(self, compiler: Compiler, text: str) -> None:
        self.compiler = compiler
        self.names = compiler.context.names
        self.text = text

    def dataset(self, path: Sequence[str]) -> TableName:
        return TableName(path[-2] if len(path) > 1 else self.names.project, path[-1], "")

    def options(self, properties: Sequence[exp.Expression]) -> Resource:
        told = options.resource(properties)
        if isinstance(told.get("expirationTime"), exp.Expression):
            cursor = self.names.session.cursor
            row = cursor.execute(f"SELECT epoch_ms({self.compiler.expr(told['expirationTime'])})").fetchone()
            told["expirationTime"] = str(row[0]) if row else None
        return told

    def alter(self, node: exp.Alter) -> Translation:
        target = resolved(parts_of(node.this), self.names)
        kind = f"ALTER_{node.args.get('kind') or 'TABLE'}"
        found = self.names.catalog.table(*target)
        if found is None and node.args.get("exists"):
            return Translation(kind, (), target=target, ddl="SKIP")
        found = found or self.names.catalog.need_table(*target)
        steps: list[str] = []
        told: Resource = {}
        for action in node.args["actions"]:
            self._action(action, target, found, steps, told)
        return Translation(kind, tuple(steps), target=target, ddl="ALTER", resource=told)

    def _action(
        self, action: exp.Expression, target: TableName, found: Resource, steps: list[str], told: Resource
    ) -> None:
        before = f"ALTER TABLE {target.duckdb}"
        fields = {field["name"].lower(): field for field in found.get("schema", {}).get("fields", ())}
        noted = told.setdefault("schema", {"fields": []})["fields"]
        match action:
            case exp.ColumnDef():
                self._add_column(action, before, fields, steps, noted)
            case exp.Drop():
                exists = "IF EXISTS " if action.args.get("exists") else ""
                steps.append(f"{before} DROP COLUMN {exists}{quoted(action.this.name)}")
            case exp.RenameColumn():
                old, new = action.this.name, action.args["to"].name
                noted.append({**fields.get(old.lower(), {}), "name": new})
                steps.append(f"{before} RENAME COLUMN {quoted(old)} TO {quoted(new)}")
            case exp.AlterRename():
                told["tableReference"] = {"tableId": action.this.name}
                steps.append(f"{before} RENAME TO {quoted(action.this.name)}")
            case exp.AlterSet():
                listed = [
                    inner
                    for each in action.expressions
                    for inner in (each.expressions if isinstance(each, exp.Properties) else [each])
                    if inner is not None  # SET OPTIONS() of nothing
                ]
                told |= self.options(listed)
            case exp.AlterColumn():
                self._alter_column(action, before, fields, steps, noted)
            case exp.AddConstraint():
                keys = action.find(exp.PrimaryKey)
                if keys is not None:
                    told["tableConstraints"] = {
                        "primaryKey": {"columns": [each.name for each in keys.expressions]}
                    }
            case _:
                raise unsupported(f"ALTER TABLE {action.sql('bigquery')}")

    def _add_column(
        self, action: exp.ColumnDef, before: str, fields: dict[str, Any], steps: list[str], noted: list[Field]
    ) -> None:
        field = options.column(action)
        if field["name"].lower() in fields and action.args.get("exists"):
            return
        if field["name"].lower() in fields:
            raise invalid_query(f"Column already exists: {field['name']}")
        if field["mode"] == "REQUIRED":
            raise invalid_query(f"Cannot add required columns to an existing table: {field['name']}")
        noted.append(field)
        steps.append(f"{before} ADD COLUMN {quoted(field['name'])} {duck_type(field)}")

    def _alter_column(
        self,
        action: exp.AlterColumn,
        before: str,
        fields: dict[str, Any],
        steps: list[str],
        noted: list[Field],
    ) -> None:
        name = action.this.name
        if name.lower() not in fields:
            raise invalid_query(f"Column not found: {name}")
        if action.args.get("drop") and action.args.get("allow_null"):
            noted.append({**fields[name.lower()], "mode": "NULLABLE"})
            steps.append(f"{before} ALTER COLUMN {quoted(name)} DROP NOT NULL")
        elif kind := action.args.get("dtype"):
            wanted = {**fields[name.lower()], **datatypes.field(name, kind)}
            if not binding.assignable(fields[name.lower()], wanted):
                raise invalid_query(
                    f"ALTER TABLE ALTER COLUMN SET DATA TYPE requires that the existing column type "
                    f"({sql_type(fields[name.lower()])}) is assignable to the new type ({sql_type(wanted)})"
                )
            noted.append(wanted)
            steps.append(f"{before} ALTER COLUMN {quoted(name)} SET DATA TYPE {datatypes.duckdb(kind)}")
        else:
            raise unsupported(f"ALTER TABLE .. {action.sql('bigquery')}")

    def command(self, text: str) -> Translation | None:
        """ALTER .. SET OPTIONS of a column or a dataset, which the grammar does not know."""
        found = ALTERED.fullmatch(text)
        if not found:
            return None
        kind, exists, path, title, listed = found.groups()
        made = dialect.parsed(f"CREATE TABLE x (a INT64) OPTIONS {listed}")
        told = self.options(made.args["properties"].expressions)
        table = dialect.parsed(f"SELECT * FROM {path}").find(exp.Table)
        parts = parts_of(table) if table is not None else []
        if kind.upper() == "SCHEMA":
            target = self.dataset(parts)
            if not exists:
                self.names.catalog.need_dataset(target.project, target.dataset)
            return Translation("ALTER_SCHEMA", (), target=target, ddl="ALTER", resource=told)
        target = resolved(parts, self.names)
        known = self.names.catalog.need_table(*target)
        fields = known.get("schema", {}).get("fields", ())
        field = next((each for each in fields if each["name"].lower() == title.strip("`").lower()), None)
        if field is None:
            raise invalid_query(f"Column not found: {title}")
        told = {"schema": {"fields": [{**field, **told}]}}
        return Translation("ALTER_TABLE", (), target=target, ddl="ALTER", resource=told)
