"""Writes simulated rows into the source through its real triggers, each version at its simulated time.

Belongs here: SQL and COPY of the loader role. Does not: what the rows are.
Rows pass through a temporary table: PostgreSQL refuses COPY into a table with row security, and the way round it, a
role that ignores row security, is one that managed servers do not hand out.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

if TYPE_CHECKING:
    import psycopg

    from payments_platform.oltp.simulator.people import Customers

    Session = psycopg.Connection[tuple[Any, ...]]

_DELETE_MERCHANTS: Final = "DELETE FROM oltp.merchants WHERE merchant_id = ANY(%s)"
# The customer last, after what belongs to them.
_OF_CUSTOMERS: Final = (
    *("subscriptions", "consents", "devices", "payment_methods", "customer_identities", "customers"),
)


def open_session(session: "Session") -> None:
    """Settings of a new session, before its first temporary table."""
    # A part's rows pass through a temporary table: in memory, not through a file.
    session.execute("SET temp_buffers = '64MB'")
    # A transaction block inside an open transaction would end as a savepoint, and nothing would be committed.
    session.commit()


def begin(session: "Session", load_id: str) -> None:
    """Settings of the transaction that follows: event times come from the rows, and the load is named."""
    session.execute(
        "SELECT set_config('payments.event_time', 'row', true), set_config('payments.load_id', %s, true)", (load_id,)
    )
    # A crash loses at most whole loads that the next run writes again.
    session.execute("SET LOCAL synchronous_commit = off")


def stage(session: "Session", name: str, like: str, rows: pl.DataFrame) -> None:
    """Copy rows into a temporary table that has the columns of ``oltp.<like>`` named in the frame."""
    columns = ", ".join(rows.columns)
    session.execute(f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT {columns} FROM oltp.{like} WITH NO DATA")
    copy(session, name, rows)


def copy(session: "Session", table: str, rows: pl.DataFrame) -> None:
    """Copy rows into a table without row security."""
    text = rows.write_csv(include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.6f+00")
    with session.cursor().copy(f"COPY {table} ({', '.join(rows.columns)}) FROM STDIN (FORMAT csv)") as stream:
        stream.write(text.encode())


def insert(session: "Session", table: str, rows: pl.DataFrame) -> int:
    """Insert rows by one statement, so that the history trigger sees them as one set; return how many."""
    if rows.is_empty():
        return 0
    stage(session, "incoming", table, rows)
    columns = ", ".join(rows.columns)
    session.execute(f"INSERT INTO oltp.{table} ({columns}) SELECT {columns} FROM incoming")
    session.execute("DROP TABLE incoming")
    return rows.height


def insert_customers(session: "Session", customers: "Customers") -> dict[str, int]:
    """Insert customers with their identities and payment methods; return the counts."""
    return {
        "customers": insert(session, "customers", customers.rows),
        "customer_identities": insert(session, "customer_identities", customers.identities),
        "payment_methods": insert(session, "payment_methods", customers.methods),
    }


def change_payments(session: "Session", changes: pl.DataFrame) -> int:
    """Apply later versions of one day's payments, version by version: each round is one statement."""
    if changes.is_empty():
        return 0
    stage(session, "changed", "transactions", changes)
    month = changes.select(pl.col("created_at").min().dt.truncate("1mo")).item()
    for version in changes["version"].unique().sort():
        session.execute(
            "UPDATE oltp.transactions t SET status = c.status, captured_minor = c.captured_minor,"
            " refunded_minor = c.refunded_minor, updated_at = c.updated_at FROM changed c"
            " WHERE c.version = %s AND t.transaction_id = c.transaction_id AND t.created_at = c.created_at"
            # Whole months, so that one partition is planned for. A narrower range would lie beyond the statistics of a
            # month that is being filled: the planner expects no row there and compares everything with everything.
            " AND t.created_at >= %s AND t.created_at < %s::timestamptz + interval '1 month'",
            (version, month, month),
        )
    session.execute("DROP TABLE changed")
    return changes.height


def write_versions(session: "Session", table: str, key: str, versions: pl.DataFrame) -> int:
    """Insert first versions and apply the later ones, round by round; every column of a version is written."""
    insert(session, table, versions.filter(version=1).drop("version"))
    later = versions.filter(pl.col("version") > 1)
    if not later.is_empty():
        stage(session, "changed", table, later)
        sets = ", ".join(f"{name} = c.{name}" for name in later.columns if name not in {key, "version", "created_at"})
        for version in later["version"].unique().sort():
            session.execute(
                f"UPDATE oltp.{table} t SET {sets} FROM changed c WHERE c.version = %s AND t.{key} = c.{key}",
                (version,),
            )
        session.execute("DROP TABLE changed")
    return versions.height


def delete_rows(session: "Session", table: str, key: str, deletes: pl.DataFrame) -> int:
    """Delete rows by ``key``, each at its instant ``at``."""
    for (at,), rows in deletes.sort("at").group_by("at", maintain_order=True):
        _delete_at(session, at)
        session.execute(f"DELETE FROM oltp.{table} WHERE {key} = ANY(%s)", (rows["key"].to_list(),))
    session.execute("SELECT set_config('payments.event_time', 'row', true)")
    return deletes.height


def _delete_at(session: "Session", at: object) -> None:
    """A deleted row has no time of its own: say when."""
    session.execute("SELECT set_config('payments.event_time', %s, true)", (f"{at}",))


def change_people(session: "Session", table: str, key: str, changes: pl.DataFrame) -> int:
    """Update entities; null in a change means that the value stays."""
    if changes.is_empty():
        return 0
    stage(session, "changed", table, changes)
    values = [name for name in changes.columns if name not in {key, "updated_at"}]
    sets = ", ".join(f"{name} = coalesce(c.{name}, t.{name})" for name in values)
    session.execute(
        f"UPDATE oltp.{table} t SET {sets}, updated_at = c.updated_at FROM changed c WHERE t.{key} = c.{key}",
    )
    session.execute("DROP TABLE changed")
    return changes.height


def delete_people(session: "Session", merchants: list[str], customers: list[str], at: datetime) -> dict[str, int]:
    """Delete merchants, and customers with all that belongs to them, at one simulated instant; return the counts."""
    _delete_at(session, at)
    deleted = {"merchants": session.execute(_DELETE_MERCHANTS, (merchants,)).rowcount}
    for table in _OF_CUSTOMERS:
        found = session.execute(f"DELETE FROM oltp.{table} WHERE customer_id = ANY(%s)", (customers,))
        deleted[table] = found.rowcount
    session.execute("SELECT set_config('payments.event_time', 'row', true)")
    return deleted


def written_until(session: "Session", source: str) -> dict[str, datetime]:
    """For each part of a bulk load that was written: the instant up to which its versions are there."""
    found = session.execute("SELECT part, written_until FROM oltp.bulk_loads WHERE source = %s", (source,))
    return dict(found.fetchall())


def remember(session: "Session", source: str, part: str, until: datetime, row_count: int, load_id: str) -> None:
    """Note in the same transaction what was written."""
    session.execute(
        "INSERT INTO oltp.bulk_loads VALUES (%s, %s, %s, %s, %s) ON CONFLICT (source, part) DO UPDATE"
        " SET written_until = excluded.written_until, row_count = bulk_loads.row_count + excluded.row_count,"
        " load_id = excluded.load_id",
        (source, part, until, row_count, load_id),
    )
