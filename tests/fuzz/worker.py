"""A forked process that runs one command after another: to fork takes longer than most commands."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import resource
import select
import signal
import struct
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from landscape_cli.cli.app import main

SECONDS, LONGEST = 20.0, 120.0
"""Of the processor, and of the clock on a busy machine: what takes longer hangs."""
LIMIT = 3 << 30
CASES = 500
"""So many a process runs at most."""
GROWN = 128 << 20
"""A process that has ever been so much larger than in the beginning is replaced: its peak would hide later ones."""
LEFT = 70
"""The exit code of what has left the program as no exit."""
REPLY = struct.Struct("qq?")


@dataclass(frozen=True)
class Reply:
    """How a command ended.

    Attributes:
        code: its exit code; negative, the signal that ended it.
        memory: it took, in bytes, over what there was.
        goes_on: whether the process can run another.
        hung: whether it had to be killed.
    """

    code: int
    memory: int
    goes_on: bool
    hung: bool = False


class Worker:
    """The process, as the one sees it that has forked it."""

    def __init__(self, folder: Path, streams: Path) -> None:
        """Fork; commands run in the folder, and leave `out` and `err` in `streams`."""
        questions, self._ask = os.pipe()
        self._replies, replies = os.pipe()
        gc.collect()  # what a command would free of this process would hide as much of what it takes
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        self._child = os.fork()
        if not self._child:
            try:
                os.close(self._ask)
                os.close(self._replies)
                _serve(folder, streams, questions, replies)
            finally:  # whatever comes, this is no second campaign
                os._exit(LEFT)
        os.close(questions)
        os.close(replies)
        self._base = _memory("resident", self._child)
        self._cases = 0
        self._ended: tuple[int, int] | None = None

    def ask(self, arguments: Sequence[str]) -> Reply:
        """Let it run a command."""
        self._cases += 1
        before = max(self._base, _memory("resident", self._child))
        content = pickle.dumps(list(arguments))
        os.write(self._ask, struct.pack("q", len(content)) + content)
        hung = not self._waits()
        reply = b"" if hung else os.read(self._replies, REPLY.size)
        if not reply:
            code, peak = self.end()
            return Reply(code, max(0, peak - before), False, hung)
        code, peak, clean = REPLY.unpack(reply)
        goes_on = clean and peak - self._base < GROWN and self._cases < CASES
        return Reply(code, max(0, peak - before), goes_on)

    def _waits(self) -> bool:
        """Wait for a reply, or an end; tell whether one has come in time."""
        end, begun = time.monotonic() + LONGEST, _processor_seconds(self._child)
        while not select.select([self._replies], [], [], min(SECONDS, LONGEST))[0]:
            if time.monotonic() > end or _processor_seconds(self._child) - begun > SECONDS:
                return False
        return True

    def end(self) -> tuple[int, int]:
        """End it, if it has not ended; return its exit code and the most memory that it had, in bytes."""
        if self._ended is None:
            died = bool(select.select([self._replies], [], [], 0)[0])
            os.close(self._ask)
            os.close(self._replies)
            if not died:
                os.kill(self._child, signal.SIGKILL)
            _, status, usage = os.wait4(self._child, 0)
            self._ended = os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
        return self._ended


def _serve(folder: Path, streams: Path, questions: int, replies: int) -> None:
    """Run commands, until there is nobody who asks."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    path, modules, filters, environment = list(sys.path), set(sys.modules), list(warnings.filters), dict(os.environ)
    files = 0
    while length := os.read(questions, 8):
        content = b""
        while len(content) < struct.unpack("q", length)[0]:
            content += os.read(questions, 1 << 20)
        code = _run(folder, streams, pickle.loads(content))
        sys.path[:], warnings.filters[:] = path, filters  # type: ignore[index]
        os.environ.clear()
        os.environ.update(environment)
        for name in sys.modules.keys() - modules:
            if str(folder) in (getattr(sys.modules[name], "__file__", None) or ""):
                del sys.modules[name]
            else:
                modules.add(name)
        files = files or _open_files()
        clean = code != LEFT and _open_files() == files
        clean = clean and torch.get_default_dtype() is torch.float32 and torch.is_grad_enabled()
        os.write(replies, REPLY.pack(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, clean))


def _run(folder: Path, streams: Path, arguments: list[str]) -> int:
    """Run a command; return its exit code."""
    os.chdir(folder)
    sys.dont_write_bytecode = True  # what Python keeps beside the modules that a user names is no result of ours
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(streams / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False, buffering=1)
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (_memory("mapped") + LIMIT, resource.RLIM_INFINITY))
    code = LEFT
    try:
        main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        sys.stderr.write("Traceback of what left the program\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


def _memory(which: str, process: int | str = "self") -> int:
    """Return the memory of a process in bytes."""
    fields = Path(f"/proc/{process}/statm").read_text().split()
    return int(fields[("mapped", "resident").index(which)]) * resource.getpagesize()


def _processor_seconds(process: int) -> float:
    """Return how long a process has computed."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
