"""What starting costs: commands that compute little, against `import torch`: python -m benchmarks startup.

Each is a process of its own, of which CPU seconds count.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.table import OURS, Row, child, interleaved
from landscape_cli.io.checkpoint import Checkpoint, write_checkpoint
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec

SPEC = ModelSpec("mlp", {"hidden": [20]}, (1, 8, 8), 10)
TORCH = [sys.executable, "-c", "import torch"]
FOREIGN = ModelSpec("torchvision:squeezenet1_1", {"num_classes": 10}, (3, 64, 64), 10)
NAMED = ["--model", "torchvision:squeezenet1_1?num_classes=10", "--input-shape", "3,64,64"]
LANDSCAPE = [sys.executable, "-m", "landscape_cli"]


def rows(repeats: int) -> Iterator[Row]:
    """Measure the help, a command that needs no data, and one that runs a model, its own or one of torchvision's."""
    with tempfile.TemporaryDirectory() as name:
        files = [str(Path(name, f"{letter}.st")) for letter in "ab"]
        for seed, path in enumerate(files):
            write_checkpoint(Path(path), Checkpoint(create_model(SPEC, seed=seed).state_dict(), SPEC, {}))
        others = [str(Path(name, f"{letter}.pt")) for letter in "ab"]
        for seed, path in enumerate(others):
            torch.save(dict(create_model(FOREIGN, seed=seed).state_dict()), path)
        commands = {
            "--help": ["--help"],
            "distance --no-functions": ["distance", *files, "--no-functions"],
            "align": ["align", *files, "-o", str(Path(name, "c.st")), "--force", "-q"],
            "align of .pt files": [
                "align",
                *others,
                *NAMED,
                "-o",
                str(Path(name, "d.st")),
                "--force",
                "-q",
            ],
        }
        for work, arguments in commands.items():
            ways = {"import torch": partial(child, TORCH), OURS: partial(child, [*LANDSCAPE, *arguments])}
            for way in ways.values():  # once, so that compiled modules lie on the disk
                way()
            seconds, _ = interleaved(ways, repeats)
            yield Row(work, "a process", seconds)
