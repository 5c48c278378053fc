"""GoogleSQL's grammar: sqlglot's, with every function left under the name that was written."""

import logging
from typing import Any, ClassVar, cast

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import SqlglotError
from sqlglot.parsers.bigquery import BigQueryParser
from sqlglot.tokenizer_core import Token

from gcp_emulator.bigquery.errors import invalid_query

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of each statement that it leaves whole
KEPT = ("ARRAY", "CAST", "SAFE_CAST", "EXTRACT", "NORMALIZE", "TRY_CAST", "STRING_AGG")


class _Parser(BigQueryParser):
    FUNCTIONS: ClassVar[dict[str, Any]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        name: of for name, of in BigQueryParser.FUNCTION_PARSERS.items() if name in KEPT
    }
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        name: of for name, of in BigQueryParser.NO_PAREN_FUNCTION_PARSERS.items() if name != "ANY"
    }


class GoogleSQL(BigQuery):
    Parser = _Parser


class _Words(GoogleSQL):
    """For finding where statements end: no word swallows the rest of its statement."""

    class Tokenizer(BigQuery.Tokenizer):
        COMMANDS: ClassVar[set[Any]] = set()


DIALECT = GoogleSQL()
WORDS = _Words()


def tokens(text: str) -> list[Token]:
    """Refusal where the text is no GoogleSQL at all."""
    try:
        return WORDS.tokenize(text)
    except SqlglotError as error:
        raise invalid_query(f"Syntax error: {str(error).splitlines()[0]}") from None


def parsed(text: str) -> exp.Expression:
    """One statement; Refusal with the place of a syntax error."""
    try:
        made = DIALECT.parse(text)
    except SqlglotError as error:
        raise invalid_query(_syntax(error)) from None
    if len(made) != 1 or made[0] is None:
        raise invalid_query("Syntax error: Unexpected end of statement")
    return cast(exp.Expression, made[0])


def expression(text: str) -> exp.Expression:
    """A lone expression."""
    select = parsed(f"SELECT {text}")
    return cast(exp.Expression, select.expressions[0])


def _syntax(error: SqlglotError) -> str:
    told = getattr(error, "errors", None) or [{}]
    first = told[0]
    what = str(first.get("description") or error).split(" <Token", 1)[0]
    where = f" at [{first['line']}:{first['col']}]" if first.get("line") else ""
    return f"Syntax error: {what}{where}"
