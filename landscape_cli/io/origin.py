"""Under which names a foreign file held its tensors, so that they can be given back under those."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Origin:
    """Where in another program's file a network was, and what its tensors are called there.

    Attributes:
        key: the entry of the file that held it, dotted for nesting, as `key=` names it; empty if the file is the
            `state_dict` itself.
        names: the beginning of the file's names by that of ours, up to and with a dot, or whole names; the longest
            that a name begins with counts, and names with none are the file's too.
        absent: tensors of ours that the file left out: further names of tied ones, counters of batches.
    """

    key: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    def saved_names(self, ours: Iterable[str]) -> dict[str, str]:
        """Return the file's names by ours; those of absent tensors as the file would have had them."""
        return {name: self._saved_name(name) for name in ours}

    def _saved_name(self, name: str) -> str:
        head = next((head for head in _heads(name) if head in self.names), "")
        return self.names.get(head, "") + name[len(head) :]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that a checkpoint's metadata holds: what says something."""
        values = {"key": self.key, "names": dict(self.names), "absent": list(self.absent)}
        return {key: value for key, value in values.items() if value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Origin:
        """Read the JSON object back.

        Raises:
            ValueError: if a field is of the wrong kind.
        """
        key, names, absent = value.get("key", ""), value.get("names", {}), value.get("absent", [])
        if not isinstance(key, str):
            raise ValueError("'key' must be text")
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise ValueError("'names' must be an object of texts")
        if not isinstance(absent, list) or not all(isinstance(name, str) for name in absent):
            raise ValueError("'absent' must list names")
        return cls(key, names, tuple(absent))


def origin_of(theirs: Mapping[str, str], *, key: str = "", absent: Collection[str] = ()) -> Origin | None:
    """Return where a network came from; None if its file is a plain `state_dict` under the model's own names.

    Args:
        theirs: the file's names by ours.
        key: the entry of the file that held it.
        absent: tensors that the file left out.
    """
    names = _compact(theirs)
    return Origin(key, names, tuple(sorted(absent))) if key or names or absent else None


def _heads(name: str) -> Iterator[str]:
    """Yield a name, and what it begins with up to each of its dots, the longest first."""
    yield name
    end = len(name)
    while (end := name.rfind(".", 0, end)) >= 0:
        yield name[: end + 1]
    yield ""


def _compact(theirs: Mapping[str, str]) -> dict[str, str]:
    """Return the fewest beginnings that tell all names, module by module: most files have one prefix."""
    names: dict[str, str] = {}

    def visit(head: str, inherited: str, ours: Sequence[str]) -> None:
        rests = {name: name[len(head) :] for name in ours}
        votes = Counter(
            theirs[name].removesuffix(rest) if rest else theirs[name]
            for name, rest in rests.items()
            if theirs[name].endswith(rest)
        )
        usual = max(votes, key=lambda there: (votes[there], there == inherited), default=inherited)
        if usual != inherited:
            names[head] = usual
        children = defaultdict(list)
        for name, rest in rests.items():
            first, dot, _ = rest.partition(".")
            children[first + dot].append(name)
        for child, within in children.items():
            if any(theirs[name] != usual + rests[name] for name in within):
                visit(head + child, usual + child, within)

    visit("", "", sorted(theirs))
    return names
