"""Questions that people type: one reading statement against the warehouse, with no way to a file, a setting or a write.

Belongs here: what is refused, and opening the file so that nothing else is possible. Does not: printing
(commands/warehouse.py), statements of the platform itself (duckdb.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from payments_platform.warehouse.duckdb import open_file
from payments_platform.warehouse.protocol import WarehouseError, WarehouseMissing

# Even a statement that passes the list below can reach no file, no network and no extension.
_CLOSED: Final = {
    "enable_external_access": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
# DESCRIBE, SHOW and SUMMARIZE count as SELECT for DuckDB.
_READING: Final = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_ACCEPTED: Final = "One SELECT, WITH, DESCRIBE, SHOW or EXPLAIN statement is accepted."


class QueryRefused(WarehouseError):
    """The text is not one reading statement, or DuckDB could not run it."""


@dataclass(frozen=True)
class Answer:
    """Column names, and rows to be taken one after another while the warehouse is open."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def ask(
    path: Path, sql: str, *, wait_seconds: float = 600, on_wait: Callable[[str], None] | None = None
) -> Iterator[Answer]:
    """Run one reading statement; a load that is under way is waited for.

    Raises QueryRefused, WarehouseMissing, WarehouseBusy.
    """
    _refuse_all_but_one_reading_statement(sql)
    if not path.exists():
        raise WarehouseMissing(
            f"There is no warehouse at {path} yet. Run: payments backfill --from 2025-01-01 --to 2025-01-31 (your days)"
        )
    connection = open_file(path, read_only=True, config=_CLOSED, wait_seconds=wait_seconds, on_wait=on_wait)
    try:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set lock_configuration = true")
        connection.execute(sql)
        yield Answer(tuple(column[0] for column in connection.description or ()), _rows(connection))
    except duckdb.Error as error:
        raise QueryRefused(f"The query failed. {error}") from error
    finally:
        connection.close()


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := connection.fetchmany(10_000):
        yield from batch


def _refuse_all_but_one_reading_statement(sql: str) -> None:
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryRefused(f"The query cannot be read. {error}") from error
    if len(statements) != 1:
        raise QueryRefused(f"{len(statements)} statements found. {_ACCEPTED}")
    if statements[0].type not in _READING:
        kind = statements[0].type.name
        raise QueryRefused(f"{kind} is refused: the warehouse is written by the platform alone. {_ACCEPTED}")
