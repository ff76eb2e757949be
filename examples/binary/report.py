"""Write the page of the study, and its figures: python examples/binary/report.py RESULTS.

RESULTS holds a folder for each data set and architecture, as run.sh leaves them. Writes RESULTS/report.md and
RESULTS/figures; needs matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from study.effects import BY_EFFECTS
from study.page import Report, write
from study.summary import by_verdict

from binary.findings import FORM, HARDLY, findings
from binary.series import LEVEL, series_of

REPORT = Report(
    form=FORM,
    title="Binary networks: the findings, measured",
    lead="Written by `report.py` from the results beside it. Errors are fractions; barriers are the largest training "
    "error on a shortest path, the mean over random orders of the flips. RSGD seeks flat solutions, SGD is the "
    "baseline, ADV seeks sharp ones.",
    terms="*N* is the size that a series varies: the number of inputs on generated data (hmm), the width of the hidden "
    f"layers elsewhere. Sizes are compared by the local energy at p = {LEVEL:g}, and by the barriers between solutions "
    f"of one sampler. *Hardly matters* means a mean change, either way, of less than {HARDLY:g} of the mean barrier.",
    findings=findings,
    rule=BY_EFFECTS,
    overview=by_verdict,
    series=series_of,
)

if __name__ == "__main__":
    write(REPORT, "python examples/binary/report.py")
