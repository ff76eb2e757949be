"""What commands and models of torchvision import: neither PyTorch's compiler, nor all of scipy's optimisers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

COMMANDS = [
    "train --model mlp --hidden 7 --data hmm --train-size 20 --epochs 1 -o a.st",
    "train --model mlp --hidden 7 --data hmm --train-size 20 --epochs 1 --seed 1 --algo rsgd -o b.st",
    "train --model binary-mlp --hidden 7 --data hmm --train-size 20 --epochs 1 -o binary.st",
    "distance a.st b.st",
    "normalize a.st b.st --out-dir n",
    "path a.st b.st --points 2",
    "flatness a.st --samples 1",
    "plane a.st b.st n/a.st --grid 2",
    "align a.st b.st -o c.st",
]
CODE = """
import json, sys
from landscape_cli.cli.app import main
found = []
for line in json.loads(sys.argv[1]):
    sys.argv[1:] = [*line.split(), "--quiet"]
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    else:
        code = 0
    names = ("torch._dynamo", "torch._inductor", "sympy", "scipy.optimize")
    found.append([line, code, [name for name in names if name in sys.modules]])
from landscape_cli.models.registry import construct_template
from landscape_cli.network import ModelSpec
model = construct_template(ModelSpec("torchvision:resnet18", {}, (3, 32, 32), 10))
found.append(["resnet18", int(not model.fc.weight.is_meta), [name for name in names if name in sys.modules]])
print("found", json.dumps(found))
"""


def test_no_command_imports_a_compiler(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, json.dumps(COMMANDS)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout.rpartition("found ")[2])
    assert len(found) == len(COMMANDS) + 1
    for line, code, imported in found:
        assert code == 0, (line, run.stderr)
        assert imported == [], line
