"""How commands print their results.

Belongs here: the forms that a result may have, a console that a pipe does not narrow. Does not: any table, sentences
beside a result (saying.py).
"""

from enum import StrEnum

from rich.console import Console


class Format(StrEnum):
    """table for people, json for scripts."""

    TABLE = "table"
    JSON = "json"


def wide() -> Console:
    """As wide as the terminal; into a file or a pipe, a column is as wide as it must be."""
    return Console(highlight=False, width=None if Console().is_terminal else 10_000)
