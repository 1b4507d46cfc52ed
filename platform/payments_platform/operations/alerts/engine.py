"""From figures to messages: an alert is pending, opens, closes; one message at each end and none between.

Belongs here: the state machine, grouping by cause, damping. Does not: thresholds (breaches.py), measuring (sources.py),
words (messages.py), sending (outbox.py), any clock. Pure: the same memory, figures and time give the same
result. See ADR 0035.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from payments_platform.operations.alerts.breaches import broken, reached
from payments_platform.operations.alerts.rules import BY_NAME, SEVERITIES, Rule, Severity
from payments_platform.operations.alerts.state import Alert, Group, Memory, Observation, key_of

Channel = Literal["pagerduty", "slack", "email"]
# A page wakes one person; everybody else reads of it where warnings are read.
ROUTES: Final[Mapping[Severity, tuple[Channel, ...]]] = {"warning": ("slack",), "critical": ("pagerduty", "slack")}

# An alert that comes back within a day stays open longer each time, twice as long up to the cap: one that flaps is
# told a few times and then is one open alert.
FLAP_WINDOW: Final = timedelta(days=1)
FLAP_BASE: Final = timedelta(minutes=2)
FLAP_CAP: Final = timedelta(hours=2)


@dataclass(frozen=True)
class Notice:
    """One message to one channel: a group of alerts opens or closes there."""

    kind: Literal["open", "close"]
    channel: Channel
    group: Group
    alerts: tuple[Alert, ...]
    at: datetime


def step(
    memory: Memory,
    observations: Iterable[Observation],
    answered: Collection[str],
    now: datetime,
    rules: Mapping[str, Rule] = BY_NAME,
) -> tuple[Memory, list[Notice]]:
    """Take one look. A subject that an answering source does not name any more is quiet.

    Alerts of sources that are not ``answered`` stay as they are: what cannot be asked is neither wrong nor well.
    Raises KeyError for an observation of a rule that does not exist.
    """
    seen = {key_of(it.rule, it.subject): it for it in observations if rules[it.rule].source in answered}
    alerts: dict[str, Alert] = {}
    for key in sorted({*seen, *memory.alerts}):
        before, observation = memory.alerts.get(key), seen.get(key)
        rule = rules.get(key.partition(":")[0])
        if rule is None:
            continue  # a rule that was deleted: its alert closes
        if before is not None and rule.source not in answered:
            alerts[key] = before
            continue
        after = _watched(rule, before, observation, now, memory.openings.get(key, ()))
        if after is not None:
            alerts[key] = after
    opened = [key for key, alert in alerts.items() if alert.severity and not _was_open(memory, key)]
    openings = _remembered(memory.openings, opened, now)
    grouped = _grouped(alerts, memory, seen, opened, now)
    groups, notices = _told(grouped, memory, now)
    heard = {**memory.answered, **dict.fromkeys(answered, now)}
    return replace(memory, alerts=grouped, groups=groups, openings=openings, answered=heard, evaluated_at=now), notices


def _was_open(memory: Memory, key: str) -> bool:
    before = memory.alerts.get(key)
    return before is not None and before.severity is not None


def _watched(
    rule: Rule, before: Alert | None, observation: Observation | None, now: datetime, openings: tuple[datetime, ...]
) -> Alert | None:
    """One alert after this look; None while all is quiet."""
    value = observation.value if observation else 0.0
    breaches = broken(rule, before.breaches if before else {}, value, now) if observation else {}
    if observation is None or not breaches:
        return _clearing(rule, before, now, openings)
    known = [before.severity] if before and before.severity else []
    severity = _worst([*reached(rule, breaches, value, now), *known])
    first = min(breach.since for breach in breaches.values())
    since = before.since if before and before.severity else observation.since or first
    opened_at = before.opened_at if before and before.severity else now
    return Alert(
        rule=rule.name,
        subject=observation.subject,
        value=value,
        text=observation.text,
        owner=observation.owner or rule.owner,
        asset=observation.asset,
        since=min(since, now),
        at=now,
        breaches=breaches,
        severity=severity,
        group=before.group if before else "",
        opened_at=opened_at if severity else None,
    )


def _worst(severities: Collection[Severity]) -> Severity | None:
    """The worst that an alert has been: it never softens while it is open, or its close would be told to too few."""
    return max(severities, key=SEVERITIES.index) if severities else None


def _clearing(rule: Rule, before: Alert | None, now: datetime, openings: tuple[datetime, ...]) -> Alert | None:
    """The figure is fine now: a pending alert is forgotten, an open one closes when that has lasted."""
    if before is None or before.severity is None:
        return None
    clear_since = min(before.clear_since or now, now)
    if now - clear_since >= _patience(rule, now, openings):
        return None
    return replace(before, at=now, breaches={}, clear_since=clear_since)


def _patience(rule: Rule, now: datetime, openings: tuple[datetime, ...]) -> timedelta:
    """How long an alert has to be fine before it closes; more each time that it came back within a day."""
    times = sum(now - opened < FLAP_WINDOW for opened in openings)
    if times <= 1:
        return rule.clears_after
    longest = max(rule.clears_after, FLAP_CAP)
    return min(max(rule.clears_after, FLAP_BASE) * float(2 ** (times - 1)), longest)


def _remembered(
    openings: Mapping[str, tuple[datetime, ...]], opened: Collection[str], now: datetime
) -> dict[str, tuple[datetime, ...]]:
    """Openings of the last day, with those of this look."""
    added = {key: (*openings.get(key, ()), *((now,) if key in opened else ())) for key in {*openings, *opened}}
    recent = {key: tuple(at for at in times if now - at < FLAP_WINDOW) for key, times in added.items()}
    return {key: times for key, times in sorted(recent.items()) if times}


def _grouped(
    alerts: Mapping[str, Alert], memory: Memory, seen: Mapping[str, Observation], opened: Collection[str], now: datetime
) -> dict[str, Alert]:
    """Give each alert that opens its group: an open one of the same subject or of what it waits for, else its cause."""
    groups = {alert.subject: alert.group for _, alert in sorted(memory.alerts.items()) if alert.severity}
    result = dict(alerts)
    # What waits for nothing first: the others may join it in the same look.
    for key in sorted(opened, key=lambda key: (bool(seen[key].waits_for), key)):
        it = seen[key]
        joined = next((groups[name] for name in (it.subject, *it.waits_for) if name in groups), "")
        group = groups.setdefault(it.subject, joined or it.cause or it.subject)
        result[key] = replace(alerts[key], group=group, opened_at=now)
    return result


def _told(alerts: Mapping[str, Alert], memory: Memory, now: datetime) -> tuple[dict[str, Group], list[Notice]]:
    """The groups that are open now, and a message for each channel that has not heard of one, or of its end."""
    members: dict[str, list[Alert]] = {}
    for alert in alerts.values():
        if alert.severity:
            members.setdefault(alert.group, []).append(alert)
    groups: dict[str, Group] = {}
    notices: list[Notice] = []
    for name, found in sorted(members.items()):
        known = memory.groups.get(name)
        severity = _worst([it.severity for it in found if it.severity] + ([known.severity] if known else []))
        assert severity is not None  # noqa: S101 - every member is open
        group = known or Group(name, f"{now:%Y%m%dT%H%M%S}", now, severity)
        untold = [channel for channel in ROUTES[severity] if channel not in group.told]
        groups[name] = replace(group, severity=severity, told=(*group.told, *untold))
        ordered = tuple(sorted(found, key=lambda it: (it.severity != "critical", it.since, it.rule, it.subject)))
        notices += [Notice("open", channel, groups[name], ordered, now) for channel in untold]
    for name, known in sorted(memory.groups.items()):
        if name not in groups:
            last = tuple(alert for alert in memory.alerts.values() if alert.severity and alert.group == name)
            notices += [Notice("close", channel, known, last, now) for channel in known.told]  # type: ignore[arg-type]
    return groups, notices
