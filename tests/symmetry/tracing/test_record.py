"""Tracing states facts; what follows from them is no business of its."""

from __future__ import annotations

import ast
from pathlib import Path

from landscape_cli.symmetry import tracing

MODULES = sorted(Path(next(iter(tracing.__path__))).rglob("*.py"))


def test_tracing_imports_nothing_of_solving() -> None:
    imported = {
        node.module or ""
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    assert "landscape_cli.symmetry.tracing.record" in imported
    assert not [name for name in imported if name.startswith("landscape_cli.symmetry.solving")]
