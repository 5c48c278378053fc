"""A text as its statements; a script's blocks as statements with parts.

https://cloud.google.com/bigquery/docs/reference/standard-sql/procedural-language
"""

import re
from collections.abc import Callable, Sequence

from sqlglot.tokenizer_core import Token, TokenType

from gcp_emulator.bigquery.errors import invalid_query, unsupported
from gcp_emulator.bigquery.sql import dialect
from gcp_emulator.bigquery.sql.names import Statement
from gcp_emulator.bigquery.sql.parameters import POSITION

ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-3][0-7]{2})|.)", re.DOTALL
)
SCRIPTED = frozenset(
    [
        "DECLARE",
        "SET",
        "IF",
        "BLOCK",
        "LOOP",
        "WHILE",
        "REPEAT",
        "FOR",
        "EXECUTE",
        "CALL",
        "BREAK",
        "LEAVE",
        "CONTINUE",
        "ITERATE",
        "RETURN",
        "RAISE",
        "ASSERT",
    ]
)


def parse(text: str) -> list[Statement]:
    """Refusal with a Syntax error where blocks do not close; statements themselves are parsed when translated."""
    text = _numbered(_unescaped(text))
    reader = _Reader(text, dialect.tokens(text))
    made = reader.statements(())
    if not reader.done:
        raise reader.error("Unexpected " + reader.word())
    if not made:
        raise invalid_query("Syntax error: Unexpected end of statement")
    return made


def is_script(statements: Sequence[Statement]) -> bool:
    return len(statements) > 1 or statements[0].word in SCRIPTED


def _unescaped(text: str) -> str:
    """Escapes of characters by their number, which the grammar leaves alone, as those characters."""
    made, end = [], 0
    for token in dialect.tokens(text):
        raw = text[token.start : token.end + 1]
        if token.token_type == TokenType.STRING and "\\" in raw:
            made.append(text[end : token.start] + ESCAPE.sub(_character, raw))
            end = token.end + 1
    return "".join(made) + text[end:]


def _character(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    if digits is None and found[4] is None:
        return found[0]
    letter = chr(int(digits, 16) if digits else int(found[4], 8))
    return f"\\{letter}" if letter in "\\'\"`" else letter


def _numbered(text: str) -> str:
    """Each ? as a named parameter of its position."""
    made, end = [], 0
    marks = [token for token in dialect.tokens(text) if token.text == "?" and text[token.start] == "?"]
    for number, token in enumerate(marks):
        made.append(f"{text[end : token.start]}@{POSITION}{number}")
        end = token.end + 1
    return "".join(made) + text[end:]


class _Reader:
    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self.text = text
        self.tokens = [token for token in tokens if token.text or token.start != token.end]
        self.at = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.tokens)

    def word(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at].text.upper() if at < len(self.tokens) else ""

    def error(self, what: str) -> Exception:
        token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return invalid_query(
            f"Syntax error: {what} at [{token.line}:{max(token.col - len(token.text) + 1, 1)}]"
        )

    def take(self, *words: str) -> None:
        for word in words:
            if self.word() != word:
                raise self.error(f"Expected keyword {word} but got {self.word() or 'end of script'}")
            self.at += 1

    def statements(self, ends: Sequence[str]) -> list[Statement]:
        made = []
        while not self.done and self.word() not in ends:
            if self.word() == ";":
                self.at += 1
                continue
            made.append(self.statement())
        return made

    def statement(self) -> Statement:
        blocks: dict[str, Callable[[int], Statement]] = {
            "IF": self._if, "LOOP": self._loop, "WHILE": self._while, "REPEAT": self._repeat, "FOR": self._for,
        }  # fmt: skip
        start, word = self.at, self.word()
        if word == "BEGIN" and self.word(1) not in ("TRANSACTION", ";", ""):
            return self._block(start)
        if word in blocks:
            return blocks[word](start)
        if word == "CREATE" and "PROCEDURE" in [self.word(ahead) for ahead in range(1, 5)]:
            raise unsupported("CREATE PROCEDURE")
        if word in ("END", "ELSE", "ELSEIF", "EXCEPTION", "UNTIL", "THEN", "DO"):
            raise self.error(f"Unexpected keyword {word}")
        if word == "CASE":
            raise unsupported("the CASE statement")
        while not self.done and self.word() != ";":
            self.at += 1
        return self._made(start, word, {})

    def _made(self, start: int, word: str, parts: dict[str, object]) -> Statement:
        first, last = self.tokens[start], self.tokens[self.at - 1]
        return Statement(self.text[first.start : last.end + 1], word, parts, first.line)

    def until(self, end: str) -> str:
        """The text up to a keyword outside of CASE and parentheses."""
        first, depth = self.at, 0
        while not self.done and (depth or self.word() != end):
            depth += (self.word() in ("(", "CASE")) - (self.word() in (")", "END"))
            self.at += 1
        if self.done:
            raise self.error(f"Expected keyword {end}")
        return self.text[self.tokens[first].start : self.tokens[self.at - 1].end + 1]

    def _block(self, start: int) -> Statement:
        self.take("BEGIN")
        parts: dict[str, object] = {"body": self.statements(("END", "EXCEPTION"))}
        if self.word() == "EXCEPTION":
            self.take("EXCEPTION", "WHEN", "ERROR", "THEN")
            parts["handler"] = self.statements(("END",))
        self.take("END")
        return self._made(start, "BLOCK", parts)

    def _if(self, start: int) -> Statement:
        self.take("IF")
        arms: list[object] = []
        while True:
            condition = self.until("THEN")
            self.take("THEN")
            arms.append((condition, self.statements(("ELSEIF", "ELSE", "END"))))
            if self.word() != "ELSEIF":
                break
            self.take("ELSEIF")
        parts: dict[str, object] = {"arms": arms}
        if self.word() == "ELSE":
            self.take("ELSE")
            parts["otherwise"] = self.statements(("END",))
        self.take("END", "IF")
        return self._made(start, "IF", parts)

    def _loop(self, start: int) -> Statement:
        self.take("LOOP")
        body = self.statements(("END",))
        self.take("END", "LOOP")
        return self._made(start, "LOOP", {"body": body})

    def _while(self, start: int) -> Statement:
        self.take("WHILE")
        condition = self.until("DO")
        self.take("DO")
        body = self.statements(("END",))
        self.take("END", "WHILE")
        return self._made(start, "WHILE", {"condition": condition, "body": body})

    def _repeat(self, start: int) -> Statement:
        self.take("REPEAT")
        body = self.statements(("UNTIL",))
        self.take("UNTIL")
        condition = self.until("END")
        self.take("END", "REPEAT")
        return self._made(start, "REPEAT", {"condition": condition, "body": body})

    def _for(self, start: int) -> Statement:
        raise unsupported("FOR .. IN")
