"""How parameters may be cut into pieces that have units of their own each, as shown by how they are used.

A stack of matrices, of which each is read for itself, is cut along its own axis; what is taken by slices or numbers is
cut there; weights of a grouped convolution, by groups. A run notes what it has seen; another follows it
(`TensorTable`), and what is found then decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, combinations
from math import prod

from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, Parameter, covered
from landscape_cli.symmetry.tracing.record import Cut, Stacks

MOST_STACKED = 3
"""How many axes of more than one place a stack has at most: those of its matrices, and its own."""


class CutTable:
    """What one run has shown of how parameters may be cut.

    Attributes:
        joint: axes of parameters that may have a unit at each place of all of them together.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        learned: frozenset[str],
        runs: Mapping[str, Sequence[Sequence[Layer]]],
        followed: Stacks,
    ) -> None:
        """Start with nothing.

        Args:
            shapes: of all tensors of the model by name.
            learned: which of them are parameters.
            runs: the labels of each run of axes of those used so far.
            followed: those that are cut in this run, and how.
        """
        self._shapes, self._learned, self._runs, self._followed = shapes, learned, runs, followed
        self.joint: dict[str, list[tuple[int, ...]]] = {}
        self._cuts: dict[str, dict[int, Cut]] = {}
        self._taken: set[tuple[str, int]] = set()
        self._guessed: set[str] = set()
        self._beside: list[Layer] = []
        self._slices: dict[tuple[str, int], set[tuple[int, int]]] = {}

    def note_stack(self, used: Parameter, most: int = MOST_STACKED) -> None:
        """Note that a parameter, or a piece used, is a stack: along its first long axis, unless products tell."""
        if used.name not in self._cuts and len(self._long(used)) >= MOST_STACKED:
            self._guessed.add(used.name)
        self._note_cuts(used, self._long(used)[:1], most=most)

    def note_joint(self, used: Parameter, axes: Iterable[int]) -> None:
        """Note that axes of a parameter, of those it is used with, were laid out as one or met units along all."""
        dims = [used.dims[axis] for axis in sorted(axes)]
        if used.name in self._learned and len(dims) > 1 and None not in dims:
            made = tuple(dim for dim in dims if dim is not None)
            if all(set(before).isdisjoint(made) for before in self.joint.setdefault(used.name, [])):
                self.joint[used.name].append(made)

    def note_batch(self, used: Parameter, batch: Collection[int]) -> None:
        """Note that one is a stack of matrices along these axes."""
        long = self._long(used)
        self._note_cuts(used, [dim for dim in long if dim in batch], most=len(long))
        for dim, cut in self._cuts.get(used.name, {}).items():
            if dim in batch and len(set(cut.pieces)) == 1 and cut.pieces[0] > 1:  # a stack in each piece
                self._cuts[used.name][dim] = _each_alone(cut)

    def note_laid_out(self, used: Parameter, batch: Collection[int]) -> None:
        """Note the same of axes each laid out as one with a later axis, unless products tell which goes by itself."""
        if used.name not in self._cuts:
            self._guessed.add(used.name)
        self.note_batch(used, batch)

    def note_beside(self, layer: Layer) -> None:
        """Note what lives along axes at whose places matrices are multiplied each for itself, as heads do."""
        self._beside.append(layer)

    def is_stack(self, name: str) -> bool:
        """Tell whether a parameter was used as a stack of matrices, or what was taken of it."""
        return any((name, dim) not in self._taken for dim in self._cuts.get(name, ()))

    def note_piece(self, used: Parameter, dim: int, pieces: Sequence[int] = ()) -> None:
        """Note that places along an axis were used apart: each, or in pieces of these lengths."""
        long = self._long(used)
        alone = max(pieces, default=1) == 1
        self._taken.add((used.name, dim))
        matrix = not alone and len(long) == MOST_STACKED - 1
        if dim in long and (dim == long[0] or matrix or (alone and len(long) > MOST_STACKED - 1)):
            self._note_cuts(used, [dim], pieces, most=len(long) if alone else MOST_STACKED)

    def note_slice(self, used: Parameter, dim: int, places: Collection[int]) -> None:
        """Note that some places in a row along an axis were used apart: as a place alone, or with others as pieces."""
        if len(places) == 1:
            self.note_piece(used, dim)
        elif dim in self._long(used) and used.name in self._learned:
            self._slices.setdefault((used.name, dim), set()).add((min(places), len(places)))

    def note_groups(self, shape: Sequence[int], layers: Sequence[Layer], groups: int, labels: Labels) -> None:
        """Note parameters whose rows are in groups: those that grouped weights were made of, number by number.

        Args:
            shape: of the weights: rows, what each group has beside, places.
            layers: the labels of the weights' rows.
            groups: how many there are.
            labels: who is who.
        """
        units = {int(unit) for layer in layers for unit in labels.find(layer.numpy().ravel())}
        for name, runs in self._runs.items() if groups < shape[0] else ():
            own = self._shapes[name]
            here = labels.find(runs[0][0].numpy().ravel()).tolist() if runs else []
            shared = any(unit >= 0 and unit in units for unit in here)
            if shared and name in self._learned and prod(own) == prod(shape) and own[0] in {shape[0], groups}:
                inside = prod(shape[:2]) // own[0]
                beside = tuple(axis for axis in range(1, len(own)) if prod(own[1:axis]) < inside)
                cut = Cut(0, (own[0] // groups,) * groups, beside=beside)
                self._cuts.setdefault(name, {}).setdefault(0, cut)

    def stacks_seen(self, weights: Collection[str], labels: Labels) -> Stacks:
        """Return the parameters that were used as stacks, and those as long that are no weights: biases beside them.

        Those that are no weights may be stacks, whatever they meet, if several of their axes hold units of their own,
        the first ones that are elsewhere, too: the rows of a table that are never read are no stack.
        """
        units = {
            name: [set(labels.find(run[0].numpy().ravel()).tolist()) for run in runs]
            for name, runs in self._runs.items()
        }
        self._turn_guesses(labels)
        holders = Counter(unit for axes in units.values() for unit in set().union(*axes))
        for name in sorted(self._learned & self._runs.keys() - set(weights)):
            layers, own = [run[0] for run in self._runs[name]], units[name]
            moving = [k for k, layer in enumerate(layers) if not labels.why_fixed(layer.numpy()).any()]
            every = Parameter(name, tuple(range(len(self._shapes[name]))))
            if len(moving) < 2 or moving[0] or covered(layers[0]) != set(self._long(every)[:1]):
                continue
            if all(own[0].isdisjoint(own[k]) for k in moving[1:]) and all(holders[unit] > 1 for unit in own[0]):
                self.note_stack(every)
        self._add_slices()
        stacked = {name: tuple(cuts.values()) for name, cuts in self._cuts.items()}
        cut = {tuple(cuts[start:end]) for cuts in stacked.values() for start, end in combinations(range(4), 2)}
        for name in sorted(self._learned & self._runs.keys() - set(weights)):
            beside = max((_beside(self._shapes[name], cuts) for cuts in sorted(cut, key=repr)), key=len, default=())
            if len(beside) > len(stacked.get(name, ())):
                stacked[name] = beside
        return stacked | self._without_common(labels)

    def _without_common(self, labels: Labels) -> dict[str, tuple[Cut, ...]]:
        """Return how parameters are cut whose pieces, each taken by itself, have units in common along some axes.

        Beside a stack that is used as a whole, units are each piece's own along no more than the others; where they are
        so along none, as of biases that are summed, that is no cut.
        """
        cuts = {(name, cut.axis) for name, each in self._followed.items() for cut in each}
        found: dict[str, tuple[Cut, ...]] = {}
        for name in self._followed if cuts - self._taken else ():
            *outer, last = self._followed[name]
            plain = max(last.pieces) == last.parts == 1 and last.beside is None
            if not plain or (name, last.axis) not in self._taken or name not in self._runs:
                continue
            layers = {
                max(covered(run[0]) - {cut.axis for cut in outer} - {last.axis}): run[0] for run in self._runs[name]
            }
            own = tuple(dim for dim, layer in sorted(layers.items()) if not _in_common(layer, last.axis, labels))
            if len(own) < len(layers):
                found[name] = (*outer, last._replace(beside=own)) if own else ()
        return found

    def _turn_guesses(self, labels: Labels) -> None:
        """Cut along the axes whose units products go by one by one, where it was a guess which these are."""
        layers = self._beside if self._guessed else []
        beside = {int(unit) for layer in layers for unit in labels.find(layer.numpy().ravel())}
        for name in sorted(self._guessed & self._runs.keys() & self._cuts.keys()):
            if name in self._followed:
                self._cuts[name] = {cut.axis: cut for cut in self._followed[name]}
                continue
            first = [run[0] for run in self._runs[name]]
            along = [layer for layer in first if not beside.isdisjoint(labels.find(layer.numpy().ravel()).tolist())]
            dims = {dim for layer in along for dim in covered(layer)}
            cuts = self._cuts[name]
            others = sorted(cuts.keys() - dims)
            if dims <= cuts.keys() or not others or any(max(cut.pieces) > 1 for cut in cuts.values()):
                continue
            del cuts[others[-1]]
            cuts |= {dim: Cut(dim, (1,) * self._shapes[name][dim]) for dim in sorted(dims - cuts.keys())}

    def _add_slices(self) -> None:
        """Note as pieces what was taken in slices that come to the whole."""
        for (name, dim), slices in self._slices.items():
            sizes = _tiling(slices, self._shapes[name][dim])
            if not sizes:
                continue
            cut = Cut(dim, sizes)
            cuts = self._cuts.setdefault(name, {})
            if dim in cuts and len(set(sizes)) == 1:
                cuts[dim] = _each_alone(cut)
            else:
                cuts.setdefault(dim, cut)

    def _long(self, used: Parameter) -> list[int]:
        """Return the axes of a parameter that what is used of it has, and that have several places."""
        return sorted(dim for dim in used.dims if dim is not None and self._shapes[used.name][dim] > 1)

    def _note_cuts(self, used: Parameter, dims: Sequence[int], pieces: Sequence[int] = (), *, most: int) -> None:
        if dims and used.name in self._learned and 2 <= len(self._long(used)) <= most:
            cuts = self._cuts.setdefault(used.name, {})
            for dim in dims:
                cuts.setdefault(dim, Cut(dim, tuple(pieces) or (1,) * self._shapes[used.name][dim]))


def crossings(stacks: Stacks, shapes: Mapping[str, Sequence[int]]) -> Iterator[dict[str, tuple[Cut, ...]]]:
    """Yield ways to cut parameters of four axes along two at once, such that one of the others goes with each.

    So weights between capsules have what is read, of each that is read, and what is written, of each that is written.

    Args:
        stacks: which parameters, and how they were seen to be cut, each place alone.
        shapes: of all tensors by name.
    """
    ways: dict[str, list[tuple[Cut, ...]]] = {}
    for name, cuts in stacks.items():
        long = [dim for dim, size in enumerate(shapes[name]) if size > 1]
        if len(long) != MOST_STACKED + 1 or len(cuts) > 2 or any(max(cut.pieces) > 1 for cut in cuts):
            continue
        first, *others = (cut.axis for cut in cuts)
        for second in others or [dim for dim in long if dim != first]:
            beside = [dim for dim in long if dim not in (first, second)]
            for with_each in (beside, beside[::-1]):
                pairs = zip((first, second), with_each, strict=True)
                cut = tuple(Cut(axis, (1,) * shapes[name][axis], beside=(dim,)) for axis, dim in pairs)
                ways.setdefault(name, []).append(cut)
    for k in range(max(map(len, ways.values()), default=0)):
        yield {**stacks, **{name: found[k] for name, found in ways.items() if k < len(found)}}


def joint_cuts(
    joint: Mapping[str, Sequence[Sequence[int]]], shapes: Mapping[str, Sequence[int]], followed: Stacks
) -> dict[str, tuple[Cut, ...]]:
    """Return how parameters are cut that have a unit at each place of some axes together, beside what else cuts them.

    Args:
        joint: these axes of each, perhaps several times.
        shapes: of all tensors by name.
        followed: how parameters are cut so far.
    """
    cuts: dict[str, tuple[Cut, ...]] = {}
    for name, several in joint.items():
        before = followed.get(name, ())
        made = [Cut(axis, (1,) * shapes[name][axis], beside=tuple(beside), joint=True) for axis, *beside in several]
        taken = {dim for axes in several for dim in axes}
        others = [each for each in before if taken.isdisjoint({each.axis, *(each.beside or ())})]
        cuts[name] = (*made, *(others if is_crossed(before) else ()))
    return cuts


def crossed_in(stacks: Stacks) -> set[str]:
    """Return which parameters are cut along two axes at once, each cut by itself."""
    return {name for name, cuts in stacks.items() if len(cuts) > 1 and is_crossed(cuts)}


def is_crossed(cuts: Sequence[Cut]) -> bool:
    """Tell whether cuts are each by itself, rather than one within the pieces of another."""
    return (len(cuts) > 1 and cuts[0].beside is not None) or any(cut.joint for cut in cuts)


def _tiling(slices: Collection[tuple[int, int]], length: int) -> tuple[int, ...]:
    """Return how long slices are, each a start and a length, that come to a whole: the smallest or the largest ones."""
    held = {(a, b) for a in slices for b in slices if a != b and a[0] >= b[0] and sum(a) <= sum(b)}
    for left_out in ({outer for _, outer in held}, {inner for inner, _ in held}):
        starts, sizes = zip(*sorted(set(slices) - left_out), strict=True)
        if [*starts, length] == [0, *accumulate(sizes)]:
            return sizes
    return ()


def _in_common(layer: Layer, axis: int, labels: Labels) -> bool:
    """Tell whether all places along an axis have the same units."""
    parts = (labels.resolve(piece.numpy().ravel()) for piece in layer.unbind(axis))
    units = [{int(unit) for part in resolved for unit in part if unit >= 0} for resolved in parts]
    return bool(units[0]) and all(each == units[0] for each in units)


def _each_alone(cut: Cut) -> Cut:
    """Return how a parameter is cut if each place of pieces of equal lengths has units of its own."""
    return Cut(cut.axis, (1,) * sum(cut.pieces), parts=len(cut.pieces))


def _beside(shape: Sequence[int], cuts: Sequence[Cut]) -> tuple[Cut, ...]:
    """Return how a tensor is cut that has a place for each piece of another along its first axes; not at all if none.

    Both are cut one axis at a time in the same order, each place alone.
    """
    axes = sorted(cut.axis for cut in cuts)
    counts = [len(cut.pieces) for axis in axes for cut in cuts if cut.axis == axis]
    alone = all(max(cut.pieces) == 1 for cut in cuts)
    if not alone or list(shape[: len(axes)]) != counts or max(shape[len(axes) :], default=1) == 1:
        return ()
    return tuple(cut._replace(axis=axes.index(cut.axis)) for cut in cuts)
