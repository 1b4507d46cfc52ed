"""Upkeep of the source's partitions, as its owner.

Belongs here: making next months' partitions, detaching old history, finding rows that no partition took. Does not:
when it is done (defs/operations/upkeep.py), the SQL functions (migrations).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psycopg

# A quarter ahead: an upkeep that fails for weeks still loses nothing.
_AHEAD: Final = timedelta(days=92)


@dataclass(frozen=True)
class SourceUpkeep:
    """What one upkeep did. ``default_rows`` counts rows in default partitions, for the tables that have any."""

    made: int
    detached: tuple[str, ...]
    default_rows: Mapping[str, int]

    @property
    def advice(self) -> str:
        """What rows in default partitions mean and what to do."""
        counts = ", ".join(f"{table} {rows}" for table, rows in self.default_rows.items())
        return (
            f"Rows lie in default partitions, which each extraction reads whole: {counts}. Dates before 2010 or more"
            " than 400 days ahead get no partition: correct these rows at the source. For others make partitions by"
            " SELECT oltp.ensure_partitions(first_day, last_day); the rows move there."
        )


def keep_partitions(session: "psycopg.Connection[tuple[object, ...]]", today: date, history_days: int) -> SourceUpkeep:
    """Make the partitions of the next quarter and detach history older than ``history_days``. Safe to repeat.

    ``session`` is the owner's. Detached history goes to the schema oltp_archive; nothing is deleted.
    """
    row = session.execute("SELECT oltp.ensure_partitions(%s, %s)", (today, today + _AHEAD)).fetchone()
    detached = session.execute("SELECT oltp.detach_history(%s, %s)", (history_days, today)).fetchall()
    defaults = session.execute("SELECT table_name, row_count FROM oltp.default_partition_rows()").fetchall()
    return SourceUpkeep(
        made=int(str(row[0])) if row else 0,
        detached=tuple(str(name) for (name,) in detached),
        default_rows={str(table): int(str(rows)) for table, rows in defaults if rows},
    )
