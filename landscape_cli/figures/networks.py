"""Networks of a result as lines of a figure: by kind, with a mean over those of a family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from landscape_cli.figures.figure import Look
from landscape_cli.figures.style import SAMPLERS, kind_of, short_labels, styles_of, within_kind

MOST_LINES = 6
"""Of more networks, those of one sampler are drawn as their mean."""


class Line(NamedTuple):
    """What one line shows: a network, or all of a kind.

    Attributes:
        label: for the legend.
        members: the indices of the networks.
        style: of the line.
    """

    label: str
    members: tuple[int, ...]
    style: Mapping[str, Any]


def lines_of(names: Sequence[str], look: Look, families: Mapping[str, Sequence[str]] | None = None) -> list[Line]:
    """Return the lines that show networks.

    Args:
        names: of the networks.
        look: labels in place of theirs: of the families, or of the networks.
        families: the names of each family: then there is a line for each.
    """
    if families:
        owner = {name: family for family, members in families.items() for name in members}
        groups = {family: [k for k, name in enumerate(names) if owner.get(name) == family] for family in families}
        groups = {family: members for family, members in groups.items() if members}
        labels = look.label(short_labels(list(groups)))
    else:
        groups = {}
        for k, name in enumerate(names):
            kind = kind_of(name)
            groups.setdefault(
                kind if kind in SAMPLERS and len(names) > MOST_LINES and not look.labels else name, []
            ).append(k)
        bare = short_labels(list(names))
        labels = look.label([key if key in SAMPLERS else bare[members[0]] for key, members in groups.items()])
    kinds = [kind_of(key) for key in groups]
    styles = styles_of(kinds)
    seen: dict[str, int] = {}
    lines = []
    for label, kind, members in zip(labels, kinds, groups.values(), strict=True):
        style = within_kind(styles[kind], seen.setdefault(kind, 0))
        seen[kind] += 1
        lines.append(Line(f"{label} ({len(members)})" if len(members) > 1 else label, tuple(members), style))
    return lines
