"""Tables of the warehouse as files, for tools that must not hold the warehouse open.

Belongs here: writing whole tables, each in one step. Does not: which tables (the command says), queries (query.py).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from payments_platform.contracts.dataset import Dataset
from payments_platform.warehouse.duckdb import open_file
from payments_platform.warehouse.protocol import WarehouseMissing

Form = Literal["parquet", "csv"]
_OPTIONS: dict[Form, str] = {"parquet": "format parquet, compression snappy", "csv": "format csv, header"}


@dataclass(frozen=True)
class Exported:
    """A table that was written: its file and its rows."""

    path: Path
    rows: int


def export(
    warehouse: Path,
    tables: Sequence[Dataset],
    folder: Path,
    form: Form,
    *,
    wait_seconds: float = 600,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[Exported]:
    """Write each table to ``folder/zone/table.form``; all of them show the warehouse at one moment.

    A file is replaced when its new content is whole, so a reader sees the old table or the new one. A load that is
    under way is waited for. Raises WarehouseMissing, WarehouseBusy.
    """
    if not warehouse.exists():
        raise WarehouseMissing(f"There is no warehouse at {warehouse} yet. Run: payments demo")
    with open_file(warehouse, read_only=True, wait_seconds=wait_seconds, on_wait=on_wait) as connection:
        connection.execute("set timezone = 'UTC'")
        for table in tables:
            path = folder / table.zone / f"{table.table}.{form}"
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.part")
            target = str(unfinished).replace("'", "''")
            connection.execute(f"copy {table.zone}.{table.table} to '{target}' ({_OPTIONS[form]})")
            rows = connection.fetchone()
            unfinished.replace(path)
            yield Exported(path, int(rows[0]) if rows else 0)
