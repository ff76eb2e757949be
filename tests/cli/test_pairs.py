"""Patterns, families and pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from landscape_cli.choices import Pairing
from landscape_cli.cli.pairs import choose, choose_two, expand, listing, pair_up
from landscape_cli.errors import CheckpointError
from landscape_cli.measures.families import Pair


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a-10", "a-2", "a-1", "b-1", "b-2", "[c]"):
        Path(f"{name}.st").touch()
    Path("a-3.st").mkdir()


def test_files_come_in_natural_order() -> None:
    families = expand([Path("a-*.st"), Path("b-1.st"), Path("[c].st"), Path("a-*.st")])
    assert listing(families) == {
        "a-*.st": ["a-1.st", "a-2.st", "a-10.st"],
        "b-1.st": ["b-1.st"],
        "[c].st": ["[c].st"],
    }
    with pytest.raises(CheckpointError, match=r"no file matches the pattern 'd\*'"):
        expand([Path("d*")])
    with pytest.raises(CheckpointError, match=r"b-1.st is in two families, 'b-\*.st' and 'b-1.st'"):
        expand([Path("b-*.st"), Path("b-1.st")])


def test_pairs_of_families() -> None:
    families = {"a": [Path("1"), Path("2")], "b": [Path("3"), Path("4")]}
    between = [Pair(0, 2, ("a", "b")), Pair(0, 3, ("a", "b")), Pair(1, 2, ("a", "b")), Pair(1, 3, ("a", "b"))]
    assert pair_up(families, Pairing.CROSS) == between
    assert pair_up(families, Pairing.ALL) == [Pair(0, 1, ("a", "a")), *between, Pair(2, 3, ("b", "b"))]
    assert pair_up(families, Pairing.ZIP) == [between[0], between[3]]
    for wrong, pairing, words in (
        ({"a": families["a"]}, Pairing.ZIP, "two different families, not 1"),
        ({"a": families["a"], "b": [Path("3")]}, Pairing.ZIP, "'a' has 2 networks, 'b' has 1"),
        ({"a": families["a"]}, Pairing.CROSS, "two different families"),
        ({"a": [Path("1")]}, Pairing.ALL, "at least two networks"),
    ):
        with pytest.raises(typer.BadParameter, match=words):
            pair_up(wrong, pairing)


def test_what_is_chosen() -> None:
    chosen = choose([Path("b-*.st"), Path("a-1.st")], Pairing.CROSS)
    assert chosen.files == [Path("b-1.st"), Path("b-2.st"), Path("a-1.st")]
    assert [(pair.start, pair.end) for pair in chosen.pairs] == [(0, 2), (1, 2)]
    assert choose_two(Path("x.st"), Path("y.st"), []) == ({}, [Path("x.st"), Path("y.st")], [Pair(0, 1)])
    with pytest.raises(typer.BadParameter, match=r"leave out z.st"):
        choose_two(Path("x.st"), Path("y.st"), [Path("z.st")])
    with pytest.raises(typer.BadParameter, match=r"a-\*.st is a pattern"):
        choose_two(Path("a-*.st"), Path("y.st"), [])
    choose_two(Path("[c].st"), Path("y.st"), [])
