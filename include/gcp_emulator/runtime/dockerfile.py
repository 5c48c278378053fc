"""Reads a Dockerfile into stages: what each one copies and how it starts. Pure: no file is opened.

Followed: FROM, ARG (defaults), ENV, WORKDIR, COPY and ADD of local files, ENTRYPOINT, CMD, SHELL.
Not followed: RUN, so files that a build command makes do not exist (the interpreter and the packages of
requirements.txt come from a virtual environment instead); here-documents; ADD of a URL; USER; HEALTHCHECK.
The syntax is that of https://docs.docker.com/reference/dockerfile/.
"""

import io
import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from dockerfile_parse import DockerfileParser

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?::?(?P<sign>[-+])(?P<word>[^}]*))?\})")
_HEREDOC = re.compile(r"^\s*(?:RUN|COPY|ADD)\b.*?<<-?\s*([\"']?)(\w+)\1", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Copy:
    """One COPY or ADD: `target` is absolute and ends with a slash where it must be a folder.

    `mode` is that of --chmod, if given as a number.
    """

    sources: tuple[str, ...]
    target: str
    stage: str | None = None
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """What one FROM ... block leaves behind; `base` is an image or the name of an earlier stage."""

    base: str
    name: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    folders: tuple[str, ...] = ("/",)
    shell: tuple[str, ...] = ("/bin/sh", "-c")
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    copies: tuple[Copy, ...] = ()

    def expand(self, text: str) -> str:
        """`$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}` by ENV, then by ARG, else empty."""
        return _expand(text, {**self.args, **self.env})

    def command(self, value: str) -> tuple[str, ...]:
        """The exec form (a JSON array) as it is, the shell form as an argument of the stage's shell."""
        return _json_list(value) or (*self.shell, value.strip())


def parse(text: str) -> tuple[Stage, ...]:
    """All stages in order, the one that becomes the image last; empty without a FROM."""
    stages: list[Stage] = []
    outer: dict[str, str] = {}
    for instruction, value in _instructions(text):
        if instruction == "FROM":
            stages.append(_from(value, outer, stages))
        elif not stages:
            if instruction == "ARG":
                outer |= _arguments(value, outer, outer)
        else:
            stages[-1] = _apply(stages[-1], instruction, value, outer)
    return tuple(stages)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    source = io.BytesIO(_without_heredocs(text).encode())
    for entry in DockerfileParser(fileobj=source).structure:
        if entry["instruction"] != "COMMENT":
            yield str(entry["instruction"]).upper(), str(entry["value"])


def _without_heredocs(text: str) -> str:
    """Drops the bodies of here-documents, whose lines would read as instructions."""
    kept, end = [], ""
    for line in text.splitlines():
        if end:
            end = "" if line.strip() == end else end
            continue
        kept.append(line)
        if found := _HEREDOC.match(line):
            end = found[2]
    return "\n".join(kept) + "\n"


def _from(value: str, outer: Mapping[str, str], stages: list[Stage]) -> Stage:
    words = [word for word in value.split() if not word.startswith("--")]
    base = _expand(words[0], outer) if words else ""
    name = words[2] if len(words) > 2 and words[1].lower() == "as" else ""
    for earlier in reversed(stages):
        if base and earlier.name.lower() == base.lower():
            whole = Copy(("/",), "/", stage=base)
            return replace(earlier, base=base, name=name, args={}, copies=(whole,))
    return Stage(base=base, name=name, env={"PATH": DEFAULT_PATH})


def _apply(stage: Stage, instruction: str, value: str, outer: Mapping[str, str]) -> Stage:
    match instruction:
        case "ARG":
            return replace(
                stage, args={**stage.args, **_arguments(value, {**stage.args, **stage.env}, outer)}
            )
        case "ENV":
            return replace(stage, env={**stage.env, **_pairs(value, stage)})
        case "WORKDIR":
            path = _absolute(stage.workdir, stage.expand(_unquote(value)))
            return replace(stage, workdir=path, folders=(*stage.folders, path))
        case "COPY" | "ADD":
            copy = _copy(value, stage)
            return replace(stage, copies=(*stage.copies, copy)) if copy else stage
        case "SHELL":
            return replace(stage, shell=_json_list(value) or stage.shell)
        case "ENTRYPOINT":
            return replace(stage, entrypoint=stage.command(value), cmd=())
        case "CMD":
            return replace(stage, cmd=stage.command(value))
    return stage


def _copy(value: str, stage: Stage) -> Copy | None:
    flags = {}
    while found := re.match(r"\s*--([\w-]+)(?:=(\S+))?\s+", value):
        flags[found[1]] = found[2] or ""
        value = value[found.end() :]
    words = [stage.expand(word) for word in _json_list(value) or shlex.split(value)]
    sources = tuple(word for word in words[:-1] if not word.startswith("<<") and "://" not in word)
    if not sources:
        return None
    target = _absolute(stage.workdir, words[-1])
    if words[-1].endswith(("/", "/.")) or words[-1] in (".", "..") or len(sources) > 1:
        target = target.rstrip("/") + "/"
    mode = flags.get("chmod", "")
    return Copy(
        sources,
        target,
        stage.expand(flags["from"]) if "from" in flags else None,
        int(mode, 8) if re.fullmatch("[0-7]+", mode) else None,
    )


def _pairs(value: str, stage: Stage) -> dict[str, str]:
    """`A=1 B="two words"`, or the old form `A the rest of the line`."""
    key, _, rest = value.strip().partition(" ")
    if "=" not in key:
        return {key: stage.expand(_unquote(rest))}
    words = [word.partition("=") for word in shlex.split(value)]
    return {name: stage.expand(content) for name, _, content in words}


def _arguments(value: str, known: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
    """`ARG NAME` without a default takes the one declared before the first FROM, if any."""
    found = {}
    for word in shlex.split(value):
        name, has_default, default = word.partition("=")
        if has_default:
            found[name] = _expand(default, known)
        elif name in outer:
            found[name] = outer[name]
    return found


def _expand(text: str, known: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        content = known.get(found["plain"] or found["braced"], "")
        if found["sign"] == "-":
            return content or found["word"]
        if found["sign"] == "+":
            return found["word"] if content else ""
        return content

    return _VARIABLE.sub(value, text)


def _json_list(value: str) -> tuple[str, ...]:
    try:
        parsed = json.loads(value)
    except ValueError:
        return ()
    return tuple(parsed) if isinstance(parsed, list) and all(isinstance(x, str) for x in parsed) else ()


def _unquote(value: str) -> str:
    return " ".join(shlex.split(value))


def _absolute(workdir: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(workdir, path))
