"""How much memory align and normalize take, the proof included: python -m benchmarks memory.

Each is a process of its own, of the command as a user gives it, with checkpoints of random networks. Counted is the
most that is resident, less what was once the same command had been through a small network of the kind (what it
imports, builds and compiles stays), in copies of one network's tensors.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.align import resident
from benchmarks.table import OURS, Row
from landscape_cli.cli.app import main
from landscape_cli.io.checkpoint import Checkpoint, write_checkpoint
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec

SMALL = {
    "vgg16": ModelSpec("lenet", {}, (1, 28, 28), 10),
    "resnet18": ModelSpec("torchvision:squeezenet1_1", {}, (3, 64, 64), 10),
    "mlp": ModelSpec("mlp", {"hidden": [100]}, (1, 10, 10), 10),
}
SPECS = {
    "vgg16": ModelSpec("vgg16", {}, (3, 32, 32), 10),
    "resnet18": ModelSpec("torchvision:resnet18", {}, (3, 224, 224), 1000),
    "mlp": ModelSpec("mlp", {"hidden": [3430, 3430, 3430]}, (1, 10, 10), 10),
}


def written(folder: Path, name: str, spec: ModelSpec) -> list[Path]:
    """Write two networks of a model; return their files."""
    paths = [folder / f"{name}{seed}.st" for seed in (1, 2)]
    for seed, path in enumerate(paths):
        write_checkpoint(path, Checkpoint(create_model(spec, seed=seed).state_dict(), spec, {}))
    return paths


def run(command: str, paths: list[Path]) -> float:
    """Run a command in this process; return its CPU seconds."""
    start = time.process_time()
    networks = paths if command == "align" else paths[:1]
    code: object = None
    try:
        main([command, *map(str, networks), "-o", str(paths[0].with_name("out.st")), "--force", "-q"])
    except SystemExit as end:
        code = end.code
    if code:
        raise RuntimeError(f"landscape {command} ended with {code}")
    return time.process_time() - start


def measured(command: str, small: list[Path], large: list[Path]) -> tuple[float, float]:
    """Return, in a process of its own, the copies that a command takes, and its CPU seconds."""
    arguments = [command, *map(str, (*small, *large))]
    line = [sys.executable, "-m", "benchmarks.memory", *arguments]
    copies, seconds = json.loads(
        subprocess.run(line, check=True, capture_output=True, text=True).stdout.split("\n")[-2]
    )
    return copies, seconds


def rows(repeats: int) -> Iterator[Row]:
    """Measure each command on each model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model, spec in SPECS.items():
            small, large = written(folder, f"small-{model}", SMALL[model]), written(folder, model, spec)
            for command in ("align", "normalize"):
                found = [measured(command, small, large) for _ in range(repeats)]
                copies = [each for each, _ in found]
                facts = {"copies": round(median(copies), 2), "least": min(copies), "most": max(copies)}
                size = f"{large[0].stat().st_size / 1e6:.0f} MB"
                yield Row(f"{command} {model}", size, {OURS: [seconds for _, seconds in found]}, facts)


def one(command: str, small: list[Path], large: list[Path]) -> None:
    """Print the copies that a command takes in this process, and its CPU seconds."""
    run(command, small)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts here
    before = resident("VmRSS")
    seconds = run(command, large)
    print(json.dumps([round((resident("VmHWM") - before) / large[0].stat().st_size, 2), seconds]))


if __name__ == "__main__":
    files = [Path(path) for path in sys.argv[2:]]
    one(sys.argv[1], files[:2], files[2:])
