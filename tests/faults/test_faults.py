"""A few of the faults and kills of every command, and that what is counted is seen."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.campaign import Campaign, one_line
from tests.faults.running import Ended
from tests.faults.shim import NEEDS_COMPILER, SHORT, Call, Fault, environment

pytestmark = pytest.mark.skipif(NEEDS_COMPILER, reason="makes calls fail by a library that gcc makes")


def test_a_few_faults_and_kills() -> None:
    command = [sys.executable, "-m", "tests.faults", "--sample", "6", "--kills", "4", "--seed", "14"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("wrong: nothing\n"), done.stdout + done.stderr
    assert done.stdout.startswith("11 cases"), done.stdout


TRIAL = """
import os, sys
from pathlib import Path
from tests.faults.shim import Call, Fault
fault = Fault(*map(int, sys.argv[1:3]), what=int(sys.argv[3]), error=int(sys.argv[4]), forever=bool(int(sys.argv[5])))
fault.arm(Path.cwd())
wrong = []
for what in (
    lambda: os.close(os.open("a", os.O_WRONLY | os.O_CREAT)),
    lambda: open("/dev/null", "wb").close(),
    lambda: [open("a", "wb", buffering=0).write(b"1234") for _ in range(2)] == [4, 4] or wrong.append("short"),
    lambda: os.rename("a", "b"),
    lambda: os.mkdir("c"),
    lambda: os.unlink("b"),
):
    try:
        what()
    except OSError as error:
        wrong.append(error.errno)
print(*wrong)
"""


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        (Fault(Call.OPEN, 1, error=errno.EROFS), f"{errno.EROFS}"),
        (Fault(Call.OPEN, 2, error=errno.EROFS), f"{errno.EROFS}"),
        (Fault(Call.OPEN, 9, error=errno.EROFS), ""),
        (Fault(Call.WRITE, 2, error=errno.ENOSPC), f"{errno.ENOSPC}"),
        (Fault(Call.WRITE, 2, what=SHORT), "short"),
        (Fault(Call.RENAME | Call.MKDIR | Call.UNLINK, 2, error=errno.EIO, forever=True), f"{errno.EIO} {errno.EIO}"),
        (Fault(Call.RENAME | Call.MKDIR | Call.UNLINK, 2, error=errno.EIO), f"{errno.EIO}"),
    ],
    ids=str,
)
def test_the_library_does_what_it_is_told(tmp_path: Path, fault: Fault, wrong: str) -> None:
    numbers = (fault.calls, fault.number, fault.what, fault.error, fault.forever)
    made = environment(tmp_path) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", TRIAL, *(str(int(number)) for number in numbers)]
    (tmp_path / "work").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=made, cwd=tmp_path / "work")
    assert done.stdout.strip() == wrong


def test_what_is_wrong_is_seen(tmp_path: Path) -> None:
    def ended(code: int, errors: str = "", files: dict[str, bytes] | None = None) -> Ended:
        return Ended(code, "", errors, files or {}, (), 0.0)

    good = "landscape: error: no\n"
    assert one_line(ended(2, good)) == one_line(ended(0, "landscape: wrote x\n")) == []
    assert (
        one_line(ended(2, "")) == one_line(ended(2, good * 2)) == one_line(ended(2, f"{good}x\n")) == ["not one line"]
    )
    assert one_line(ended(1, "Traceback\n")) == ["traceback"]

    campaign = Campaign.__new__(Campaign)
    campaign._folder, campaign._corpus = tmp_path / "work", {}
    whole = {"out.st": b"whole", "out.csv": b"1\n2\n", "out.json": b'{"provenance": {}}\n'}
    campaign._whole = dict.fromkeys(("train", "path"), ended(0, files=whole))

    def wrong(name: str, file: str, content: bytes, *, lenient: bool = True) -> list[str]:
        return campaign.check_files(name, {file: content}, {"out.st": b"old"}, lenient=lenient)

    assert wrong("path", "out.st", b"whole") == wrong("path", "out.st", b"old") == wrong("path", ".x.tmp", b"") == []
    assert wrong("path", "out.st", b"who") == ["half out.st"]
    assert wrong("path", "new.st", b"who") == ["unknown new.st"]
    assert wrong("train", "out.csv", b"1\n") == wrong("path", "out.json", b'{"provenance": 1}') == []
    assert wrong("train", "out.csv", b"1\n2") == wrong("train", "out.csv", b"1\n", lenient=False) == ["half out.csv"]
    assert wrong("path", "out.json", b'{"provenance": 1') == ["half out.json"]
    assert wrong("train", "x.resume", b"half") == ["half x.resume"]
    calls = ((Call.WRITE, ".out.st.tmp"), (Call.WRITE, ".out.json.tmp"))
    campaign._whole["path"] = Ended(0, "", "", whole, calls, 0.0)
    assert campaign._lost("path", ended(2, good, {"out.st": b"whole", "out.csv": b""}), calls[1]) == []
    assert campaign._lost("path", ended(2, good), calls[1]) == ["lost out.csv, out.json, out.st"]
