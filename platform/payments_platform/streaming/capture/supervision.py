"""When to restart a connector that failed: at once, then with growing pauses.

Belongs here: the decision, pure. Does not: restarting, looking (watch.py).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from payments_platform.operations.errors import BACKOFF_CAP_SECONDS
from payments_platform.streaming.capture.facts import CaptureFacts, Finding
from payments_platform.streaming.capture.judge import GAP, REWOUND

# A task that has run this long starts its count anew.
_HEALED_AFTER: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Restarts:
    """How often in a row, and when the next one is due."""

    attempts: int = 0
    due_at: datetime | None = None
    runs_since: datetime | None = None


def supervise(state: Restarts, facts: CaptureFacts, findings: list[Finding]) -> tuple[Restarts, bool]:
    """The new state, and whether to restart now.

    The connector's own three quick retries come before: a task that FAILED has had them. Waits double from 1 s to 60 s.
    A gap is never restarted into: the connector could go on as if nothing had been missed.
    """
    if facts.runs:
        since = state.runs_since or facts.at
        healed = facts.at - since >= _HEALED_AFTER
        return (Restarts(runs_since=since) if healed else replace(state, due_at=None, runs_since=since)), False
    failed = "FAILED" in (facts.connector, *facts.tasks)
    blocked = any(finding.name in {GAP, REWOUND} for finding in findings)
    if not failed or blocked:
        return replace(state, runs_since=None), False
    if state.due_at is not None and facts.at < state.due_at:
        return replace(state, runs_since=None), False
    pause = min(2.0**state.attempts, BACKOFF_CAP_SECONDS)
    return Restarts(state.attempts + 1, facts.at + timedelta(seconds=pause)), True
