"""Gives the calling process a root file system of its own, by mount namespaces, where the machine allows it.

The new root is the container's folder; beneath it every folder of the host that the container does not have itself
appears through a bind mount (interpreters and libraries come from there), /tmp is the container's own, and volumes
appear at their mount paths. As root a mount namespace is enough, else a user namespace that keeps the
user's own ids is made with it. Docker's default profile and some distributions refuse both: see `Isolation`.
Nothing that is mounted here is seen by other processes, and all of it is gone with the last process inside.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterable

_NEWNS, _NEWUSER = 0x00020000, 0x10000000  # linux/sched.h
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000  # linux/mount.h
_DETACH = 2
_PRIVATE_FOLDERS = ("tmp",)
_libc = ctypes.CDLL(None, use_errno=True)


def enter(root: str, binds: Iterable[tuple[str, str, bool]]) -> None:
    """Makes `root` the root; binds are (host path, path below the root, read-only). Raises OSError."""
    _own_namespace()
    _mount(None, "/", _REC | _PRIVATE)
    _mount(root, root, _BIND | _REC)
    for source, target, read_only in binds:
        _bind(source, root + target, read_only)
    _graft("/", root, skip=_PRIVATE_FOLDERS)
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _DETACH), "umount2")
    os.chdir("/")


def _own_namespace() -> None:
    if os.geteuid() == 0 and _libc.unshare(_NEWNS) == 0:
        return
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(_NEWUSER | _NEWNS), "unshare")
    for file, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{file}", "w", encoding="ascii") as entry:
            entry.write(text)


def _graft(host: str, view: str, skip: Iterable[str] = ()) -> None:
    """Adds what `host` has and `view` has not; a folder that both have is merged, the container's entries first."""
    try:
        with os.scandir(host) as found:
            entries = [entry for entry in found if entry.name not in skip]
    except PermissionError:
        return  # /root, for others than root: the container has its own entries only
    for entry in entries:
        target = os.path.join(view, entry.name)
        if os.path.ismount(target):
            continue
        if not os.path.lexists(target):
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), target)
            else:
                with contextlib.suppress(OSError):  # a stale network mount need not be there
                    _bind(entry.path, target, read_only=False)
        elif entry.is_dir() and os.path.isdir(target) and not os.path.islink(target):
            _graft(entry.path, target)


def _bind(source: str, target: str, read_only: bool) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT, 0o600))
    _mount(source, target, _BIND | _REC)
    if read_only:
        kept = (
            os.statvfs(target).f_flag & ~_RDONLY
        )  # a user namespace may not drop nosuid, nodev and the like
        _mount(None, target, _BIND | _REMOUNT | _RDONLY | (kept & 0xF) | _atime(kept))


def _atime(flags: int) -> int:
    return flags & (0x400 | 0x800) | (0x200000 if flags & 0x1000 else 0)  # noatime, nodiratime, relatime


def _mount(source: str | None, target: str, flags: int) -> None:
    result = _libc.mount(
        source and os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None
    )
    _check(result, f"mount {source} at {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
