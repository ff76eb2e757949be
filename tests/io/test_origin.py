"""The names that a foreign file had, kept in few words."""

from __future__ import annotations

import random

import pytest

from landscape_cli.io.origin import Origin, origin_of

OURS = [f"{module}{leaf}" for module in ("", "a.", "a.b.", "a.b.c.", "ab.", "z.0.") for leaf in ("weight", "bias")]


@pytest.mark.parametrize("seed", range(20))
def test_names_are_kept(seed: int) -> None:
    """Whatever a file calls its tensors, in whichever of its modules."""
    drawn = random.Random(seed)
    theirs = {name: name for name in OURS}
    for _ in range(drawn.randrange(4)):
        head = drawn.choice(["", "a.", "a.b.", "ab.", "z.", "a.b.c.weight", "bias"])
        inserted = drawn.choice(["module.", "model._orig_mod.", "x."])
        for name in OURS:
            if name.startswith(head):
                theirs[name] = theirs[name][: len(theirs[name]) - len(name) + len(head)] + inserted + name[len(head) :]
    origin = origin_of(theirs)
    if theirs == dict(zip(OURS, OURS, strict=True)):
        assert origin is None
        return
    assert origin is not None
    assert origin.saved_names(OURS) == theirs
    assert Origin.from_json(origin.to_json()) == origin


def test_few_words() -> None:
    """A prefix is one entry, however many tensors there are; what else a file has is said only if it has."""
    assert origin_of({name: f"model.{name}" for name in OURS}) == Origin(names={"": "model."})
    inner = {name: name.replace("a.b.c.", "a.b._orig_mod.c.") for name in OURS}
    assert origin_of(inner) == Origin(names={"a.b.c.": "a.b._orig_mod.c."})
    assert origin_of({name: name for name in OURS}) is None
    assert origin_of({"w": "w"}, key="ema", absent={"v"}) == Origin("ema", {}, ("v",))
    assert Origin("ema").to_json() == {"key": "ema"}


def test_absent_tensors_have_the_names_of_their_module() -> None:
    origin = origin_of({"head.weight": "net.head.weight"}, absent={"head.tied"})
    assert origin is not None
    assert origin.saved_names(["head.tied"]) == {"head.tied": "net.head.tied"}


@pytest.mark.parametrize("value", [{"key": 1}, {"names": []}, {"names": {"a": 1}}, {"absent": "a"}, {"absent": [1]}])
def test_malformed(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        Origin.from_json(value)
