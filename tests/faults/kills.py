"""Commands killed at random moments, and at random calls, and run again."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from random import Random

from tests.faults.campaign import Campaign, Finding, is_litter, one_line
from tests.faults.commands import COMMANDS
from tests.faults.running import Ended
from tests.faults.shim import SIGNALS, Fault

NUMBERS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
ANEW = 0.1
"""How many are no forks, but processes of their own, which take seconds to begin."""
START = 4.0


def kills(campaign: Campaign, names: Sequence[str], count: int, seed: int) -> Iterator[Finding]:
    """Kill commands in turn, training up to three times before it may end."""
    for number in range(count):
        random = Random(f"{seed}.{number}")
        name = names[number % len(names)]
        campaign.whole(name)
        campaign.runner.clean()
        arguments = list(COMMANDS[name])
        for _ in range(random.choice((1, 1, 2, 3)) if name.startswith("train") else 1):
            finding = _kill(campaign, name, arguments, random)
            if finding.ended.code == 0 or finding.wrong:
                break
            if "--resume" not in arguments and name.startswith("train"):
                arguments.append("--resume")
        yield Finding(name, finding.fault, finding.ended, (*finding.wrong, *campaign.check_again(name)))


def _kill(campaign: Campaign, name: str, arguments: list[str], random: Random) -> Finding:
    """Send a command a signal, or two in a row."""
    whole = campaign.whole(name)
    first, second = random.choice(NUMBERS), random.choice(NUMBERS)
    forked = random.random() >= ANEW
    signals: list[tuple[float, int]] = []
    if forked and random.random() < 0.5:
        call = random.randrange(1, len(whole.calls) + 1)
        ended = campaign.runner.run(arguments, Fault(number=call, what=SIGNALS, sent=first))
        sent, what = {first}, f"{first.name} at call {call}"
    else:
        signals = [(random.uniform(0, 1.1 * whole.seconds + (0 if forked else START)), first)]
        signals += [(random.choice((0, random.uniform(0, 0.05))), second)] * (random.random() < 0.4)
        ended = campaign.runner.run(arguments, signals=signals, forked=forked)
        sent = {signal.Signals(each) for _, each in signals}
        words = ", then ".join(f"{signal.Signals(each).name} after {after:.3f} s" for after, each in signals)
        what = words if forked else f"{words}, a process of its own"
    wrong = []
    if forked or "Traceback" not in ended.errors or "landscape_cli" in ended.errors:  # else Python was starting
        wrong += [] if _is_expected(ended, sent, forked) else [f"exit {ended.code}"]
        wrong += one_line(ended)
    wrong += campaign.check_files(name, ended.files, {}, lenient=True, killed=signal.SIGKILL in sent)
    if ended.code == 0:
        wrong += [f"litter {file}" for file in ended.files if is_litter(file)]
        wrong += [f"missing {file}" for file in whole.files.keys() - ended.files.keys()]
    return Finding(name, what, ended, tuple(wrong))


def _is_expected(ended: Ended, sent: set[signal.Signals], forked: bool) -> bool:
    """Tell whether a code is that of a command which was done, or of what it was sent."""
    by_signal = {-number for number in sent if forked is False or number not in CODES}  # Python itself may be starting
    return ended.code in {0, *by_signal, *(CODES[each] for each in sent if each in CODES)}
