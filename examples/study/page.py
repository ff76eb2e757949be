"""The page of a study, and its figures.

Results are a folder for each data set and architecture, as run.sh leaves them; beside these go report.md and figures.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from study.claims import ROWS, Finding, average, barriers_of, column, of_sampler, spread, words
from study.effects import RULE as EFFECTS
from study.readings import PAIRS, SOLVED, Form, Study, of_pair, read_studies
from study.verdicts import FAILS, HOLDS, NOISE, RULE

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
        rule: when a finding holds.
        overview: says first what was found, of names and the findings of each.
        extras: further parts of the page on one study.
        again: the command that makes the files again that a table is of, by study and a pattern of files (all if there
            is none); None to show none.
    """

    form: Form
    title: str
    lead: str
    terms: str
    findings: Callable[[Study], list[Finding]]
    series: Callable[[Sequence[Study]], list[Series]] | None = None
    rule: str = RULE
    overview: Callable[[Sequence[str], Sequence[Sequence[Finding]]], str] = lambda names, found: overview(
        "## Verdicts", names, found
    )
    extras: Callable[[Study], list[str]] = lambda study: []
    again: Callable[[Study, str], str] | None = None


def captions(study: Study) -> dict[str, str]:
    """Return the figures of what was measured of a study, and what each shows."""
    form = study.form
    energy = f"Local energy against {form.noise}: mean and deviation over seeds; test error against local energy."
    profiles = "Training error along paths: mean over pairs, and deviation as a band."
    shown = {
        "energy": (study.energies, energy + form.figures.get("energy", "")),
        "profiles": (any(study.curves.values()), profiles + form.figures.get("profiles", "")),
        "planes": (study.planes, form.captions["planes"]),
        "distances": (study.distances, form.captions["distances"]),
    }
    return {name: caption for name, (measured, caption) in shown.items() if measured}


def whole(report: Report, studies: Sequence[Study]) -> str:
    """Return the page on all studies, with links to the figures that are drawn of them."""
    series = [] if report.series is None else report.series(studies)
    sized = "What is measured against size: mean and deviation over seeds, or over pairs of one sampler."
    return page(
        report,
        studies,
        [[(f"{study.name}-{name}.png", caption) for name, caption in captions(study).items()] for study in studies],
        series,
        [[(f"{one.name}.png", sized)] for one in series],
    )


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
    parts.append(report.overview([study.name for study in studies], found))
    if series:
        parts.append(overview("### With size", [one.name for one in series], [one.findings for one in series]))
    parts += ["## When a finding holds\n\n" + report.rule, EFFECTS, report.terms]
    for one, drawn in zip(series, figures_of_series, strict=True):
        parts += [f"## {one.name}", verdicts(one.findings), one.table, *links(drawn), inequalities(one.findings)]
    for study, own, drawn in zip(studies, found, figures, strict=True):
        parts += section(report, study, own, drawn)
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
    counts = Counter(one.verdict for one in finding.comparisons)
    text = f"{counts[HOLDS]} of {len(finding.comparisons)}"
    if not finding.each:
        text += f" hold, {counts[NOISE]} within noise, {counts[FAILS] or 'none'} reversed"
    return f"**{finding.verdict}** ({text})"


def verdicts(found: Sequence[Finding]) -> str:
    """Return a table of findings, with the numbers behind them."""
    sized = any(f.effects for f in found)
    rows = [
        [
            f"{f.label}. {f.claim}",
            "<br>".join(f.numbers),
            *(["<br>".join(map(str, f.effects))] if sized else []),
            told(f),
        ]
        for f in found
    ]
    return table("### Findings", ["finding", "mean ± deviation", *(["effect"] if sized else []), "verdict"], rows)


def links(drawn: Drawn) -> list[str]:
    """Return figures with their captions."""
    return [f"![{caption}](figures/{file})\n\n{caption}" for file, caption in drawn]


def section(report: Report, study: Study, found: Sequence[Finding], drawn: Drawn) -> list[str]:
    """Return the parts of the page on one study."""
    parts = [f"## {study.name}"]
    if study.absent:
        parts.append(f"Not there yet: {', '.join(study.absent)}.")
    if found:
        parts.append(verdicts(found) + again(report, study))
    parts += links(drawn)
    bent = study.form.bent
    midpoints = f"@(distances*|paths/optimized-{bent}-*)" if study.bent.get(bent) else "distances*"
    tables = (
        (solutions, "flatness.json", study.errors["train"]),
        (barriers, "paths/*", any(study.curves.values())),
        (distances, midpoints, study.distances),
    )
    parts += [make(study) + again(report, study, files) for make, files, measured in tables if measured]
    parts += report.extras(study)
    if found:
        parts.append(inequalities(found))
    if study.missing:
        parts.append(f"Not measured, and left out of all means: {'; '.join(study.missing)}.")
    versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    return [*parts, f"Versions: {versions}."] if versions else parts


def again(report: Report, study: Study, files: str = "") -> str:
    """Return the line below a table that says how to make it again: all of the study, or files of it."""
    return "" if report.again is None else f"\n\nAgain: `{report.again(study, files)}`"


def solutions(study: Study) -> str:
    """Return the table of errors and local energies."""
    rows = []
    for sampler in ROWS:
        own = of_sampler(study.errors["train"], sampler)
        if not own:
            continue
        lost = [name for name in study.unsolved if (name,) in own]
        cells = [spread(of_sampler(study.errors[split], sampler)) for split in ("train", "test")]
        cells += [spread(of_sampler(energies, sampler)) for energies in study.energies.values()]
        ages = average(list(of_sampler(study.epochs, sampler).values()), 0)
        rows.append([sampler.upper(), str(len(own)), ages, ", ".join(lost) or "-", *cells])
    head = ["sampler", "networks", "epochs", f"train error above {SOLVED:g}", "train error", "test error"]
    return table("### Solutions", [*head, *(f"δE({level:g})" for level in study.energies)], rows)


def barriers(study: Study) -> str:
    """Return the table of barriers, of plain and of optimised paths."""
    kinds = study.form.kinds
    plain = {kind: barriers_of(study.curves[kind]) for kind in kinds}
    bent = {kind: barriers_of(study.bent[kind]) for kind in kinds}
    rows = []
    for pair in PAIRS:
        counts = {len(values[pair]) for values in (*plain.values(), *bent.values())} - {0}
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
    studies = read_studies(Path(sys.argv[1]), report.form) if len(sys.argv) == 2 else []
    if not studies:
        sys.exit(f"usage: {usage} RESULTS   (a folder that run.sh has filled)")
    from study.figures import draw, draw_series

    results = Path(sys.argv[1])
    series = [] if report.series is None else report.series(studies)
    pictures = results / "figures"
    pictures.mkdir(exist_ok=True)
    for study in studies:
        draw(study, pictures)
    for one in series:
        draw_series(one, pictures)
    (results / "report.md").write_text(whole(report, studies))
    told_of = [(one.name, one.findings) for one in series]
    for name, found in [*((study.name, report.findings(study)) for study in studies), *told_of]:
        for finding in found:
            print(f"{name}  {finding.label}  {finding.verdict:13}  {finding.claim}")
    print(results / "report.md")
