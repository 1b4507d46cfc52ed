"""Whether the source is another life of the database than the one that an epoch was begun for.

Belongs here: asking the source, the words for it. Does not: raising the epoch (repair.py), judging (judge.py).
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psycopg

PARTED: Final = (
    "The source is another life of the database than the one that was captured: a replica was promoted, or a backup was"
    " restored. Run: payments capture raise-epoch"
)


def has_parted(session: "psycopg.Connection[tuple[object, ...]]") -> bool:
    """Whether the log is on another timeline than when the first snapshot, or that of the epoch, was asked for.

    The record came to a promoted replica with the log, the timeline is its own. False when nothing is on record.
    """
    row = session.execute(
        "SELECT timeline <> left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM oltp.capture_snapshots"
        " WHERE reason <> 'repair' ORDER BY requested_at DESC LIMIT 1"
    ).fetchone()
    return bool(row and row[0])
