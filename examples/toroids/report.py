"""Write the page of the study, and its figures: python examples/toroids/report.py RESULTS.

RESULTS holds a folder for each data set and architecture, as run.sh leaves them. Writes RESULTS/report.md and
RESULTS/figures; needs matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from study.effects import BY_EFFECTS
from study.page import Report, write
from study.readings import Study
from study.summary import by_verdict, on_solutions, tuned

from toroids.experiments import experiments
from toroids.findings import FORM, findings


def again(study: Study, files: str) -> str:
    """Return the command that measures files of a study again, or all, its networks trained first if need be."""
    data_set, _, network = study.name.rpartition("-")
    only = f"ONLY='{files}' " if files else ""
    return f"{only}bash examples/toroids/run.sh {study.settings or 'small'} data runs {data_set}/{network}"


REPORT = Report(
    form=FORM,
    title="Deep Networks on Toroids: the findings, measured",
    lead="Written by `report.py` from the results beside it. Errors are fractions; barriers are the largest training "
    "error on a path. RSGD seeks flat solutions, SGD is the baseline, ADV seeks sharp ones.",
    terms="*Lean*: a profile's excess over the line between the errors of its ends, averaged over the half of the "
    "sharper end, less that of the flatter end's half, divided by the barrier: above zero the profile is flatter "
    "towards the flatter end.",
    findings=findings,
    rule=BY_EFFECTS,
    overview=by_verdict,
    extras=lambda study: [
        *experiments(study, again(study, "@(experiments/*|more/*|paths/*)")),
        *on_solutions(study, findings),
        *tuned(study),
    ],
    again=again,
)

if __name__ == "__main__":
    write(REPORT, "python examples/toroids/report.py")
