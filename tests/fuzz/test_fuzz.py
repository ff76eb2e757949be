"""2 000 cases of the fuzzer, and that it sees what it looks for."""

from __future__ import annotations

import itertools
import mmap
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.fuzz import running, worker
from tests.fuzz.campaign import Campaign
from tests.fuzz.cases import draw
from tests.fuzz.running import Case, Runner

PARTS = 4
CASES = 2000

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory by what /proc says")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    campaign = Campaign(tmp_path_factory.mktemp("fuzz"), seed=14)
    yield campaign
    campaign.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_wrong(campaign: Campaign, part: int) -> None:
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

    def fault(program, *arguments: str, longest: float = 1.5) -> tuple[str, ...]:
        runner.close()
        limits = patch.multiple(worker, SECONDS=longest / 3, LONGEST=longest)
        with patch.object(worker, "main", program), limits:
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
    assert fault(lambda _: all(k >= 0 for k in itertools.count()), "path") == ("hang",)
    assert fault(lambda _: os.abort(), "path") == ("signal 6",)
    assert fault(lambda _: 1 / 0, "path") == ("exit 70", "traceback")
    assert fault(write("IMPORTED-evil"), "path") == ("imported",)
    assert fault(write("IMPORTED-evil"), "path", "--model", "evil:f") == ()
    assert fault(write(".x.tmp"), "path") == ("litter",)
    assert fault(write("strange"), "path") == ("written elsewhere",)
    assert fault(do(Path("strange").mkdir), "path") == ("written elsewhere",)
    assert fault(do(Path("out").mkdir), "path") == ()
    assert fault(lambda _: (Path("out").mkdir(), os.write(2, good.encode()), sys.exit(2)), "path") == (
        "written though refused",
    )
    assert fault(do(Path("x").mkdir), "normalize", "--out-dir", "x/y") == ()
    assert fault(do(Path("../around").mkdir), "path") == ("written outside",)
    assert fault(do(lambda: Path("a.st").write_bytes(b"x")), "path") == ("input changed",)
    assert fault(write("out.st"), "path") == ()
    assert fault(do(Path("a.st").unlink), "path") == ("input changed",)
    assert fault(do(lambda: Path("b.st").write_bytes(b"longer")), "path") == ("input changed",)
    assert sorted(path.name for path in (tmp_path / "cases").iterdir()) == ["a.st", "b.st"]

    def large() -> None:
        content = mmap.mmap(-1, 300 << 20)
        content[::4096] = b"x" * (len(content) // 4096)

    with patch.object(running, "MEMORY", 20_000_000):
        assert fault(do(large), "path", longest=60) == ("memory",)
    runner.close()


def test_a_process_that_has_run_others_is_as_new(tmp_path: Path) -> None:
    """What a command leaves in its process befalls no other; what is wrong for that alone is told apart."""
    (tmp_path / "cases").mkdir()
    runner = Runner(tmp_path / "cases", {"a.st": b"a", "evil.py": b""})
    seen: list[str] = []

    def program(arguments: list[str]) -> None:
        state = sys.path, warnings.filters, sorted(os.environ), "evil" in sys.modules, os.getcwd(), os.fstat(1).st_size
        print(state, os.getpid(), file=sys.stderr)
        seen.append(arguments[0])
        if arguments[0] == "spoil":
            sys.path.insert(0, os.getcwd())
            warnings.simplefilter("ignore")
            os.environ["SPOILED"] = "yes"
            __import__("evil")
            print("said")
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.chdir("/")
        if arguments[0] == "leak":
            os.dup(0)
        if arguments[0] == "grow":
            content = bytearray(worker.GROWN)
            content[::4096] = b"x" * len(content[::4096])
        if arguments[0] == "second" and len(seen) > 1:
            os.write(2, b"Traceback\n")
        raise SystemExit(0)

    def said(word: str) -> list[str]:
        return runner.run(Case({}, [word])).errors.rsplit(maxsplit=1)

    with patch.object(worker, "main", program):
        first = said("spoil")
        assert said("path") == first
        assert said("leak") == first
        assert said("path")[1] != first[1]
        assert said("grow")[1] != first[1]
        last = said("path")
        assert last[0] == first[0]
        assert last[1] == said("path")[1]
        assert runner.run(Case({}, ["second"])).faults == ("traceback", "only after others")
        runner.close()
        assert runner.run(Case({}, ["second"])).faults == ()
    runner.close()
