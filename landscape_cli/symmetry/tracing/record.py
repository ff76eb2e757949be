"""What one traced run leaves behind: the facts from which the groups of a symmetry are solved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from landscape_cli.symmetry.spec import Mask, Role
from landscape_cli.symmetry.tracing.equations import Equations
from landscape_cli.symmetry.tracing.graph import Graph
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, Value


class Cut(NamedTuple):
    """How a parameter is cut along an axis into pieces with units of their own.

    Attributes:
        axis: the axis.
        pieces: how long the pieces are.
        parts: in how many runs of as many pieces these lie that are told apart by their numbers, so that units of one
            run may be those of another.
        beside: the axes along which each piece has units of its own; None for all.
        joint: whether these, and the axis, have a unit at each place of all together, in no blocks.
    """

    axis: int
    pieces: tuple[int, ...]
    parts: int = 1
    beside: tuple[int, ...] | None = None
    joint: bool = False

    @property
    def numbered(self) -> Cut:
        """The same with each piece told by its number."""
        return self._replace(parts=len(self.pieces))


Stacks = Mapping[str, tuple[Cut, ...]]
"""Parameters by name that are cut, and how: the pieces of one cut by the next."""


def counts_of(cuts: Sequence[Cut]) -> tuple[int, ...]:
    """Return into how many pieces each cut goes."""
    return tuple(len(cut.pieces) for cut in cuts)


def main_axis(dims: Sequence[int], cuts: Sequence[Cut]) -> int:
    """Return along which of some axes of a parameter the units of a piece lie: the last, but for those it is cut along.

    Where it is cut along all of them, that of the last cut.
    """
    cut = [each.axis for each in cuts]
    inside = [dim for dim in dims if dim not in cut]
    return inside[-1] if inside else max(dims, key=cut.index)


@dataclass(frozen=True)
class Known:
    """What one run has told of a model, for another to follow it further.

    Attributes:
        stacks: parameters that are used as stacks of such.
        joints: the nodes of the graph that put parts side by side that may trade places.
    """

    stacks: Stacks = field(default_factory=dict)
    joints: frozenset[int] = frozenset()


@dataclass(frozen=True)
class BatchNorm:
    """A normalisation by running statistics: the names of its tensors, and what it adds to the variance."""

    mean: str
    variance: str
    gain: str | None
    epsilon: float


@dataclass(frozen=True)
class GainTable:
    """A parameter with a number for each place of several axes of a weight, which it multiplies.

    Attributes:
        gain: its name.
        gain_dims: its axes.
        weight: the weight's name.
        weight_dims: the weight's axes that lie there.
    """

    gain: str
    gain_dims: tuple[int, ...]
    weight: str
    weight_dims: tuple[int, ...]


@dataclass(frozen=True)
class Traced:
    """What one traced forward pass leaves behind.

    Attributes:
        labels: what is known of who is who.
        equations: between scales, and between signs.
        parameters: the labels of each run of axes of the tensors used, in the order of their use.
        roles: what each axis of them is to the units there.
        weights: those that products contract with activations, as they are or made ready.
        aliases: every name of each tensor: a tensor shared between modules has several.
        shapes: the shapes of the model's tensors.
        learned: the names of the model's parameters.
        followers: the names of buffers that are known to follow these: statistics, masks, what parametrizations keep.
        seen: the labels of all tensors there were.
        outputs: what is known of the outputs.
        batch_norms: those that normalise with running statistics.
        masks: the buffers of zeros and ones that parameters are multiplied by wherever they are used.
        tables: the gains with a number for each of several axes of a weight that have no other use, nor has the weight.
        notes: what the user should be told.
        graph: what was computed of what.
        stacks: parameters that were used as stacks of such, with what lies beside, and how they are cut.
        cuts: those that were followed as such.
        joint: axes of parameters that were laid out as one, or met units that run along all of them.
    """

    labels: Labels
    equations: Equations
    parameters: Mapping[str, Sequence[Sequence[Layer]]]
    roles: Mapping[tuple[str, int], Role]
    weights: frozenset[str]
    aliases: Mapping[str, list[str]]
    shapes: Mapping[str, tuple[int, ...]]
    learned: frozenset[str]
    followers: frozenset[str]
    seen: Sequence[Sequence[Layer]]
    outputs: Sequence[Value]
    batch_norms: Sequence[BatchNorm]
    masks: Sequence[Mask]
    tables: Sequence[GainTable]
    notes: tuple[str, ...]
    graph: Graph
    stacks: Stacks = field(default_factory=dict)
    cuts: Stacks = field(default_factory=dict)
    joint: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)
