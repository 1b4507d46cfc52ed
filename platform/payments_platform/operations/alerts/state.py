"""What is remembered of alerts between two looks: pending, open, closing; and its form as JSON.

Belongs here: the values, and reading and writing them. Does not: how they change (engine.py), where they are kept
(store.py).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Final

from payments_platform.operations.alerts.rules import Severity

_TIMES: Final = ("since", "at", "clear_since", "opened_at")


@dataclass(frozen=True)
class Observation:
    """What a source measured of one subject; ``text`` says what was seen and holds no personal data.

    ``waits_for`` are other subjects that it cannot be well without, ``cause`` a name that all share which one fault
    breaks. ``asset`` is the key of the dataset to look at. ``since`` is when it began, if the source knows.
    """

    rule: str
    subject: str
    value: float
    text: str = ""
    cause: str = ""
    waits_for: tuple[str, ...] = ()
    owner: str = ""
    asset: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Breach:
    """Since when a level's threshold is broken, and the lowest figure (``value``) since then.

    ``peaks`` is kept for rules that ask whether a figure grows: the looks of the level's time that saw more than every
    look after them, the latest look last.
    """

    since: datetime
    value: float
    peaks: tuple[tuple[datetime, float], ...] = ()


@dataclass(frozen=True)
class Alert:
    """One rule's view of one subject that is not quiet.

    Pending while ``severity`` is None, then open; ``clear_since`` is set while it is about to close. ``group`` is what
    one message tells of, and stays while the alert is open: a cause that is mended in part makes no new message.
    """

    rule: str
    subject: str
    value: float
    text: str
    owner: str
    asset: str
    since: datetime
    at: datetime
    breaches: Mapping[str, Breach] = field(default_factory=dict)
    severity: Severity | None = None
    group: str = ""
    opened_at: datetime | None = None
    clear_since: datetime | None = None


@dataclass(frozen=True)
class Group:
    """Alerts of one cause, told as one: when it opened and which channels know."""

    name: str
    number: str
    opened_at: datetime
    severity: Severity
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Memory:
    """Everything that the next look needs to know. ``openings`` are recent ones by alert, for damping."""

    alerts: Mapping[str, Alert] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    openings: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    answered: Mapping[str, datetime] = field(default_factory=dict)
    evaluated_at: datetime | None = None
    summary_day: date | None = None

    @property
    def open_alerts(self) -> tuple[Alert, ...]:
        """Those that somebody was told of, critical ones first, then the oldest."""
        found = [alert for alert in self.alerts.values() if alert.severity]
        return tuple(sorted(found, key=lambda it: (it.severity != "critical", it.since, it.rule, it.subject)))


def key_of(rule: str, subject: str) -> str:
    """The name of an alert."""
    return f"{rule}:{subject}"


def to_json(memory: Memory) -> str:
    """The memory as text."""
    return json.dumps(asdict(memory), default=lambda moment: moment.isoformat(), sort_keys=True)


def from_json(text: str) -> Memory:
    """Read what ``to_json`` wrote. Raises ValueError or KeyError on anything else: state is not guessed."""
    content: dict[str, Any] = json.loads(text)
    evaluated, summary = content["evaluated_at"], content["summary_day"]
    return Memory(
        alerts={key: _alert(alert) for key, alert in content["alerts"].items()},
        groups={
            name: Group(**{**_timed(group), "told": tuple(group["told"])}) for name, group in content["groups"].items()
        },
        openings={key: tuple(datetime.fromisoformat(it) for it in times) for key, times in content["openings"].items()},
        answered={name: datetime.fromisoformat(at) for name, at in content["answered"].items()},
        evaluated_at=datetime.fromisoformat(evaluated) if evaluated else None,
        summary_day=date.fromisoformat(summary) if summary else None,
    )


def _alert(content: dict[str, Any]) -> Alert:
    breaches = {severity: _breach(breach) for severity, breach in content["breaches"].items()}
    return Alert(**{**_timed(content), "breaches": breaches})


def _breach(content: dict[str, Any]) -> Breach:
    peaks = tuple((datetime.fromisoformat(at), figure) for at, figure in content.get("peaks", ()))
    return Breach(datetime.fromisoformat(content["since"]), content["value"], peaks)


def _timed(content: dict[str, Any]) -> dict[str, Any]:
    times = {name: datetime.fromisoformat(content[name]) for name in _TIMES if content.get(name)}
    return {**content, **times}
