"""Write the page of the study, and its figures: python examples/binary/report.py RESULTS.

RESULTS holds a folder for each data set and architecture, as run.sh leaves them. Writes RESULTS/report.md and
RESULTS/figures; needs matplotlib.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from study.effects import BY_EFFECTS
from study.page import Report, write
from study.readings import Study
from study.summary import by_verdict, on_solutions

from binary.findings import FORM, HARDLY, findings
from binary.series import LEVEL, series_of
from binary.solutions import on_what_is_left

NETWORK = re.compile(r"-(?=[a-z]+\d*(-\d+)?$)")
"""Where the name of a study's network begins: its last word, and its size."""


def again_of(studies: Sequence[Study], files: str) -> str:
    """Return the command that measures files of studies again, or all, their networks trained first if need be."""
    of_settings: dict[str, list[str]] = {}
    for study in studies:
        of_settings.setdefault(study.settings or "small", []).append(NETWORK.sub("/", study.name))
    only = f"ONLY='{files}' " if files else ""
    commands = (
        f"{only}bash examples/binary/run.sh {own} data runs {' '.join(of_settings[own])}" for own in of_settings
    )
    return " && ".join(commands)


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
    series=lambda studies: series_of(studies, again_of),
    extras=lambda study: on_solutions(study, on_what_is_left),
    again=lambda study, files: again_of([study], files),
)

if __name__ == "__main__":
    write(REPORT, "python examples/binary/report.py")
