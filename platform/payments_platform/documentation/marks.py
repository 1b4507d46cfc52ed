"""Which tests name which rows, read from their source.

Belongs here: finding ``@pytest.mark.row("B3")`` on functions, parameters and whole modules. Does not: running anything;
a page that had to import the tests would take a minute and need their servers.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Mark:
    """One test that says it shows one row. ``file`` is relative to the folder of the tests."""

    row: str
    file: str
    test: str


def marks(folder: Path) -> list[Mark]:
    """Every mark below a folder of tests, sorted. Raises TypeError for a mark whose rows are not plain strings."""
    found = {mark for path in folder.rglob("test_*.py") for mark in _of_module(path, path.relative_to(folder))}
    return sorted(found)


def _of_module(path: Path, shown: Path) -> Iterator[Mark]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    everywhere = [row for node in tree.body if _assigns_pytestmark(node) for row in _rows(node, shown)]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            own = [row for decorator in node.decorator_list for row in _rows(decorator, shown)]
            for row in (*everywhere, *own):
                yield Mark(row, shown.as_posix(), node.name)


def _assigns_pytestmark(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets)


def _rows(node: ast.AST, shown: Path) -> Iterator[str]:
    """The ids in every ``pytest.mark.row(…)`` below a node."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.row":
            for argument in call.args:
                if not isinstance(argument, ast.Constant):
                    raise TypeError(f"{shown}:{call.lineno}: write the rows of a mark as plain strings")
                yield str(argument.value)
