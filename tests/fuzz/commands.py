"""Command lines: on mutated files, and themselves mutated."""

from __future__ import annotations

import os
from functools import cache
from random import Random
from typing import Any

from landscape_cli.cli.app import COMMANDS, build_command
from tests.fuzz.corpus import MEASURED, PLANE, STATES, resumed

FOREIGN = ["--model", "mlp?hidden=[6]&outputs=2", "--input-shape", "9"]
USERS = ["--model", "user:make", "--input-shape", "9"]
NUMBERS = (
    "-1",
    "0",
    "1",
    "2",
    "3",
    "0.5",
    "1e-3",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1_0",
    "５",
    "0x10",
    "1,2",
    "3,3",
    "",
)
NUMBERS += ("9" * 30, "9" * 5000, "9223372036854775807", "9223372036854775808", "1000000000", " ")
WORDS = ("x", "auto", "a,b", "--", "-", ".", "{seed}", "out-{seed}.st", "{", "\x1b[31m", "a\nb", "\udce9", "'; touch x")
PATHS = ("nowhere/x.st", "/dev/null", "/dev/null.st", "/dev/stdin", "/dev/full", "a.st", "out", "out.st", "out.json")
PATHS += ("out.svg", "own.safetensors", "/dev/out", "out/deep", "loop.st", "loop.svg")
MODELS = ("hmm", "user:make", "evil:f", "torchvision:resnet18?weights=DEFAULT", "mlp?hidden=[1_0]", "mlp?x")
DEVICES = ("cuda:0", "cuda:99999999999999999999", "meta")
VALUES = (*NUMBERS, *WORDS, *PATHS, *MODELS, *DEVICES)
NEVER = {
    "help",
    "epochs",
    "adv_epochs",
    "resume",
    "download",
    "batch_size",
    "checkpoint_every",
    "debug",
    "cycle_epochs",
}
"""Options that make work long for whoever asks, fetch data, or show tracebacks."""
KEPT = {f"--{name.replace('_', '-')}" for name in NEVER}
"""Those whose values stay what they are."""
NAMES = ("\x1b[31mred.st", "a b'c.st", "$(touch IMPORTED-shell).st", "[red]x.st", ":bomb:.st", "-x.st", "\u202e.st")
NAMES += ("new\nline.st", os.fsdecode(b"caf\xe9.st"), "a^$^b.st", "x" * 240 + ".st", "`data=`.st", "{seed}.st", "=1.st")


@cache
def options_of(command: str) -> list[tuple[str, bool]]:
    """Return the options of a command, and whether each is a switch."""
    found = []
    for parameter in build_command(command).params:
        names = [name for name in parameter.opts if name.startswith("--")]
        if names and parameter.name not in NEVER:
            found.append((names[0], bool(getattr(parameter, "is_flag", False))))
    return found


def on_file(name: str, path: str, random: Random) -> list[str]:
    """Return a command that reads a file of the corpus, which lies at `path`."""
    if name == MEASURED:
        return [*PLANE, "--resume", "-o", "out.json"]
    if name.endswith(".json"):
        parts = ["part-1.json", "part-2.json"]
        merged = ["plane", "--merge", *[path if each == name else each for each in parts], "-o", "out.csv"]
        return merged if name in parts else ["plot", path, "-o", random.choice(("out.svg", "out.png"))]
    if name.endswith((".resume", ".csv")):
        return resumed(next(state for state in STATES if name.startswith(state)))
    if name == "own.safetensors":
        return random.choice((
            ["path", "i.st", "i.st", "--points", "2", "--data", path],
            ["train", "--data", path, "--hidden", "4", "--epochs", "1", "-o", "out.st", "--train-size", "9"],
            ["path", "i.st", "i.st", "--points", "2"],
        ))  # fmt: skip
    if name in {"f.pt", "g.pt", "h.safetensors"}:
        how = random.choice((FOREIGN, FOREIGN, USERS, []))
        return random.choice((
            ["path", path, "f.pt", "--points", "2", "--data", "hmm", *how],
            ["align", "f.pt", path, "-o", "out.st", *how],
            ["normalize", path, "-o", "out.st", *how],
            ["align", "--explain", path, *how],
        ))  # fmt: skip
    other = {"n.st": "m.st", "m.st": "n.st", "a.st": "b.st", "b.st": "a.st"}.get(name, name)
    return random.choice((
        ["path", path, other, "--points", "2"],
        ["path", other, path, "--points", "2", "--align", "cosine", "--loss"],
        ["path", path, other, "--points", "2", "--kind", "geodesic", "-o", "out.json"],
        ["align", other, path, "-o", "out.st"],
        ["align", path, other, "--out-dir", "out"],
        ["align", "--explain", path],
        ["normalize", path, "-o", "out.st"],
        ["distance", path, other],
        ["flatness", path, "--samples", "1"],
        ["flatness", path, "--samples", "1", "--kind", "radial"],
        ["plane", path, "--third", "random", "--grid", "2", "-o", "out.csv"],
        ["train", "--init", path, "--epochs", "1", "-o", "out.st"],
    ))  # fmt: skip


def mutated(arguments: list[str], random: Random) -> list[str]:
    """Return a command line with options more, fewer and otherwise."""
    arguments = list(arguments)
    for _ in range(random.choice((1, 1, 2, 4))):
        choice = random.random()
        if choice < 0.75 and arguments and arguments[0] in COMMANDS:
            name, switch = random.choice(options_of(arguments[0]))
            arguments += [name] if switch else [name, random.choice(VALUES)]
        elif choice < 0.85 and len(arguments) > 1:
            del arguments[random.randrange(1, len(arguments))]
        elif choice < 0.95 and len(arguments) > 1:
            k = random.randrange(1, len(arguments))
            if arguments[k - 1] not in KEPT:
                arguments[k] = random.choice(VALUES)
        else:
            arguments.insert(random.randrange(len(arguments) + 1), random.choice(VALUES))
    return [argument for argument in arguments if argument not in {"--help", "-h"}]


def any_command(random: Random) -> list[str]:
    """Return a command on whole files."""
    name: Any = random.choice(("a.st", "b.st", "n.st", "s.st", "i.st", "own.safetensors", "f.pt"))
    return on_file(name, name, random)
