"""One case: a command in a forked process, in a folder of its own, and what is wrong with how it ended."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from landscape_cli.cli.app import main

SECONDS = 20.0
MEMORY = 2 << 30
"""Of a case, over what the process has to begin with."""
LIMIT = 3 << 30
OUTPUTS = ("out", "sgd-", "rsgd-", "adv-", "swa-", "sam-", "esgd", "snapshot-", "fge-", "swa.", "sgd.", "rsgd.")
"""What names of files may begin with that commands write."""
MESSAGE = "landscape: error: "


@dataclass(frozen=True)
class Case:
    """What is run.

    Attributes:
        files: the content of files other than the corpus has it, or of others.
        arguments: of the command line.
    """

    files: Mapping[str, bytes]
    arguments: Sequence[str]


@dataclass(frozen=True)
class Ended:
    """How a case ended.

    Attributes:
        code: its exit code; negative, the signal that ended it.
        errors: its standard error.
        faults: what is wrong with it, in a word each.
        seconds: it took.
        memory: it took, in bytes, over what there was.
    """

    code: int
    errors: str
    faults: tuple[str, ...]
    seconds: float
    memory: int


class Runner:
    """Runs cases in one folder, which is brought back to what it was after each."""

    def __init__(self, folder: Path, corpus: Mapping[str, bytes]) -> None:
        """Fill the folder with the corpus."""
        self._folder, self._corpus = folder, dict(corpus)
        self._streams = folder.parent / f"{folder.name}-streams"
        self._streams.mkdir(exist_ok=True)
        (self._streams / "base").write_text("")
        for name, content in corpus.items():
            (folder / name).write_bytes(content)
        torch.set_num_threads(1)

    def run(self, case: Case) -> Ended:
        """Run a case and say what is wrong with how it ended."""
        for name, content in case.files.items():
            (self._folder / name).write_bytes(content)
        start = time.monotonic()
        child = os.fork()
        if not child:
            self._become(case)
        status, peak, hung = self._wait(child, start)
        memory = max(0, peak - int((self._streams / "base").read_text() or peak))
        seconds = time.monotonic() - start
        code = os.waitstatus_to_exitcode(status)
        errors = (self._streams / "err").read_bytes().decode("utf-8", "backslashreplace")
        faults = tuple(self._faults(case, code, errors, hung=hung, memory=memory))
        self._clean(case)
        return Ended(code, errors, faults, seconds, memory)

    def _become(self, case: Case) -> None:
        """Run the command, in the forked process, which ends here."""
        os.chdir(self._folder)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(self._streams / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False, buffering=1)
        (self._streams / "base").write_text(str(_pages(1)))
        used = _pages(0)
        resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT, used + LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        code = 70
        try:
            main(list(case.arguments))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        except BaseException:
            sys.stderr.write("Traceback of what left the program\n")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _wait(self, child: int, start: float) -> tuple[int, int, bool]:
        pause, hung = 0.002, False
        while True:
            done, status, usage = os.wait4(child, os.WNOHANG)
            if done:
                return status, usage.ru_maxrss * 1024, hung
            if time.monotonic() - start > SECONDS and not hung:
                hung = True
                os.kill(child, signal.SIGKILL)
            time.sleep(pause)
            pause = min(pause * 1.2, 0.05)

    def _faults(self, case: Case, code: int, errors: str, *, hung: bool, memory: int) -> list[str]:
        faults = []
        if hung:
            faults.append("hang")
        elif code < 0:
            faults.append(f"signal {-code}")
        elif code not in (0, 2):
            faults.append("internal" if "internal error" in errors else f"exit {code}")
        if "Traceback" in errors or "Exception ignored" in errors:
            faults.append("traceback")
        lines = [line for line in errors.split("\n") if line.startswith(MESSAGE)]
        if code == 2 and (len(lines) != 1 or not errors.endswith(f"{lines[0]}\n")) and case.arguments:
            faults.append("not one line")
        if any(not line.isprintable() for line in errors.split("\n")):
            faults.append("control characters")
        if memory > MEMORY or "out of memory" in errors:
            faults.append("memory")
        faults += self._written(case, code)
        return faults

    def _written(self, case: Case, code: int) -> list[str]:
        """Return what is wrong with the files in the folder."""
        faults = []
        known = self._corpus | dict(case.files)
        given = [argument for argument in case.arguments if argument]
        for path in self._folder.rglob("*"):
            name = path.name
            if name.startswith("IMPORTED"):
                if not any(name.removeprefix("IMPORTED-") in argument for argument in given):
                    faults.append("imported")
            elif name.endswith(".tmp"):
                faults.append("litter")
            elif name not in known and path.is_file():
                if not name.startswith(OUTPUTS) and not any(name in argument or argument in name for argument in given):
                    faults.append("written elsewhere")
                elif code == 2 and "train" not in given[:1]:
                    faults.append("written though refused")
        if not {"--force", "--resume", "--permutations"}.intersection(given):
            for name, content in known.items():
                path = self._folder / name
                if not path.is_file() or path.stat().st_size != len(content):
                    faults.append("input changed")
        return faults

    def _clean(self, case: Case) -> None:
        for path in self._folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in self._corpus:
                path.unlink()
        resumes = any(argument in {"--resume", "--force", "--log", "--permutations"} for argument in case.arguments)
        for name, content in self._corpus.items():
            path = self._folder / name
            if resumes or name in case.files or not path.is_file() or path.stat().st_size != len(content):
                path.write_bytes(content)


def _pages(field: int) -> int:
    """Return the memory of this process in bytes: mapped (0), or resident (1)."""
    return int(Path("/proc/self/statm").read_text().split()[field]) * resource.getpagesize()
