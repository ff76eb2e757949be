"""Where midpoints go."""

from __future__ import annotations

from pathlib import Path

import pytest

from landscape_cli.cli.midpoints import midpoint_paths
from landscape_cli.errors import CheckpointError, ResultError

ENDS = [(Path("n/a.st"), Path("b.st")), (Path("n/a.st"), Path("c.st"))]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_names_of_the_ends() -> None:
    assert midpoint_paths(None, ENDS, (None,), force=False) == [None, None]
    paths = midpoint_paths(Path("{start}-to-{end}.st"), ENDS, (None,), force=False)
    assert paths == [Path("a-to-b.st"), Path("a-to-c.st")]


def test_collisions() -> None:
    Path("taken.st").touch()
    for template, ends, words in (
        ("m.st", ENDS, "several midpoints would be written to m.st"),
        ("b.st", ENDS[:1], "one of the networks themselves"),
        ("n/../b.st", ENDS[:1], "one of the networks themselves"),
        ("taken.st", ENDS[:1], "--force|exists already"),
        ("m.txt", ENDS[:1], "must end in"),
    ):
        Path("n").mkdir(exist_ok=True)
        with pytest.raises(CheckpointError, match=words):
            midpoint_paths(Path(template), ends, (None,), force=False)
    with pytest.raises(ResultError, match="two outputs are the same file"):
        midpoint_paths(Path("m.st"), ENDS[:1], (None, Path("./m.st")), force=False)
