"""The page of a study, and its figures.

Results are a folder for each data set and architecture, as run.sh leaves them; beside these go report.md and figures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from study.claims import Finding, barriers_of, column, of_sampler, spread, words
from study.readings import PAIRS, SAMPLERS, Form, Study, of_pair, read_study
from study.verdicts import HOLDS, RULE

Drawn = Sequence[tuple[str, str]]
"""Figures: file names and captions."""


@dataclass(frozen=True)
class Series:
    """Studies that differ in a size alone.

    Attributes:
        name: what they have in common, as in "hmm-N-committee".
        sizes: in increasing order.
        lines: what is compared, by name; of each, by sampler, the values at each size.
        findings: on all of them together.
        table: of what is compared, in Markdown.
    """

    name: str
    sizes: Sequence[int]
    lines: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]
    findings: Sequence[Finding]
    table: str


@dataclass(frozen=True)
class Report:
    """What the page of a kind of study is made of.

    Attributes:
        form: what is measured.
        title: of the page.
        lead: what its numbers are.
        terms: further words it uses, explained.
        findings: those of one study.
        series: finds those of several; None where sizes are not varied.
    """

    form: Form
    title: str
    lead: str
    terms: str
    findings: Callable[[Study], list[Finding]]
    series: Callable[[Sequence[Study]], list[Series]] | None = None


def page(
    report: Report,
    studies: Sequence[Study],
    figures: Sequence[Drawn],
    series: Sequence[Series] = (),
    figures_of_series: Sequence[Drawn] = (),
) -> str:
    """Return the page on all studies, with links to each one's figures, and to those of each series."""
    found = [report.findings(study) for study in studies]
    parts = [f"# {report.title}", report.lead]
    parts.append(overview("## Verdicts", [study.name for study in studies], found))
    if series:
        parts.append(overview("### With size", [one.name for one in series], [one.findings for one in series]))
    parts += ["## When a finding holds\n\n" + RULE, report.terms]
    for one, drawn in zip(series, figures_of_series, strict=True):
        parts += [f"## {one.name}", verdicts(one.findings), one.table, *links(drawn), inequalities(one.findings)]
    for study, own, drawn in zip(studies, found, figures, strict=True):
        parts += section(study, own, drawn)
    return "\n\n".join(parts) + "\n"


def overview(title: str, names: Sequence[str], found: Sequence[Sequence[Finding]]) -> str:
    """Return a table of verdicts, a column for each name."""
    claims = {finding.label: finding.claim for own in found for finding in own}
    told_of = [{finding.label: told(finding) for finding in own} for own in found]
    labels = sorted(claims, key=place)
    rows = [[f"{label}. {claims[label]}", *(own.get(label, "-") for own in told_of)] for label in labels]
    return table(title, ["finding (inequalities that hold)", *names], rows)


def place(label: str) -> tuple[int, str]:
    """Return where a finding stands among others: by number, then by letter."""
    letter = label.lstrip("0123456789")
    return int(label.removesuffix(letter)), letter


def told(finding: Finding) -> str:
    """Return a verdict, and how many inequalities hold."""
    if not finding.comparisons:
        return finding.verdict
    holding = sum(one.verdict == HOLDS for one in finding.comparisons)
    return f"**{finding.verdict}** ({holding} of {len(finding.comparisons)})"


def verdicts(found: Sequence[Finding]) -> str:
    """Return a table of findings, with the numbers behind them."""
    rows = [[f"{f.label}. {f.claim}", "<br>".join(f.numbers), told(f)] for f in found]
    return table("### Findings", ["finding", "mean ± deviation", "verdict"], rows)


def links(drawn: Drawn) -> list[str]:
    """Return figures with their captions."""
    return [f"![{caption}](figures/{file})\n\n{caption}" for file, caption in drawn]


def section(study: Study, found: Sequence[Finding], drawn: Drawn) -> list[str]:
    """Return the parts of the page on one study."""
    parts = [
        f"## {study.name}",
        verdicts(found),
        *links(drawn),
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
    head = ["sampler", "networks", "train error", "test error", *(f"δE({level:g})" for level in study.energies)]
    return table("### Solutions", head, rows)


def barriers(study: Study) -> str:
    """Return the table of barriers, of plain and of optimised paths."""
    kinds = study.form.kinds
    plain = {kind: barriers_of(study.curves[kind]) for kind in kinds}
    bent = {kind: barriers_of(study.bent[kind]) for kind in kinds}
    rows = []
    for pair in PAIRS:
        counts = {len(values[pair]) for values in (*plain.values(), *bent.values())}
        cells = [spread(values[pair]) for values in (*plain.values(), *bent.values())]
        rows.append([words(pair), "/".join(map(str, sorted(counts))), *cells])
    head = ["pair", "pairs", *kinds.values(), *(f"optimised: {title}" for title in kinds.values())]
    return table("### Barriers", head, rows)


def distances(study: Study) -> str:
    """Return the table of distances, and of midpoints."""
    form = study.form
    rows = []
    for pair in PAIRS:
        own = of_pair(study.distances, pair)
        bent = of_pair(study.bent[form.bent], pair)
        middles = [curve.midpoint for curve in bent.values() if curve.midpoint is not None]
        ends = [
            average([middle["distances"][end][form.metric] for middle in middles], form.digits)
            for end in ("start", "end")
        ]
        rows.append(
            [
                words(pair),
                spread(column(of_pair(study.unaligned, pair), form.metric), form.digits),
                spread(column(own, form.metric), form.digits),
                *(spread(column(own, name), digits) for _, name, digits in form.columns),
                *ends,
                average([middle["train_error"] for middle in middles], 4),
                average([middle["epochs"] for middle in middles], 1),
            ]
        )
    head = ["pair", f"{form.measure}, unaligned", f"{form.measure}, aligned", *(title for title, _, _ in form.columns)]
    head += ["midpoint to first", "midpoint to second", "midpoint's train error", "its epochs"]
    return table(f"### {form.captions['midpoints']}", head, rows)


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


def write(report: Report, usage: str) -> None:
    """Read the results in the folder that the command line names, draw, and write the page.

    Args:
        report: what the page is made of.
        usage: how the command is called.
    """
    folders = sorted(file.parent for file in Path(sys.argv[1]).glob("*/flatness.json")) if len(sys.argv) == 2 else []
    if not folders:
        sys.exit(f"usage: {usage} RESULTS   (a folder that run.sh has filled)")
    from study.figures import draw, draw_series

    results = Path(sys.argv[1])
    studies = [read_study(folder, report.form) for folder in folders]
    series = [] if report.series is None else report.series(studies)
    pictures = results / "figures"
    pictures.mkdir(exist_ok=True)
    drawn = [draw(study, pictures) for study in studies], [draw_series(one, pictures) for one in series]
    (results / "report.md").write_text(page(report, studies, drawn[0], series, drawn[1]))
    told_of = [(one.name, one.findings) for one in series]
    for name, found in [*((study.name, report.findings(study)) for study in studies), *told_of]:
        for finding in found:
            print(f"{name}  {finding.label}  {finding.verdict:13}  {finding.claim}")
    print(results / "report.md")
