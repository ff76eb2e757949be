"""Gains with a number for each of several axes of a weight: every number has a scale, and a sign, of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from landscape_cli.symmetry.solving.free_groups import named_after, unused
from landscape_cli.symmetry.spec import Axis, Places, Role, ScaledAxis, ScaleGroup, SignGroup, Symmetry
from landscape_cli.symmetry.tracing.record import GainTable


def with_tables(symmetry: Symmetry, tables: Sequence[GainTable], aliases: Mapping[str, Sequence[str]]) -> Symmetry:
    """Return a symmetry with groups of the numbers of gains, in place of those of their rows and columns.

    Args:
        symmetry: of units alone.
        tables: the gains, and what they multiply.
        aliases: every name of each tensor.
    """
    for table in tables:
        symmetry = _with_table(symmetry, table, aliases)
    return symmetry


def _with_table(symmetry: Symmetry, table: GainTable, aliases: Mapping[str, Sequence[str]]) -> Symmetry:
    shapes = dict(symmetry.shapes)
    size = math.prod(shapes[table.gain][dim] for dim in table.gain_dims)
    places = Places(np.arange(size)[:, None])
    gains = [Axis(name, table.gain_dims, Role.GAIN, places) for name in aliases[table.gain]]
    weights = [Axis(name, table.weight_dims, Role.INCOMING, places) for name in aliases[table.weight]]
    both = {axis.tensor for axis in (*gains, *weights)}
    kept = [not {scaled.axis.tensor for scaled in group.axes} <= both for group in symmetry.scales]
    scales = [group for group, keep in zip(symmetry.scales, kept, strict=True) if keep]
    at = kept.index(False) if False in kept else len(kept)
    name = unused(named_after(table.gain), {group.name for group in scales})
    scaled_axes = (*(ScaledAxis(axis, 1) for axis in gains), *(ScaledAxis(axis, -1) for axis in weights))
    before = at < symmetry.output_after
    signs = [group for group in symmetry.signs if not {axis.tensor for axis in group.axes} <= both]
    sign_name = unused(named_after(table.gain), {group.name for group in signs})
    return replace(
        symmetry,
        scales=(*scales[: sum(kept[:at])], ScaleGroup(name, size, scaled_axes), *scales[sum(kept[:at]) :]),
        output_after=sum(kept[: symmetry.output_after]) + before,
        signs=(*signs, SignGroup(sign_name, size, (*gains, *weights))),
    )
