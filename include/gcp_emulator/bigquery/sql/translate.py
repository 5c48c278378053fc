"""One statement of GoogleSQL to DuckDB's steps."""

from dataclasses import replace

import duckdb
from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import binding, dialect
from gcp_emulator.bigquery.sql.ddl import Definitions
from gcp_emulator.bigquery.sql.dml import Changes
from gcp_emulator.bigquery.sql.faults import from_duckdb
from gcp_emulator.bigquery.sql.names import Names, Statement, Translation
from gcp_emulator.bigquery.sql.queries import Compiler
from gcp_emulator.bigquery.sql.scope import Context

DEFINED: dict[type, str] = {exp.Create: "create", exp.Drop: "drop", exp.Alter: "alter"}
CHANGED: dict[type, str] = {
    exp.Insert: "insert",
    exp.Update: "update",
    exp.Delete: "delete",
    exp.Merge: "merge",
}
TRANSACTIONS: dict[type, tuple[str, str]] = {
    exp.Transaction: ("BEGIN_TRANSACTION", "BEGIN TRANSACTION"),
    exp.Commit: ("COMMIT_TRANSACTION", "COMMIT"),
    exp.Rollback: ("ROLLBACK_TRANSACTION", "ROLLBACK"),
}


def translate(statement: Statement, names: Names) -> Translation:
    """Refusal with Google's words for what is wrong, or with the name of what the emulator cannot do."""
    context = Context(names)
    text = statement.text
    if statement.word == "BEGIN":
        text = "BEGIN TRANSACTION"
    try:
        made = _translated(dialect.parsed(text), text, context)
        Compiler(context).settle(None)
    except duckdb.Error as error:
        raise from_duckdb(error, context.places, context.unbound) from error
    references = tuple(dict.fromkeys(context.references))
    return replace(made, references=references, text=statement.text)


def expression(text: str) -> str:
    """DuckDB's SQL of an expression that names nothing, such as a column's default value."""
    node = dialect.expression(text)
    if node.find(exp.Column, exp.Select, exp.Parameter):
        raise invalid_query(f"Default value expression must not refer to columns or parameters: {text}")
    return Compiler(Context(_NOTHING)).expr(node)


def query(node: exp.Expression, context: Context) -> str:
    """A query, bound once: DuckDB says here what it cannot find."""
    text = Compiler(context).query(node)
    seen: set[str] = set()
    for field in binding.fields(context.names.session.cursor, text):
        if field["name"].lower() in seen:
            raise invalid_query(
                f"Duplicate column names in the result are not supported. Found duplicate(s): {field['name']}"
            )
        seen.add(field["name"].lower())
    return text


def _selected(node: exp.Expression, context: Context) -> Translation:
    if str(node.args.get("kind") or "").upper() == "VALUE":
        raise unsupported("SELECT AS VALUE as the outermost query")
    node.set("kind", None)  # AS STRUCT: the answer has the fields as columns
    made = query(node, context)
    return Translation("SELECT", (made,), query=made)


def _translated(node: exp.Expression, text: str, context: Context) -> Translation:
    compiler = Compiler(context)
    if isinstance(node, exp.Select | exp.SetOperation | exp.Subquery):
        return _selected(node, context)
    if isinstance(node, exp.Create | exp.Drop | exp.Alter):
        return getattr(Definitions(compiler, text), DEFINED[type(node)])(node)  # type: ignore[no-any-return]
    if isinstance(node, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        context.changing = True
        return _bound(getattr(Changes(compiler), CHANGED[type(node)])(node), context)
    if isinstance(node, exp.TruncateTable):
        return Changes(compiler).truncate(node)
    if type(node) in TRANSACTIONS:
        kind, step = TRANSACTIONS[type(node)]
        return Translation(kind, (step,))
    if isinstance(node, exp.Grant | exp.Revoke):
        return Translation(type(node).__name__.upper(), ())
    if isinstance(node, exp.Command):
        return _command(node, text, compiler)
    raise unsupported(f"the statement {text.split(None, 1)[0].upper()}")


def _command(node: exp.Command, text: str, compiler: Compiler) -> Translation:
    """What the grammar leaves whole."""
    word, _, rest = text.partition(" ")
    if word.upper() in ("GRANT", "REVOKE"):
        return Translation(word.upper(), ())
    if word.upper() == "ALTER" and (made := Definitions(compiler, text).command(rest)):
        return made
    raise unsupported(f"the statement {' '.join(text.split()[:3])}")


def _bound(made: Translation, context: Context) -> Translation:
    context.names.session.cursor.execute(f"EXPLAIN {made.steps[-1]}")
    return made


class _Nothing:
    """Nothing can be named in an expression that stands alone."""

    variables: dict[str, object] = {}  # noqa: RUF012
    temporary: dict[str, object] = {}  # noqa: RUF012
    location = ""


_NOTHING = Names(_Nothing(), "", None, (), _Nothing())  # type: ignore[arg-type]
