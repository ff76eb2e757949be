"""Write the page of the study, and its figures: python examples/toroids/report.py RESULTS.

RESULTS holds a folder for each data set and architecture, as run.sh leaves them. Writes RESULTS/report.md and
RESULTS/figures; needs matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from study.page import Report, write

from toroids.findings import FORM, findings

REPORT = Report(
    form=FORM,
    title="Deep Networks on Toroids: the findings, measured",
    lead="Written by `report.py` from the results beside it. Errors are fractions; barriers are the largest training "
    "error on a path. RSGD seeks flat solutions, SGD is the baseline, ADV seeks sharp ones.",
    terms="*Lean*: a profile's excess over the line between the errors of its ends, averaged over the half of the "
    "sharper end, less that of the flatter end's half, divided by the barrier: above zero the profile is flatter "
    "towards the flatter end.",
    findings=findings,
)

if __name__ == "__main__":
    write(REPORT, "python examples/toroids/report.py")
