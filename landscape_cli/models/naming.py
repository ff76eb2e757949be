"""Which tensor of another program's file is which of a model's: names matched by how they end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from landscape_cli.errors import ModelError, listed, shown
from landscape_cli.network import Params

WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Of `nn.DataParallel` and its kind, `torch.compile`, FSDP, and recomputed activations: they add a name, anywhere."""
ORIGINALS = ("parametrizations.weight.original0", "parametrizations.weight.original1")
SYNONYMS = (
    *(("weight", "gamma"), ("bias", "beta")),
    *((ORIGINALS[0], "weight_g"), (ORIGINALS[1], "weight_v"), ("weight_g", ORIGINALS[0]), ("weight_v", ORIGINALS[1])),
)
"""Endings of the model's names, and those that files may have in their place: old transformers, both weight norms."""
AVERAGED = frozenset({"ema", "swa", "averaged", "avg", "teacher", "target", "momentum", "shadow"})
"""Words of a prefix that make it the second choice, of two that hold as much."""
DEEPEST = 3
"""How many modules of the model may be missing in front of the file's names."""


@dataclass(frozen=True)
class Match:
    """Which tensor of a file is which of a model.

    Attributes:
        theirs: the file's names by the model's, of all tensors that both have.
        owners: likewise, but what the owner's `state_dict` calls them now where the file follows a convention of
            transformers: old names of norms, a base model without its prefix.
        prefix: what the file puts before the model's names.
        beside: names in the file that the model has no use for: those outside the prefix, as of criteria and metrics,
            and buffers that it does not keep.
        rivals: other prefixes under which as many tensors fit.
    """

    theirs: Mapping[str, str]
    owners: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    beside: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()

    def renamed(self, tensors: Params) -> Params:
        """Return a file's tensors under the model's names; what lies inside the prefix without one keeps its own."""
        left = tensors.keys() - set(self.theirs.values()) - set(self.beside)
        return {name: tensors[name] for name in left} | {name: tensors[there] for name, there in self.theirs.items()}


@dataclass(frozen=True)
class _Candidate:
    """A prefix of the file's names, and one of the model's that the file lacks.

    Attributes:
        fitting: how many tensors have a name and a shape in common.
        named: how many have a name in common.
        prefix: what the file puts before names.
        missing: what the model has before names, and the file has not.
        names: the model's names, without wrappers, by what the file would call them.
    """

    fitting: int
    named: int
    prefix: str
    missing: str
    names: Mapping[str, str]

    def rank(self) -> tuple[int, int, bool, int, str]:
        """Return what the best candidate has least of."""
        return -self.fitting, -self.named, _is_averaged(self.prefix), len(self.prefix), self.prefix


def match_names(
    expected: Params,
    tensors: Params,
    unsaved: Iterable[str] = (),
    ignored: Iterable[str] = (),
    saved: Mapping[str, str] = MappingProxyType({}),
) -> Match:
    """Find which tensor of a file is which of a model, whatever wrappers and owners put before the names.

    Wrappers' names (`WRAPPERS`) do not count, wherever they are. Of all prefixes that the file may have, and that the
    model has and the file lacks, those count under which most names and shapes are the model's.

    Args:
        expected: the model's tensors, whose values do not matter.
        tensors: the file's, likewise.
        unsaved: buffers of the model that its `state_dict` leaves out.
        ignored: patterns of names that the model's own code says that files may hold in vain.
        saved: names that files may have in place of the model's, by these, as its own code says.

    Raises:
        ModelError: if several prefixes fit alike, and none is the obvious one.
    """
    ours, theirs = _bare(expected), _bare(tensors)
    if not theirs or not ours:
        return Match({})
    candidates = sorted(_candidates(ours, theirs, expected, tensors, saved), key=_Candidate.rank)
    best = candidates[0]
    if 2 * best.named < len(expected):  # another model's, of which no prefix is to be made out
        best = next(candidate for candidate in candidates if not candidate.prefix + candidate.missing)
    rivals = _rivals(candidates, len(expected))
    matched: dict[str, str] = {}
    owners: dict[str, str] = {}
    leads: Counter[str] = Counter()
    wrapped = all(name.startswith(best.missing) for name in ours)
    for rest, our in best.names.items():
        there = theirs.get(best.prefix + rest)
        if there is not None and ours[our] not in matched:
            matched[ours[our]] = there
            lead = _lead(there, best.prefix)
            leads[lead] += 1
            if rest == saved.get(ours[our], "").removeprefix(best.missing):
                owners[ours[our]] = lead + ours[our].removeprefix(best.missing if wrapped else "")
            else:
                owners[ours[our]] = _modern(there, our) if wrapped else lead + ours[our]
    used = set(matched.values())
    hidden = {best.prefix + name.removeprefix(best.missing) for name in _bare(unsaved)}
    beside = tuple(
        name
        for bare, name in theirs.items()
        if name not in used
        and (
            bare in hidden
            or (leads and not name.startswith(tuple(leads)))
            or any(re.search(pattern, name) for pattern in ignored)
        )
    )
    return Match(matched, owners, max(leads, key=leads.__getitem__, default=""), beside, rivals)


def _candidates(
    ours: Mapping[str, str], theirs: Mapping[str, str], expected: Params, tensors: Params, saved: Mapping[str, str]
) -> Iterator[_Candidate]:
    depth = 1 + max(name.count(".") for name in (*ours, *saved.values()))
    for missing in _heads(ours):
        names = _file_names(ours, missing, saved)
        fitting: Counter[str] = Counter()
        named = Counter({"": 0})
        for bare, name in theirs.items():
            for prefix, rest in _endings(bare, depth):
                if rest in names:
                    named[prefix] += 1
                    fitting[prefix] += tensors[name].shape == expected[ours[names[rest]]].shape
        yield from (_Candidate(fitting[prefix], count, prefix, missing, names) for prefix, count in named.items())


def _rivals(candidates: list[_Candidate], size: int) -> tuple[str, ...]:
    """Return the prefixes other than the first candidate's that fit as well as it does.

    Raises:
        ModelError: if it is not the obvious one.
    """
    best = candidates[0]
    alike = [c for c in candidates if c.missing == best.missing and c.fitting == best.fitting and c.named == best.named]
    if 2 * best.fitting < size or len(alike) == 1:
        return ()
    prefixes = [candidate.prefix.removesuffix(".") for candidate in alike]
    if best.prefix and sum(not _is_averaged(prefix) for prefix in prefixes) != 1:
        raise ModelError(
            f"the file holds several networks that fit the model, under {listed(map(shown, prefixes))}: choose one "
            f"with `key=` {shown(prefixes[0])}"
        )
    return tuple(prefixes[1:])


def _bare(names: Iterable[str]) -> dict[str, str]:
    """Return names by what they are without wrappers; those that would be one stay as they are."""
    bare = {name: ".".join(part for part in name.split(".") if part not in WRAPPERS) for name in names}
    counts = Counter(bare.values())
    return {short if counts[short] == 1 else name: name for name, short in bare.items()}


def _heads(ours: Mapping[str, str]) -> list[str]:
    """Return what the file may lack in front of the model's names: modules that hold at least half of the tensors."""
    counts: Counter[str] = Counter()
    for name in ours:
        modules = name.split(".")[:-1]
        counts.update(
            "".join(f"{module}." for module in modules[:depth])
            for depth in range(1, DEEPEST + 1)
            if depth <= len(modules)
        )
    return ["", *(head for head, count in counts.items() if 2 * count >= len(ours))]


def _file_names(ours: Mapping[str, str], missing: str, saved: Mapping[str, str]) -> dict[str, str]:
    """Return the model's names by those that a file may have in their place, the likelier first."""
    names = {name: name for name in ours if not name.startswith(missing)} if missing else {}
    for name in ours:
        names.setdefault(name.removeprefix(missing), name)
    for name in ours:
        if ours[name] in saved:
            names.setdefault(saved[ours[name]].removeprefix(missing), name)
    for mine, other in SYNONYMS:
        for rest, name in list(names.items()):
            if rest == mine or rest.endswith(f".{mine}"):
                names.setdefault(rest.removesuffix(mine) + other, name)
    return names


def _endings(name: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield what a name begins and ends with, the end of up to so many parts."""
    begin = len(name)
    for _ in range(depth):
        begin = name.rfind(".", 0, max(begin - 1, 0)) + 1
        yield name[:begin], name[begin:]
        if not begin:
            return


def _lead(name: str, prefix: str) -> str:
    """Return what a file's name begins with, wrappers included, up to where the model's begins."""
    if name.startswith(prefix) and not WRAPPERS.intersection(name.removeprefix(prefix).split(".")):
        return prefix
    parts, left = name.split("."), prefix.count(".")
    begin = 0
    while begin < len(parts) - 1 and (left or parts[begin] in WRAPPERS):
        left -= parts[begin] not in WRAPPERS
        begin += 1
    return "".join(f"{part}." for part in parts[:begin])


def _modern(name: str, ours: str) -> str:
    """Return a file's name with what norms' tensors are called now."""
    for mine, old in SYNONYMS[:2]:
        if name.endswith(f".{old}") and ours.endswith(f".{mine}"):
            return name.removesuffix(old) + mine
    return name


def _is_averaged(prefix: str) -> bool:
    return not AVERAGED.isdisjoint(re.split(r"[._]", prefix))
