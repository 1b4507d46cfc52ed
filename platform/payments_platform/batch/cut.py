"""A moment at which the past days are complete on the replica, held as a snapshot that several sessions share.

Belongs here: waiting for open transactions and for the replica, exporting the snapshot. Does not: reading rows.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from payments_platform.batch.errors import CutTimeout, HiddenRows, SourceChanged
from payments_platform.batch.source import RowConnection, SourceConnections

# A clock set back by less than this cannot hide a transaction that wrote before the end of the day.
_CLOCK_MARGIN: Final = timedelta(minutes=5)
_PAGE, _PAGE_HEADER = 8192, 40
_POLL_SECONDS: Final = 0.1

# A prepared transaction shows when it was prepared, not when it began: all count that had a number before the wait.
_OPEN_TRANSACTIONS: Final = """
    SELECT 'session ' || pid || ' (' || coalesce(usename, '?') || ', ' || coalesce(nullif(application_name, ''), '?')
               || ', ' || coalesce(state, '?') || ')', xact_start
      FROM pg_stat_activity
     WHERE xact_start < %(before)s AND pid <> pg_backend_pid() AND backend_type = 'client backend'
       AND datname = current_database()
     UNION ALL
    SELECT 'prepared transaction ' || quote_literal(gid), prepared
      FROM pg_prepared_xacts WHERE database = current_database() AND age(transaction) > age(%(horizon)s::xid8::xid)
     ORDER BY 2
"""


class DayNotOver(SourceChanged):
    """The day is still going on at the source, or its last transactions may be; half a day would pass for a whole."""


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds, for open transactions and for the replica; clock and sleep can be replaced."""

    transactions: float = 300.0
    replica: float = 300.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Cut:
    """The exported snapshot, and the replica session that holds it open. ``taken_at`` is the primary's clock."""

    connection: RowConnection
    snapshot: str
    taken_at: datetime


@contextmanager
def cut(source: SourceConnections, last_day: date, patience: Patience | None = None) -> Iterator[Cut]:
    """Hold a snapshot of the replica that has every row written up to the end of ``last_day``.

    On the primary: wait until no open or prepared transaction began before the end of that day (rows are stamped when
    they are written, so a later one cannot write into it), then take the log position. On the replica: wait until it
    has replayed that position, then export a REPEATABLE READ snapshot. Without the wait, a transaction that commits
    late would add rows to a day that was already extracted, and they would be lost.
    """
    patience = patience or Patience()
    primary = source.primary()
    try:
        taken_at = _wait_for_transactions(primary, last_day, patience)
        position = primary.execute("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint").fetchone()[0]
    finally:
        primary.close()
    replica = source.replica()
    try:
        _wait_for_replay(replica, position, patience)
        replica.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = replica.execute("SELECT pg_export_snapshot()").fetchone()[0]
        yield Cut(replica, snapshot, taken_at)
    finally:
        replica.close()


def _wait_for_transactions(primary: RowConnection, last_day: date, patience: Patience) -> datetime:
    """Return the primary's time once the day is complete there."""
    sees, now, end, horizon = primary.execute(
        "SELECT pg_has_role('pg_read_all_stats', 'USAGE'), now(), (%s::date + 1)::timestamp AT TIME ZONE 'UTC',"
        " pg_current_xact_id()::text",
        (last_day,),
    ).fetchone()
    if not sees:
        raise HiddenRows(
            "the extracting role does not see when other sessions' transactions began, so a day cannot be known to be"
            " complete. As superuser: GRANT pg_read_all_stats TO payments_extract"
        )
    if now < end:
        raise DayNotOver(f"{last_day} ends at {end:%Y-%m-%d %H:%M} UTC and the source's clock says {now:%H:%M}. Wait.")
    taken_at: datetime = now
    started = patience.clock()
    asked = {"before": end + _CLOCK_MARGIN, "horizon": horizon}
    while open_ones := primary.execute(_OPEN_TRANSACTIONS, asked).fetchall():
        if patience.clock() - started > patience.transactions:
            name, since = open_ones[0]
            raise CutTimeout(
                f"{len(open_ones)} transaction(s) from before the end of {last_day} are still open on the primary; the"
                f" oldest is {name}, since {since:%Y-%m-%d %H:%M:%S}. End it"
                " (pg_terminate_backend; ROLLBACK PREPARED for a prepared one), then run again."
            )
        patience.sleep(_POLL_SECONDS)
    return taken_at


def _wait_for_replay(replica: RowConnection, position: int, patience: Patience) -> None:
    wanted, started = reachable(position), patience.clock()
    query = "SELECT pg_is_in_recovery(), (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint"
    while True:
        in_recovery, replayed = replica.execute(query).fetchone()
        if not in_recovery or (replayed is not None and replayed >= wanted):
            return
        if patience.clock() - started > patience.replica:
            behind = wanted - (replayed or 0)
            raise CutTimeout(
                f"the replica is {behind} bytes of log behind the primary and did not catch up in"
                f" {patience.replica:.0f} s. See: payments status; payments logs replica"
            )
        patience.sleep(_POLL_SECONDS)


def reachable(position: int) -> int:
    """The log position that replay must have reached to have seen everything before ``position``.

    An insert position just behind a page header has no record there yet: an idle replica stops at the page's start
    and would be waited for in vain.
    """
    within = position % _PAGE
    return position - within if within <= _PAGE_HEADER else position
