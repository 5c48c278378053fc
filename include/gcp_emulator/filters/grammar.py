"""The grammar of filters, and the tree that it gives.

https://cloud.google.com/logging/docs/view/logging-query-language: NOT binds closest, then OR, then AND; two
expressions side by side are joined by AND; `--` begins a comment.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from gcp_emulator.errors import InvalidArgument

GRAMMAR = r"""
start: conjunction?
conjunction: disjunction (_AND? disjunction)*
disjunction: negation (_OR negation)*
?negation: (_NOT | "-") negation -> negated
         | "(" conjunction ")"
         | function
         | restriction
function: FUNCTION "(" [value ("," value)*] ")"
?restriction: path OPERATOR value -> comparison
            | path OPERATOR "(" choices ")" -> choice
            | path -> anywhere
choices: alternative (_AND? alternative)*
alternative: choice_value (_OR choice_value)*
?choice_value: (_NOT | "-") choice_value -> not_value
             | "(" choices ")"
             | path -> value
path: part ("." part)*
part: WORD | STRING
value: MINUS? path
MINUS: "-"
_AND.4: /AND(?![^\s()])/
_OR.4: /OR(?![^\s()])/
_NOT.4: /NOT(?![^\s()])/
FUNCTION.3: /[A-Za-z_]+(?=\()/
OPERATOR: "<=" | ">=" | "!=" | "!~" | "=~" | "<" | ">" | "=" | ":"
STRING: /"(\\.|[^"\\])*"/ | /'(\\.|[^'\\])*'/
WORD: /(?!(AND|OR|NOT)(?![^\s()]))[^\s"'():=<>!~,.\\-][^\s"'():=<>!~,.\\]*/
COMMENT: /--[^\n]*/
%import common.WS
%ignore WS
%ignore COMMENT
"""


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Node"


@dataclass(frozen=True, slots=True)
class Compare:
    """`path operator value`; `quoted` tells "123" from 123."""

    path: tuple[str, ...]
    operator: str
    value: str
    quoted: bool = True


@dataclass(frozen=True, slots=True)
class Anywhere:
    """Text that any field may hold."""

    text: str


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    arguments: tuple[str, ...]


Node = And | Or | Not | Compare | Anywhere | Function


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class _Path:
    parts: tuple[str, ...]
    quoted: bool


class _Tree(Transformer[Token, Any]):
    """Builds nodes from the parser's rules."""

    def start(self, items: list[Any]) -> Node:
        return items[0] if items else And(())

    def conjunction(self, items: list[Node]) -> Node:
        return items[0] if len(items) == 1 else And(tuple(items))

    def disjunction(self, items: list[Node]) -> Node:
        return items[0] if len(items) == 1 else Or(tuple(items))

    choices, alternative = conjunction, disjunction

    def negated(self, items: list[Node]) -> Node:
        return Not(items[0])

    not_value = negated

    def comparison(self, items: list[Any]) -> Node:
        path, operator, value = items
        return _compare(path, operator, value)

    def choice(self, items: list[Any]) -> Node:
        path, operator, tree = items
        return _spread(path, operator, tree)

    def anywhere(self, items: list[_Path]) -> Node:
        return Anywhere(".".join(items[0].parts))

    def function(self, items: list[Any]) -> Node:
        name, *arguments = items
        return Function(str(name), tuple(argument.text for argument in arguments if argument is not None))

    def path(self, items: list[_Value]) -> _Path:
        return _Path(tuple(item.text for item in items), any(item.quoted for item in items))

    def part(self, items: list[Token]) -> _Value:
        token = items[0]
        return _Value(_unquote(token), True) if token.type == "STRING" else _Value(str(token), False)

    def value(self, items: list[Any]) -> _Value:
        path = items[-1]
        sign = "-" if len(items) > 1 else ""
        return _Value(sign + ".".join(path.parts), path.quoted)


def _compare(path: _Path, operator: str, value: _Value) -> Compare:
    if operator in ("=~", "!~"):
        try:
            re.compile(value.text)
        except re.error as error:
            raise InvalidArgument(
                f"Unparseable filter: invalid regular expression '{value.text}': {error}"
            ) from error
    return Compare(path.parts, str(operator), value.text, value.quoted)


def _spread(path: _Path, operator: str, tree: Any) -> Node:
    """`field:(a OR b)` is `field:a OR field:b`."""
    if isinstance(tree, _Value):
        return _compare(path, operator, tree)
    if isinstance(tree, Not):
        return Not(_spread(path, operator, tree.part))
    parts = tuple(_spread(path, operator, part) for part in tree.parts)
    return And(parts) if isinstance(tree, And) else Or(parts)


def _unquote(token: str) -> str:
    r"""A quoted text without its quotes; escapes are JSON's. Others stay, as in the regular expression "\d+"."""
    body = token[1:-1]
    if "\\" not in body:
        return body
    try:
        text: str = json.loads(f'"{body}"', strict=False)
    except json.JSONDecodeError:
        return re.sub(r"""\\(["'\\])""", r"\1", body)
    return text


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


def parse(text: str) -> Node:
    """The filter as a tree; an empty one matches all. InvalidArgument says where it cannot be read."""
    try:
        node: Node = _Tree().transform(_parser().parse(text))
    except UnexpectedInput as error:
        where = error.get_context(text).rstrip() if error.pos_in_stream is not None else text
        place = f"line {error.line}, column {error.column}"
        raise InvalidArgument(f"Unparseable filter: syntax error at {place}:\n{where}") from error
    except VisitError as error:
        raise error.orig_exc from error
    return node
