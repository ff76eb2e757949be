"""Calls of the C library made to fail in this process, which has to be started with `environment`."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
NEEDS_COMPILER = shutil.which("gcc") is None or not Path("/proc/self/fd").is_dir()
FAILS, SHORT, SIGNALS = 1, 2, 3


class Call(IntFlag):
    """Kinds of calls, as the source has them."""

    OPEN = 1
    WRITE = 2
    SYNC = 4
    RENAME = 8
    LINK = 16
    UNLINK = 32
    MKDIR = 64
    TRUNCATE = 128
    MODE = 256
    LOCK = 512
    CLOSE = 1024


ALL = Call((1 << 11) - 1)
NEEDS_ROOM = Call.OPEN | Call.WRITE | Call.SYNC | Call.RENAME | Call.LINK | Call.MKDIR
CHANGES = NEEDS_ROOM | Call.UNLINK | Call.TRUNCATE | Call.MODE
PER_ERROR = {
    errno.ENOSPC: NEEDS_ROOM,
    errno.EDQUOT: NEEDS_ROOM | Call.CLOSE,
    errno.EIO: ALL,
    errno.EROFS: CHANGES & ~Call.SYNC & ~Call.WRITE,
}
"""The calls that each error befalls."""


@dataclass(frozen=True)
class Fault:
    """What befalls the calls of one command.

    Attributes:
        calls: which kinds are counted.
        number: which of them it is; 0 for none.
        what: it fails, writes half, or a signal comes.
        error: with which it fails.
        forever: whether all later ones fail as well, but for those on streams.
        sent: the signal.
    """

    calls: Call = ALL
    number: int = 0
    what: int = FAILS
    error: int = 0
    forever: bool = False
    sent: int = 0

    def __str__(self) -> str:
        if self.what == SIGNALS:
            return f"signal {self.sent} at call {self.number}"
        if self.what == SHORT:
            return f"call {self.number} writes half"
        return f"{errno.errorcode[self.error]} at call {self.number} of {self.calls!r}{', and on' * self.forever}"

    def arm(self, folder: Path, log: int = -1) -> None:
        """Begin to count calls on files in a folder; with a `log`, write each to that descriptor."""
        where = os.fsencode(folder)
        numbers = (int(self.calls), self.number, int(self.forever), self.what, self.error, self.sent, log)
        ctypes.CDLL(None).faults_arm(where, *numbers)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which a process can be made to fail; the library is made in a folder."""
    library = folder / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return os.environ | {"LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
