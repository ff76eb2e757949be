"""Kill a training run at random moments and resume it each time: python benchmarks/kill.py [MOMENTS] [SEED] [ALGO].

The file at the end must be that of a run that nobody touched, byte for byte, and no file may ever be unreadable.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from landscape_cli.cli.training.resume import FORMAT, REMEDY
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.io.safetensors import read_tensors

PROGRAM = [sys.executable, "-m", "landscape_cli", "train", "--hidden", "64,64", "--hmm-test", "50", "--device", "cpu"]
TAKEN = ["--keep-snapshots", "--keep-epochs", "0,1,40,90"]
OPTIONS = {
    "rsgd": ["--algo", "rsgd", "--runs", "2", "--epochs", "150"],
    "adv": ["--algo", "adv", "--adv-epochs", "100", "--adv-until-error", "0.1", "--lr", "0.05", "--epochs", "150"],
    "subspace": ["--subspace-dim", "200", "--runs", "2", "--epochs", "150"],
    "snapshot": ["--algo", "snapshot", *TAKEN, "--runs", "2", "--epochs", "150"],
    "fge": ["--algo", "fge", *TAKEN, "--runs", "2", "--epochs", "150"],
}
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


def command(algo: str, folder: Path, *more: str) -> list[str]:
    """Return the command that trains into a folder."""
    return [*PROGRAM, *OPTIONS[algo], "--log", str(folder / "log.csv"), "-o", str(folder / "{seed}.st"), *more]


def check_readable(folder: Path) -> None:
    """Read every file of a run, its state included."""
    for path in folder.iterdir():
        if path.suffix == ".st":
            read_checkpoint(path)
        elif path.suffix == ".resume":
            read_tensors(path, FORMAT, REMEDY)


def survive(algo: str, moments: int, seed: int, *options: str) -> dict[int, int]:
    """Kill training, with more options if given, so many times; return how often each signal hit.

    Raises:
        AssertionError: if a file is unreadable, a code is wrong, or the end is another than undisturbed.
    """
    draw = random.Random(seed)
    hits = dict.fromkeys(CODES, 0)
    with tempfile.TemporaryDirectory() as name:
        whole, broken = Path(name) / "whole", Path(name) / "broken"
        whole.mkdir()
        start = time.monotonic()
        subprocess.run(command(algo, whole, *options), check=True, capture_output=True)
        length = time.monotonic() - start
        while sum(hits.values()) < moments:
            for path in broken.iterdir() if broken.is_dir() else ():
                path.unlink()
            broken.mkdir(exist_ok=True)
            finished = False
            while not finished:
                process = subprocess.Popen(
                    command(algo, broken, *options, "--checkpoint-every", "1", "--resume"),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                stop = list(CODES)[sum(hits.values()) % len(CODES)] if sum(hits.values()) < moments else None
                try:
                    _, errors = process.communicate(timeout=draw.uniform(0.3, 1.0) * length if stop else None)
                    finished = True
                    assert process.returncode == 0, errors
                except subprocess.TimeoutExpired:
                    assert stop is not None
                    process.send_signal(stop)
                    _, errors = process.communicate()
                    finished = process.returncode == 0  # it was done just then
                    if not finished:
                        assert process.returncode in {CODES[stop], -stop}, (process.returncode, errors)
                        assert "Traceback" not in errors, errors
                        hits[stop] += 1
                check_readable(broken)
            for path in whole.iterdir():
                assert path.read_bytes() == (broken / path.name).read_bytes(), path.name
            assert {path.name for path in whole.iterdir()} == {path.name for path in broken.iterdir()}
    return hits


if __name__ == "__main__":
    count, base = int(sys.argv[1]) if len(sys.argv) > 1 else 20, int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for name in sys.argv[3:] or OPTIONS:
        faults = survive(name, count, base)
        print(name, ", ".join(f"{signal.Signals(number).name} {times}" for number, times in faults.items()))
