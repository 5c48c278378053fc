"""How a rule says where a value comes from: text with {paths}, or one path with conditions. Pure."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Protocol, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from gcp_jobs.spec import Text

LONGEST = 8_192
ROOTS = ("attributes", "body", "object", "message")
MESSAGE = ("id", "publish_time", "subscription", "data")
_PARTS = re.compile(r"(\{\{|\}\}|\{[^{}]*\})")
_MISSING = object()


class Misfit(Exception):
    """The event's payload does not hold what the rule wants of it; the text says what."""


class Payload(Protocol):
    """What paths lead into."""

    @property
    def roots(self) -> Mapping[str, Any]:
        """What `attributes`, `body`, `object` and `message` are of this event; reading one may raise Misfit."""
        ...


def check_path(path: str) -> str:
    """Refuse what is no path: attributes.NAME, body, body.a.b.0, object.name, message.id."""
    root, _, rest = path.partition(".")
    if root not in ROOTS:
        raise ValueError(f"{path!r} must begin with one of {', '.join(ROOTS)}")
    if root != "body" and not rest:
        raise ValueError(f"{path!r} must name a field, as in {root}.{'id' if root == 'message' else 'name'}")
    if root == "message" and rest not in MESSAGE:
        raise ValueError(f"{path!r}: a message has {', '.join(MESSAGE)}")
    if root == "body" and "" in rest.split(".") and rest:
        raise ValueError(f"{path!r} has an empty part")
    return path


def _is_hole(part: str) -> bool:
    return part.startswith("{") and part.endswith("}")


def _check_text(value: str) -> str:
    for part in _PARTS.split(value):
        if _is_hole(part):
            check_path(part[1:-1])
        elif part not in ("{{", "}}") and re.search(r"[{}]", part):
            raise ValueError(f"{value!r}: a brace that holds no path is written twice")
    return value


Path = Annotated[str, AfterValidator(check_path)]


class Reading(BaseModel):
    """One value out of the event. Without a `default` it must be there; `pattern` must match the whole of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_: Path = Field(alias="from")
    default: Text | None = None
    pattern: str | None = None
    max_length: int = Field(default=1_024, ge=1, le=LONGEST)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        try:
            compiled = re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from error
        if self.pattern and self.default is not None and not compiled.fullmatch(self.default):
            raise ValueError(f"the default {self.default!r} does not match {self.pattern!r}")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """The one path."""
        return (self.from_,)

    def read(self, payload: Payload) -> str:
        """Give the value as text; raises Misfit."""
        found = find(payload, self.from_, self.default)
        if len(found) > self.max_length:
            raise Misfit(f"{self.from_} is longer than {self.max_length} characters")
        if self.pattern and not re.fullmatch(self.pattern, found):
            raise Misfit(f"{self.from_} is {found[:100]!r}, which does not match {self.pattern!r}")
        return found


Words = Annotated[Text, AfterValidator(_check_text)]
Value = Annotated[
    Annotated[Words, Tag("text")] | Annotated[Reading, Tag("reading")],
    Discriminator(lambda value: "reading" if isinstance(value, dict | Reading) else "text"),
]


def paths(value: "str | Reading") -> tuple[str, ...]:
    """Name the paths that a value is read from."""
    if not isinstance(value, str):
        return value.paths
    return tuple(part[1:-1] for part in _PARTS.split(value) if _is_hole(part))


def read(value: "str | Reading", payload: Payload) -> str:
    """Give a value for an event. What comes out of the event is text and nothing else: it is never rendered.

    :raises Misfit: naming the path
    """
    if not isinstance(value, str):
        return value.read(payload)
    text = "".join(_part(part, payload) for part in _PARTS.split(value))
    if len(text) > LONGEST:
        raise Misfit(f"{value!r} becomes longer than {LONGEST} characters")
    return text


def find(payload: Payload, path: str, default: str | None = None) -> str:
    """Follow a path; raises Misfit where it leads nowhere and there is no default."""
    root, _, rest = path.partition(".")
    try:
        value = payload.roots[root]
    except KeyError:
        raise Misfit(f"the event has no {root}") from None
    for step in _steps(root, rest):
        value = _step(value, step)
    if value is _MISSING or value is None:
        if default is None:
            raise Misfit(f"{path} is missing")
        return default
    return _as_text(value, path)


def _steps(root: str, rest: str) -> list[str]:
    """The names of attributes and of metadata may hold dots themselves."""
    if root == "body":
        return rest.split(".") if rest else []
    first, _, own = rest.partition(".")
    return [first, own] if root == "object" and own else [rest]


def _step(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(step, _MISSING)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return _MISSING


def _as_text(value: Any, path: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        raise Misfit(f"{path} is a JSON {'object' if isinstance(value, dict) else 'array'}, not one value")
    text = str(value)
    if "\x00" in text:
        raise Misfit(f"{path} holds a NUL character")
    return text


def _part(part: str, payload: Payload) -> str:
    if part in ("{{", "}}"):
        return part[0]
    return find(payload, part[1:-1]) if _is_hole(part) else part
