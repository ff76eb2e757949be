"""The house rules: who imports whom, and what nothing may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import landscape_cli

PACKAGE = Path(landscape_cli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# what each part may import from the package; the parts of `cli` may import everything
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "seeds": set(),
    "double": set(),
    "symmetry": {"binary", "double", "errors", "objective"},
    "explain": {"symmetry"},
    "checkpoint": {"errors", "files"},
    "results": {"errors", "files"},
    "plots": {"errors", "files"},
    "vision": set(),
    "objective": {"errors"},
    "data": {"errors", "hidden_manifold", "standardise", "vision"},
    "hidden_manifold": {"errors"},
    "standardise": {"errors"},
    "naming": {"errors", "checkpoint"},
    "foreign": {"errors", "checkpoint"},
    "binary": {"checkpoint", "errors", "functional"},
    "models": {"binary", "checkpoint", "errors", "functional", "naming", "objective", "vision"},
    "functional": {"checkpoint", "double", "errors"},
    "batches": set(),
    "batch_norm": {"batches", "checkpoint", "errors", "functional", "seeds"},
    "evaluate": {"batch_norm", "batches", "checkpoint", "data", "functional", "integers", "objective"},
    "integers": {"binary", "checkpoint", "functional"},
    "normalize": {"balance", "binary", "checkpoint", "errors", "symmetry", "turns"},
    "balance": {"checkpoint", "symmetry"},
    "turns": {"symmetry"},
    "matching": {"checkpoint", "errors", "symmetry"},
    "activations": {"binary", "checkpoint", "functional", "symmetry"},
    "align": {"activations", "binary", "checkpoint", "errors", "matching", "seeds", "symmetry"},
    "geometry": {"checkpoint", "errors", "symmetry"},
    "hamming": {"binary", "checkpoint", "errors", "geometry", "seeds"},
    "planes": {"checkpoint", "errors", "geometry"},
    "paths": {"errors"},
    "flatness": {"binary", "checkpoint", "evaluate", "functional", "seeds"},
    "midpoint": {"checkpoint", "data", "errors", "functional", "samplers"},
    "proof": {"batches", "checkpoint", "errors", "functional", "objective", "seeds", "suspects"},
    "suspects": {"checkpoint", "functional"},
    "samplers": {
        "batch_norm",
        "batches",
        "binary",
        "checkpoint",
        "data",
        "errors",
        "evaluate",
        "models",
        "objective",
        "seeds",
    },
}


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_flow_one_way(path: Path) -> None:
    part = part_of(path)
    if part in {"__init__", "__main__", "cli"}:
        return
    inside = {name.split(".")[1] for name in imports(path) if name.startswith("landscape_cli.")}
    assert inside - {part} <= ALLOWED[part]
    assert not {name.split(".")[0] for name in imports(path)} & {"typer", "rich", "argparse", "click"}


def test_nothing_is_unpickled_or_run() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in {"eval", "exec", "pickle.load", "pickle.loads"}, path
                if name == "torch.load":
                    assert part_of(path) == "foreign"
                    assert "weights_only=True" in [ast.unparse(keyword) for keyword in node.keywords]


def test_only_factories_import_by_name() -> None:
    """Code outside the package is imported in one place, which the command line alone leads to."""
    importing = [path for path in MODULES if "importlib" in imports(path)]
    assert {str(path.relative_to(PACKAGE)) for path in importing} - {"models/factories.py"} <= {
        "__init__.py",  # its own modules
        "vision.py",  # torchvision
        "results.py",  # versions
    }
    callers = {path.name for path in MODULES if "allow_code(" in path.read_text()}
    assert callers == {"factories.py", "registry.py", "networks.py"}


def test_package_import_is_light() -> None:
    code = "import sys, landscape_cli; assert 'torch' not in sys.modules; landscape_cli.__version__"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names() -> None:
    from landscape_cli import Evaluator, align, distance, geodesic, normalize, trace_symmetry

    assert all(map(callable, (trace_symmetry, normalize, align, geodesic, distance, Evaluator)))
    for name in landscape_cli.__all__:
        assert getattr(landscape_cli, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = landscape_cli.nonsense


def test_functions_are_not_hidden_by_their_modules() -> None:
    code = (
        "import landscape_cli.align, landscape_cli.normalize\n"
        "from landscape_cli import align, normalize\n"
        "assert callable(align) and callable(normalize)\n"
        "from landscape_cli.align import Alignment\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
