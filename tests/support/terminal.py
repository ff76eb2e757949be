"""The program as a person at a terminal of 80 columns sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Sequence
from typing import NoReturn

from landscape_cli.cli.app import main

COLUMNS = 80


def shown_on_terminal(*arguments: str) -> str:
    """Return what the program prints on a terminal of its own, without colors.

    It is forked from this process, as what takes long in a new one is to import torch.
    """
    child, terminal = pty.fork()
    if child == 0:
        _become(arguments)
    text = b""
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # how Linux says that the other end is closed
            part = b""
        if not part:
            break
        text += part
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, text.decode()
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.decode()).replace("\r", "")
    assert max(map(len, lines.splitlines())) <= COLUMNS
    return lines


def _become(arguments: Sequence[str]) -> NoReturn:
    """Run the program, in a process whose streams are a terminal, and end it."""
    code: object = 70
    try:
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            os.environ.pop(name, None)
        os.environ["TERM"] = "xterm"
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
        main(arguments)
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def cells_of(lines: str) -> list[list[str]]:
    """Return the cells of all rows of tables that end with a number; those of folded rows are joined."""
    rows: list[list[str]] = []
    for line in lines.splitlines():
        if not line.startswith("│"):
            continue
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        if cells[-1]:
            rows.append(cells)
        else:
            rows[-1] = [a + b for a, b in zip(rows[-1], cells, strict=True)]
    return rows
