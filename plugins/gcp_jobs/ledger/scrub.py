"""Takes secret values out of what is about to be recorded; references to secrets stay. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

HIDDEN = "***"
LONGEST = 8_000
SHORTEST_SECRET = 5
Redact = Callable[[str, str | None], str]
"""Gives a text without the secrets it knows of; HIDDEN where its name (second argument) is a secret's."""

_REFERENCES = frozenset(
    {
        "secrets", "secret_files", "secret_variables", "secretVariables", "value_source", "valueSource",
        "service_account", "serviceAccount",
    }
)  # fmt: skip
_ENVIRONMENTS = frozenset({"env", "environment", "variables"})
# whatever an Airflow is set to show: it may be told to hide nothing
_SENSITIVE = (
    "access_key", "api_key", "apikey", "authorization", "credential", "passphrase", "passwd", "password",
    "private_key", "secret", "token",
)  # fmt: skip
_LOGIN = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")


class Scrubber:
    """Remembers the values that stood under a secret's name and takes them out of everything else too."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        self._values: set[str] = set()

    def learn(self, value: Any, *, inside: bool = False) -> None:
        """Look for values under secret names: in {NAME: value} and in {name: NAME, value: value}."""
        if isinstance(value, list | tuple):
            for item in value:
                self.learn(item, inside=inside)
        if not isinstance(value, Mapping):
            return
        if isinstance(value.get("value"), str) and self._hides(str(value.get("name"))):
            self.learn({value["name"]: value["value"]}, inside=True)
        for name, item in value.items():
            if not inside and name in _REFERENCES:
                continue
            if self._hides(str(name)):
                self._values.update(text for text in _texts(item) if len(text) >= SHORTEST_SECRET)
            self.learn(item, inside=name in _ENVIRONMENTS)

    def clean(self, value: Any, *, inside: bool = False) -> Any:
        """Give the same without secrets, as JSON; text that is too long loses its middle."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.clean(item, inside=inside) for item in value]
        if isinstance(value, Mapping):
            return {str(name): self._named(value, name, item, inside) for name, item in value.items()}
        return value if isinstance(value, int | float | bool | None) else self.text(str(value))

    def text(self, value: str) -> str:
        """Give a text without secrets, without NUL (PostgreSQL takes none), and of bounded length."""
        for secret in sorted(self._values, key=len, reverse=True):
            value = value.replace(secret, HIDDEN)
        value = _LOGIN.sub(rf"\1:{HIDDEN}@", self._redact(value, None)).replace("\x00", "")
        value = value.encode("utf-8", "replace").decode()
        half = LONGEST // 2
        return value if len(value) <= LONGEST else f"{value[:half]} ... {value[-half:]}"

    def _named(self, whole: Mapping[Any, Any], name: Any, item: Any, inside: bool) -> Any:
        if not inside and name in _REFERENCES:
            return _plain(item)
        if self._hides(str(whole.get("name") if name == "value" else name)):
            return HIDDEN
        return self.clean(item, inside=name in _ENVIRONMENTS)

    def _hides(self, name: str) -> bool:
        known = any(word in name.lower() for word in _SENSITIVE)
        return known or self._redact("text", name) == HIDDEN


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    ):
        yield from _texts(item)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
