"""`python -m tests.fuzz`: mutate files and command lines, run them, count what is wrong."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.campaign import Campaign


def main() -> None:
    """Run a campaign and print what it came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="how many cases [2000]")
    parser.add_argument("--seed", type=int, default=0, help="of all of them [0]")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one, to run one again [0]")
    parser.add_argument("--show", action="store_true", help="show what every case says")
    options = parser.parse_args()
    start, codes, faults, slowest, largest = time.monotonic(), Counter[int](), Counter[str](), 0.0, 0
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        campaign = Campaign(Path(folder), options.seed)
        for number, case, ended in campaign.run(options.first, options.count):
            codes[ended.code] += 1
            slowest, largest = max(slowest, ended.seconds), max(largest, ended.memory)
            faults.update(ended.faults)
            if ended.faults or options.show:
                print(f"{number}: {', '.join(ended.faults) or 'well'}: landscape {shlex.join(case.arguments)[:300]!r}")
                print(f"    files {[name[:40] for name in case.files]}, exit {ended.code}, {ended.seconds:.1f} s")
                print(f"    {ended.errors.strip()[-300:]!r}", flush=True)
        campaign.close()
    seconds = time.monotonic() - start
    print(f"{options.count} cases of seed {options.seed} in {seconds:.0f} s: exit codes {dict(sorted(codes.items()))}")
    print(f"slowest {slowest:.1f} s, largest {largest / 1e6:.0f} MB over the base")
    print(f"faults: {dict(faults) or 'none'}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
