"""Compare what two checkouts of landscape do: `python tests/compare.py OLD NEW [--only PATTERN] [--keep FOLDER]`.

Runs the commands of `support/commands.txt` with both, each in a folder of its own, and compares exit codes, standard
output, standard error and every file written. Bytes count, but for provenance: the key `provenance` of JSON, the first
comment line of CSV, and in checkpoints what the steps of `history` say of arguments and versions. A line is printed
for every difference, and at the end how many there are; the exit code is 1 if there is any.

WORDS lists the words that were renamed on purpose, DELIBERATE what else differs on purpose, and why.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shlex
import string
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load

SUPPORT = Path(__file__).parent / "support"
KINDS = {"!": "process", "~": "stopped"}
PROVENANCE = ("command", "arguments", "device", "threads", "seed", "inputs", "versions", "data")
"""Keys of provenance, in the steps of a checkpoint's history too."""
WIDTH = 160
"""Characters of a line that a difference shows."""

WORDS: list[tuple[str, str]] = [
    # (regular expression, the word that stands for it when messages are compared)
    (r"relabell?ed", "permuted"),
    (r"relabell?ing", "permuting"),
    (r"relabel", "permute"),
]


@dataclass(frozen=True)
class Deliberate:
    """A difference that is meant to be.

    Attributes:
        commands: regular expression of the command lines it concerns.
        parts: regular expression of the parts: `exit code`, `stdout`, `stderr`, `file NAME`, `removed`.
        reason: why it differs.
        was: regular expression of what the old side must have said on standard error.
    """

    commands: str
    parts: str
    reason: str
    was: str = ""

    def covers(self, line: str, part: str, was: str) -> bool:
        """Return whether it explains a difference in a part of what a command did, given the old standard error."""
        return bool(re.search(self.commands, line) and re.fullmatch(self.parts, part) and re.search(self.was, was))


DELIBERATE = [
    Deliberate(r"^(\w+ )?--help$", "stdout", "the texts of --help may change", was=r"\A\Z"),
    Deliberate(r"^$", "stderr", "the texts of --help may change", was=r"\A\s*Usage: landscape "),
    Deliberate(
        r"^train (?!.* -o )(?!--help)",
        r"exit code|stdout|stderr|file r?sgd-\d\.st",
        "without -o the network goes to ALGO-SEED.st, where it was an error",
        was=r"\Alandscape: error: Missing option '-o'",
    ),
]


@dataclass(frozen=True)
class Step:
    """One line of the list of commands.

    Attributes:
        section: the heading it stands under.
        line: the command line, abbreviations written out.
        kind: `forked`, `process`, `stopped` or `shell`, as the head of the list explains.
    """

    section: str
    line: str
    kind: str


def read_steps(text: str) -> list[Step]:
    """Return the list of commands that a text holds."""
    steps, section, names = [], "", dict[str, str]()
    for line in filter(None, map(str.strip, text.splitlines())):
        if line[0] == "#":
            continue
        if line[0] == "[":
            section = line[1:-1]
        elif definition := re.fullmatch(r"([A-Z]+) = (.+)", line):
            names[definition[1]] = string.Template(definition[2]).substitute(names)
        elif line[:2].rstrip() == "$":
            steps.append(Step(section, line[2:], "shell"))
        else:
            kind = KINDS.get(line[0], "forked")
            line = line if kind == "forked" else line[1:].strip()
            steps.append(Step(section, string.Template(line).substitute(names), kind))
    return steps


def chosen(steps: list[Step], pattern: str) -> list[Step]:
    """Return the steps that match, with those of the first section, which write what the others read."""
    return [
        step
        for step in steps
        if step.section == steps[0].section
        or step.kind == "shell"
        or re.search(pattern, f"[{step.section}] {step.line}")
    ]


def start(checkout: Path, steps: list[Step], folder: Path) -> subprocess.Popen[bytes]:
    """Begin to run the commands with a checkout; what they do is recorded in the folder."""
    folder.mkdir(parents=True)
    listed = [{"kind": step.kind, "line": step.line, "arguments": shlex.split(step.line)} for step in steps]
    (folder / "steps.json").write_text(json.dumps(listed))
    (folder / "matplotlibrc").write_text("svg.hashsalt: compared\n")  # or the names in SVG files are drawn at random
    environment = os.environ | {
        "PYTHONPATH": str(checkout),
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
        "PYTHONUTF8": "1",
        "MATPLOTLIBRC": str(folder / "matplotlibrc"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
    }
    command = [sys.executable, str(SUPPORT / "run_commands.py"), str(folder / "steps.json"), str(folder)]
    return subprocess.Popen(command, env=environment, cwd=folder)


def without_json_provenance(text: str) -> str:
    """Return a JSON result without the value of its `provenance`; its other bytes stay."""
    for match in re.finditer(r'^  "provenance": ', text, re.MULTILINE):
        _, end = json.JSONDecoder().raw_decode(text, match.end())
        return text[: match.end()] + "..." + text[end:]
    return text


def result_text(text: str) -> str:
    """Return a result without its provenance, whatever its format."""
    if text.startswith("{"):
        return without_json_provenance(text)
    return re.sub(r"\A# \{.*\}$", "# {...}", text, count=1, flags=re.MULTILINE)


def parts_of_checkpoint(content: bytes) -> dict[str, str | bytes]:
    """Return the header of a safetensors file, without provenance, and each of its tensors, by name."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    metadata = header["__metadata__"]
    if "history" in metadata:
        history = [
            {key: "..." if key in PROVENANCE else value for key, value in step.items()}
            for step in json.loads(metadata["history"])
        ]
        metadata["history"] = json.dumps(history)
    parts: dict[str, str | bytes] = {f"metadata {key}": value for key, value in metadata.items()}
    parts["header"] = json.dumps(header, ensure_ascii=False)  # in the order of the file
    body = content[8 + length :]
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            parts[f"tensor {name}"] = body[begin:end]
    return parts


def difference(old: str, new: str) -> str:
    """Return the first lines that differ, in one."""
    changes = [
        line
        for line in difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
        if line[0] in "-+" and line[:3] not in {"---", "+++"}
    ]
    removed = [line[1:].strip() for line in changes if line[0] == "-"]
    added = [line[1:].strip() for line in changes if line[0] == "+"]
    first, second = removed[0] if removed else "", added[0] if added else ""
    at = next((k for k, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second)))
    shown = (f"{'...' if at > 60 else ''}{line[max(0, at - 60) :][:WIDTH]!r}" for line in (first, second))
    more = f" (and {len(changes) - 2} more lines)" if len(changes) > 2 else ""
    return " became ".join(shown) + more


def compare_checkpoints(old: bytes, new: bytes) -> str | None:
    """Return how two safetensors files differ, provenance aside; None if they do not."""
    try:
        before, after = parts_of_checkpoint(old), parts_of_checkpoint(new)
    except (struct.error, ValueError, KeyError):
        return None if old == new else "the bytes differ"
    if before == after:
        return None
    keys = [key for key in (*before, *after) if before.get(key) != after.get(key)]
    words = []
    for key in dict.fromkeys(keys):
        was, now = before.get(key), after.get(key)
        if was is None or now is None:
            words.append(f"{key} {'is new' if was is None else 'is gone'}")
        elif isinstance(was, str) and isinstance(now, str):
            words.append(f"{key}: {difference(was, now)}")
        else:
            a, b = (load(content)[key.removeprefix("tensor ")] for content in (old, new))
            off = f"off by {float((a.double() - b.double()).abs().max()):.3g}" if a.shape == b.shape else "other shape"
            words.append(f"{key} {off}")
    return "; ".join(words[:3]) + (f"; and {len(words) - 3} more" if len(words) > 3 else "")


def compare_file(name: str, old: bytes, new: bytes) -> str | None:
    """Return how two files differ, provenance aside; None if they do not."""
    if name.endswith((".st", ".safetensors", ".resume")):
        return compare_checkpoints(old, new)
    if old == new:
        return None
    try:
        before, after = result_text(old.decode()), result_text(new.decode())
    except UnicodeDecodeError:
        return f"the bytes differ ({len(old)} and {len(new)})"
    return None if before == after else difference(before, after)


def reworded(text: str) -> str:
    """Return a message in the new words."""
    for pattern, word in WORDS:
        text = re.sub(pattern, word, text)
    return text


def compare_messages(old: str, new: str) -> str | None:
    """Return how two texts for people differ, renamed words (and the widths of their columns) aside; None if not."""
    if old == new:
        return None
    if reworded(old) != old:
        was, now = (re.sub(r"[ ─━]+", " ", reworded(text)) for text in (old, new))
        if was == now:
            return None
    return difference(old, new)


@dataclass(frozen=True)
class Record:
    """What one command did, as `support/run_commands.py` recorded it."""

    folder: Path
    work: bytes

    def done(self) -> dict[str, Any]:
        """Return its exit code, and the files that it removed."""
        return dict(json.loads((self.folder / "done.json").read_text()))

    def read(self, name: str) -> bytes:
        """Return the content of a file of the record, the folder of work having no name in it."""
        return (self.folder / name).read_bytes().replace(self.work, b"/" * len(self.work))

    def files(self) -> set[str]:
        """Return the names of the files that it wrote."""
        root = self.folder / "files"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def compare_records(step: Step, old: Record, new: Record) -> Iterator[tuple[str, str]]:
    """Yield each part of what a command did that differs, and how."""
    before, after = old.done(), new.done()
    if before["code"] != after["code"]:
        yield "exit code", f"{before['code']} became {after['code']}"
    if step.kind == "stopped":
        return
    for part in ("stdout", "stderr"):
        was, now = (record.read(part).decode() for record in (old, new))
        is_result = part == "stdout" and was.startswith(("{", "# {"))
        words = (
            compare_file("stdout", was.encode(), now.encode())
            if is_result and "--explain" not in step.line
            else compare_messages(result_text(was), result_text(now))
        )
        if words:
            yield part, words
    for name in sorted(old.files() | new.files()):
        there = [record for record in (old, new) if name in record.files()]
        if len(there) == 1:
            yield f"file {name}", "is no longer written" if there[0] is old else "is written now"
        elif words := compare_file(name, *(record.read(f"files/{name}") for record in there)):
            yield f"file {name}", words
    if before["removed"] != after["removed"]:
        yield "removed", f"{before['removed']} became {after['removed']}"


def compare(steps: list[Step], folder: Path, show: Callable[[str], None]) -> tuple[int, int]:
    """Show every difference between two folders of records; return how many there are, and how many are deliberate."""
    differences = allowed = 0
    roots: Mapping[str, Path] = {side: folder / side for side in ("old", "new")}
    for number, step in enumerate(steps):
        if step.kind == "shell":
            continue
        old, new = (Record(root / "records" / f"{number:03}", str(root / "work").encode()) for root in roots.values())
        was = old.read("stderr").decode()
        for part, words in compare_records(step, old, new):
            reason = next((entry.reason for entry in DELIBERATE if entry.covers(step.line, part, was)), None)
            differences += reason is None
            allowed += reason is not None
            note = "" if reason is None else f" (deliberate: {reason})"
            show(f"{number:03} landscape {step.line}\n    {part}: {words}{note}")
    return differences, allowed


def main() -> None:
    """Run the commands with both checkouts and compare."""
    parser = argparse.ArgumentParser(description="Compare what two checkouts of landscape do.")
    parser.add_argument("old", type=Path, help="checkout that is right")
    parser.add_argument("new", type=Path, help="checkout to compare with it")
    parser.add_argument("--only", default="", metavar="PATTERN", help="commands whose '[section] line' matches")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="new folder in which to keep what was recorded")
    options = parser.parse_args()
    steps = chosen(read_steps((SUPPORT / "commands.txt").read_text()), options.only)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary) / "compared").resolve()
        running = [
            start(checkout.resolve(), steps, folder / side)
            for checkout, side in ((options.old, "old"), (options.new, "new"))
        ]
        codes = [process.wait() for process in running]
        if any(codes):
            sys.exit("compare: the commands could not be run")
        differences, allowed = compare(steps, folder, print)
    count = sum(step.kind != "shell" for step in steps)
    print(f"{count} commands: {differences} differences, and {allowed} deliberate ones")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
