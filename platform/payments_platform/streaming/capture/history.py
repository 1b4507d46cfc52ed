"""What a snapshot cannot show: versions that were replaced and rows that were deleted, read from the histories.

Belongs here: the changes of a gap, in the connector's form. Does not: current rows (snapshots.py), rows that never
were (phantoms.py), writing (republish.py).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from payments_platform.streaming.capture.connector import EXCLUDED_COLUMNS
from payments_platform.streaming.capture.republish import Change

if TYPE_CHECKING:
    import psycopg

_AT_ONCE: Final = 5000
# As the connector writes values: numeric with its scale and jsonb as text, times in UTC with microseconds.
_FORMS: Final = {
    "numeric": "{0}::text",
    "jsonb": "{0}::text",
    "timestamp with time zone": """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
}

_DELETES: Final = "h.op = 'd'"
_EVERYTHING: Final = "true"
# Rows written by transactions that the last captured heartbeat had not all seen as committed. Rows keep the number of
# the transaction that wrote them, so the bound needs no clock and holds for loads that state the times of other days.
_SINCE_HEARTBEAT: Final = "age(h.xmin) <= age((%(since)s::xid8)::xid)"
# On another timeline numbers of transactions are used again, so a moment bounds; deletes are few and all are taken.
_SINCE_MOMENT: Final = f"({_DELETES} OR h.updated_at >= %(since)s)"


def changes(
    session: "psycopg.Connection[tuple[object, ...]]", table: str, since: str | datetime | None
) -> Iterator[Change]:
    """The changes of one table that a gap may have swallowed, in order of each row's versions.

    ``since``: what the last captured heartbeat had seen as committed (``xmin:xmax:list``); a moment, which takes every
    delete and what was changed since; None takes the whole history. Some changes from before the gap are among them:
    consumers know their positions already. ``session`` must be in a transaction.
    """
    bound = _first_unseen(session, since) if isinstance(since, str) else since
    where = _EVERYTHING if bound is None else _SINCE_MOMENT if isinstance(bound, datetime) else _SINCE_HEARTBEAT
    name = key_column(session, table)
    with session.cursor(name=f"capture_{table}") as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(_query(session, table, name, where), {"since": bound})
        for op, key, row in cursor:
            before, after = (str(row), None) if op == "d" else (None, str(row))
            yield Change(table, name, str(key), "d" if op == "d" else "r", before, after)


def _first_unseen(session: "psycopg.Connection[tuple[object, ...]]", seen: str) -> str | None:
    """The oldest transaction that the heartbeat had not seen end; None when numbers have gone half way round since."""
    row = session.execute(
        "SELECT pg_snapshot_xmin(%(seen)s::pg_snapshot)::text, pg_snapshot_xmax(pg_current_snapshot())::text",
        {"seen": seen},
    ).fetchone()
    first, now = (int(str(value)) for value in (row or ("0", "0")))
    return str(first) if 0 <= now - first < 2**31 else None


def key_column(session: "psycopg.Connection[tuple[object, ...]]", table: str) -> str:
    """The column that names a row: the first of the primary key; of a partitioned table others follow it there."""
    row = session.execute(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " WHERE i.indrelid = %s::regclass AND i.indisprimary",
        (f"oltp.{table}",),
    ).fetchone()
    if row is None:
        raise LookupError(f"oltp.{table} has no primary key, so a change of it names no row")
    return str(row[0])


def _query(session: "psycopg.Connection[tuple[object, ...]]", table: str, key: str, where: str) -> str:
    """Op, key and row as JSON. A delete is shown as the row it removed: the version before, when it is still kept."""
    columns = [
        (str(name), str(kind))
        for name, kind in session.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped ORDER BY attnum",
            (f"oltp.{table}",),
        )
        if f"{table}.{name}" not in EXCLUDED_COLUMNS
    ]
    pairs = ", ".join(f"'{name}', {_form('o', name, kind)}" for name, kind in columns)
    # The delete's own record names the version after the row's, at the time of the delete.
    without = "(to_jsonb(h) || jsonb_build_object('version', h.version - 1))"
    return f"""
SELECT h.op, h.{key}, json_build_object({pairs})::text
  FROM oltp.{table}_history h
  LEFT JOIN oltp.{table}_history p ON h.op = 'd' AND p.{key} = h.{key} AND p.version = h.version - 1
 CROSS JOIN LATERAL (SELECT (jsonb_populate_record(NULL::oltp.{table}, CASE
     WHEN h.op <> 'd' THEN to_jsonb(h) WHEN p.{key} IS NOT NULL THEN to_jsonb(p) ELSE {without} END)).*) o
 WHERE {where}
 ORDER BY h.{key}, h.version"""  # noqa: S608  # names of tables and columns of the catalogue; values are parameters


def _form(alias: str, name: str, kind: str) -> str:
    return _FORMS.get(kind, "{0}").format(f'{alias}."{name}"')
