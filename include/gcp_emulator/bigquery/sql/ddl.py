"""CREATE, ALTER, DROP: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language."""

import re
from collections.abc import Sequence

from sqlglot import exp

from gcp_emulator.bigquery.errors import duplicate, invalid, invalid_query, not_found, unsupported
from gcp_emulator.bigquery.sql import binding, dialect, options
from gcp_emulator.bigquery.sql.alter import Alterations
from gcp_emulator.bigquery.sql.names import Resource, TableName, Translation
from gcp_emulator.bigquery.sql.tables import parts_of, resolved
from gcp_emulator.bigquery.types import Field, column, duck_type, quoted

COPIED = (
    "timePartitioning",
    "rangePartitioning",
    "clustering",
    "labels",
    "description",
    "requirePartitionFilter",
)
PROPERTIES = (exp.Property, exp.LocationProperty, exp.PartitionedByProperty, exp.ClusterProperty, exp.LikeProperty,
              exp.TemporaryProperty, exp.MaterializedProperty)  # fmt: skip


class Definitions(Alterations):
    """Translates one DDL statement."""

    def create(self, node: exp.Create) -> Translation:
        properties = list(node.args["properties"].expressions) if node.args.get("properties") else []
        for each in properties:
            if not isinstance(each, PROPERTIES):
                raise unsupported(f"CREATE {node.kind} with {each.sql('bigquery')}")
        if node.kind == "SCHEMA":
            return self._create_schema(node, properties)
        if node.kind == "VIEW":
            return self._create_view(node, properties)
        if node.kind != "TABLE":
            raise unsupported(f"CREATE {node.kind}")
        return self._create_table(node, properties)

    def _target(self, node: exp.Expression) -> TableName:
        table = node.this if isinstance(node, exp.Schema) else node
        if not isinstance(table, exp.Table):
            raise invalid_query(f"Invalid name: {table.sql('bigquery')}")
        return resolved(parts_of(table), self.names)

    # Datasets

    def _create_schema(self, node: exp.Create, properties: list[exp.Expression]) -> Translation:
        target = self.dataset(_path(node.this))
        if self.names.catalog.dataset(target.project, target.dataset):
            if node.args.get("exists"):
                return Translation("CREATE_SCHEMA", (), target=target, ddl="SKIP")
            raise duplicate("Dataset", target.told)
        told = self._resource(properties)
        for each in properties:
            if isinstance(each, exp.LocationProperty):
                told["location"] = options.value(each.this)
        if self.names.catalog.location:  # a dataset is where the job runs that makes it
            told.setdefault("location", self.names.catalog.location)
        steps = (f"CREATE SCHEMA {target.duckdb}",)
        return Translation("CREATE_SCHEMA", steps, target=target, ddl="CREATE", resource=told)

    # Tables

    def _create_table(self, node: exp.Create, properties: list[exp.Expression]) -> Translation:
        if any(isinstance(each, exp.TemporaryProperty) for each in properties):
            return self._create_temporary(node)
        target = self._target(node.this)
        self.names.catalog.need_dataset(target.project, target.dataset)
        query = node.expression
        kind = "CREATE_TABLE_AS_SELECT" if query is not None else "CREATE_TABLE"
        known = self.names.catalog.table(*target)
        if known is not None and node.args.get("exists"):
            return Translation(kind, (), target=target, ddl="SKIP")
        if known is not None and not node.args.get("replace"):
            raise duplicate("Table", target.told)
        if known is not None and ("view" in known or "materializedView" in known):
            raise invalid_query(
                f"{target.told} is not allowed for this operation because it is currently a VIEW."
            )
        ddl = "REPLACE" if known is not None else "CREATE"
        told = {**self._copied(node, properties), **self._resource(properties)}
        if isinstance(node.this, exp.Schema):
            told["schema"] = {"fields": self._columns(node.this, told)}
        fields = told.get("schema", {}).get("fields")
        if query is not None:
            steps = self._filled(target, query, fields)
        elif fields:
            steps = [self._table(target, fields)]
        else:
            raise invalid_query(f"CREATE TABLE {target.told} without columns")
        if clone := node.args.get("clone"):
            source = self._target(clone.this)
            steps.append(f"INSERT INTO {target.duckdb} SELECT * FROM {source.duckdb}")
        return Translation(kind, tuple(steps), target=target, ddl=ddl, resource=told)

    def _columns(self, schema: exp.Schema, told: Resource) -> list[Field]:
        made, keys = [], []
        for each in schema.expressions:
            if isinstance(each, exp.ColumnDef):
                made.append(options.column(each))
            elif isinstance(each, exp.PrimaryKey):
                keys = [key.name for key in each.expressions]
            elif not isinstance(each, exp.ForeignKey | exp.Constraint):
                raise unsupported(f"CREATE TABLE with {each.sql('bigquery')}")
        if keys:
            told["tableConstraints"] = {"primaryKey": {"columns": keys}}
        return made

    def _table(self, target: TableName, fields: Sequence[Field]) -> str:
        listed = []
        for field in fields:
            default = field.get("defaultValueExpression")
            after = f" DEFAULT {self.compiler.expr(dialect.expression(default))}" if default else ""
            listed.append(column(field) + after)
        return f"CREATE OR REPLACE{_temp(target)} TABLE {target.duckdb} ({', '.join(listed)})"

    def _filled(self, target: TableName, query: exp.Expression, fields: Sequence[Field] | None) -> list[str]:
        """CREATE TABLE AS; with columns given their types are cast to, in their order."""
        text = self.compiler.query(query)
        found = self.describe(text)
        if not fields:
            _unique(found)
            return [f"CREATE OR REPLACE{_temp(target)} TABLE {target.duckdb} AS {text}"]
        if len(found) != len(fields):
            raise invalid_query(
                f"The number of columns in the column definition list ({len(fields)}) "
                f"does not match that of the query ({len(found)})"
            )
        listed = ", ".join(
            f"CAST({quoted(field['name'])} AS {duck_type(field)}) AS {quoted(field['name'])}"
            for field in fields
        )
        given = ", ".join(quoted(field["name"]) for field in fields)
        steps = [
            f"CREATE OR REPLACE{_temp(target)} TABLE {target.duckdb} AS SELECT {listed} FROM ({text}) AS s({given})"
        ]
        for field in fields:
            if field.get("mode") == "REQUIRED":
                steps.append(f"ALTER TABLE {target.duckdb} ALTER COLUMN {quoted(field['name'])} SET NOT NULL")
        return steps

    def describe(self, text: str) -> list[Field]:
        """The fields that a query gives."""
        return binding.fields(self.names.session.cursor, text)

    def _copied(self, node: exp.Create, properties: list[exp.Expression]) -> Resource:
        """What LIKE, CLONE and COPY take over."""
        like = next((each for each in properties if isinstance(each, exp.LikeProperty)), None)
        clone = node.args.get("clone")
        if like is None and clone is None:
            return {}
        source = like.this if like is not None else clone.this  # type: ignore[union-attr]
        if source.args.get("version") or source.args.get("when") or (clone and clone.args.get("shallow")):
            raise unsupported("CLONE of a table as of another time")
        name = self._target(source)
        found = self.names.catalog.need_table(*name)
        if "view" in found:
            raise invalid_query(f"{name.told} is a view: it cannot be copied")
        self.compiler.context.references.append(name)
        told = {key: found[key] for key in COPIED if found.get(key) is not None}
        return {**told, "schema": {"fields": list(found.get("schema", {}).get("fields", ()))}}

    def _create_temporary(self, node: exp.Create) -> Translation:
        table = node.this.this if isinstance(node.this, exp.Schema) else node.this
        title = parts_of(table)[-1]
        session = self.names.session
        told: Resource = {}
        known = title.lower() in session.temporary
        if known and node.args.get("exists"):
            return Translation("CREATE_TABLE", (), ddl="SKIP", temporary=True)
        if known and not node.args.get("replace"):
            raise duplicate("Table", title)
        target = TableName("temp", "main", title)
        fields = self._columns(node.this, told) if isinstance(node.this, exp.Schema) else None
        if node.expression is not None:
            steps = self._filled(target, node.expression, fields)
            session.temporary[title.lower()] = fields or self.describe(steps[0].partition(" AS ")[2])
        elif fields:
            steps = [self._table(target, fields)]
            session.temporary[title.lower()] = fields
        else:
            raise unsupported("CREATE TEMP TABLE without columns or a query")
        kind = "CREATE_TABLE" if node.expression is None else "CREATE_TABLE_AS_SELECT"
        return Translation(kind, tuple(steps), ddl="CREATE", temporary=True)

    # Views

    def _create_view(self, node: exp.Create, properties: list[exp.Expression]) -> Translation:
        target = self._target(node.this)
        self.names.catalog.need_dataset(target.project, target.dataset)
        stored = any(isinstance(each, exp.MaterializedProperty) for each in properties)
        kind = "CREATE_MATERIALIZED_VIEW" if stored else "CREATE_VIEW"
        known = self.names.catalog.table(*target)
        if known is not None and node.args.get("exists"):
            return Translation(kind, (), target=target, ddl="SKIP")
        if known is not None and not node.args.get("replace"):
            raise duplicate("Table", target.told)
        if known is not None and "view" not in known and "materializedView" not in known:
            raise invalid_query(
                f"{target.told} is not allowed for this operation because it is currently a TABLE."
            )
        text = self.compiler.query(node.expression)
        found = self.describe(text)
        _unique(found)
        told = self._resource(properties)
        if isinstance(node.this, exp.Schema):
            told["schema"] = {"fields": _described(node.this, found)}
        told["materializedView" if stored else "view"] = (
            {"query": _after_as(self.text)}
            if stored
            else {"query": _after_as(self.text), "useLegacySql": False}
        )
        steps = (f"CREATE OR REPLACE VIEW {target.duckdb} AS {text}",)
        ddl = "REPLACE" if known is not None else "CREATE"
        return Translation(kind, steps, target=target, ddl=ddl, resource=told)

    # What OPTIONS, PARTITION BY and CLUSTER BY say

    def _resource(self, properties: Sequence[exp.Expression]) -> Resource:
        made: Resource = {}
        for each in properties:
            if isinstance(each, exp.PartitionedByProperty):
                made |= options.partitioning(each.this)
            elif isinstance(each, exp.ClusterProperty):
                made["clustering"] = options.clustering(each.expressions)
        told = self.options([each for each in properties if type(each) is exp.Property])
        if "timePartitioning" in told:
            told["timePartitioning"] = {**made.get("timePartitioning", {}), **told["timePartitioning"]}
        return {**made, **told}

    # DROP

    def drop(self, node: exp.Drop) -> Translation:
        if node.kind == "SCHEMA":
            return self._drop_schema(node)
        if node.kind not in ("TABLE", "VIEW"):
            raise unsupported(f"DROP {node.kind}")
        path = parts_of(node.this)
        session = self.names.session
        own = len(path) == 1 or path[0].upper() == "_SESSION"
        if own and session.temporary.pop(path[-1].lower(), None) is not None:
            return Translation(
                "DROP_TABLE", (f"DROP TABLE {quoted('temp', 'main', path[-1])}",), temporary=True
            )
        target = resolved(path, self.names)
        stored = node.args.get("materialized")
        word = "MATERIALIZED_VIEW" if stored else node.kind
        found = self.names.catalog.table(*target)
        if found is None:
            if node.args.get("exists"):
                return Translation(f"DROP_{word}", (), target=target, ddl="SKIP")
            self.names.catalog.need_dataset(target.project, target.dataset)
            raise not_found("Table", target.told, self.names.catalog.location)
        view = "view" in found or "materializedView" in found
        if view != (node.kind == "VIEW"):
            kept = "VIEW" if view else "TABLE"
            raise invalid_query(f"Cannot drop {target.told}: it is a {kept}, not a {node.kind}.")
        steps = (f"DROP {'VIEW' if view else 'TABLE'} {target.duckdb}",)
        return Translation(f"DROP_{word}", steps, target=target, ddl="DROP")

    def _drop_schema(self, node: exp.Drop) -> Translation:
        target = self.dataset(_path(node.this))
        found = self.names.catalog.dataset(target.project, target.dataset)
        if found is None:
            if node.args.get("exists"):
                return Translation("DROP_SCHEMA", (), target=target, ddl="SKIP")
            raise not_found("Dataset", target.told, self.names.catalog.location)
        if not node.args.get("cascade") and self.names.catalog.tables(target.project, target.dataset):
            refused = invalid(f"Dataset {target.told} is still in use")
            refused.reason = "resourceInUse"
            raise refused
        steps = (f"DROP SCHEMA {target.duckdb} CASCADE",)
        return Translation("DROP_SCHEMA", steps, target=target, ddl="DROP")


def _temp(target: TableName) -> str:
    return " TEMP" if target.project == "temp" else ""


def _path(node: exp.Expression) -> list[str]:
    parts = node.parts if isinstance(node, exp.Table) else node.find_all(exp.Identifier, bfs=False)
    return [piece for part in parts for piece in part.name.split(".")]


def _unique(fields: Sequence[Field]) -> None:
    seen: set[str] = set()
    for at, field in enumerate(fields, 1):
        name = field["name"].lower()
        if re.fullmatch(r"f\d+_", name):
            raise invalid_query(f"CREATE TABLE columns must be named, but column {at} has no name")
        if name in seen:
            raise invalid_query(f"CREATE TABLE has columns with duplicate name {field['name']}")
        seen.add(name)


def _described(schema: exp.Schema, found: Sequence[Field]) -> list[Field]:
    """A view's columns with their descriptions."""
    listed = schema.expressions
    if [each.name.lower() for each in listed] != [field["name"].lower() for field in found]:
        raise unsupported("a view whose columns are called otherwise than its query's")
    made = []
    for each, field in zip(listed, found, strict=True):
        told = {}
        for constraint in each.args.get("constraints") or () if isinstance(each, exp.ColumnDef) else ():
            if isinstance(constraint.kind, exp.Properties):
                told = {"description": options.resource(constraint.kind.expressions).get("description")}
        made.append({**field, **told})
    return made


def _after_as(text: str) -> str:
    depth = 0
    for token in dialect.tokens(text):
        depth += (token.text in "([") - (token.text in ")]") if len(token.text) == 1 else 0
        if depth == 0 and token.text.upper() == "AS":
            return text[token.end + 1 :].strip().rstrip(";").strip()
    raise invalid_query("Syntax error: CREATE VIEW without AS")
