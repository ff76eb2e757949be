"""One command in a forked process, in a folder that is brought back to what it was; and what it left there."""

from __future__ import annotations

import faulthandler
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import torch

from landscape_cli.cli.app import main
from landscape_cli.cli.signals import SIGNALS_OF_THIS_PROCESS
from landscape_cli.cli.stdout import open_streams
from tests.faults.shim import ALL, Call, Fault

SECONDS = 120.0
PROGRAM = (sys.executable, "-m", "landscape_cli")


@dataclass(frozen=True)
class Stream:
    """What standard output or error leads to: a file of ours, unless it is full, closed, or without a reader."""

    kind: str = "file"

    def open(self, number: int, path: Path) -> None:
        """Let a descriptor lead there."""
        if self.kind == "closed":
            os.close(number)
            return
        if self.kind == "unread":
            read, handle = os.pipe()
            os.close(read)
        else:
            handle = os.open("/dev/full" if self.kind == "full" else path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
        os.close(handle)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; negative, the signal that ended it; None where it hung.
        out: its standard output.
        errors: its standard error.
        files: the content of each file that it left and that was not there, or is another now, by its name.
        calls: those that it made on files, where that was asked for.
        seconds: it took.
    """

    code: int | None
    out: str
    errors: str
    files: Mapping[str, bytes]
    calls: tuple[tuple[Call, str], ...]
    seconds: float


class Runner:
    """Runs commands in one folder."""

    def __init__(self, folder: Path, corpus: Mapping[str, bytes]) -> None:
        """Fill the folder with the files that commands read."""
        self._folder, self._corpus = folder, dict(corpus)
        self._streams = folder.parent / f"{folder.name}-streams"
        folder.mkdir()
        self._streams.mkdir()
        torch.set_num_threads(1)
        self.clean()

    def run(
        self,
        arguments: Sequence[str],
        fault: Fault | None = None,
        *,
        signals: Sequence[tuple[float, int]] = (),
        stdout: Stream = Stream(),
        stderr: Stream = Stream(),
        forked: bool = True,
    ) -> Ended:
        """Run a command in the folder as it is.

        Args:
            arguments: of the command line.
            fault: what befalls its calls.
            signals: what it is sent, each so long after what was before.
            stdout: where its standard output goes.
            stderr: where its standard error goes.
            forked: whether it is forked from this process, or a new one.
        """
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.close(read)
                self._become(list(arguments), fault, write, stdout, stderr, forked=forked)
            finally:  # whatever comes, this is no second campaign
                os._exit(70)
        os.close(write)
        os.read(read, 1)  # it has begun
        os.close(read)
        start = time.monotonic()
        status = self._wait(child, signals)
        seconds = time.monotonic() - start
        text = {name: (self._streams / name).read_bytes().decode(errors="replace") for name in ("out", "err", "calls")}
        calls = [line.split(" ", 1) for line in text["calls"].split("\n")[:-1]]
        return Ended(
            None if status is None else os.waitstatus_to_exitcode(status),
            text["out"],
            text["err"],
            {name: content for name, content in self._content().items() if self._corpus.get(name) != content},
            tuple((Call(int(kind)), name) for kind, name in calls),
            seconds,
        )

    def clean(self) -> None:
        """Bring the folder back to what it was."""
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        there = self._content()
        for name in there.keys() - self._corpus.keys():
            (self._folder / name).unlink()
        for name, content in self._corpus.items():
            if there.get(name) != content:
                (self._folder / name).write_bytes(content)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Put files into the folder."""
        for name, content in files.items():
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_bytes(content)

    def _content(self) -> dict[str, bytes]:
        files = (path for path in self._folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self._folder)): path.read_bytes() for path in files}

    def _become(
        self,
        arguments: list[str],
        fault: Fault | None,
        begun: int,
        stdout: Stream,
        stderr: Stream,
        *,
        forked: bool,
    ) -> None:
        """Run the command, in the forked process, which ends here."""
        os.chdir(self._folder)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(self._streams / "calls", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for name in ("out", "err"):
            (self._streams / name).write_bytes(b"")
        sys.stdout.flush()
        sys.stderr.flush()
        if not forked:
            stdout.open(1, self._streams / "out")
            stderr.open(2, self._streams / "err")
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.write(begun, b"x")
            more = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONFAULTHANDLER": "1"}
            os.execve(sys.executable, [*PROGRAM, *arguments], os.environ | more)
        SIGNALS_OF_THIS_PROCESS.start()
        os.write(begun, b"x")
        os.close(begun)
        code = 70
        try:
            stdout.open(1, self._streams / "out")
            stderr.open(2, self._streams / "err")
            sys.stdout = None if stdout.kind == "closed" else _text(1)  # type: ignore[assignment]
            sys.stderr = None if stderr.kind == "closed" else _text(2)  # type: ignore[assignment]
            open_streams()
            faulthandler.enable(2)
            (fault or Fault(ALL)).arm(self._folder, log)
            main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        except BaseException as error:
            os.write(2, f"Traceback of what left the program: {error!r}\n".encode())
        finally:
            os._exit(code)

    def _wait(self, child: int, signals: Sequence[tuple[float, int]]) -> int | None:
        """Return the status that a process ends with; None if it does not end."""
        end = time.monotonic() + SECONDS
        left = list(signals)
        due = time.monotonic() + left[0][0] if left else end
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return status
            if left and time.monotonic() >= due:
                os.kill(child, left.pop(0)[1])
                due = time.monotonic() + left[0][0] if left else end
            time.sleep(max(0.0, min(0.002, due - time.monotonic())))
        os.kill(child, signal.SIGABRT)  # upon which it says where it hangs
        time.sleep(1.0)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None


def _text(number: int) -> TextIO:
    return cast("TextIO", open(number, "w", encoding="utf-8", closefd=False, buffering=number - 1 or -1))
