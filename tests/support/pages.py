"""Pages of docs/ that are made from the code: python -m tests.support.pages writes them anew.

docs/cli.md is what `--help` says; in docs/extending.md each block of code after a line `<!-- FILE -->` is that file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
WIDTH = "80"
# In one process for all: starting Python costs more than the help.
PRINT_HELP = """
import contextlib, io, json, sys
sys.modules["torch"] = sys.modules["pydantic"] = None  # which help does without, of whatever version typer is
from landscape_cli.cli.app import COMMANDS, main
texts = {}
for name in ("", *COMMANDS):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([*filter(None, [name]), "--help"])
    texts[name] = text.getvalue()
print(json.dumps(texts))
"""
INTRODUCTION = """# The command line

What `landscape --help` and `landscape COMMAND --help` say, 80 columns wide. This page is made by
`python -m tests.support.pages`, and a test keeps it equal.
"""
BLOCK = re.compile(r"(<!-- (\S+\.py) -->\n+```python\n)(.*?)(```\n)", re.DOTALL)


def help_texts() -> dict[str, str]:
    """Return what `--help` says of each command, and of the program under an empty name; torch cannot be imported."""
    import json

    done = subprocess.run(
        [sys.executable, "-c", PRINT_HELP],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "PYTHONPATH": str(ROOT)},
    )
    texts: dict[str, str] = json.loads(done.stdout)
    return texts


def command_line_page(texts: dict[str, str]) -> str:
    """Return docs/cli.md."""
    parts = [INTRODUCTION]
    for name, text in texts.items():
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## landscape {name}".rstrip() + f"\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def with_examples(page: str) -> str:
    """Return a page with the files that it shows as they are."""
    return BLOCK.sub(lambda match: f"{match[1]}{(ROOT / match[2]).read_text()}{match[4]}", page)


if __name__ == "__main__":
    (DOCS / "cli.md").write_text(command_line_page(help_texts()))
    extending = DOCS / "extending.md"
    extending.write_text(with_examples(extending.read_text()))
