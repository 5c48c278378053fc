"""Scripts: variables, conditions, loops, dynamic statements."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
from sqlglot import exp

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import binding, datatypes, dialect, rules
from gcp_emulator.bigquery.sql.faults import from_duckdb
from gcp_emulator.bigquery.sql.names import Names, Statement, Translation
from gcp_emulator.bigquery.sql.queries import Compiler
from gcp_emulator.bigquery.sql.scope import Context
from gcp_emulator.bigquery.sql.statements import SCRIPTED, parse
from gcp_emulator.bigquery.sql.translate import translate
from gcp_emulator.bigquery.types import field, literal, sql_type
from gcp_emulator.json_api import Refusal

Run = Callable[[Translation], Any]
DECLARED = re.compile(r"(?is)DECLARE\s+((?:`?\w+`?\s*,\s*)*`?\w+`?)\s*(.*)")
DEFAULTED = re.compile(r"(?is)(.*?)\bDEFAULT\b(.*)")
UNTYPED = ('"NULL"', "TUPLE(")
TURNS = 100_000  # of one loop


@dataclass(frozen=True, slots=True)
class Variable:
    """A script's variable: kept in DuckDB, read as `duckdb`."""

    name: str
    kind: str

    @property
    def duckdb(self) -> str:
        return f"CAST(getvariable({literal('gsql_' + self.name)}) AS {self.kind})"


class _Left(Exception):
    """BREAK, CONTINUE or RETURN."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def run_script(statements: Sequence[Statement], names: Names, run: Run) -> None:
    """Each statement in its turn; `run` gets the translation of those that are more than control."""
    try:
        _Script(names, run).all(statements)
    except _Left as left:
        if left.word != "RETURN":
            raise invalid_query(f"{left.word} is only allowed inside of a loop") from None


class _Script:
    def __init__(self, names: Names, run: Run) -> None:
        self.names = names
        self.run = run
        self.cursor = names.session.cursor
        self.variables: dict[str, Variable] = names.session.variables

    def all(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            self.one(statement)

    def one(self, statement: Statement) -> None:
        if statement.word not in SCRIPTED:
            outcome = self.run(translate(statement, self.names))
            self._counted(outcome)
            return
        getattr(self, f"_{statement.word.lower()}")(statement)

    def _counted(self, outcome: Any) -> None:
        affected = getattr(outcome, "affected", None)
        if affected is not None:
            self.assign("@@row_count", "BIGINT", str(int(affected)))

    # Values

    def sql(self, text: str) -> str:
        return self.compiled(dialect.expression(text))

    def compiled(self, node: exp.Expression) -> str:
        compiler = Compiler(Context(self.names))
        made = compiler.expr(node)
        compiler.settle(None)
        return made

    def value(self, text: str, *, compiled: bool = False) -> Any:
        try:
            row = self.cursor.execute(f"SELECT {text if compiled else self.sql(text)}").fetchone()
        except duckdb.Error as error:
            raise from_duckdb(error) from error
        return row[0] if row else None

    def holds(self, text: str) -> bool:
        """A condition."""
        node = dialect.expression(text)
        compiler = Compiler(Context(self.names))
        (made,) = compiler.checked(rules.condition("statement IF"), [node])
        compiler.settle(None)
        return bool(self.value(made, compiled=True))

    def assign(self, name: str, kind: str, text: str) -> None:
        variable = Variable(name.lower(), kind)
        try:
            self.cursor.execute(f'SET VARIABLE "gsql_{variable.name}" = (SELECT CAST({text} AS {kind}))')
        except duckdb.Error as error:
            raise from_duckdb(error) from error
        self.variables[variable.name] = variable

    def _declare(self, statement: Statement) -> None:
        found = DECLARED.fullmatch(statement.text)
        if not found:
            raise invalid_query("Syntax error: DECLARE needs a name and a type or a default")
        titles = [name.strip(" `\n\t") for name in found[1].split(",")]
        kind_text, default = found[2].strip(), "NULL"
        if parts := DEFAULTED.fullmatch(found[2]):
            kind_text, default = parts[1].strip(), parts[2].strip()
        node = dialect.expression(default)
        value = self.compiled(node)
        if kind_text:
            cast = dialect.expression(f"CAST(NULL AS {kind_text})")
            kind = datatypes.duckdb(cast.args["to"])
            self._fit(node, value, kind)
            value = value if default == "NULL" else self._coerced(default, cast.args["to"], value)
        else:
            kind = self._kind(value)
        for title in titles:
            if title.lower() in self.variables and not title.startswith("@@"):
                self.variables.pop(title.lower())
            self.assign(title, kind, value)

    def _coerced(self, text: str, kind: exp.DataType, value: str) -> str:
        """A string constant becomes the variable's type as in a CAST."""
        node = dialect.expression(text)
        literal_text = isinstance(node, exp.Literal | exp.RawString)
        if literal_text and kind.this not in (datatypes.T.ARRAY, datatypes.T.STRUCT, datatypes.T.JSON):
            return Compiler(Context(self.names)).cast(node, kind, safe=False)
        return value

    def _kind(self, value: str) -> str:
        row = self.cursor.execute(f"SELECT typeof({value})").fetchone()
        return "BIGINT" if row is None or row[0] == '"NULL"' else str(row[0])

    def _set(self, statement: Statement) -> None:
        target, _, value = statement.text[3:].strip().partition("=")
        target = target.strip()
        if target.startswith("@@"):
            if target.lower() in ("@@query_label", "@@dataset_id", "@@dataset_project_id", "@@time_zone"):
                raise unsupported(f"SET {target}")
            raise invalid_query(f"System variable {target} is not settable")
        if not target.startswith("("):
            variable = self._known(target)
            self._set_one(variable, dialect.expression(value.strip()))
            return
        variables = [self._known(name) for name in target.strip("() ").split(",")]
        node = dialect.expression(value.strip())
        select = node.this if isinstance(node, exp.Subquery) else node
        if isinstance(select, exp.Select):
            items = [_only(select, at) for at in range(len(select.expressions))]
        elif isinstance(node, exp.Tuple):
            items = list(node.expressions)
        else:
            raise unsupported("SET (..) = anything but a row or SELECT AS STRUCT")
        if len(items) != len(variables):
            raise invalid_query("SET has a different number of variables and values")
        made = [self.compiled(item) for item in items]
        for variable, item, text in zip(variables, items, made, strict=True):
            self._fit(item, text, variable.kind)
            self.assign(variable.name, variable.kind, text)

    def _set_one(self, variable: Variable, node: exp.Expression) -> None:
        text = self.compiled(node)
        self._fit(node, text, variable.kind)
        self.assign(variable.name, variable.kind, text)

    def _fit(self, node: exp.Expression, text: str, kind: str) -> None:
        """Refusal for a value that is not coerced to the type of its variable."""
        try:
            (_, given), (_, wanted) = binding.columns(self.cursor, f"SELECT {text}, CAST(NULL AS {kind})")
        except duckdb.Error as error:
            raise from_duckdb(error) from error
        if not any(mark in str(given) for mark in UNTYPED) and not binding.fits(
            given, wanted, binding.constant(node)
        ):
            told = [sql_type(field("", each)) for each in (given, wanted)]
            raise invalid_query(f"Cannot coerce expression of type {told[0]} to type {told[1]}")

    def _known(self, name: str) -> Variable:
        found = self.variables.get(name.strip(" `").lower())
        if found is None:
            raise invalid_query(f"Undeclared variable: {name.strip()}")
        return found

    # Control

    def _if(self, statement: Statement) -> None:
        for condition, body in statement.parts["arms"]:
            if self.holds(condition):
                self.all(body)
                return
        self.all(statement.parts.get("otherwise", ()))

    def _block(self, statement: Statement) -> None:
        before = dict(self.variables)
        try:
            self.all(statement.parts["body"])
        except Refusal as refusal:
            if "handler" not in statement.parts or refusal.reason == "stopped":
                raise
            self.assign("@@error.message", "VARCHAR", literal(refusal.message))
            self.all(statement.parts["handler"])
        finally:
            for name in set(self.variables) - set(before):
                if not name.startswith("@@"):
                    del self.variables[name]

    def _turn(self, body: Sequence[Statement]) -> bool:
        """One turn of a loop; False if it is to end."""
        try:
            self.all(body)
        except _Left as left:
            if left.word == "RETURN":
                raise
            return left.word == "CONTINUE"
        return True

    def _loop(self, statement: Statement) -> None:
        for _ in range(TURNS):
            if not self._turn(statement.parts["body"]):
                return
        raise invalid_query(f"A loop of more than {TURNS} turns is not supported by the emulator")

    def _while(self, statement: Statement) -> None:
        for _ in range(TURNS):
            if not self.holds(statement.parts["condition"]) or not self._turn(statement.parts["body"]):
                return
        raise invalid_query(f"A loop of more than {TURNS} turns is not supported by the emulator")

    def _repeat(self, statement: Statement) -> None:
        for _ in range(TURNS):
            if not self._turn(statement.parts["body"]) or self.holds(statement.parts["condition"]):
                return
        raise invalid_query(f"A loop of more than {TURNS} turns is not supported by the emulator")

    def _break(self, statement: Statement) -> None:
        raise _Left("BREAK")

    _leave = _break

    def _continue(self, statement: Statement) -> None:
        raise _Left("CONTINUE")

    _iterate = _continue

    def _return(self, statement: Statement) -> None:
        raise _Left("RETURN")

    def _raise(self, statement: Statement) -> None:
        _, _, message = statement.text.partition("=")
        if not message and "@@error.message" not in self.variables:
            raise invalid_query("Cannot re-raise an existing exception outside of an exception handler")
        raise invalid_query(str(self.value(message or "@@error.message")))

    def _assert(self, statement: Statement) -> None:
        text, _, described = statement.text[6:].rpartition(" AS ")
        if not text:
            text, described = described, "''"
        if not self.holds(text):
            raise invalid_query(f"Assertion failed: {self.value(described) or text.strip()}")

    def _execute(self, statement: Statement) -> None:
        """EXECUTE IMMEDIATE text [INTO names] [USING values]."""
        found = re.fullmatch(
            r"(?is)EXECUTE\s+IMMEDIATE\s+(.*?)(?:\s+INTO\s+([\w\s,`]+?))?(?:\s+USING\s+(.*))?", statement.text
        )
        if not found:
            raise invalid_query("Syntax error: EXECUTE IMMEDIATE needs a statement")
        inner = parse(str(self.value(found[1])))
        if len(inner) != 1 or inner[0].word in SCRIPTED:
            raise invalid_query("EXECUTE IMMEDIATE takes one statement")
        names = replace(self.names, parameters=self._using(found[3]) if found[3] else ())
        made = translate(inner[0], names)
        if not found[2]:
            self._counted(self.run(made))
            return
        if made.query is None:
            raise invalid_query("EXECUTE IMMEDIATE with an INTO clause needs a query")
        self._into([self._known(name) for name in found[2].split(",")], made.query)

    def _into(self, variables: Sequence[Variable], query: str) -> None:
        for at, variable in enumerate(variables, 1):
            picked = ", ".join(f"c{number}" for number in range(1, len(variables) + 1))
            self.assign(variable.name, variable.kind, f"(SELECT c{at} FROM ({query}) AS r({picked}))")

    def _using(self, text: str) -> list[dict[str, Any]]:
        """Arguments as constants, read back as strings of their types."""
        made = []
        select = dialect.parsed(f"SELECT {text}")
        for item in select.expressions:
            inner, name = (item.this, item.alias) if isinstance(item, exp.Alias) else (item, "")
            value = self.compiled(inner)
            kind = self._kind(value)
            row = self.cursor.execute(f"SELECT CAST({value} AS VARCHAR)").fetchone()
            standard = PARAMETER.get(kind)
            if standard is None:
                raise unsupported(f"EXECUTE IMMEDIATE USING a value of the type {kind}")
            made.append(
                {
                    "name": name,
                    "parameterType": {"type": standard},
                    "parameterValue": {"value": row[0] if row else None},
                }
            )
        return made

    def _call(self, statement: Statement) -> None:
        if re.fullmatch(r"(?is)CALL\s+`?BQ`?\.`?ABORT_SESSION`?\s*\(.*\)", statement.text):
            self.names.session.abort()
            return
        raise unsupported("CALL of procedures")


PARAMETER = {
    "BIGINT": "INT64",
    "INTEGER": "INT64",
    "DOUBLE": "FLOAT64",
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOL",
    "DATE": "DATE",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "DECIMAL(38,9)": "NUMERIC",
}


def _only(select: exp.Select, at: int) -> exp.Expression:
    one = select.copy()
    one.set("kind", None)
    one.set("expressions", [select.expressions[at].copy()])
    return exp.Subquery(this=one)
