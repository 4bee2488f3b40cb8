"""Reading and changing files below a jail, through folder descriptors only. Everything here blocks."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress

from ...core.errors import Conflict, InvalidInput, TooLarge
from .jail import Jail, Parts, refused, text

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read(jail: Jail, named: str, limit: int) -> bytes:
    """Read a regular file; a folder, a device and a symlink swapped in are refused."""
    parts = jail.resolve(named)
    _needs_name(parts, named)
    with jail.folder(parts[:-1]) as folder:
        return read_at(folder, parts[-1], limit, shown=text(parts))


def read_at(folder: int, name: str, limit: int, *, shown: str) -> bytes:
    """Read `name` in an open folder, at most `limit` bytes (`TooLarge` beyond)."""
    fd = _open(folder, name, shown)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidInput(f"{shown!r} is not a regular file: name a file", code="not_a_file")
        if status.st_size > limit:
            raise TooLarge(f"{shown!r} has {status.st_size} bytes, more than {limit}: search in it instead")
        return _all_of(fd, limit)
    finally:
        os.close(fd)


def write(jail: Jail, named: str, data: bytes) -> None:
    """Replace or create a file: a temporary file in the same folder, then a rename; mode and owner are kept."""
    parts = jail.resolve(named)
    _needs_name(parts, named)
    with jail.folder(parts[:-1], make=True) as folder:
        before = _status(folder, parts[-1])
        if before is not None and not stat.S_ISREG(before.st_mode):
            raise InvalidInput(f"{text(parts)!r} is not a regular file: it cannot be written", code="not_a_file")
        temporary = f".codelab-{secrets.token_hex(8)}.tmp"
        try:
            _create(folder, temporary, data, before)
            os.rename(temporary, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise


def delete(jail: Jail, named: str) -> None:
    """Delete a file, a symlink (not its target) or an empty folder; never the root."""
    parts = jail.entry(named)
    with jail.folder(parts[:-1]) as folder:
        status = _status(folder, parts[-1])
        if status is None:
            raise FileNotFoundError(f"there is no {text(parts)!r}: it may be deleted already")
        if stat.S_ISDIR(status.st_mode):
            _delete_folder(folder, parts)
        else:
            os.unlink(parts[-1], dir_fd=folder)


def move(jail: Jail, source: str, target: str) -> None:
    """Move a file or folder; an existing target is refused, the target's parents are made."""
    old, new = jail.entry(source), jail.entry(target)
    if new[: len(old)] == old:
        raise InvalidInput(f"{text(old)!r} cannot be moved into itself: choose another target")
    with jail.folder(old[:-1]) as left:
        if _status(left, old[-1]) is None:
            raise FileNotFoundError(f"there is no {text(old)!r} to move")
        with jail.folder(new[:-1], make=True) as right:
            if _status(right, new[-1]) is not None:
                raise Conflict(f"{text(new)!r} exists: delete it first or choose another target", code="target_exists")
            os.rename(old[-1], new[-1], src_dir_fd=left, dst_dir_fd=right)


def make_dir(jail: Jail, named: str) -> None:
    """Create a folder and its parents; an existing one is fine."""
    with jail.folder(jail.resolve(named), make=True):
        pass


def _open(folder: int, name: str, shown: str) -> int:
    try:
        return os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError as exc:
        raise FileNotFoundError(f"there is no file {shown!r}: list the folder to see what there is") from exc
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise refused(shown, "is a symlink") from exc
        raise


def _delete_folder(folder: int, parts: Parts) -> None:
    try:
        os.rmdir(parts[-1], dir_fd=folder)
    except OSError as exc:
        if exc.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise Conflict(f"{text(parts)!r} is not empty: delete its files first", code="not_empty") from exc
        raise


def _create(folder: int, name: str, data: bytes, like: os.stat_result | None) -> None:
    fd = os.open(name, _CREATE, 0o666, dir_fd=folder)
    with os.fdopen(fd, "wb") as file:
        if like is not None:
            with suppress(PermissionError):  # an unprivileged service cannot give files away
                os.fchown(fd, like.st_uid, like.st_gid)
            os.fchmod(fd, stat.S_IMODE(like.st_mode) & 0o777)
        file.write(data)


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _all_of(fd: int, limit: int) -> bytes:
    chunks: list[bytes] = []
    left = limit
    while left > 0 and (chunk := os.read(fd, min(left, 1 << 20))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _needs_name(parts: Parts, named: str) -> None:
    if not parts:
        raise refused(named, "is the workspace itself")
