"""Incremental snapshots: asked for on record, signalled through the log, followed until the last row is delivered.

Belongs here: the record, the signal, the wait. Does not: why a snapshot is needed (apply.py, repair.py, epoch.py).
"""

import json
from collections.abc import Sequence
from secrets import token_hex
from typing import TYPE_CHECKING, Final, Literal

from payments_platform.contracts.streams import CAPTURED_TABLES
from payments_platform.errors import ExplainedError
from payments_platform.streaming.capture.connector import CONNECTOR
from payments_platform.streaming.capture.control import Capture
from payments_platform.streaming.capture.notices import follow_snapshot

if TYPE_CHECKING:
    import psycopg

Reason = Literal["initial", "repair", "epoch"]
# A table without a row or without any schema change since is no failure.
_DONE: Final = {"SUCCEEDED", "EMPTY"}
_SILENCE_SECONDS: Final = 120.0


class SnapshotFailed(ExplainedError):
    """A snapshot did not deliver every row; the text names tables and reasons. It stays on record as open."""


def record(
    session: "psycopg.Connection[tuple[object, ...]]", capture: Capture, reason: Reason, tables: Sequence[str],
    seen: str | None,
) -> str:  # fmt: skip
    """Put a snapshot on record before anything is done for it; return its id. Open ones before it are part of it.

    A command that is killed leaves it open: the next one does it again, from the oldest beginning of a gap.
    """
    made = f"{reason}-{token_hex(8)}"
    session.execute(
        "INSERT INTO oltp.capture_snapshots (snapshot_id, reason, tables, epoch, seen)"
        " SELECT %s, %s, array(SELECT DISTINCT t FROM unnest(%s::text[] || coalesce(o.tables, '{}')) t ORDER BY t),"
        "        %s, coalesce(o.seen, %s)"
        "   FROM (SELECT (SELECT array_agg(t) FROM oltp.capture_snapshots, unnest(tables) t WHERE completed_at IS NULL)"
        "                AS tables,"
        "                (SELECT seen FROM oltp.capture_snapshots WHERE completed_at IS NULL AND seen IS NOT NULL"
        "                  ORDER BY requested_at LIMIT 1) AS seen) o",
        (made, reason, list(tables), capture.epoch, seen),
    )
    return made


def tables_of(session: "psycopg.Connection[tuple[object, ...]]", snapshot_id: str) -> tuple[list[str], str | None]:
    """Tables of a snapshot on record, and what had been seen as committed where its gap begins."""
    row = session.execute(
        "SELECT tables, seen FROM oltp.capture_snapshots WHERE snapshot_id = %s", (snapshot_id,)
    ).fetchone()
    if row is None:
        raise SnapshotFailed(f"Snapshot {snapshot_id} is not on record.")
    # Dimensions first, as the contract lists them: a payment that finds its customer is full at once.
    order = {table: place for place, table in enumerate(CAPTURED_TABLES)}
    tables = sorted(row[0], key=lambda table: order.get(table, len(order)))  # type: ignore[call-overload]
    return tables, None if row[1] is None else str(row[1])


def deliver(capture: Capture, snapshot_id: str) -> dict[str, int]:
    """Signal a snapshot to the running connector and wait until its last row is readable; return rows by table.

    A snapshot that is on its way is waited for, not signalled again. Raises SnapshotFailed.
    """
    with capture.session() as session:
        tables, _ = tables_of(session, snapshot_id)
        if not _is_running(capture, snapshot_id):
            data = {"type": "INCREMENTAL", "data-collections": [f"oltp.{table}" for table in tables]}
            session.execute(
                "INSERT INTO oltp.capture_signals VALUES (%s, 'execute-snapshot', %s) ON CONFLICT DO NOTHING",
                (snapshot_id, json.dumps(data)),
            )
    rows = _follow(capture, snapshot_id, tables)
    with capture.session() as session:
        session.execute("DELETE FROM oltp.capture_signals WHERE id = %s", (snapshot_id,))
    return rows


def complete(session: "psycopg.Connection[tuple[object, ...]]", snapshot_id: str) -> None:
    """Close a snapshot's record and those of the open ones before it, which it holds."""
    session.execute(
        "UPDATE oltp.capture_snapshots SET completed_at = clock_timestamp() WHERE completed_at IS NULL AND requested_at"
        " <= (SELECT requested_at FROM oltp.capture_snapshots WHERE snapshot_id = %s)",
        (snapshot_id,),
    )


def open_snapshot(session: "psycopg.Connection[tuple[object, ...]]") -> tuple[str, str] | None:
    """Id and reason of the youngest open snapshot, which holds the older ones; None when all are delivered."""
    row = session.execute(
        "SELECT snapshot_id, reason FROM oltp.capture_snapshots WHERE completed_at IS NULL"
        " ORDER BY requested_at DESC LIMIT 1"
    ).fetchone()
    return (str(row[0]), str(row[1])) if row else None


def _is_running(capture: Capture, snapshot_id: str) -> bool:
    offsets = capture.connect.offsets(CONNECTOR) or {}
    return bool(offsets.get("incremental_snapshot_correlation_id") == snapshot_id)


def _follow(capture: Capture, snapshot_id: str, tables: Sequence[str]) -> dict[str, int]:
    rows: dict[str, int] = {}
    failed: dict[str, str] = {}
    for notice in follow_snapshot(capture.kafka, snapshot_id, _SILENCE_SECONDS):
        if notice.kind == "TABLE_SCAN_COMPLETED":
            rows[notice.table] = notice.rows
            if notice.status not in _DONE:
                failed[notice.table] = notice.status
            capture.say(f"{notice.table}: {notice.rows:,} rows ({len(rows)} of {len(tables)} tables)")
        if notice.kind == "COMPLETED":
            missing = {table: "was not read" for table in tables if table not in rows}
            if failed | missing:
                told = ", ".join(f"{table} {why}" for table, why in (failed | missing).items())
                raise SnapshotFailed(f"Snapshot {snapshot_id} is not whole: {told}. Run: payments capture repair")
            return rows
        if notice.kind == "ABORTED":
            break
    raise SnapshotFailed(
        f"Snapshot {snapshot_id} was not completed: no news for {_SILENCE_SECONDS:.0f} s after"
        f" {', '.join(rows) or 'no table'}. See: payments capture status, then: payments capture repair"
    )
