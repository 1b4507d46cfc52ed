"""Markdown as all generated pages write it. Belongs here: tables, links. Does not: what any page says."""

from collections.abc import Iterable, Sequence
from typing import Final

# An empty cell reads as forgotten.
NOTHING: Final = "-"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; a bar inside a cell is escaped, it would start a new cell."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *cells)]


def code(words: Iterable[str]) -> str:
    """Words as code, separated by commas; a dash for none."""
    return ", ".join(f"`{word}`" for word in words) or NOTHING
