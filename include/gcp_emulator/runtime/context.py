"""Which files an image holds: the folder's files as the Dockerfile's COPY lines place them."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from gcp_emulator.runtime.dockerfile import Copy, Stage


@dataclass(frozen=True, slots=True)
class File:
    """A file of the image's folder and the mode that the image gives it (nothing: its own)."""

    source: Path
    mode: int | None = None


Files = dict[str, File]  # by absolute path in the container


class CopyMissing(Exception):
    """A COPY names a file that the folder does not have; `source` is that name."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.source = source


def read_context(folder: Path) -> Files:
    """Every file of the folder by its path below it, but for byte code and what .dockerignore excludes."""
    ignore = folder / ".dockerignore"
    rules = _ignore_rules(ignore.read_text(encoding="utf-8")) if ignore.is_file() else []
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (path.is_file() or path.is_symlink()) and "__pycache__" not in name and not _ignored(name, rules):
            files[f"/{name}"] = File(path)
    return files


def stage_files(stages: Iterable[Stage], context: Mapping[str, File]) -> Files:
    """What the last stage holds. A file that only a RUN of another stage could have made is left out."""
    done: dict[str, Files] = {}
    files: Files = {}
    for index, stage in enumerate(stages):
        files = {}
        for copy in stage.copies:
            source = context if copy.stage is None else done.get(copy.stage.lower(), {})
            files |= _placed(copy, source, files, stage.folders)
        done[str(index)] = done[stage.name.lower()] = files
    return files


def _placed(copy: Copy, source: Mapping[str, File], present: Files, folders: Iterable[str]) -> Files:
    found: Files = {}
    matches = []
    for pattern in copy.sources:
        names = _matches(pattern, source)
        if not names and copy.stage is None:
            raise CopyMissing(pattern)
        matches += names
    into = copy.target.endswith("/") or len(matches) > 1 or _is_folder(copy.target, present, folders)
    for name in matches:
        if name in source:
            last = posixpath.basename(name)
            found[posixpath.join(copy.target, last) if into else copy.target] = source[name]
        prefix = name.rstrip("/") + "/"
        for path in source:
            if path.startswith(prefix):
                found[posixpath.join(copy.target, path[len(prefix) :])] = source[path]
    if copy.mode is None:
        return found
    return {path: replace(file, mode=copy.mode) for path, file in found.items()}


def _matches(pattern: str, files: Mapping[str, File]) -> list[str]:
    """Files and folders whose whole path fits the pattern, wildcards within one path segment each."""
    wanted = posixpath.normpath("/" + pattern).lstrip("/").split("/")
    if wanted == [""]:
        return ["/"]
    names = {"/".join(path.split("/")[: len(wanted) + 1]) for path in files}
    return sorted(name for name in names if _fits(name.lstrip("/").split("/"), wanted))


def _fits(parts: list[str], wanted: list[str]) -> bool:
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _is_folder(target: str, present: Files, folders: Iterable[str]) -> bool:
    prefix = target.rstrip("/") + "/"
    return any(name.startswith(prefix) for name in (*present, *(f"{folder}/" for folder in folders)))


def _ignore_rules(text: str) -> list[tuple[bool, re.Pattern[str]]]:
    """(excludes, pattern) in order, the last that fits decides; `!` brings a file back."""
    rules = []
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#"):
            path = posixpath.normpath(line.lstrip("!").strip()).lstrip("/")
            glob = re.escape(path).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*")
            glob = glob.replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
            rules.append((not line.startswith("!"), re.compile(f"{glob}(?:/.*)?")))
    return rules


def _ignored(name: str, rules: list[tuple[bool, re.Pattern[str]]]) -> bool:
    verdict = False
    for excludes, pattern in rules:
        if pattern.fullmatch(name):
            verdict = excludes
    return verdict
