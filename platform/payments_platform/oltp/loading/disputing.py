"""Opens disputes for the payments that a file calls frauds: the only way in which the platform learns of them.

Belongs here: when a dispute opens and its rows. Does not: reading the flag (judging.py), loading payments (writing.py).
A flag beside a payment would be known before anybody can know; a dispute comes days later, as in life.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from payments_platform.oltp.simulator.writer import Session

# A dispute opens after the last change of its payment, whatever the delay.
_AFTER_LAST_CHANGE: Final = timedelta(seconds=1)
_EVIDENCE: Final = "14 days"
_FIND: Final = """
CREATE TEMP TABLE disputed ON COMMIT DROP AS
SELECT t.transaction_id, t.created_at AS paid_at, t.merchant_id, t.currency, t.captured_minor,
       greatest(t.created_at + %(delay)s, t.updated_at + %(after)s) AS opened_at
  FROM oltp.transactions t
 WHERE t.transaction_id = ANY(%(ids)s) AND t.created_at >= %(first)s AND t.created_at <= %(last)s
   AND t.captured_minor > 0 AND t.status IN ('succeeded', 'partially_refunded', 'refunded', 'disputed')
   AND NOT EXISTS (SELECT FROM oltp.disputes d WHERE d.transaction_id = t.transaction_id)
   AND NOT EXISTS (SELECT FROM oltp.retired_keys r
                    WHERE r.table_name = 'disputes' AND r.key = 'dsp_' || t.transaction_id)
"""
_OPEN: Final = """
INSERT INTO oltp.disputes (dispute_id, transaction_id, merchant_id, amount_minor, currency, reason_code, status,
                           evidence_due_at, created_at, updated_at)
SELECT 'dsp_' || transaction_id, transaction_id, merchant_id, captured_minor, currency, 'fraudulent', 'needs_response',
       opened_at + %s::interval, opened_at, opened_at
  FROM disputed
"""
_MARK: Final = """
UPDATE oltp.transactions t SET status = 'disputed', updated_at = d.opened_at
  FROM disputed d
 WHERE t.transaction_id = d.transaction_id AND t.created_at = d.paid_at AND t.status <> 'disputed'
   AND t.created_at >= %s AND t.created_at <= %s
"""


@dataclass(frozen=True)
class Frauds:
    """Ids of the payments that the file calls frauds, how long after each its dispute opens, and the present moment."""

    ids: pl.Series
    delay: timedelta
    now: datetime


@dataclass(frozen=True)
class Opened:
    """Disputes that were opened, and those whose time has not come: repeating the load opens them then."""

    count: int
    to_come: int
    days: tuple[datetime, ...]


def days_of(rows: pl.DataFrame, frauds: Frauds) -> pl.Series:
    """The days on which disputes may open: the source needs partitions for them."""
    chosen = rows.filter(pl.col("transaction_id").is_in(frauds.ids.to_list()))
    opened = pl.max_horizontal(pl.col("created_at") + frauds.delay, pl.col("updated_at") + _AFTER_LAST_CHANGE)
    return chosen.select(day=opened).filter(pl.col("day") <= frauds.now).to_series().dt.date()


NONE: Final = Opened(0, 0, ())


def open_disputes(session: "Session", rows: pl.DataFrame, frauds: Frauds) -> Opened:
    """Dispute the frauds among the payments of a load that are there and have no dispute; in the load's transaction.

    A payment that failed took no money: there is nothing to dispute. A dispute that was deleted is not opened again:
    its id is never used twice, and the source would refuse the whole load.
    """
    chosen = rows.filter(pl.col("transaction_id").is_in(frauds.ids.to_list()))
    if chosen.is_empty():
        return NONE
    first, last = chosen.select(pl.col("created_at").min(), last=pl.col("created_at").max()).row(0)
    ids = chosen["transaction_id"].to_list()
    session.execute(
        _FIND,
        {"delay": frauds.delay, "after": _AFTER_LAST_CHANGE, "ids": ids, "first": first, "last": last},
    )
    to_come = session.execute("DELETE FROM disputed WHERE opened_at > %s", (frauds.now,)).rowcount
    ends = session.execute("SELECT min(opened_at), max(opened_at) FROM disputed").fetchall()[0]
    opened = session.execute(_OPEN, (_EVIDENCE,)).rowcount
    session.execute(_MARK, (first, last))
    session.execute("DROP TABLE disputed")
    return Opened(opened, to_come, ends if ends[0] is not None else ())
