"""Where the bytes of objects lie.

The live object `a/b` of bucket `x` is the file `a/b` in the folder of `x`, which is what jobs mount. A name that no
file system can hold there (`a/`, `a//b`, `a` beside `a/b`, an over-long one) and versions that are not live have a file
of a random name in a folder aside.
"""

import base64
import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import signal
import stat
import uuid
from collections.abc import Container, Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

SEGMENT = 255  # bytes that a file's name may have
PATH = 3800
CHUNK = 1 << 20
UNPLACEABLE = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG)
F_SETSIG = 10  # asm-generic/fcntl.h; the module has no name for it


class Digest:
    """Counts bytes and their hashes, in base64 as Storage shows them."""

    def __init__(self) -> None:
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = google_crc32c.Checksum()

    @property
    def md5(self) -> str:
        return base64.b64encode(self._md5.digest()).decode()

    @property
    def crc32c(self) -> str:
        return base64.b64encode(self._crc32c.digest()).decode()

    def count(self, data: bytes) -> None:
        self.size += len(data)
        self._md5.update(data)
        self._crc32c.update(data)


class Draft(Digest):
    """A file that is to become an object. Blocking."""

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        """`resume` goes on with the bytes that an emulator before has put there."""
        super().__init__()
        self.path = path
        if resume and path.exists():
            with path.open("rb") as file:
                while data := file.read(CHUNK):
                    self.count(data)
        self._file: BinaryIO = path.open("ab" if resume else "wb")

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()  # an upload under way outlives this process
        self.count(data)

    def add(self, source: BinaryIO, start: int = 0, length: int | None = None) -> None:
        """Adds a part of another file, all of it by default."""
        source.seek(start)
        left = length
        while data := source.read(CHUNK if left is None else min(CHUNK, left)):
            self.write(data)
            left = left if left is None else left - len(data)

    def close(self) -> None:
        """All bytes are in the file now."""
        self._file.close()

    def discard(self) -> None:
        """Nothing remains, unless it has become an object."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Files:
    """The files of all buckets: `mounted` holds the folders that jobs see, `aside` the rest. Blocking."""

    def __init__(self, mounted: Path, aside: Path) -> None:
        mounted.mkdir(parents=True, exist_ok=True)
        aside.mkdir(parents=True, exist_ok=True)
        self.mounted = mounted.resolve()
        self.aside = aside.resolve()

    def clear(self, needed: Container[str]) -> None:
        """Removes what a killed emulator left aside."""
        for path in self.aside.iterdir():
            if path.name not in needed:
                path.unlink()

    def folder(self, bucket: str) -> Path:
        return self.mounted / bucket

    def make(self, bucket: str) -> None:
        self.folder(bucket).mkdir(exist_ok=True)

    def drop(self, bucket: str) -> None:
        """Of an empty bucket empty folders may remain."""
        shutil.rmtree(self.folder(bucket), ignore_errors=True)

    def draft(self) -> Draft:
        return Draft(self.aside / uuid.uuid4().hex)

    def path(self, bucket: str, name: str, place: str) -> Path:
        return self.aside / place if place else self.folder(bucket) / name

    def seen(self, bucket: str, name: str) -> Path | None:
        """Where a mount shows an object of this name; None when it cannot."""
        path, parts = self.folder(bucket) / name, name.split("/")
        if any(part in ("", ".", "..") or len(part.encode()) > SEGMENT for part in parts):
            return None
        if "\0" in name or len(bytes(path)) > PATH:
            return None
        # a link that a job has made may lead out of the bucket
        return path if len(parts) == 1 or os.path.realpath(path.parent) == str(path.parent) else None

    def keep(self, source: Path, bucket: str, name: str) -> str:
        """Makes a file the bytes of a live object; its place."""
        path = self.seen(bucket, name)
        if name.endswith("/") and (folder := self.seen(bucket, name.rstrip("/"))):
            with contextlib.suppress(OSError):  # a file may be in the way
                folder.mkdir(parents=True, exist_ok=True)
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir() and not path.is_symlink():
                    _remove_empty(path)
                source.replace(path)
                return ""
            except OSError as error:
                if error.errno not in UNPLACEABLE:
                    raise
        return self.put_aside(source)

    def put_aside(self, source: Path) -> str:
        """Moves a file to where no mount shows it; its place."""
        place = uuid.uuid4().hex
        source.replace(self.aside / place)
        return place

    def link(self, path: Path) -> Path:
        """Another name for a file, aside: its bytes outlive the first name."""
        held = self.aside / uuid.uuid4().hex
        held.hardlink_to(path)
        return held

    def names(self, bucket: str, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        """The regular files in a bucket's folder whose names begin with `prefix`; links lead nowhere."""
        base = prefix.rpartition("/")[0]
        start = self.folder(bucket) if not base else self.seen(bucket, base)
        waiting = [(start, f"{base}/" if base else "")] if start is not None else []
        while waiting:
            folder, above = waiting.pop()
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
                for entry in entries:
                    name = above + entry.name
                    if not _is_text(name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if f"{name}/".startswith(prefix) or prefix.startswith(f"{name}/"):
                            waiting.append((Path(entry.path), f"{name}/"))
                    elif name.startswith(prefix) and entry.is_file(follow_symlinks=False):
                        with contextlib.suppress(FileNotFoundError):
                            yield name, entry.stat(follow_symlinks=False)


def stamp(found: os.stat_result) -> str:
    """What changes when a file is written or replaced."""
    return f"{found.st_ino}:{found.st_mtime_ns}:{found.st_size}"


def look(path: Path) -> os.stat_result | None:
    """A regular file's state, None when there is none."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def open_file(path: Path) -> BinaryIO:
    """For reading; a link is not followed. Raises OSError."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def being_written(file: BinaryIO) -> bool:
    """Whether some process has the file open for writing: the kernel grants a read lease only when none has.

    man 2 fcntl. A process that opens it meanwhile waits until the lease is given back at once; SIGURG in place of
    SIGIO, as the latter would end this process. File systems without leases never say so.
    """
    try:
        fcntl.fcntl(file, F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _is_text(name: str) -> bool:
    """Object names are UTF-8; a file's name need not be."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def _remove_empty(folder: Path) -> None:
    """Removes folders that hold nothing but folders. Raises OSError when there is a file."""
    for inner, _, _ in os.walk(folder, topdown=False):
        os.rmdir(inner)
