"""Write the page of the study, and its figures: python examples/toroids/report.py RESULTS.

RESULTS holds a folder for each data set and architecture, as run.sh leaves them. Writes RESULTS/report.md and
RESULTS/figures; needs matplotlib.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from findings import Finding, barriers_of, findings, geodesics, of_sampler, spread, words
from readings import KINDS, PAIRS, SAMPLERS, Study, of_pair, read_study
from verdicts import HOLDS, RULE


def page(studies: Sequence[Study], figures: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Return the page on all studies, with links to each one's figures (file names, captions)."""
    found = [findings(study) for study in studies]
    parts = [
        "# Deep Networks on Toroids: the findings, measured",
        "Written by `report.py` from the results beside it. Errors are fractions; barriers are the largest training "
        "error on a path. RSGD seeks flat solutions, SGD is the baseline, ADV seeks sharp ones.",
        overview(studies, found),
        "## When a finding holds\n\n" + RULE,
        "*Lean*: a profile's excess over the line between the errors of its ends, averaged over the half of the "
        "sharper end, less that of the flatter end's half, divided by the barrier: above zero the profile is flatter "
        "towards the flatter end.",
    ]
    for study, own, drawn in zip(studies, found, figures, strict=True):
        parts += section(study, own, drawn)
    return "\n\n".join(parts) + "\n"


def overview(studies: Sequence[Study], found: Sequence[Sequence[Finding]]) -> str:
    """Return the table of verdicts, a column a study."""
    claims = {finding.label: finding.claim for own in found for finding in own}
    verdicts = [{finding.label: told(finding) for finding in own} for own in found]
    rows = [[f"{label}. {claims[label]}", *(own.get(label, "-") for own in verdicts)] for label in sorted(claims)]
    return table("## Verdicts", ["finding (inequalities that hold)", *(study.name for study in studies)], rows)


def told(finding: Finding) -> str:
    """Return a verdict, and how many inequalities hold."""
    holding = sum(one.verdict == HOLDS for one in finding.comparisons)
    return f"**{finding.verdict}** ({holding} of {len(finding.comparisons)})"


def section(study: Study, found: Sequence[Finding], drawn: Sequence[tuple[str, str]]) -> list[str]:
    """Return the parts of the page on one study."""
    rows = [[f"{f.label}. {f.claim}", "<br>".join(f.numbers), told(f)] for f in found]
    parts = [
        f"## {study.name}",
        table("### Findings", ["finding", "mean ± deviation", "verdict"], rows),
        *(f"![{caption}](figures/{file})\n\n{caption}" for file, caption in drawn),
        solutions(study),
        barriers(study),
        distances(study),
        inequalities(found),
    ]
    if study.missing:
        parts.append(f"Not measured, and left out of all means: {'; '.join(study.missing)}.")
    versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    return [*parts, f"Versions: {versions}."]


def solutions(study: Study) -> str:
    """Return the table of errors and local energies."""
    rows = []
    for sampler in SAMPLERS:
        cells = [spread(of_sampler(study.errors[split], sampler)) for split in ("train", "test")]
        cells += [spread(of_sampler(energies, sampler)) for energies in study.energies.values()]
        rows.append([sampler.upper(), str(len(of_sampler(study.errors["train"], sampler))), *cells])
    head = ["sampler", "networks", "train error", "test error", *(f"δE({sigma:g})" for sigma in study.energies)]
    return table("### Solutions", head, rows)


def barriers(study: Study) -> str:
    """Return the table of barriers, of plain and of optimised paths."""
    plain = {kind: barriers_of(study.curves[kind]) for kind in KINDS}
    bent = {kind: barriers_of(study.bent[kind]) for kind in KINDS}
    rows = []
    for pair in PAIRS:
        counts = {len(values[pair]) for values in (*plain.values(), *bent.values())}
        cells = [spread(values[pair]) for values in (*plain.values(), *bent.values())]
        rows.append([words(pair), "/".join(map(str, sorted(counts))), *cells])
    head = ["pair", "pairs", *KINDS.values(), *(f"optimised: {title}" for title in KINDS.values())]
    return table("### Barriers", head, rows)


def distances(study: Study) -> str:
    """Return the table of distances, and of midpoints."""
    rows = []
    for pair in PAIRS:
        own = of_pair(study.distances, pair)
        disagree = {key: row["test_disagreement"] for key, row in own.items()}
        angle = {key: row["rms_angle"] for key, row in own.items()}
        bent = of_pair(study.bent["geodesic"], pair)
        middles = [curve.midpoint for curve in bent.values() if curve.midpoint is not None]
        ends = [average([middle["distances"][end]["geodesic"] for middle in middles], 2) for end in ("start", "end")]
        rows.append(
            [
                words(pair),
                spread(geodesics(of_pair(study.unaligned, pair)), 2),
                spread(geodesics(own), 2),
                spread(angle, 3),
                spread(disagree),
                *ends,
                average([middle["train_error"] for middle in middles], 4),
                average([middle["epochs"] for middle in middles], 1),
            ]
        )
    head = [
        "pair",
        "geodesic, unaligned",
        "geodesic, aligned",
        "root-mean-square angle",
        "test predictions that differ",
    ]
    head += ["midpoint to first", "midpoint to second", "midpoint's train error", "its epochs"]
    return table("### Distances, normalised; midpoints of geodesics", head, rows)


def average(values: Sequence[float], digits: int) -> str:
    """Return mean and, of several numbers, deviation."""
    if not values:
        return "-"
    text = f"{fmean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {stdev(values):.{digits}f}"


def inequalities(found: Sequence[Finding]) -> str:
    """Return every inequality behind the verdicts, folded away."""
    rows = [
        [finding.label, one.claim, f"{one.difference:.5f}", f"{one.error:.5f}", one.verdict]
        for finding in found
        for one in finding.comparisons
    ]
    inside = table("", ["finding", "inequality", "difference", "standard error", "verdict"], rows)
    return f"<details><summary>Every inequality</summary>\n\n{inside.strip()}\n\n</details>"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return title + "\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Read the results, draw, write."""
    folders = sorted(file.parent for file in Path(sys.argv[1]).glob("*/flatness.json")) if len(sys.argv) == 2 else []
    if not folders:
        sys.exit("usage: python examples/toroids/report.py RESULTS   (a folder that run.sh has filled)")
    from figures import draw

    results = Path(sys.argv[1])
    studies = [read_study(folder) for folder in folders]
    pictures = results / "figures"
    pictures.mkdir(exist_ok=True)
    (results / "report.md").write_text(page(studies, [draw(study, pictures) for study in studies]))
    for study in studies:
        for finding in findings(study):
            print(f"{study.name}  {finding.label}  {finding.verdict:13}  {finding.claim}")
    print(results / "report.md")


if __name__ == "__main__":
    main()
