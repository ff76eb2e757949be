"""Journals: what was measured survives kills, and is of one measurement."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from landscape_cli.errors import ResultError
from landscape_cli.sharing.journal import Journal, line_of

IDENTITY = {"command": "plane", "arguments": {"grid": 3}, "inputs": {"a.st": "12"}}


def written(path: Path, *some: dict[str, object]) -> bytes:
    journal = Journal(path, IDENTITY)
    with journal.open():
        for values in some:
            journal.keep(values)
    return path.read_bytes()


def test_wherever_a_kill_cuts_the_file_whole_lines_are_known_and_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "r.json.resume"
    content = written(path, {"0": [1, 0.25]}, {"1": [2, "nan"], "2": [0, 1.0]})
    header = content.index(b"\n") + 1
    for end in range(header, len(content) + 1):
        path.write_bytes(content[:end])
        journal = Journal(path, IDENTITY)
        with journal.open() as known:
            lines = content[header:end].count(b"\n")
            assert list(known) == ["0", "1", "2"][: (0, 1, 3)[lines]]
            journal.keep({"3": [5, 0.5]})
        with Journal(path, IDENTITY).open() as again:
            assert again == {**known, "3": [5, 0.5]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"arguments": {"grid": 4}}, r"arguments\.grid is 3 there, and 4 here"),
        ({"inputs": {"a.st": "13"}}, r"inputs\.a\.st is 12 there, and 13 here"),
        ({"inputs": {}}, r"and nothing here"),
        ({"threads": 2}, "threads is nothing there, and 2 here"),
    ],
)
def test_another_measurement_is_refused_and_what_differs_is_named(
    tmp_path: Path, change: dict[str, object], named: str
) -> None:
    path = tmp_path / "r.json.resume"
    content = written(path, {"0": 1})
    with pytest.raises(ResultError, match=named), Journal(path, {**IDENTITY, **change}).open():
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[1]\n",
        b"not json\n",
        b'{"format": "landscape/journal/1"',
        b"\xff\n",
        b"[" * 10**5 + b"\n",
    ],
)
def test_rubbish_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.json.resume"
    path.write_bytes(content)
    with pytest.raises(ResultError, match="is damaged, or no partial result"), Journal(path, IDENTITY).open():
        pass
    line = json.dumps({"format": "landscape/journal/1", "identity": IDENTITY}).encode()
    for more in (b"[NaN]", b'{"0": 1}', line_of({"0": 1}).replace(b"1}", b"2}").strip()):
        path.write_bytes(line + b"\n" + more + b"\n")
        with pytest.raises(ResultError, match="is damaged: line 2 is not"), Journal(path, IDENTITY).open():
            pass


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "r.json.resume"
    with (
        Journal(path, IDENTITY).open(),
        pytest.raises(ResultError, match="is in use: another measurement"),
        Journal(path, IDENTITY).open(),
    ):
        pass
    journal = Journal(path, IDENTITY)
    with journal.open():
        journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_told_of_by_the_files_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.FileIO):
        def write(self, _: object) -> int:
            raise OSError(5, "Input/output error")

        def truncate(self, _: int | None = None) -> int:
            raise OSError(5, "Input/output error")

        def close(self) -> None:
            was_open = not self.closed
            super().close()
            if was_open:
                raise OSError(5, "Input/output error")

    path = tmp_path / "r.json.resume"
    content = written(path, {"0": 1})
    journal = Journal(path, IDENTITY)
    with journal.open():
        journal._file.close()  # type: ignore[union-attr] # it is open
        monkeypatch.setattr(journal, "_file", Failing(path, "r+b"))
        with pytest.raises(ResultError, match=r"cannot write .*r\.json\.resume: Input/output error"):
            journal.keep({"1": 2})
    assert path.read_bytes() == content


def test_lines_that_were_changed_are_named_and_all_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "r.json.resume"
    lines = written(path, *({str(k): k} for k in range(4))).splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1], b"?" + lines[2], lines[3], lines[4].replace(b"3", b"5")]))
    before = path.read_bytes()
    with pytest.raises(ResultError, match="line 3, 5 is not as it was written"), Journal(path, IDENTITY).open():
        pass
    assert path.read_bytes() == before
    path.write_bytes(b"".join([lines[0], lines[1], lines[3]]))
    with Journal(path, IDENTITY).open() as known:
        assert known == {"0": 0, "2": 2}
