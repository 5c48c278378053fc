"""The processes below one process: who they are, what memory they hold, and their end. Linux only (/proc)."""

import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_GONE = (FileNotFoundError, ProcessLookupError)


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, parents first."""
    children = _children if _children_are_listed() else _children_by_scan()
    found = []
    waiting = [pid]
    while waiting:
        below = list(children(waiting.pop()))
        found += below
        waiting += below
    return found


def _children_are_listed() -> bool:
    return os.path.exists("/proc/thread-self/children")


def _children(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except _GONE:
        return
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                yield from map(int, file.read().split())
        except _GONE:
            continue


def _children_by_scan() -> Callable[[int], Iterable[int]]:
    """For kernels without CONFIG_PROC_CHILDREN: one look at all processes of the machine."""
    below: defaultdict[int, list[int]] = defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except _GONE:
            continue
        below[int(fields[1])].append(int(name))
    return lambda pid: below.get(pid, [])


def memory(pid: int) -> int:
    """Bytes of the process's proportional set size; its resident set where that cannot be read; 0 when gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
        return 0
    except PermissionError:
        return resident(pid)
    except _GONE:
        return 0 if os.path.exists("/proc/self/smaps_rollup") else resident(pid)


def resident(pid: int) -> int:
    """Bytes of the process's resident set, pages shared with others counted in full; 0 when gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except _GONE:
        return 0


def end_all(pid: int) -> None:
    """Kills everything below `pid`, which must be the caller and a subreaper, and reaps it."""
    while True:
        for process in descendants(pid):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            os.wait()
        except ChildProcessError:
            return


def disk(folders: Iterable[str]) -> int:
    """Bytes that the files below the folders take, holes not counted, a file with several names once."""
    seen: set[int] = set()
    total = 0
    waiting = list(folders)
    while waiting:
        for entry in _entries(waiting.pop()):
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                stat = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # removed meanwhile
            if stat.st_nlink == 1 or stat.st_ino not in seen:
                seen.add(stat.st_ino)
                total += min(stat.st_size, stat.st_blocks * 512)
    return total


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []  # removed meanwhile, or closed by the task itself
