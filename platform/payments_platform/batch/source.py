"""The source database as extraction sees it: connections, and whether a table can be read whole.

Belongs here: the connections asked for, and checks of columns, privileges and row security. Does not: the consistent
cut (cut.py), reading rows (extract.py). Connections come in open; this room knows no address and no driver.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import polars as pl

from payments_platform.batch.errors import HiddenRows, SourceSchemaMismatch
from payments_platform.contracts.dataset import Column, Dataset

SCHEMA: Final = "oltp"
EPOCH: Final = "epoch"
# The first and the last moment that every engine on the way can hold; a time beyond becomes the nearer one.
_YEARS: Final = ("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00")


class Rows(Protocol):
    """A result of statements on a row connection."""

    def fetchone(self) -> Any: ...  # noqa: ANN401 - a row of any shape
    def fetchall(self) -> Sequence[Any]: ...


class RowConnection(Protocol):
    """A connection that returns rows (psycopg), in autocommit."""

    def execute(self, query: Any, params: Any = None) -> Rows: ...  # noqa: ANN401 - the driver's own query types
    def close(self) -> None: ...


@dataclass(frozen=True)
class SourceConnections:
    """How to open each connection that extraction needs, all as the extract role, sessions in UTC."""

    primary: Callable[[], Any]
    replica: Callable[[], Any]
    replica_arrow: Callable[[], Any]


def is_history(dataset: Dataset) -> bool:
    """Whether a raw dataset is the history of a table; exchange rates are a dated series instead."""
    return EPOCH in dataset.names


def relation(dataset: Dataset) -> str:
    """The table that a raw dataset is read from, with its schema."""
    return f"{SCHEMA}.{dataset.table}{'_history' if is_history(dataset) else ''}"


def source_columns(dataset: Dataset) -> tuple[Column, ...]:
    """The columns that the source table must have: all of the contract but the epoch, which is a setting."""
    return tuple(column for column in dataset.columns if column.name != EPOCH)


def refuse_unreadable(connection: RowConnection, dataset: Dataset) -> None:
    """Raise SourceSchemaMismatch for a missing table or column, HiddenRows where rows might not be seen.

    A table with row security and no policy for the reading role gives 0 rows and no error: the day would look empty
    and every check on it would pass.
    """
    table = relation(dataset)
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()[0]
    if not found:
        raise SourceSchemaMismatch(f"the source has no table {table}. Run the migrations: payments up")
    _refuse_missing_columns(connection, dataset, table)
    _refuse_hidden_rows(connection, table)


def problem_with(source: SourceConnections, dataset: Dataset) -> str | None:
    """Return what keeps a table from being read whole, or None."""
    connection = source.replica()
    try:
        refuse_unreadable(connection, dataset)
    except (SourceSchemaMismatch, HiddenRows) as problem:
        return str(problem)
    finally:
        connection.close()
    return None


def _refuse_missing_columns(connection: RowConnection, dataset: Dataset, table: str) -> None:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", (table,)
    ).fetchall()
    present = {row[0] for row in rows}
    missing = [column.name for column in source_columns(dataset) if column.name not in present]
    if missing:
        raise SourceSchemaMismatch(
            f"{table} lacks {', '.join(missing)}, which the contract of {dataset.name} names."
            " Add the column at the source by a migration, or change the contract."
        )


def _refuse_hidden_rows(connection: RowConnection, table: str) -> None:
    role, may_read, secured, sees_all = connection.execute(
        """
        SELECT current_user::text, has_table_privilege(c.oid, 'SELECT'),
               c.relrowsecurity AND NOT me.rolbypassrls AND NOT me.rolsuper
                   AND (c.relforcerowsecurity OR NOT pg_has_role(c.relowner, 'USAGE')),
               coalesce((SELECT bool_or(p.permissive = 'PERMISSIVE' AND p.qual = 'true')
                            AND NOT bool_or(p.permissive = 'RESTRICTIVE' AND p.qual <> 'true')
                      FROM pg_policies p
                     WHERE p.schemaname = n.nspname AND p.tablename = c.relname AND p.cmd IN ('ALL', 'SELECT')
                       AND EXISTS (SELECT FROM unnest(p.roles) r(name)
                                    WHERE r.name = 'public'
                                       OR EXISTS (SELECT FROM pg_roles g
                                                   WHERE g.rolname = r.name AND pg_has_role(g.oid, 'USAGE')))), false)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles me
         WHERE c.oid = %s::regclass AND me.rolname = current_user
        """,
        (table,),
    ).fetchone()
    if not may_read:
        raise HiddenRows(f"role {role} may not read {table}. As owner: GRANT SELECT ON {table} TO {role}")
    if secured and not sees_all:
        raise HiddenRows(
            f"{table} has row security and no policy that shows all rows to role {role}: it would read as empty."
            f" As owner: CREATE POLICY extract_reads_all ON {table} FOR SELECT TO {role} USING (true)"
        )


def select_list(dataset: Dataset, epoch: int) -> str:
    """The columns of the contract as Arrow can carry them: decimals and JSON travel as text, times within their years.

    The source knows infinite times and years beyond 9999, which would wrap round to a time that looks like any other.
    """
    return ", ".join(_selected(column, epoch) for column in dataset.columns)


def _selected(column: Column, epoch: int) -> str:
    if column.name == EPOCH:
        return f"{epoch}::int4 AS {EPOCH}"
    if isinstance(column.dtype, pl.String | pl.Decimal):
        return f"{column.name}::text AS {column.name}"
    if isinstance(column.dtype, pl.Datetime | pl.Date):
        name, (first, last) = column.name, _YEARS
        within = f"WHEN {name} < '{first}' THEN '{first}' WHEN {name} > '{last}' THEN '{last}' ELSE {name}"
        return f"CASE {within} END AS {name}"
    return column.name
