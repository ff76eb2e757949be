"""Kill every command that writes, at random moments, and run it again: `python benchmarks/kill.py --help`.

The files at the end must be those of a command that nobody touched, byte for byte, and none may ever be half.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Hand over to the tests' faults, which hold commands and what is checked of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="how many kills [500]")
    parser.add_argument("--seed", type=int, default=0, help="of moments and signals [0]")
    parser.add_argument("--command", action="append", default=[], help="which, repeatable [all]")
    options = parser.parse_args()
    chosen = [word for name in options.command for word in ("--command", name)]
    command = [sys.executable, "-m", "tests.faults", "--kills", str(options.count), "--seed", str(options.seed)]
    sys.exit(subprocess.run([*command, *chosen], cwd=Path(__file__).parents[1], check=False).returncode)


if __name__ == "__main__":
    main()
