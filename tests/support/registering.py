"""One more choice of those in `choices.py`, as its line there would make it, and undone afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from landscape_cli.choices import Choice
from landscape_cli.cli.app import build_command

ROOT = Path(__file__).parents[2]


def add_choice(choices: type[Choice], name: str, value: str, home: str) -> Choice:
    """Add a member, as `NAME = "value", "package.module:attribute"` in the class does."""
    member = str.__new__(choices, value)
    member._value_, member._name_, member.home = value, name, home
    member._sort_order_ = len(choices)
    choices._member_map_[name] = choices._value2member_map_[value] = member
    choices._member_names_.append(name)
    return member


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    errors: str


@contextmanager
def registered(choices: type[Choice], name: str, value: str, home: str) -> Iterator[Choice]:
    """Add a member for as long as this lasts."""
    try:
        build_command.cache_clear()
        yield add_choice(choices, name, value, home)
    finally:
        build_command.cache_clear()
        choices._member_names_.remove(name)
        del choices._member_map_[name], choices._value2member_map_[value]


def run_with_choice(line: tuple[str, str, str, str], *commands: Sequence[str]) -> list[Done]:
    """Run commands in a process of their own, with one choice more: class, name, value, home."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.support.registering import run_all; "
        f"run_all({line!r}, {list(map(list, commands))!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [Done(*fields) for fields in json.loads(done.stdout)]


def run_all(line: tuple[str, str, str, str], commands: list[list[str]]) -> None:
    """Print what commands come to, once there is a choice more."""
    from landscape_cli import choices
    from landscape_cli.cli.app import main

    add_choice(getattr(choices, line[0]), *line[1:])
    ends = []
    for command in commands:
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as errors:
            try:
                main(command)
            except SystemExit as end:
                ends.append((end.code, out.getvalue(), errors.getvalue()))
    print(json.dumps(ends))
