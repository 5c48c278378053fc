"""Filters of subscriptions: https://cloud.google.com/pubsub/docs/subscription-message-filter

They look at attributes alone. NOT binds closest; AND and OR in one expression need parentheses.
"""

import ast
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from gcp_emulator.errors import InvalidArgument
from gcp_emulator.pubsub.limits import MAX_FILTER_BYTES

Predicate = Callable[[Mapping[str, str]], bool]

GRAMMAR = r"""
?start: expression
?expression: term | conjunction | disjunction
conjunction: term (_AND term)+
disjunction: term (_OR term)+
?term: (_NOT | "-") term -> negated
     | "(" expression ")"
     | "attributes" ":" key -> present
     | "attributes" "." key "=" STRING -> equal
     | "attributes" "." key "!=" STRING -> unequal
     | "hasPrefix" "(" "attributes" "." key "," STRING ")" -> prefixed
?key: KEY | STRING
_AND: /AND\b/
_OR: /OR\b/
_NOT: /NOT\b/
KEY: /[A-Za-z0-9_-]+/
STRING: /"(%ESCAPE|[^"\\\n])*"|'(%ESCAPE|[^'\\\n])*'/
%ignore /\s+/
""".replace("%ESCAPE", r"\\(?:[\"'\\abfnrtv]|x[0-9A-Fa-f]{2}|[0-7]{3}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})")


def everything(attributes: Mapping[str, str]) -> bool:
    """What no filter lets through: all."""
    return True


def read(text: str) -> Predicate:
    """The predicate over a message's attributes; InvalidArgument says where the text is wrong."""
    if not text:
        return everything
    if len(text.encode()) > MAX_FILTER_BYTES:
        size = len(text.encode())
        raise InvalidArgument(f"Invalid filter: it has {size} bytes, at most {MAX_FILTER_BYTES} are allowed.")
    try:
        predicate: Predicate = _Predicates().transform(_parser().parse(text))
    except UnexpectedInput as error:
        raise InvalidArgument(_explain(text, error)) from error
    except VisitError as error:
        raise InvalidArgument(f"Invalid filter '{text}': {error.orig_exc}.") from error
    return predicate


def _explain(text: str, error: UnexpectedInput) -> str:
    ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    position = len(text) if ended or error.pos_in_stream is None else error.pos_in_stream
    rest = text[position:]
    place = f"at column {position + 1}, before '{rest}'" if rest else "at its end"
    hint = " AND and OR may not be mixed without parentheses." if re.match(r"(AND|OR)\b", rest) else ""
    return (
        f"Invalid filter '{text}': syntax error {place}.{hint} Terms are attributes:KEY, attributes.KEY = \"VALUE\", "
        'attributes.KEY != "VALUE" and hasPrefix(attributes.KEY, "PREFIX"), joined by AND, OR and NOT.'
    )


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr")


class _Predicates(Transformer[Token, Predicate]):
    """Turns the tree into functions, the leaves first."""

    def KEY(self, token: Token) -> str:
        return str(token)

    def STRING(self, token: Token) -> str:
        """The grammar lets only those escapes through that Python reads the same way."""
        text: str = ast.literal_eval(token)
        return text

    def conjunction(self, terms: list[Predicate]) -> Predicate:
        return lambda attributes: all(term(attributes) for term in terms)

    def disjunction(self, terms: list[Predicate]) -> Predicate:
        return lambda attributes: any(term(attributes) for term in terms)

    def negated(self, terms: list[Predicate]) -> Predicate:
        (term,) = terms
        return lambda attributes: not term(attributes)

    def present(self, parts: list[Any]) -> Predicate:
        (key,) = parts
        return lambda attributes: key in attributes

    def equal(self, parts: list[Any]) -> Predicate:
        key, value = parts
        return lambda attributes: attributes.get(key) == value

    def unequal(self, parts: list[Any]) -> Predicate:
        """Also true where the attribute is missing, as Google has it."""
        key, value = parts
        return lambda attributes: attributes.get(key) != value

    def prefixed(self, parts: list[Any]) -> Predicate:
        key, prefix = parts
        return lambda attributes: attributes.get(key, "").startswith(prefix) and key in attributes
