"""Whether dead letters need somebody now: too many that are open, or some about to be removed undecided.

Belongs here: limits, the alerts' names (each has a page in docs/runbooks), the events of alerts that open and close.
Pure: the same ledger and time give the same. Does not: reading the ledger, ending letters, sending.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

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
    details: dict[str, int] = field(default_factory=dict)


def changes(
    opened: Mapping[str, str], findings: Sequence[Finding], now: datetime
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Since when each alert is open now, and the events to tell: one when an alert opens or closes.

    ``opened`` is what the last call returned: time by ``name subject``.
    """
    found = {f"{finding.name} {finding.subject}".strip(): finding for finding in findings}
    since = {name: opened.get(name, now.isoformat()) for name in found}
    events = [_event(name, "open", since[name], now, found[name]) for name in found if name not in opened]
    closed = [_event(name, "closed", opened[name], now, None) for name in opened if name not in found]
    return since, events + closed


def _event(name: str, state: str, since: str, now: datetime, finding: Finding | None) -> dict[str, Any]:
    alert, _, subject = name.partition(" ")
    return {
        "kind": "alert",
        "name": alert,
        "subject": subject,
        "severity": finding.severity if finding else "",
        "state": state,
        "since": since,
        "at": now.isoformat(),
        "text": finding.text if finding else "",
        "details": dict(finding.details) if finding else {},
        "runbook": f"docs/runbooks/{alert}.md",
    }


def judge(ledger: pl.DataFrame, now: datetime) -> list[Finding]:
    """All that is wrong, [] when nothing is."""
    return [*_too_many(waiting(ledger)), *_expiring(ledger, now)]


def _too_many(undecided: pl.DataFrame) -> Iterator[Finding]:
    for (topic,), rows in sorted(undecided.group_by("source_topic")):
        if rows.height > OPEN_LIMIT:
            by_class = dict(rows.group_by("fault").len().sort("len", descending=True).iter_rows())
            text = f"{rows.height:,} letters of {topic} are open, more than {OPEN_LIMIT:,}. See: payments dlq list"
            yield Finding(TOO_MANY, str(topic), "critical", text, by_class)


def _expiring(ledger: pl.DataFrame, now: datetime) -> Iterator[Finding]:
    """A warning while there is time; critical when letters have gone without a decision since yesterday."""
    soon = waiting(ledger).filter(pl.col("failed_at") < now - DEAD_LETTER_RETENTION + EXPIRING_WITHIN)
    is_expired = (pl.col(STATE) == LetterState.EXPIRED.value) & (pl.col("ended_at") > now - timedelta(days=1))
    gone = ledger.filter(is_expired)
    if gone.height or soon.height:
        text = f"{soon.height:,} dead letters will be removed within days, {gone.height:,} expired since yesterday."
        details = {"expiring": soon.height, "expired": gone.height}
        yield Finding(EXPIRING, "", "critical" if gone.height else "warning", f"{text} See: payments dlq list", details)
