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
import torch
from torch import nn
from landscape_cli.models.inputs import find_inputs
from landscape_cli.models.outputs import count_outputs
from landscape_cli.models.template import make_template
from landscape_cli.symmetry import trace_symmetry
def make():
    layer = nn.TransformerEncoderLayer(8, 2, 12, activation="gelu", batch_first=True)
    nn.init.normal_(layer.linear1.bias, std=0.1)
    return nn.Sequential(nn.Conv1d(3, 8, 2), nn.AvgPool1d(2), nn.Flatten(2), layer, nn.Flatten(), nn.Linear(64, 5))
model = make_template(make)
groups = trace_symmetry(model, torch.zeros(2, 3, 17)).permutations
counted = find_inputs(model, (3, 17)) or count_outputs(model, (3, 17))
found.append(["of the user's", int(counted != 5 or not groups), [name for name in names[:2] if name in sys.modules]])
print("found", json.dumps(found))
"""


def test_no_command_imports_a_compiler(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, json.dumps(COMMANDS)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout.rpartition("found ")[2])
    assert len(found) == len(COMMANDS) + 2
    for line, code, imported in found:
        assert code == 0, (line, run.stderr)
        assert imported == [], line
