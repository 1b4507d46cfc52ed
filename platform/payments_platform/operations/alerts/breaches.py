"""Since when a figure breaks the thresholds of its rule, and whether that has lasted and grown as the rule asks.

Belongs here: what is remembered of a figure from one look to the next. Does not: what an alert makes of it (engine.py).
"""

from collections.abc import Mapping
from datetime import datetime

from payments_platform.operations.alerts.rules import Level, Rule, Severity
from payments_platform.operations.alerts.state import Breach


def broken(rule: Rule, before: Mapping[str, Breach], value: float, now: datetime) -> dict[str, Breach]:
    """The levels whose threshold this figure breaks, with what is known of them since they were broken first."""
    return {
        level.severity: _seen(rule, level, before.get(level.severity), value, now)
        for level in rule.levels
        if value >= level.threshold
    }


def _seen(rule: Rule, level: Level, known: Breach | None, value: float, now: datetime) -> Breach:
    if known is None or known.since > now:
        return Breach(now, value, ((now, value),) if rule.only_growing else ())
    if not rule.only_growing:
        return known
    higher = ((at, peak) for at, peak in known.peaks if peak > value and now - level.holds_for <= at <= now)
    return Breach(known.since, min(known.value, value), (*higher, (now, value)))


def reached(rule: Rule, breaches: Mapping[str, Breach], value: float, now: datetime) -> list[Severity]:
    """The severities that speak: broken for as long as they must be and, if the rule asks, by a figure that grows."""
    return [
        level.severity
        for level in rule.levels
        if (breach := breaches.get(level.severity))
        and now - breach.since >= level.holds_for
        and (not rule.only_growing or _grows(breach, value))
    ]


def _grows(breach: Breach, value: float) -> bool:
    """Above its lowest, and at no look of the level's time was it higher.

    A figure that is worked off was higher a moment ago, also when it comes down by turns; one that grows by turns, or
    rose and stands still, was not.
    """
    return value > breach.value and len(breach.peaks) == 1
