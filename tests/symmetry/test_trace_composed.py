"""Networks composed of blocks as people write them: what is found is all that there is, and is undone.

A few of those that `python -m tests.support.composed` goes through.
"""

from __future__ import annotations

import pytest

from tests.support.composed import BLOCKS, composed, disagreements, make_composed

SMALL = [
    ("vectors", ["stacked experts"]),
    ("tokens", ["attention by einsum"]),
    ("images", ["spatial attention"]),
]


@pytest.mark.parametrize(("stream", "names"), SMALL, ids=lambda value: " ".join(value))
def test_all_is_found_and_undone(stream: str, names: list[str]) -> None:
    assert not list(disagreements(make_composed(stream, names, 0, "linear"), 0, plants=1))


def test_networks_are_of_many_kinds() -> None:
    """Negative control of the generator: seeds reach most blocks, on all streams."""
    drawn = [composed(seed) for seed in range(300)]
    assert {stream for stream, _ in drawn} == set(BLOCKS)
    assert len({name for _, names in drawn for name in names}) > 100
