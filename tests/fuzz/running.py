"""One case: a command in a folder of its own, and what is wrong with how it ended."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tests.fuzz.worker import Worker

MEMORY = 2 << 30
"""Of a case, over what the process has to begin with."""
OUTPUTS = ("out", "sgd-", "rsgd-", "adv-", "swa-", "sam-", "esgd", "snapshot-", "fge-", "swa.", "sgd.", "rsgd.")
"""What names of files may begin with that commands write."""
SYSTEM = (Path("/"), Path("/dev"))
"""Folders, beside the one that the case runs in, in which nothing may appear."""
LOOPS = ("loop.st", "loop.svg")
"""Links in that one that lead back to themselves."""
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
        for name, content in corpus.items():
            (folder / name).write_bytes(content)
        self._whole = {name: _stamp(folder / name) for name in corpus}
        self._outside = _entries([*SYSTEM, folder.parent])
        self._worker: Worker | None = None
        torch.set_num_threads(1)

    def run(self, case: Case) -> Ended:
        """Run a case and say what is wrong with how it ended.

        What is wrong in a process that has run others before is tried again in a new one: this is what a user has.
        """
        used = self._worker is not None
        ended = self._run(case)
        if not ended.faults or not used:
            return ended
        self.close()
        again = self._run(case)
        return again if again.faults else replace(ended, faults=(*ended.faults, "only after others"))

    def close(self) -> None:
        """End the process that runs cases."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _run(self, case: Case) -> Ended:
        for name, content in case.files.items():
            (self._folder / name).write_bytes(content)
        for name in LOOPS:
            os.symlink(name, self._folder / name)
        start = time.monotonic()
        worker = self._worker = self._worker or Worker(self._folder, self._streams)
        reply = worker.ask(case.arguments)
        seconds = time.monotonic() - start
        if not reply.goes_on:
            self.close()
        errors = (self._streams / "err").read_bytes().decode("utf-8", "backslashreplace")
        faults = tuple(self._faults(case, reply.code, errors, hung=reply.hung, memory=reply.memory))
        self._clean(case)
        return Ended(reply.code, errors, faults, seconds, reply.memory)

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
        """Return what is wrong with the files and folders that are there, and in those around."""
        faults = []
        known = self._corpus | dict(case.files)
        given = [argument for argument in case.arguments if argument]
        asked = tuple(name for argument in given[1:] for name in _first_parts(argument) if name)
        for path in self._folder.rglob("*"):
            name, (first, *below) = path.name, path.relative_to(self._folder).parts
            if name.startswith("IMPORTED"):
                if not any(name.removeprefix("IMPORTED-") in argument for argument in given):
                    faults.append("imported")
            elif name.endswith(".tmp"):
                faults.append("litter")
            elif below or name not in {*known, *LOOPS}:
                if not first.startswith((*OUTPUTS, *asked)):
                    faults.append("written elsewhere")
                elif code == 2 and "train" not in given[:1]:
                    faults.append("written though refused")
        outside = _entries(self._outside)
        if outside != self._outside:
            faults.append("written outside")
            self._outside = outside
        if not {"--force", "--resume", "--permutations"}.intersection(given):
            for name, content in known.items():
                path = self._folder / name
                touched = name in case.files or _stamp(path) != self._whole[name]
                if touched and (not path.is_file() or path.read_bytes() != content):
                    faults.append("input changed")
        return faults

    def _clean(self, case: Case) -> None:
        for entry in list(os.scandir(self._folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif entry.name not in self._corpus:
                os.unlink(entry.path)
        for name, content in self._corpus.items():
            path = self._folder / name
            if _stamp(path) != self._whole[name]:
                path.unlink(missing_ok=True)
                path.write_bytes(content)
                self._whole[name] = _stamp(path)


def _entries(folders: Iterable[Path]) -> dict[Path, set[str]]:
    """Return the names of what is in some folders."""
    return {folder: set(os.listdir(folder)) for folder in folders if folder.is_dir()}


def _first_parts(argument: str) -> tuple[str, ...]:
    """Return what the name begins with of what an argument that is a path asks for, whole and without its suffix."""
    parts = Path(os.path.normpath(argument)).parts
    return (parts[0], parts[0].partition(".")[0].partition("{")[0]) if parts else ()


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    """Return what changes with a file's content; None where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns
