"""What was found, first what holds; and whether it rests on solutions alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from study.claims import Finding
from study.page import table, told
from study.readings import SOLVED, Study
from study.verdicts import FAILS, HOLDS, NOISE

HEADINGS = {
    HOLDS: "### What holds",
    FAILS: "### What does not hold",
    NOISE: "### What so many seeds cannot tell",
}
FEW = 3
"""Studies up to which each has rows of its own."""


def by_verdict(names: Sequence[str], found: Sequence[Sequence[Finding]]) -> str:
    """Return what holds, what does not, and what cannot be told: of each finding the studies where that is so."""
    parts = ["## What was found"]
    for verdict, heading in HEADINGS.items():
        there = [
            (f"{finding.label}. {finding.claim}", name, finding)
            for name, own in zip(names, found, strict=True)
            for finding in own
            if finding.verdict == verdict
        ]
        there.sort(key=lambda one: one[0])
        if len(names) <= FEW:
            head = ["finding", "study", "effect", "inequalities"]
            rows = [[claim, name, "<br>".join(map(str, one.effects)), told(one)] for claim, name, one in there]
        else:
            head = ["finding", "studies (how many inequalities hold)"]
            claims = dict.fromkeys(claim for claim, _, _ in there)
            rows = [
                [claim, ", ".join(f"{name} ({counted(f)})" for c, name, f in there if c == claim)] for claim in claims
            ]
        parts.append(table(heading, head, rows) if rows else f"{heading}\n\nNothing.")
    return "\n\n".join(parts)


def counted(finding: Finding) -> str:
    """Return how many inequalities hold, and how many are reversed."""
    verdicts = [one.verdict for one in finding.comparisons]
    lost = f", {verdicts.count(FAILS)} reversed" if FAILS in verdicts else ""
    return f"{verdicts.count(HOLDS)} of {len(verdicts)}{lost}"


def on_solutions(study: Study, findings: Callable[[Study], list[Finding]]) -> list[str]:
    """Return the findings once more, on solutions alone; nothing if all networks are."""
    if not study.unsolved:
        return []
    title = f"### On solutions alone\n\nWithout {', '.join(study.unsolved)}, whose training error is above {SOLVED:g}:"
    rows = [[f.label, "<br>".join(map(str, f.effects)), told(f)] for f in findings(study.solutions_only())]
    return [table(title, ["finding", "effect", "verdict"], rows) if rows else f"{title} nothing is left."]


def tuned(study: Study) -> list[str]:
    """Return the table of what was tried before the study, and what was chosen."""
    if not study.tuning:
        return []
    rows = []
    for row, told_of in study.tuning["rows"].items():
        for name, errors in told_of["tried"].items():
            setting = name.removeprefix(f"{row}-").replace("-tenth", ", a tenth of γ")
            taken = f"`{told_of['chosen']}`" if setting == setting_of(told_of["chosen"]) else ""
            rows.append(
                [row.upper(), setting, f"{errors['train_error']:.4f}", f"{errors['validation_error']:.4f}", taken]
            )
    labels = study.tuning["random_labels"].items()
    learnt = [
        f"{name.removeprefix('first-')}: error {one['error']:.4f}, {one['epochs']:.0f} epochs" for name, one in labels
    ]
    text = table("### Tuning", ["row", "rate", "train error", "validation error", "chosen"], rows)
    lost = diverged(study.tuning["rows"])
    text += f"\n\nDiverged, and left out: {', '.join(lost)}." if lost else ""
    return [f"{text}\n\nADV's random labels, by rate: {'; '.join(learnt)}."]


def diverged(rows: Mapping[str, Any]) -> list[str]:
    """Return what one row was tuned with and another was not: that came to nothing there."""
    tried = {row: {name.removeprefix(f"{row}-").split("-")[0] for name in told["tried"]} for row, told in rows.items()}
    return [
        f"{row.upper()} at {rate}"
        for row, own in tried.items()
        for rate in sorted(set().union(*tried.values()) - own, key=float)
    ]


def setting_of(chosen: str) -> str:
    """Return the setting that options were chosen by, as the table of tuning names it."""
    words = chosen.split()
    return words[words.index("--lr") + 1] + ", a tenth of γ" * ("--gamma-init" in words)
