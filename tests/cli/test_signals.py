"""Signals end the program in one line at any moment: early, twice, in a destructor, at the very end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

LINES = {-2: "", 130: "landscape: error: interrupted\n", 143: "landscape: error: terminated\n"}
BEGUN = "import os, signal, time\nfrom landscape_cli.cli.signals import SIGNALS_OF_THIS_PROCESS as signals\n"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_before_anything_is_imported(name: str, code: int) -> None:
    done = run(f"import landscape_cli.cli.start, os, signal, sys\nos.kill(os.getpid(), signal.{name})\nprint('alive')")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", LINES[code])
    assert "torch" not in run("import landscape_cli.cli.start, sys\nprint(sorted(sys.modules))").stdout
    assert "'typer'" not in run("import landscape_cli.cli.start, sys\nprint(sorted(sys.modules))").stdout


def test_a_second_signal_changes_nothing() -> None:
    """It comes while the first one's exception is on its way, and while the process ends."""
    done = run(
        f"{BEGUN}signals.start()\nsignals.begin()\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(9)\n"
        "except KeyboardInterrupt:\n    os.kill(os.getpid(), signal.SIGTERM)\n    print('once')\n"
        "finally:\n    signals.end()\n    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n", "")


def test_a_later_signal_ends_what_does_not_end() -> None:
    done = run(
        f"{BEGUN}import landscape_cli.cli.signals as module\nmodule.GRACE_SECONDS = 0.05\n"
        "signals.start()\nsignals.begin()\nsignals.end()\nsignals.will_exit(7)\ntime.sleep(0.1)\n"
        "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    )
    assert (done.returncode, done.stderr) == (7, "")


def test_raised_in_a_destructor() -> None:
    """Python ignores what is raised there, and says so with a traceback."""
    done = run(
        f"{BEGUN}signals.begin()\n"
        "class Ends:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGINT)\n        time.sleep(0.2)\n"
        "try:\n    each = Ends()\n    del each\n    time.sleep(9)\n    print('lost')\n"
        "except KeyboardInterrupt:\n    print('raised')\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "raised\n", "")


def test_what_nobody_can_catch_is_one_line() -> None:
    """Code of the user's that fails in a destructor, in a thread, at the end."""
    done = run(
        f"{BEGUN}import atexit, threading\nsignals.begin()\n"
        "class Ends:\n    def __del__(self):\n        raise ValueError('\x1b[31m\\nred')\n"
        "Ends()\nthread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()\n"
        "atexit.register(lambda: [][0])\n"
    )
    said = ["ValueError: \\x1b[31m / red", "ZeroDivisionError: division by zero", "IndexError: list index out of range"]
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"landscape: warning: ignored: {each}" for each in said]


def test_an_import_that_does_not_end(tmp_path: Path) -> None:
    """As of a script of the user's that trains: what imports is let end, but not for ever."""
    (tmp_path / "trains.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass\n")
    done = run(
        f"{BEGUN}import sys\nimport landscape_cli.cli.signals as module\nmodule.GRACE_SECONDS = 0.2\n"
        f"from landscape_cli.user_code.imports import import_from\nsignals.begin()\nstart = time.monotonic()\n"
        f"try:\n    import_from({str(tmp_path)!r}, 'trains')\n"
        "except KeyboardInterrupt:\n    print('waited' if time.monotonic() - start > 0.2 else 'at once')\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "waited\n", "")


@pytest.mark.parametrize("moment", ["atexit", "threading"])
def test_after_the_last_line(moment: str) -> None:
    """The result is there, and the exit code says so."""
    late = "lambda: os.kill(os.getpid(), signal.SIGINT)"
    register = "threading._register_atexit" if moment == "threading" else "atexit.register"
    done = run(
        "import atexit, os, signal, sys, threading\nfrom landscape_cli.cli.start import main\n"
        f"{register}({late})\nsys.argv = ['landscape', '--version']\nmain()"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("landscape ")


@pytest.mark.skipif(sys.platform != "linux", reason="waits in a function of glibc's")
@pytest.mark.parametrize(("first", "last"), [("signals.start()", ""), ("", "signals.end()")])
def test_no_alarm_comes_after_python_has_ended(first: str, last: str) -> None:
    """A signal during an import is tried again by an alarm; the program may have ended before that."""
    code = (
        f"{BEGUN}import ctypes, sys\nimport landscape_cli.cli.signals as module\nmodule.RETRY_SECONDS = 0.3\n"
        "libc = ctypes.CDLL(None)\nlibc.__cxa_atexit(libc.getchar, None, None)\n"
        f"{first}\nsignals.begin()\n"
        "exec(compile('os.kill(os.getpid(), signal.SIGTERM)', '<frozen importlib', 'exec'))\n"
        f"{last}\nprint(flush=True)\nsys.exit(7)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.6)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", 7)


def test_handlers_of_a_caller_come_back(landscape) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert landscape("--version").code == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells by /proc when the program has begun")
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.1, 0.25])
def test_two_in_a_row_to_a_command(tmp_path: Path, delay: float) -> None:
    from tests.cli.test_app_errors import wait_for_handlers

    command = [sys.executable, "-m", "landscape_cli", "train", "--epochs", "100000", "-o", "x.st"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for_handlers(process)
    time.sleep(delay)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
        time.sleep(0.005)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, 143)  # whichever the system delivers first
    assert errors == LINES[process.returncode]
