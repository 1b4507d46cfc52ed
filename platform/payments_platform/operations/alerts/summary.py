"""What the daily summary says of the alerts: open ones, what opened and closed, what could not be delivered.

Belongs here: these lines. Does not: when it is sent (evaluation.py), figures of other rooms.
"""

from collections.abc import Sequence
from datetime import datetime

from payments_platform.operations.alerts.outbox import Entry
from payments_platform.operations.alerts.state import Memory


def facts_of(memory: Memory, recent: Sequence[Entry], now: datetime) -> list[str]:
    """The lines, the most pressing first. ``recent`` are the messages of the last day."""
    still_open = memory.open_alerts
    opened, closed = _groups(recent, "open"), _groups(recent, "close")
    undelivered = [entry for entry in recent if entry.outcome == "waiting" and entry.attempts]
    lines = [f"Open alerts: {len(still_open)}. In the last 24 hours {opened} opened and {closed} closed."]
    for alert in still_open:
        hours = (now - alert.since).total_seconds() / 3600
        lines.append(f"• {alert.severity}: {alert.subject} ({alert.rule}), for {hours:.1f} h, owner {alert.owner}")
    if undelivered:
        lines.append(f"Messages that could not be delivered yet: {len(undelivered)}")
    return lines


def _groups(recent: Sequence[Entry], kind: str) -> int:
    return len({entry.message.dedup_key for entry in recent if entry.message.kind == kind})
