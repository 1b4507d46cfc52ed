"""Notebooks of docs/notebooks: run from first cell to last, and kept without traces of the machine.

Belongs here: running, and what is stripped. Does not: what a notebook asks, where the warehouse is (the command says).
"""

from pathlib import Path
from typing import Any

from payments_platform.errors import ExplainedError


class NotebookNeeds(ExplainedError):
    """What runs a notebook is not installed."""


def run(path: Path, *, seconds: int = 300) -> None:
    """Run a notebook in its own folder and write it back with its outputs.

    Raises NotebookNeeds, and CellExecutionError for a cell that fails; the file is then left as it was.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
    except ImportError:
        raise NotebookNeeds("What runs a notebook is missing. Run: make pictures") from None
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=seconds, resources={"metadata": {"path": path.parent}}).execute()
    stripped(notebook)
    nbformat.write(notebook, path)


def stripped(notebook: Any) -> None:  # noqa: ANN401 - nbformat's nodes are dictionaries with attributes
    """Take out what differs between two runs or names a machine: times of cells, versions, the kernel's own words."""
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        for output in cell.get("outputs", []):
            output.get("metadata", {}).clear()
            # The picture is enough; its description as text names addresses in memory.
            if "image/png" in output.get("data", {}):
                output["data"] = {"image/png": output["data"]["image/png"]}
