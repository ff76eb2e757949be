"""Write the page of the study, and its figures: python examples/wedges/report.py RESULTS.

RESULTS holds a folder for each data set and architecture, and one for the surrogate, as run.sh leaves them; what was
not run is left out. Writes RESULTS/report.md and RESULTS/figures; needs matplotlib.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from study.page import Drawn, inequalities, links, overview, verdicts
from study.verdicts import RULE

from wedges.findings import Study, findings, read_study, remarks, tables

LEAD = """\
Written by `report.py` from the results beside it. Errors are fractions, losses are mean cross-entropies in nats.

The paper is *Large Scale Structure of Neural Network Loss Landscapes* (Fort & Jastrzębski, NeurIPS 2019), of which only
the abstract could be read. *[paper]*: the abstract says so. *[restored]*: rebuilt from general knowledge of the paper,
not its words. *[ours]*: our choice or question. Findings 1 to 6 are those of the other paper, in the other studies."""
TERMS = """\
*d90*: the dimension at which networks trained in a random subspace have 90 % of the full accuracy, between dimensions
of the grid by log d. *φ*, the angular width: the angle by which every unit turns in a random direction until the
training error has grown by 0.1. *Connector*: the barycentric subdivision of the simplex through the solutions, its
vertices trained; *flat simplex*: the plain one. *λ_max(H)* changes when units are rescaled, and both it and *tr(DHD)*
follow the training loss: they are shown, and no verdict rests on them. *Disagreement / error*: the fraction of
predictions that differ, by the members' mean error."""


def page(studies: Sequence[Study], figures: Sequence[Drawn]) -> str:
    """Return the page on all studies, with links to each one's figures."""
    found = [findings(study) for study in studies]
    parts = ["# Large-scale structure: findings 7 to 12, measured", LEAD]
    parts.append(overview("## Verdicts", [study.name for study in studies], found))
    parts += ["## When a finding holds\n\n" + RULE, TERMS]
    for study, own, drawn in zip(studies, found, figures, strict=True):
        versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
        parts += [f"## {study.name}", verdicts(own), *links(drawn), *tables(study), inequalities(own)]
        parts += [*remarks(study), f"Versions: {versions}."]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Read the results in the folder that the command line names, draw, and write the page."""
    results = Path(sys.argv[1]) if len(sys.argv) == 2 else Path()
    folders = sorted(path for path in results.glob("*") if path.is_dir()) if len(sys.argv) == 2 else []
    studies = [study for study in map(read_study, folders) if findings(study)]
    if not studies:
        sys.exit("usage: python examples/wedges/report.py RESULTS   (a folder that run.sh has filled)")
    from wedges.figures import draw

    pictures = results / "figures"
    pictures.mkdir(exist_ok=True)
    (results / "report.md").write_text(page(studies, [draw(study, pictures) for study in studies]))
    for study in studies:
        for finding in findings(study):
            print(f"{study.name}  {finding.label}  {finding.verdict:13}  {finding.claim}")
    print(results / "report.md")


if __name__ == "__main__":
    main()
