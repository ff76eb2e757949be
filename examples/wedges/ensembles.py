"""Finding 11: what ensembles gain, in weights and in functions (docs/method.md: Ensembles)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from study.claims import Finding, spread
from study.page import table
from study.readings import read
from study.verdicts import Values, below, compare, smaller

from wedges.readings import Body, within

FILE = re.compile(r"(\w+)-(trained|aligned)-(\d+)\.json")
ARMS = {
    "independent": "independent networks",
    "short": "independent, as many passes in all as one run",
    "snapshot": "snapshots",
    "fge": "FGE",
    "swa": "SWA",
    "fork": "forks of one network",
}
ONE_WEDGE = ("swa", "fge", "snapshot", "fork")
"""Those whose members average in weights."""
CLOSE = 0.02
"""By how much the mean of their weights may err more than they do."""
FAR = 0.1
"""By how much more that of independent networks errs, at least."""
PART = 0.5
"""Of that, what remains once they are aligned, at most."""
EQUAL = 0.01
"""By how much the members' errors may differ where what they predict is compared."""


@dataclass(frozen=True)
class Ensembles:
    """Groups of networks of one kind.

    Attributes:
        results: what was measured of each group, on the test set.
        wedges: how many sets of networks share a wedge, of each group.
        members: how many networks a group has.
    """

    results: dict[tuple[str], Body]
    wedges: dict[tuple[str, ...], float]
    members: int

    def column(self, name: str) -> Values:
        """Return one number of each group."""
        return {key: body[name] for key, body in self.results.items()}

    @property
    def member_error(self) -> Values:
        """The mean of the members' test errors."""
        return {key: body["member_error"]["mean"] for key, body in self.results.items()}

    @property
    def excess(self) -> Values:
        """How much more the mean of the weights errs than the members do."""
        members = self.member_error
        return {key: body["weights_error"] - members[key] for key, body in self.results.items()}

    @property
    def loss_gain(self) -> Values:
        """By how much the loss of the mean of the functions is below the members' mean."""
        return {key: body["member_loss"] - body["loss"] for key, body in self.results.items()}


def read_ensembles(folder: Path) -> dict[tuple[str, str], Ensembles]:
    """Return the ensembles that were measured, by their kind, and by "trained" or "aligned"."""
    bodies: dict[tuple[str, str], dict[tuple[str], Body]] = {}
    for file in sorted(folder.glob("*.json")):
        if (match := FILE.fullmatch(file.name)) and match[1] in ARMS:
            arm, kind, number = match.groups()
            bodies.setdefault((arm, kind), {})[f"{arm}-{number}",] = read(file)["ensemble"]
    return {
        name: Ensembles(
            results={key: body["test"] for key, body in own.items()},
            wedges={key: float(len(body["wedges"])) for key, body in own.items()},
            members=len(next(iter(own.values()))["networks"]),
        )
        for name, own in bodies.items()
    }


def gains(found: dict[tuple[str, str], Ensembles]) -> list[Finding]:
    """Return finding 11, part by part."""
    return [averages(found), apart(found), *functions_differ(found)]


def averages(found: dict[tuple[str, str], Ensembles]) -> Finding:
    """Finding 11a: one run's networks average in weights."""
    numbers, comparisons = [], []
    for arm in ONE_WEDGE:
        excess = found[arm, "trained"].excess
        numbers.append(f"{ARMS[arm]} {spread(excess)}")
        claim = f"test error, mean of weights less mean member, {ARMS[arm]} < {CLOSE:g}"
        comparisons.append(below(claim, excess, CLOSE))
    claim = f"networks of one run or fork average in weights: at most {CLOSE:g} worse than themselves [paper; restored]"
    return Finding("11a", claim, numbers, comparisons)


def apart(found: dict[tuple[str, str], Ensembles]) -> Finding:
    """Finding 11b: independent networks do not, and aligned ones do so better."""
    trained, aligned = (found["independent", kind].excess for kind in ("trained", "aligned"))
    comparisons = [
        compare(
            f"test error, mean of weights less mean member, independent > {FAR:g}",
            [trained],
            lambda means: means[0] - FAR,
        ),
        compare(
            f"the same, aligned < {PART:g} of as trained", [trained, aligned], lambda means: PART * means[0] - means[1]
        ),
    ]
    numbers = [f"as trained {spread(trained)}, aligned {spread(aligned)}"]
    return Finding("11b", "independent networks do not; aligned, less than half is left [ours]", numbers, comparisons)


def functions_differ(found: dict[tuple[str, str], Ensembles]) -> list[Finding]:
    """Findings 11c and 11d: independent networks gain more together than forks, and disagree more."""
    independent, fork = (found[arm, "trained"] for arm in ("independent", "fork"))
    gain = smaller("gain in test loss: forks < independent", fork.loss_gain, independent.loss_gain)
    numbers = [f"forks {spread(fork.loss_gain)}, independent {spread(independent.loss_gain)}"]
    first = Finding("11c", "independent networks gain more in loss than forks [paper; restored]", numbers, [gain])
    low, high = (ensemble.column("normalised_disagreement") for ensemble in (fork, independent))
    members = [fork.member_error, independent.member_error]
    comparisons = [smaller("normalised disagreement: forks < independent", low, high)]
    comparisons += within("members' mean test error, forks less independent", members, EQUAL)
    numbers = [
        f"disagreement: forks {spread(low)}, independent {spread(high)}",
        f"members' error: forks {spread(fork.member_error)}, independent {spread(independent.member_error)}",
    ]
    claim = "and disagree more, at members' errors that are alike [paper; restored]"
    return [first, Finding("11d", claim, numbers, comparisons)]


def measured(found: dict[tuple[str, str], Ensembles]) -> str:
    """Return the table of ensembles."""
    rows = []
    for arm, words in ARMS.items():
        for kind, title in (("trained", ""), ("aligned", ", aligned")):
            if (arm, kind) not in found:
                continue
            own = found[arm, kind]
            cells = [spread(own.member_error), *(spread(own.column(name)) for name in ("error", "weights_error"))]
            cells += [spread(own.column(name)) for name in ("member_loss", "loss", "normalised_disagreement", "kl")]
            rows.append([words + title, f"{len(own.results)} of {own.members}", *cells, spread(own.wedges, 1)])
    head = ["networks", "groups", "member, test error", "ensemble", "mean of weights", "member, test loss", "ensemble"]
    return table("### Ensembles", [*head, "disagreement / error", "KL", "wedges"], rows)
