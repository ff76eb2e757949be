"""The notebook in examples/, executed anew: python -m tests.support.notebook (which needs nbclient and ipykernel)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parent.parent.parent / "examples" / "chain.ipynb"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def read() -> dict[str, Any]:
    """Return the notebook as JSON."""
    content: dict[str, Any] = json.loads(NOTEBOOK.read_text())
    return content


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cells of code, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    """Return what a cell holds, as text."""
    return "".join(cell["source"])


def execute() -> None:
    """Run the notebook in an empty folder, and write it with its outputs, without times and other traces."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    for number, cell in enumerate(notebook.cells, start=1):
        cell.metadata.clear()
        cell.id = f"cell-{number}"
        for output in cell.get("outputs", ()):
            output.pop("metadata", None)
            if output.output_type in {"display_data", "execute_result"}:
                output.metadata = {}
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    nbformat.validate(notebook)
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    execute()
