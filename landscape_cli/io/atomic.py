"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from landscape_cli.errors import quoted
from landscape_cli.io.regular import check_regular

if TYPE_CHECKING:
    from landscape_cli.errors import LandscapeError

SYSTEM_FOLDERS = (Path("/dev"), Path("/proc"), Path("/sys"))
"""Where no file of ours belongs: `/dev/null.st` is a slip."""
SHARED_MEMORY = Path("/dev/shm")


def check_output(path: Path, *, force: bool, error: type[LandscapeError]) -> None:
    """Check, before any work, that `path` may be written: its folder takes files, none is overwritten unasked.

    Of a link, what counts is the file that it leads to: that is what is written, and the link stays.

    Raises:
        error: saying what stands in the way.
    """
    check_outputs([path], force=force, error=error)


def check_outputs(paths: Iterable[Path], *, force: bool, error: type[LandscapeError]) -> None:
    """Check the same of many files; each folder is tried once.

    Raises:
        error: saying what stands in the way of the first.
    """
    folders: dict[Path, None] = {}
    for path in paths:
        _check_free(path, force=force, error=error)
        folders[_target(path, error).parent] = None
    for folder in folders:
        check_takes_files(folder, error=error)


def check_not_system(folder: Path, what: str, *, error: type[LandscapeError]) -> None:
    """Check that a folder, which may not be there yet, is none of the system's; `what` begins the message.

    Raises:
        error: if it is.
    """
    inside = f"{os.path.realpath(folder)}/"
    for system in SYSTEM_FOLDERS:
        if inside.startswith(f"{system}/") and not inside.startswith(f"{SHARED_MEMORY}/"):
            raise error(f"{what} in {system}, which is the system's: name a place elsewhere")


def check_takes_files(folder: Path, *, error: type[LandscapeError]) -> None:
    """Check that files can be made in a folder, by making one without a name.

    Raises:
        error: if they cannot, as in a folder that is read-only.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as cause:
        raise error(f"nothing can be written into {folder} ({cause.strerror or cause}): name another folder") from cause


def check_room(folder: Path, needed: int, *, what: str, error: type[LandscapeError]) -> None:
    """Check that about so many bytes fit on the disk of a folder, where it says how many do.

    Raises:
        error: if they do not.
    """
    try:
        disk = os.statvfs(folder)
    except OSError:
        return
    room = disk.f_bavail * disk.f_frsize
    if needed > room and disk.f_blocks:
        raise error(
            f"{what} take about {needed / 1e6:,.1f} MB, and {folder} has room for {room / 1e6:,.1f} MB: make room, or "
            "name another folder"
        )


def _check_free(path: Path, *, force: bool, error: type[LandscapeError]) -> None:
    if path.is_dir():
        raise error(f"{path} is a directory: name a file in it")
    if not path.parent.is_dir():
        raise error(f"{path.parent} is not a directory: create it first (mkdir -p {quoted(path.parent)})")
    try:
        check_regular(path)
    except OSError as cause:
        raise error(f"cannot write {path}: {cause.strerror}") from cause
    target = _target(path, error)
    if not target.parent.is_dir():
        raise error(f"{path} is a link to {target}, whose folder does not exist: make that, or remove the link")
    check_not_system(target.parent, f"{path} lies", error=error)
    if path.exists() and not force:
        raise error(f"{path} exists already: choose another name, or pass `force=` to replace it")


def write_atomic(
    path: Path, content: bytes | Iterable[bytes | memoryview], *, force: bool, error: type[LandscapeError]
) -> None:
    """Write `content` to a temporary file in the same folder, flush it to disk, and rename it to `path`.

    It may come in parts, which are written one after another. What is replaced leaves its mode to the new file. A link
    stays, and the file that it leads to is replaced.

    Raises:
        error: if the folder is missing, the file exists (without `force`), or the disk refuses.
    """
    _check_free(path, force=force, error=error)
    target = _target(path, error)
    remove_leftovers(target)
    with _errors_of(path, error), contextlib.ExitStack() as stack:
        _publish(_stage(target, content, stack), target, force=force)


@contextlib.contextmanager
def _errors_of(path: Path, error: type[LandscapeError]) -> Iterator[None]:
    """Say of which file an error of the disk is."""
    try:
        yield
    except FileExistsError as cause:
        raise error(f"{path} exists already: choose another name, or pass `force=` to replace it") from cause
    except OSError as cause:
        raise error(f"cannot write {path}: {cause.strerror or cause}") from cause


def _stage(path: Path, content: bytes | Iterable[bytes | memoryview], stack: contextlib.ExitStack) -> Path:
    """Write a temporary file beside `path`, locked and there until `stack` is left."""
    file, temporary = _open_temporary(path)
    stack.callback(_discard, temporary, file)  # only now: the lock is held as long as the file is open
    file.writelines([content] if isinstance(content, bytes) else content)
    file.flush()
    os.fsync(file.fileno())
    with contextlib.suppress(OSError):  # a file system without modes, or with others' files
        os.chmod(temporary, _mode(path))
    return temporary


def _discard(temporary: Path, file: BinaryIO) -> None:
    """Remove a temporary file, if it still has its name; what it holds is on the disk, or has been given up."""
    for action in (temporary.unlink, file.close):
        with contextlib.suppress(OSError):
            action()


def remove_leftovers(path: Path) -> None:
    """Remove what dead processes have left of a file that they were about to write; the living have locked theirs."""
    path = Path(os.path.realpath(path))  # of a link, the file that is written
    pattern = re.compile(rf"\.{re.escape(path.name[:100])}\.[a-z0-9_]{{8}}\.tmp")
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            if pattern.fullmatch(name):
                _remove_if_dead(path.parent / name)


def _remove_if_dead(leftover: Path) -> None:
    with contextlib.suppress(OSError):  # it is locked, somebody else's, gone, or on a file system without locks
        mode = os.O_RDWR if os.access(leftover, os.W_OK) else os.O_RDONLY
        handle = os.open(leftover, mode | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                leftover.unlink()
        finally:
            os.close(handle)


def _open_temporary(path: Path) -> tuple[BinaryIO, Path]:
    """Return a new file beside `path`, locked for as long as it is open, so that nobody takes it for a leftover."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
        with contextlib.suppress(OSError):  # a file system without locks, where nobody removes leftovers
            fcntl.flock(handle, fcntl.LOCK_EX)
        if is_still(name, handle):  # else it was removed before it was locked
            return os.fdopen(handle, "wb"), Path(name)
        os.close(handle)


def is_still(name: str | Path, handle: int) -> bool:
    """Tell whether a name is that of an open file, which nobody has removed or replaced."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(name, follow_symlinks=False), os.fstat(handle))
    return False


def _target(path: Path, error: type[LandscapeError]) -> Path:
    """Return the file that is written: of a link, the one that it leads to."""
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise error(f"{path} is a link that leads back to itself: remove it, or name another file")
    return target


def _mode(path: Path) -> int:
    """Return the mode that a file gets: that of the file which it replaces, or what the umask leaves."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def _publish(temporary: Path, path: Path, *, force: bool) -> None:
    if not force:
        try:
            os.link(temporary, path)  # unlike a rename, refuses to replace what appeared meanwhile
            return
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if path.exists():
                raise FileExistsError(path) from None
    os.replace(temporary, path)
