"""What a symmetry is: groups of units and the tensor axes they touch, as plain data (SPEC 1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(str, Enum):
    """What the entries of a tensor along an axis are to the units that live there."""

    INCOMING = "incoming"
    """Weights that write the units: a unit's own row."""
    OUTGOING = "outgoing"
    """Weights that read the units: a unit's column."""
    FOLLOWER = "follower"
    """Anything else a unit carries along: its bias."""


@dataclass(frozen=True)
class Axis:
    """Units living along one axis of one tensor.

    Unit i occupies the places `offset + (t * size + i) * repeat + r` for every t < tiles and r < repeat, where
    `size` is the number of units in the group: after a flatten each unit spans `repeat` consecutive places.
    """

    tensor: str
    dim: int
    role: Role
    repeat: int = 1
    offset: int = 0
    tiles: int = 1


@dataclass(frozen=True)
class PermutationGroup:
    """Hidden units that can be relabelled freely, together along every axis listed."""

    name: str
    size: int
    axes: tuple[Axis, ...]

    @property
    def writers(self) -> tuple[Axis, ...]:
        """The axes along which the units' incoming weights are rows."""
        return tuple(axis for axis in self.axes if axis.role is Role.INCOMING)


@dataclass(frozen=True)
class ScaledAxis:
    """An axis whose entries are multiplied by `factor ** power` when its units' activations are by `factor`."""

    axis: Axis
    power: int


@dataclass(frozen=True)
class ScaleGroup:
    """Units whose scale is free: multiplying unit i's activation by any factor > 0 changes nothing downstream."""

    name: str
    size: int
    axes: tuple[ScaledAxis, ...]

    @property
    def writers(self) -> tuple[Axis, ...]:
        """The axes whose rows of incoming weights scale with the units; the first one sets the norm."""
        return tuple(scaled.axis for scaled in self.axes if scaled.axis.role is Role.INCOMING and scaled.power == 1)


@dataclass(frozen=True)
class Sphere:
    """Where the weights of a tensor live once normalised (SPEC 4).

    Attributes:
        tensor: a tensor of weights.
        dim: along which each slice is one unit on a sphere of its own; None if the tensor is one sphere as a whole.
    """

    tensor: str
    dim: int | None


@dataclass(frozen=True)
class FixedAxis:
    """A tensor axis (or part of one) that no symmetry touches, and why."""

    tensor: str
    dim: int
    reason: str


@dataclass(frozen=True)
class Symmetry:
    """All that was found of a model's symmetries, in forward order.

    Attributes:
        permutations: groups of hidden units that can be relabelled.
        scales: groups of hidden units that can be rescaled.
        output: the axes that one common positive factor of all outputs multiplies; empty if there is none.
        output_after: how many of the groups in `scales` come before the output in forward order.
        spheres: every tensor of weights, and the units in it.
        fixed: the axes that are in no permutation group.
        shapes: every tensor of the model that the groups speak of, and its shape.
    """

    permutations: tuple[PermutationGroup, ...]
    scales: tuple[ScaleGroup, ...]
    output: tuple[ScaledAxis, ...]
    output_after: int
    spheres: tuple[Sphere, ...]
    fixed: tuple[FixedAxis, ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of the tensors of weights: not biases, nor anything else that follows the units."""
        return tuple(dict.fromkeys(sphere.tensor for sphere in self.spheres))
