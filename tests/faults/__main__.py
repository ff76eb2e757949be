"""`python -m tests.faults`: let calls fail, streams take nothing and signals come, and count what is wrong."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path
from random import Random

from tests.faults.campaign import Campaign, Finding
from tests.faults.commands import COMMANDS
from tests.faults.kills import kills
from tests.faults.shim import Fault, environment

KINDS = ("file", "full", "closed", "unread")


def main() -> None:
    """Run a campaign and print what it came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--command", action="append", choices=sorted(COMMANDS), help="which, repeatable [all]")
    parser.add_argument("--sample", type=int, help="so many cases, drawn at random [each call, with an error drawn]")
    parser.add_argument("--thorough", action="store_true", help="each call with every error, once and for ever")
    parser.add_argument("--kills", type=int, default=0, help="so many kills at random moments [0: faults instead]")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn [0]")
    parser.add_argument("--show", action="store_true", help="show what every case says")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if "LD_PRELOAD" not in os.environ:
            command = [sys.executable, "-m", "tests.faults", *sys.argv[1:]]
            sys.exit(subprocess.run(command, env=environment(Path(folder)), check=False).returncode)
        start, codes, wrong, cases = time.monotonic(), Counter[str](), Counter[str](), 0
        campaign = Campaign(Path(folder))
        names = options.command or Random(options.seed).sample(list(COMMANDS), len(COMMANDS))
        findings: list[Iterator[Finding]] = [kills(campaign, names, options.kills, options.seed)]
        if options.sample is not None or not options.kills:
            findings.append(found(campaign, names, options.sample, options.seed, thorough=options.thorough))
        for finding in chain(*findings):
            cases += 1
            if not cases % 100:
                print(f"{cases} cases after {time.monotonic() - start:.0f} s", flush=True)
            codes[str(finding.ended.code)] += 1
            wrong.update(each.split()[0] for each in finding.wrong)
            if finding.wrong or options.show:
                print(f"{finding.name}, {finding.fault}: {'; '.join(finding.wrong) or 'well'}")
                print(f"    exit {finding.ended.code}: {finding.ended.errors.strip()[-300:]!r}", flush=True)
    print(f"{cases} cases in {time.monotonic() - start:.0f} s: exit codes {dict(sorted(codes.items()))}")
    print(f"wrong: {dict(wrong) or 'nothing'}")
    sys.exit(bool(wrong))


def found(
    campaign: Campaign, names: list[str], sample: int | None, seed: int, *, thorough: bool = False
) -> Iterator[Finding]:
    """Try faults of some commands: every one, or for each call one that is drawn, or some of all."""
    random = Random(seed)
    names = names if sample is None else names[: max(1, sample // 2)]
    cases: list[tuple[str, Fault, bool]] = []
    for name in names:
        cases += [(name, fault, over) for fault in campaign.faults(name) for over in (False, True)]
    streams = [(name, *pair) for name in names for pair in product(KINDS, KINDS) if pair != ("file", "file")]
    if not thorough:
        random.shuffle(cases)
        cases = list({campaign.call(name, fault): (name, fault, over) for name, fault, over in cases}.values())
    if sample is not None:
        cases, streams = random.sample(cases, sample), random.sample(streams, max(1, sample // 9))
    for name, fault, over in cases:
        yield campaign.try_fault(name, fault, over=over)
    for each in streams:
        yield campaign.try_streams(*each)


if __name__ == "__main__":
    main()
