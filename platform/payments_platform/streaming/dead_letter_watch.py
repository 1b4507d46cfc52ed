"""Whether dead letters need somebody now: too many that are open, or some about to be removed undecided.

Belongs here: limits, the alerts' names (each has a page in docs/runbooks). Pure: the same ledger and time give the
same. Does not: reading the ledger, ending letters, telling anybody (operations/alerts).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import polars as pl

from payments_platform.contracts.dead_letters import LetterState
from payments_platform.contracts.streams import DEAD_LETTER_RETENTION
from payments_platform.streaming.dead_letter_ledger import STATE
from payments_platform.streaming.dead_letter_replay import waiting

TOO_MANY, EXPIRING = "dead_letters", "dead_letters_expiring"
ALERTS: Final = (TOO_MANY, EXPIRING)
OPEN_LIMIT: Final = 1_000
# Long enough for a weekend and a Monday.
EXPIRING_WITHIN: Final = timedelta(days=4)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its name is the alert's and the runbook's, its text what was seen and what to do."""

    name: str
    subject: str
    severity: Literal["warning", "critical"]
    text: str


def judge(ledger: pl.DataFrame, now: datetime) -> list[Finding]:
    """All that is wrong, [] when nothing is."""
    return [*_too_many(waiting(ledger)), *_expiring(ledger, now)]


def _too_many(undecided: pl.DataFrame) -> Iterator[Finding]:
    for (topic,), rows in sorted(undecided.group_by("source_topic")):
        if rows.height > OPEN_LIMIT:
            text = f"{rows.height:,} letters of {topic} are open, more than {OPEN_LIMIT:,}. See: payments dlq list"
            yield Finding(TOO_MANY, str(topic), "critical", text)


def _expiring(ledger: pl.DataFrame, now: datetime) -> Iterator[Finding]:
    """A warning while there is time; critical when letters have gone without a decision since yesterday."""
    soon = waiting(ledger).filter(pl.col("failed_at") < now - DEAD_LETTER_RETENTION + EXPIRING_WITHIN)
    is_expired = (pl.col(STATE) == LetterState.EXPIRED.value) & (pl.col("ended_at") > now - timedelta(days=1))
    gone = ledger.filter(is_expired)
    if gone.height or soon.height:
        text = f"{soon.height:,} dead letters will be removed within days, {gone.height:,} expired since yesterday."
        yield Finding(EXPIRING, "", "critical" if gone.height else "warning", f"{text} See: payments dlq list")
