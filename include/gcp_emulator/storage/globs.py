"""matchGlob: https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob."""

import re
from functools import lru_cache

from gcp_emulator.storage.refusals import invalid

SPECIAL = "*?[]{}"


@lru_cache(maxsize=64)
def pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` stop at a slash, `**` does not; `[ab]`, `[!ab]`, `{a,b}`. Refusal when it is malformed."""
    try:
        return re.compile(_translated(glob), re.DOTALL)
    except (re.error, ValueError, IndexError) as error:
        raise invalid(f"Invalid glob pattern: '{glob}'") from error


def literal(glob: str) -> str:
    """What every match begins with."""
    return re.split(r"[*?\[{\\]", glob, maxsplit=1)[0]


def _translated(glob: str) -> str:
    made, at, depth = [], 0, 0
    while at < len(glob):
        character = glob[at]
        at += 1
        if character == "*":
            double = glob[at : at + 1] == "*"
            at += double
            if double and glob[at : at + 1] == "/" and (at == 2 or glob[at - 3] == "/"):
                made.append("(?:.*/)?")  # `**/` also stands for no folder at all
                at += 1
            else:
                made.append(".*" if double else "[^/]*")
        elif character == "?":
            made.append("[^/]")
        elif character == "[":
            end = glob.index("]", at + 1)
            inner = glob[at:end].replace("\\", "\\\\").replace("[", "\\[")
            made.append(f"[{'^/' + inner[1:] if inner[0] in '!^' else inner}]")
            at = end + 1
        elif character == "{":
            made.append("(?:")
            depth += 1
        elif character == "}" and depth:
            made.append(")")
            depth -= 1
        elif character == "," and depth:
            made.append("|")
        elif character == "\\":
            made.append(re.escape(glob[at]))
            at += 1
        else:
            made.append(re.escape(character))
    return "".join(made)
