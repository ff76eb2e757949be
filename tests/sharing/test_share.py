"""Shares: every item once, blocks whole, nothing measured twice."""

from __future__ import annotations

from itertools import chain

import pytest

from landscape_cli.sharing.share import Share

GROUPS = [["a", "b", "c"], [str(k) for k in range(13)], ["z"]]
ALL = list(chain(*GROUPS))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("block", [1, 4])
def test_every_item_falls_to_one_part_in_order_and_blocks_stay_whole(count: int, block: int) -> None:
    parts = [Share(index, count).wanted(GROUPS, block=block) for index in range(count)]
    assert list(chain(*parts)) == ALL
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 2 * block - (block == 1)
    for group in GROUPS:
        for first in range(0, len(group), block):
            some = set(group[first : first + block])
            assert sum(bool(some & set(part)) for part in parts) == 1


def test_a_block_of_which_one_is_not_known_is_measured_whole() -> None:
    known = {key: 0 for key in ALL if key != "5"}
    assert Share(known=known).wanted(GROUPS) == ["5"]
    assert Share(known=known).wanted(GROUPS, block=4) == ["4", "5", "6", "7"]
    assert Share(0, 2, known).wanted(GROUPS) == []
    assert Share(1, 2, known).wanted(GROUPS) == ["5"]


def test_values_are_kept_as_they_come_and_exchanged_at_the_end() -> None:
    kept: list[object] = []
    others = {"other": 3}
    share = Share(0, 2, {"known": 1}, kept.append, lambda own: {**own, **others})
    assert share.collect(iter([{"x": 1}, {"y": 2}])) == {"known": 1, "x": 1, "y": 2, "other": 3}
    assert kept == [{"x": 1}, {"y": 2}]
    assert share.is_whole
    assert not Share(0, 2).is_whole
