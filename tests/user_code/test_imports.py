"""Code of the current folder runs where the user names it, and for nothing that a file says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import landscape_cli
from landscape_cli.io.checkpoint import Checkpoint, write_checkpoint
from landscape_cli.network import ModelSpec

ROOT = Path(landscape_cli.__file__).parents[1]
OPTIONAL = ("uarray", "sksparse", "charset_normalizer", "winreg", "scikits", "IPython", "pandas", "PIL_extra", "numba")
NETS = """
import helper

def make(width=4):
    from torch import nn
    class Net(nn.Sequential):
        def forward(self, x):
            import late
            return late.same(super().forward(x))
    return Net(nn.Flatten(), nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))
"""


def plant(folder: Path) -> None:
    """Put traps into a folder: modules that others may want, each of which leaves a mark where it is run."""
    for name in OPTIONAL:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'a').write({name!r} + '\\n')\n")


def run(folder: Path, code: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


TRY_ALL = f"""
import importlib, sys, os
assert os.getcwd() not in sys.path and "" not in sys.path
for name in {OPTIONAL!r}:
    try: importlib.import_module(name)
    except ImportError: pass
import scipy.optimize, scipy.linalg
"""


def test_a_file_puts_nothing_on_the_path(tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "torchvision_extra.py").write_text("")
    spec = ModelSpec("torchvision:squeezenet1_1", {"num_classes": 2}, (3, 32, 32), 2)
    write_checkpoint(tmp_path / "a.st", Checkpoint({"x": torch.ones(1)}, spec, {}))
    read = "try: read_network('a.st')\nexcept ModelError as error: assert 'missing' in str(error), error\n"
    code = f"from landscape_cli import read_network\nfrom landscape_cli.errors import ModelError\n{read}{TRY_ALL}"
    run(tmp_path, code)
    assert not (tmp_path / "ran").exists()


def test_named_code_finds_its_own_modules_and_nobody_else_does(tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "helper.py").write_text("import other.deep\n")
    (tmp_path / "other").mkdir()  # without __init__.py
    (tmp_path / "other" / "deep.py").write_text("import importlib\nimportlib.import_module('dynamic')\n")
    (tmp_path / "dynamic.py").write_text("x = 1\n")
    (tmp_path / "late.py").write_text("import scipy.special\ndef same(x): return x\n")
    (tmp_path / "scipy").mkdir()  # a folder of data, not the package
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    torch.save(net.state_dict(), tmp_path / "a.pt")
    code = (
        "from landscape_cli import read_network, build_model\nimport torch, sys\n"
        "n = read_network('a.pt', model='nets:make', input_shape=(3,))\n"
        "print(build_model(n.model, n.params)(torch.ones(1, 3)).shape, sys.modules['dynamic'].x)\n"
    )
    assert "1, 2" in run(tmp_path, code + TRY_ALL)
    assert not (tmp_path / "ran").exists()


def test_named_code_that_fails_is_found_by_nobody_later(tmp_path: Path) -> None:
    plant(tmp_path)
    with (tmp_path / "uarray.py").open("a") as file:
        file.write("raise ImportError('not now')\n")
    name = "try: allow_code('uarray:make')\nexcept ModelError as error: assert 'not now' in str(error), error\n"
    code = f"from landscape_cli.models import allow_code\nfrom landscape_cli.errors import ModelError\n{name}"
    run(tmp_path, code + TRY_ALL)
    assert (tmp_path / "ran").read_text() == "uarray\n"


def test_own_code_may_import_what_stands_beside_it(tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "nets.py").write_text("import uarray\nfrom torch import nn\nmake = nn.Identity\n")
    run(tmp_path, "from landscape_cli.models import allow_code\nallow_code('nets:make')\n")
    assert (tmp_path / "ran").read_text() == "uarray\n"


@pytest.mark.parametrize("arguments", [["--version"], ["distance", "a.st", "b.st"]])
def test_module_as_program(tmp_path: Path, arguments: list[str]) -> None:
    """`python -m` puts the current folder first; the program takes it away."""
    for name in ("typer", "rich", "torch", "safetensors", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "landscape_cli", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2), done.stderr
    assert not (tmp_path / "ran").exists()
