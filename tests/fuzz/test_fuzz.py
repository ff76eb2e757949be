"""2 000 cases of the fuzzer, and that it sees what it looks for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.fuzz import running
from tests.fuzz.campaign import Campaign
from tests.fuzz.cases import draw
from tests.fuzz.running import Case, Runner

PARTS = 8
CASES = 2000

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory by what /proc says")


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_wrong(tmp_path: Path, part: int) -> None:
    campaign = Campaign(tmp_path, seed=14)
    each = CASES // PARTS
    wrong = [
        (number, ended.faults, case.arguments, ended.errors[-300:])
        for number, case, ended in campaign.run(part * each, each)
        if ended.faults
    ]
    assert not wrong, wrong[:3]
    again = draw(campaign.corpus, 14, part * each)
    assert again == draw(campaign.corpus, 14, part * each)


def test_the_fuzzer_sees_what_is_wrong(tmp_path: Path) -> None:
    """Programs that do each of the things that are counted."""

    def fault(program, *arguments: str) -> tuple[str, ...]:
        with patch.object(running, "main", program), patch.object(running, "SECONDS", 1.0):
            return runner.run(Case({"b.st": b"b"}, arguments)).faults

    def say(line: str, code: int):
        def program(_: object) -> None:
            os.write(2, line.encode())
            raise SystemExit(code)

        return program

    def do(action):
        def program(_: object) -> None:
            action()
            raise SystemExit(0)

        return program

    def write(name: str):
        return do(lambda: Path(name).write_text("x"))

    (tmp_path / "cases").mkdir()
    runner = Runner(tmp_path / "cases", {"a.st": b"a", "b.st": b"b"})
    good = "landscape: error: no\n"
    assert fault(say(good, 2), "path", "a.st") == ()
    assert fault(say("Traceback (most recent call last):\n", 0), "path") == ("traceback",)
    assert fault(say("landscape: error: internal error, please\n", 1), "path") == ("internal",)
    assert fault(say("", 2), "path") == fault(say(good * 2, 2), "path") == ("not one line",)
    assert fault(say("landscape: \x1b[31m\n", 0), "path") == ("control characters",)
    assert fault(lambda _: time.sleep(9), "path") == ("hang",)
    assert fault(lambda _: os.abort(), "path") == ("signal 6",)
    assert fault(lambda _: 1 / 0, "path") == ("exit 70", "traceback")
    assert fault(write("IMPORTED-evil"), "path") == ("imported",)
    assert fault(write("IMPORTED-evil"), "path", "--model", "evil:f") == ()
    assert fault(write(".x.tmp"), "path") == ("litter",)
    assert fault(write("strange"), "path") == ("written elsewhere",)
    assert fault(write("out.st"), "path") == ()
    assert fault(do(Path("a.st").unlink), "path") == ("input changed",)
    assert fault(do(lambda: Path("b.st").write_bytes(b"longer")), "path") == ("input changed",)
    assert sorted(path.name for path in (tmp_path / "cases").iterdir()) == ["a.st", "b.st"]

    def large() -> None:
        content = bytearray(60_000_000)
        content[::4096] = b"x" * len(content[::4096])

    with patch.object(running, "MEMORY", 20_000_000):
        assert fault(do(large), "path") == ("memory",)
