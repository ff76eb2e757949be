"""Each call of each command made to fail in turn, and what is wrong with what that leaves."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from landscape_cli.cli.training.resume import FORMAT, REMEDY
from landscape_cli.errors import LandscapeError
from landscape_cli.io.safetensors import read_tensors
from tests.faults.commands import COMMANDS
from tests.faults.running import Ended, Runner, Stream
from tests.faults.shim import PER_ERROR, SHORT, Call, Fault
from tests.fuzz.corpus import command, make

MESSAGE = "landscape: error: "
OLD = b"what was there before"


@dataclass(frozen=True)
class Finding:
    """One command with one fault.

    Attributes:
        name: of the command.
        fault: in words.
        ended: how the command ended.
        wrong: what is wrong with that, in a word each.
    """

    name: str
    fault: str
    ended: Ended
    wrong: tuple[str, ...]


class Campaign:
    """Commands in a folder of their own, forked from a process that has imported everything."""

    def __init__(self, folder: Path) -> None:
        """Make the files that commands read, and import what they import."""
        (folder / "corpus").mkdir()
        corpus = make(folder / "corpus")
        networks = [str(folder / "corpus" / name) for name in ("n.st", "m.st")]
        command("path", *networks, "--points", "2", "--align", "cosine", "--plot", str(folder / "x.svg"))
        command("path", *networks, "--points", "2", "--plot", str(folder / "x.png"))
        command("plane", networks[0], "--third", "random", "--grid", "2", "--plot", str(folder / "plane.png"))
        for kind in ("energy", "radial", "curvature"):
            command("flatness", networks[0], "--kind", kind, *["--samples", "1"] * (kind != "curvature"))
        self._folder = folder / "work"
        self.runner = Runner(self._folder, corpus)
        self._corpus = corpus
        self._whole: dict[str, Ended] = {}

    def whole(self, name: str) -> Ended:
        """Return how a command ends that nothing befalls."""
        if name not in self._whole:
            self.runner.clean()
            ended = self.runner.run(COMMANDS[name])
            assert ended.code == 0, ended
            self._whole[name] = ended
        return self._whole[name]

    def faults(self, name: str) -> Iterator[Fault]:
        """Yield what can befall a command's calls."""
        calls = self.whole(name).calls
        for error, kinds in PER_ERROR.items():
            for number in range(1, sum(bool(kind & kinds) for kind, _ in calls) + 1):
                yield Fault(kinds, number, error=error)
                yield Fault(kinds, number, error=error, forever=True)
        for number in range(1, sum(kind is Call.WRITE for kind, _ in calls) + 1):
            yield Fault(Call.WRITE, number, what=SHORT)

    def call(self, name: str, fault: Fault) -> tuple[str, int]:
        """Return which of a command's calls a fault befalls first."""
        befallen = [k for k, (kind, _) in enumerate(self.whole(name).calls) if kind & fault.calls]
        return name, befallen[fault.number - 1]

    def try_fault(self, name: str, fault: Fault, *, over: bool = False) -> Finding:
        """Let a fault befall a command, then run it again; with `over`, where its outputs are there already."""
        whole, arguments = self.whole(name), COMMANDS[name]
        old = dict.fromkeys(whole.files, OLD) if over else {}
        self.runner.clean()
        self.runner.put(old)
        ended = self.runner.run([*arguments, *["--force"] * over], fault)
        befallen = ended.calls[fault.number - 1 :] or whole.calls[-1:]  # over old files there may be fewer
        befallen = befallen if fault.forever else befallen[:1]
        wrong = self._outcome(whole, ended, befallen)
        wrong += self.check_files(name, ended.files, old, lenient=ended.code != 0)
        if not any(kind is Call.UNLINK for kind, _ in befallen):
            wrong += [f"litter {file}" for file in ended.files if is_litter(file)]
        if ended.code == 2 and not fault.forever and not over:
            wrong += self._lost(name, ended, whole.calls[self.call(name, fault)[1]])
        wrong += self.check_again(name)
        return Finding(name, f"{fault} ({befallen[0][0].name} {befallen[0][1]}){' over' * over}", ended, tuple(wrong))

    def try_streams(self, name: str, stdout: str, stderr: str) -> Finding:
        """Run a command whose streams take nothing."""
        whole = self.whole(name)
        self.runner.clean()
        ended = self.runner.run(COMMANDS[name], stdout=Stream(stdout), stderr=Stream(stderr))
        needed = bool(whole.out) and stdout != "file"
        codes = {"full": 2, "closed": 0 if {"-o", "--out-dir"}.intersection(COMMANDS[name]) else 2, "unread": 141}
        wrong = [] if ended.code == (codes[stdout] if needed else 0) else [f"exit {ended.code}"]
        if stderr == "file":
            wrong += one_line(ended)
        if stdout != "closed" or not needed:
            wrong += [f"missing {file}" for file in whole.files.keys() - ended.files.keys()]
        wrong += self.check_files(name, ended.files, {}, lenient=False)
        wrong += [] if stdout != "file" or ended.out == whole.out else ["another result"]
        return Finding(name, f"stdout {stdout}, stderr {stderr}", ended, tuple(wrong + self.check_again(name)))

    def _outcome(self, whole: Ended, ended: Ended, befallen: Sequence[tuple[Call, str]]) -> list[str]:
        streams = {file for kind, file in befallen if kind is Call.WRITE}
        wrong = []
        if ended.code == 0:
            wrong += [f"missing {file}" for file in whole.files.keys() - ended.files.keys()]
            wrong += [] if ended.out == whole.out or "<stdout>" in streams else ["another result"]
        elif ended.code != 2:
            wrong.append("hang" if ended.code is None else f"exit {ended.code}")
        if "<stderr>" not in streams:
            wrong += one_line(ended)
        if "<stdout>" not in streams and ended.out and not _is_json(ended.out):
            wrong.append("half a result")
        return wrong

    def check_files(
        self, name: str, files: Mapping[str, bytes], old: Mapping[str, bytes], *, lenient: bool, killed: bool = False
    ) -> list[str]:
        """Return what is wrong with files: each is as it was, or as the command makes it.

        Where a command has failed, results may say so, a log may end early, and there may be a state; where it was
        killed, the log's last line may be cut off.
        """
        whole, wrong = self.whole(name), []
        for file, content in files.items():
            if is_litter(file) or content in (whole.files.get(file), old.get(file)):
                continue
            if file.endswith(".resume"):
                wrong += [] if lenient and self._is_state(content) else [f"half {file}"]
            elif file.endswith(".csv") and name.startswith("train"):
                expected = whole.files.get(file, self._corpus.get(file, b""))
                is_part = expected.startswith(content) and (killed or not content or content.endswith(b"\n"))
                wrong += [] if lenient and is_part else [f"half {file}"]
            elif file.endswith((".json", ".csv")):
                wrong += [] if lenient and _is_result(content) else [f"half {file}"]
            else:
                wrong.append(f"half {file}" if file in whole.files else f"unknown {file}")
        return wrong

    def check_again(self, name: str) -> list[str]:
        """Run a command again, where a fault was: it has to end as if there had been none."""
        whole, arguments = self.whole(name), COMMANDS[name]
        more = "--resume" if name.startswith("train") else "--force"
        ended = self.runner.run([*arguments, *[more] * (more not in arguments)])
        if ended.code != 0 and name.startswith("train"):  # what cannot be resumed says so, and is begun anew
            ended = self.runner.run([argument for argument in [*arguments, "--force"] if argument != "--resume"])
        if ended.code != 0:
            return [f"not again: {ended.code} {ended.errors.strip()[-200:]}"]
        if dict(ended.files) != dict(whole.files):
            names = sorted(
                file
                for file in ended.files.keys() | whole.files.keys()
                if ended.files.get(file) != whole.files.get(file)
            )
            return [f"another end: {', '.join(names)}"]
        return []

    def _lost(self, name: str, ended: Ended, call: tuple[Call, str]) -> list[str]:
        """Return what one failure has cost that could have been written."""
        whole = self.whole(name)
        first = next((k for k, each in enumerate(whole.calls) if each[0] is Call.WRITE and each[1].endswith(".tmp")), 0)
        begins_log = name.startswith("train") and ".csv" in call[1]
        if call in whole.calls[:first] or call[1] == "<stdout>" or begins_log:  # before any work
            return []
        missing = sorted(whole.files.keys() - ended.files.keys())
        return [f"lost {', '.join(missing)}"] if len(missing) > 1 else []

    def _is_state(self, content: bytes) -> bool:
        path = self._folder.parent / "x.resume"
        path.write_bytes(content)
        try:
            read_tensors(path, FORMAT, REMEDY)
        except LandscapeError:
            return False
        return True


def one_line(ended: Ended) -> list[str]:
    """Return what is wrong with what a command says."""
    wrong = ["traceback"] if "Traceback" in ended.errors or "Exception ignored" in ended.errors else []
    wrong += ["internal"] if "internal error" in ended.errors else []
    lines = [line for line in ended.errors.split("\n") if line.startswith(MESSAGE)]
    says = bool(lines) and ended.errors.endswith(f"{lines[-1]}\n")
    return [*wrong, "not one line"] if (len(lines) != 1 or not says) and ended.code == 2 else wrong


def is_litter(file: str) -> bool:
    """Tell whether a file is one that commands leave only where they are killed."""
    return os.path.basename(file).startswith(".")


def _is_json(text: str) -> bool:
    try:
        return "provenance" in json.loads(text)
    except ValueError:
        return False


def _is_result(content: bytes) -> bool:
    text = content.decode()
    if not text.startswith("#"):
        return _is_json(text)
    rows = list(csv.reader(io.StringIO(text)))
    return text.endswith("\n") and len({len(row) for row in rows[1:]}) == 1
