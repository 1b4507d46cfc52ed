"""From findings to events: opened when something goes wrong or worse, closed when it is gone.

Belongs here: what is told, once each. Does not: what is wrong (judge.py), sending (watch.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from payments_platform.streaming.capture.facts import Finding, Severity


@dataclass(frozen=True)
class Alert:
    """An alert that is open: since when, how severe."""

    name: str
    severity: Severity
    since: datetime


def changes(
    open_ones: Sequence[Alert], findings: Sequence[Finding], now: datetime
) -> tuple[tuple[Alert, ...], list[dict[str, Any]]]:
    """The alerts open now, and the events to tell: one when an alert opens, changes its severity, or closes.

    Of several findings under one name the worst counts; findings come worst first.
    """
    known = {alert.name: alert for alert in open_ones}
    found: dict[str, Finding] = {}
    for finding in findings:
        found.setdefault(finding.name, finding)
    now_open = tuple(
        Alert(name, finding.severity, known[name].since if name in known else now) for name, finding in found.items()
    )
    events = [
        _event(alert, "open", now, found[alert.name])
        for alert in now_open
        if alert.name not in known or known[alert.name].severity != alert.severity
    ]
    closed = [_event(alert, "closed", now, None) for name, alert in known.items() if name not in found]
    return now_open, events + closed


def _event(alert: Alert, state: Literal["open", "closed"], now: datetime, finding: Finding | None) -> dict[str, Any]:
    return {
        "kind": "alert",
        "name": alert.name,
        "severity": alert.severity,
        "state": state,
        "since": alert.since.isoformat(),
        "at": now.isoformat(),
        "text": finding.text if finding else "",
        "details": dict(finding.details) if finding else {},
        "runbook": f"docs/runbooks/{alert.name}.md",
    }
