"""The house rules: who imports whom, and what nothing may do."""

from __future__ import annotations

import ast
import re
import rlcompleter
import subprocess
import sys
from pathlib import Path

import pytest

import landscape_cli

PACKAGE = Path(landscape_cli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ORDER = (
    *("errors", "arguments", "rng", "choices", "network", "torchvision_compat"),
    *("io", "sharing", "user_code", "forward", "data", "binary", "models"),
    *("evaluation", "symmetry", "normalization", "alignment", "geometry", "samplers", "measures", "figures", "cli"),
)
"""The way that data goes: what comes earlier knows nothing of what comes later."""
ROOT = {"errors", "arguments", "rng", "network", "choices", "torchvision_compat"}
TERMINAL = {"typer", "rich", "argparse", "click"}
# What each folder imports from others, beside the root's modules; the command line may import everything.
ALLOWED = {
    "io": set(),
    "sharing": {"io"},
    "user_code": set(),
    "forward": set(),
    "data": {"forward", "io", "user_code"},
    "binary": {"forward"},
    "models": {"binary", "forward", "io", "user_code"},
    "evaluation": {"binary", "data", "forward", "models"},
    "symmetry": {"binary", "forward"},
    "normalization": {"binary", "data", "evaluation", "forward", "io", "models", "symmetry"},
    "alignment": {"binary", "evaluation", "forward", "io", "models", "symmetry"},
    "geometry": {"binary", "forward", "io", "symmetry"},
    "samplers": {"binary", "data", "evaluation", "forward", "models"},
    "measures": {
        *("alignment", "binary", "data", "evaluation", "forward", "geometry", "io", "models", "normalization"),
        *("samplers", "sharing", "symmetry"),
    },
    "figures": {"io", "measures"},
}


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def parts_imported(path: Path) -> set[str]:
    """Return which other folders, or modules of the root, a module imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("landscape_cli.")} - {part_of(path)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_flow_one_way(path: Path) -> None:
    part = part_of(path)
    if part in {"__init__", "__main__", "cli"}:
        return
    inside = parts_imported(path)
    assert inside <= ROOT | ALLOWED.get(part, set())
    assert all(ORDER.index(imported) < ORDER.index(part) for imported in inside)
    assert not {name.split(".")[0] for name in imports(path)} & TERMINAL


def test_the_table_allows_what_is_used_and_no_more() -> None:
    assert list(ALLOWED) == [part for part in ORDER if part not in ROOT | {"cli"}]
    for part, allowed in ALLOWED.items():
        used = set().union(*(parts_imported(path) for path in MODULES if part_of(path) == part))
        assert used - ROOT == allowed, part


def test_every_module_has_a_folder() -> None:
    """Beside the names with underscores, only what everything uses lies in the root."""
    flat = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert flat == ROOT
    assert len(ROOT) <= 6
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"} == set(ORDER) - ROOT


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_library_knows_no_terminal(path: Path) -> None:
    """Outside the command line no text, docstring or comment names what parses or prints, or spells an option."""
    if part_of(path) == "cli":
        return
    text = path.read_text().replace('"argparse.Namespace"', "")  # which other people's files hold
    spelled = re.findall(r"(?<![\w-])--[a-z][\w-]*", text)
    assert not spelled, f"name the parameter, as `data=`: {spelled}"
    assert not re.findall(rf"\b(?:{'|'.join(TERMINAL)})\b", text)


def test_nothing_is_unpickled_or_run() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in {"eval", "exec", "pickle.load", "pickle.loads"}, path
                if name == "torch.load":
                    assert part_of(path) == "io"
                    assert "weights_only=True" in [ast.unparse(keyword) for keyword in node.keywords]


def test_only_user_code_is_imported_by_name() -> None:
    """Code outside the package is imported in one place, which the command line alone leads to."""
    importing = [path for path in MODULES if "importlib" in imports(path)]
    assert {str(path.relative_to(PACKAGE)) for path in importing} - {"user_code/imports.py"} <= {
        "__init__.py",  # its own modules
        "choices.py",  # its own modules
        "cli/app.py",  # its commands
        "symmetry/tracing/rules/__init__.py",  # its own modules
        "torchvision_compat.py",  # torchvision
        "io/results.py",  # versions
        "samplers/__init__.py",  # its own modules
    }
    assert [path.name for path in MODULES if "import_from(" in path.read_text()] == ["callables.py", "imports.py"]
    callers = {str(path.relative_to(PACKAGE)) for path in MODULES if "import_callable(" in path.read_text()}
    users = {"models/factories.py", "data/user_function.py", "cli/objectives.py"}
    assert callers == users | {"user_code/callables.py"}
    callers = {path.name for path in MODULES if "allow_code(" in path.read_text()}
    assert callers == {"factories.py", "registry.py", "reader.py"}


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


def test_public_names_are_shown_and_no_others() -> None:
    assert dir(landscape_cli) == sorted(landscape_cli.__all__)
    assert len(set(landscape_cli.__all__)) == len(landscape_cli.__all__)
    shown = {name.removeprefix("landscape_cli.").rstrip("()") for name in completions("landscape_cli.")}
    assert {name for name in shown if not name.startswith("_")} == set(landscape_cli.__all__) - {"__version__"}
    code = "from landscape_cli import *; print(sorted(set(dir()) - set(globals()['__builtins__'].__dict__)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    starred = {name for name in ast.literal_eval(done.stdout) if not name.startswith("__")}
    assert starred == set(landscape_cli.__all__) - {"__version__"}


def completions(text: str) -> set[str]:
    """Return what the interactive interpreter completes a text to."""
    completer = rlcompleter.Completer({"landscape_cli": landscape_cli})
    shown = set()
    for k in range(1000):
        completion = completer.complete(text, k)
        if completion is None:
            return shown
        shown.add(completion)
    raise AssertionError("endless")


def test_type_checkers_see_the_public_names() -> None:
    """The imports for type checkers are the table of homes, once more."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imported = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name  # exported, that is
            imported[alias.name] = str(node.module).removeprefix("landscape_cli.")
    assert imported == landscape_cli._HOME_OF
    assert set(landscape_cli.__all__) == {*imported, "__version__"}


OF_THE_WHOLE = {"test_architecture.py", "test_docs.py", "test_gpu.py", "test_results.py"}


def test_tests_mirror_the_package() -> None:
    """What is in the package at `a/b.py` is tested in `tests/a/test_b.py`, or in `tests/a/test_b_*.py`."""
    tests = Path(__file__).parent
    for path in sorted(tests.rglob("test_*.py")):
        folder = path.parent.relative_to(tests)
        if folder.parts[:1] in {("extending",), ("examples",), ("fuzz",), ("faults",)} or path.name in OF_THE_WHOLE:
            continue
        modules = {module.stem for module in (PACKAGE / folder).iterdir()}
        stem = path.stem.removeprefix("test_")
        assert any(stem == module or stem.startswith(f"{module}_") for module in modules), path
