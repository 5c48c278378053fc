"""Finds the method that an HTTP verb and path mean, by the path templates of the method table."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from gcp_emulator.methods import HttpRule, Method

VARIABLE = re.compile(r"\{([\w.]+)=([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Found:
    """A method, and the fields that the path has values for."""

    method: Method
    rule: HttpRule
    fields: Mapping[str, str]


class RouteTable:
    """All rules of some methods, those with a custom verb (`:run`) before the plain ones."""

    def __init__(self, methods: Iterable[Method]) -> None:
        self._routes = [
            (rule.verb, *_pattern(rule.path), method, rule) for method in methods for rule in method.http
        ]

    def find(self, verb: str, raw_path: str) -> Found | None:
        """`raw_path` as it came: an escaped slash belongs to one segment, so parts are unquoted after matching."""
        for known_verb, pattern, fields, method, rule in self._routes:
            match = pattern.fullmatch(raw_path) if known_verb == verb else None
            if match:
                values = (unquote(value) for value in match.groups())
                return Found(method, rule, dict(zip(fields, values, strict=True)))
        return None


def _pattern(template: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    fields: list[str] = []
    parts: list[str] = []
    end = 0
    for variable in VARIABLE.finditer(template):
        fields.append(variable[1])
        parts += [re.escape(template[end : variable.start()]), f"({variable[2].replace('*', '[^/:]+')})"]
        end = variable.end()
    parts.append(re.escape(template[end:]))
    return re.compile("".join(parts)), tuple(fields)
