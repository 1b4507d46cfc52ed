"""A company in fast motion: what every source of the alerts would say at any moment, healthy or with a fault.

Belongs here: the sources as functions of a simulated time, and one fault for each alert rule. Does not: what must
follow (unit/test_alert_fidelity.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import polars as pl

from payments_platform.contracts.due import Due
from payments_platform.operations.alerts.rules import SourceName
from payments_platform.operations.alerts.run_sources import AutomationFact, FailedCheck, RunFact, of_automation, of_runs
from payments_platform.operations.alerts.sources import Source, of_freshness
from payments_platform.operations.alerts.state import Observation
from payments_platform.operations.alerts.stream_sources import of_capture, of_dead_letters, of_lag
from payments_platform.operations.freshness import Freshness, Landed, Watched, evaluate
from payments_platform.streaming.lag import GroupLag

FIRST = datetime(2028, 2, 1, tzinfo=UTC)  # a leap February: its 29th day has partitions too
JOB = "daily_oltp_to_dwh"
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)

_USUAL = timedelta(minutes=20)
# Dataset, deadline after the day's end, when it usually lands, what it reads.
_DATASETS: tuple[tuple[str, timedelta, timedelta, tuple[str, ...]], ...] = (
    ("raw/transactions", timedelta(hours=5, minutes=30), timedelta(hours=2, minutes=10), ()),
    ("raw/devices", timedelta(hours=5, minutes=30), timedelta(hours=2, minutes=10), ()),
    ("clean/transactions", timedelta(hours=5, minutes=40), timedelta(hours=2, minutes=30), ("raw/transactions",)),
    ("marts/fact_transaction", timedelta(hours=6), timedelta(hours=2, minutes=50), ("clean/transactions",)),
    ("marts/fact_refund", timedelta(hours=6), timedelta(hours=2, minutes=50), ("clean/transactions",)),
    ("aggregates/merchant_daily", timedelta(hours=6), timedelta(hours=3, minutes=5), ("marts/fact_transaction",)),
)


def day(number: int) -> datetime:
    """The midnight that begins the ``number``-th day of the simulation, from 1."""
    return FIRST + (number - 1) * DAY


@dataclass
class Fault:
    """What goes wrong: from when to when, in which field of the world, and when each channel has to know.

    ``tells`` holds, by channel, the moment from which a message is due; a channel that is not named must stay silent.
    """

    begins: datetime
    ends: datetime
    tells: dict[str, datetime]
    kind: str
    detail: Any = None

    def holds(self, now: datetime) -> bool:
        return self.begins <= now < self.ends


@dataclass
class World:
    """Everything that the sources look at. Times after ``now`` have not happened."""

    faults: Sequence[Fault] = ()
    now: datetime = FIRST
    _states: list[Freshness] = field(default_factory=list)
    _states_until: datetime = FIRST

    def sources(self) -> dict[SourceName, Source]:
        return {
            "freshness": self._freshness,
            "runs": lambda now: of_runs(self._runs(now)),
            "automation": self._automation,
            "capture": lambda now: of_capture(self._guardian(now), now),
            "lag": lambda now: of_lag([GroupLag("sink-lake", "analytics.transactions", 0, 0, self._lag(now))]),
            "dead_letters": lambda now: letters(
                self._value("letters", now, 3), 11 * DAY if self._active("undecided", now) else HOUR
            ),
        }

    def _active(self, kind: str, now: datetime) -> Fault | None:
        return next((fault for fault in self.faults if fault.kind == kind and fault.holds(now)), None)

    def _value(self, kind: str, now: datetime, otherwise: int) -> int:
        fault = self._active(kind, now)
        return fault.detail if fault else otherwise

    def _asked(self, now: datetime) -> None:
        if self._active("broker", now):
            raise ConnectionError("the broker is away")

    def _freshness(self, now: datetime) -> list[Observation]:
        """States by the real rule; asked again whenever a fact or a deadline may have changed them."""
        if now >= self._states_until:
            self._states = evaluate(self._watched(now), now, first=(FIRST - DAY).date())
            is_due = self._active("landing", now) is not None
            self._states_until = now if is_due else now + 5 * MINUTE - (now - FIRST) % (5 * MINUTE)
        stream = self._active("stream", now)
        states = [*self._states, *([_late_stream(stream.begins, now)] if stream else [])]
        return of_freshness(states, now)

    def _watched(self, now: datetime) -> list[Watched]:
        return [
            Watched(
                name, "analytics", Due("day", after, 2 * HOUR), reads, self._landed(name, usually, now), usual=_USUAL
            )
            for name, after, usually, reads in _DATASETS
        ]

    def _landed(self, name: str, usually: timedelta, now: datetime) -> dict[datetime, Landed]:
        found = {}
        for number in range(-1, (now - FIRST).days):
            start, at = FIRST + number * DAY, FIRST + (number + 1) * DAY + usually
            for fault in self.faults:
                if fault.kind == "landing" and name in fault.detail and fault.begins <= at < fault.ends:
                    at = fault.ends + (usually - timedelta(hours=2, minutes=10)) / 3
            if at <= now:
                found[start] = Landed(at, at)
        return found

    def _runs(self, now: datetime) -> list[RunFact]:
        last = now.replace(hour=3, minute=10, second=0)
        last = last if last <= now else last - DAY
        covered = str((last - DAY).date())
        runs = [RunFact("good", JOB, (covered,), last, succeeded=True)]
        for fault in self.faults:
            if fault.kind == "run" and fault.begins <= now < fault.ends + DAY:
                days = (str((fault.begins - DAY).date()),)
                runs = [run for run in runs if run.parts != days]
                first = RunFact("dead", JOB, days, fault.begins, succeeded=False, will_retry=now < fault.begins + HOUR)
                runs += [first]
                if now >= fault.begins + HOUR:
                    runs += [RunFact("again", JOB, days, fault.begins + HOUR, succeeded=False, checks=fault.detail)]
                if now >= fault.ends:
                    runs += [RunFact("mended", JOB, days, fault.ends, succeeded=True)]
        return runs

    def _automation(self, now: datetime) -> list[Observation]:
        raising, hanging = self._active("raises", now), self._active("hangs", now)
        last = hanging.begins if hanging else now - 5 * SECOND
        outcome = "failure" if raising else "skipped"
        failed = int((now - raising.begins) / (15 * SECOND)) + 1 if raising else 3
        ticks = tuple((last - 15 * SECOND * n, outcome) for n in range(min(failed, 25)))
        facts = [
            AutomationFact("tail", "sensor", is_stopped=False, ticks=ticks, error="KeyError"),  # type: ignore[arg-type]
            AutomationFact("nightly", "schedule", is_stopped=bool(self._active("stopped", now)), ticks=()),
        ]
        return of_automation(facts, now)

    def _guardian(self, now: datetime) -> dict[str, Any]:
        self._asked(now)
        unwatched = self._active("unwatched", now)
        findings = [
            {"name": name, "severity": severity, "text": name}
            for fault in self.faults
            if fault.kind == "capture" and fault.holds(now)
            for after, name, severity in fault.detail
            if now >= fault.begins + after
        ]
        return {"at": (unwatched.begins if unwatched else now).isoformat(), "findings": findings, "alerts": {}}

    def _lag(self, now: datetime) -> int:
        self._asked(now)
        fault = self._active("lag", now)
        return 40 if fault is None else int(fault.detail * (now - fault.begins).total_seconds())


@cache
def letters(count: int, age: timedelta = HOUR) -> list[Observation]:
    """What a ledger of open letters says, each refused so long ago."""
    row = {"source_topic": "oltp.transactions", "fault": "type", "state": "open", "failed_at": FIRST - age}
    ledger = pl.DataFrame([row] * count).with_columns(ended_at=pl.lit(None, pl.Datetime("us", "UTC")))
    return of_dead_letters(ledger, FIRST)


def _late_stream(since: datetime, now: datetime) -> Freshness:
    late = min(since, now)
    return Freshness("search/transactions", "data-platform", "FAIL", late, None, 0, late, late, (), "no data")


def _slack(moment: datetime) -> dict[str, datetime]:
    return {"slack": moment}


def _both(moment: datetime, paged: datetime | None = None) -> dict[str, datetime]:
    return {"slack": moment, "pagerduty": paged or moment}


def _captured(name: str, number: int, severity: str = "critical") -> Fault:
    at = day(number) + 14 * HOUR
    tells = _both(at) if severity == "critical" else _slack(at)
    return Fault(at, at + HOUR, tells, "capture", [(timedelta(), name, severity)])


def _at(number: int, hour: float, lasts: timedelta, tells: Callable[[datetime], dict[str, datetime]], kind: str,
        detail: Any = None) -> Fault:  # fmt: skip  # noqa: ANN401 - each kind has its own
    begins = day(number) + hour * HOUR
    return Fault(begins, begins + lasts, tells(begins), kind, detail)


_ALL = tuple(name for name, *_ in _DATASETS)
_CHECK = (FailedCheck("clean/transactions", "follows_contract", "2 % of rows broke R-amount-sign"),)
_DOWN = [
    (timedelta(), "capture_down", "warning"),
    (15 * SECOND, "capture_delayed", "warning"),
    (5 * MINUTE, "capture_down", "critical"),
]

# By the name that its rule gives. Each has a day of its own, so that what is told on that day is told of it.
FAULTS: dict[str, Fault] = {
    # Marts cannot make 06:00 any more from 05:20 on: Slack knows then, PagerDuty when it is missed.
    "a day is not built by 06:00 UTC": Fault(
        day(3) + 2 * HOUR, day(3) + 9 * HOUR, _both(day(3) + 5 * HOUR, day(3) + 6 * HOUR), "landing", _ALL
    ),
    "a source table stops coming": Fault(
        day(4) + 2 * HOUR, day(4) + 9 * HOUR, _slack(day(4) + 5.5 * HOUR), "landing", ("raw/devices",)
    ),
    "the extraction is held up": Fault(
        day(5) + 2 * HOUR, day(5) + 5.25 * HOUR, _slack(day(5) + 5 * HOUR), "landing", _ALL
    ),
    "a stream stands still": _at(6, 12, HOUR, lambda at: _both(at, at + 10 * MINUTE), "stream"),
    "a run dies twice": _at(7, 3, 3 * HOUR, lambda at: _slack(at + HOUR), "run", ()),
    "bad rows above the tolerance": _at(8, 3, 3 * HOUR, lambda at: _slack(at + HOUR), "run", _CHECK),
    "a sensor raises": _at(
        9, 12, HOUR, lambda at: _both(at + 15 * SECOND, at + 19 * 15 * SECOND), "raises"
    ),
    "a person stops a schedule and forgets it": _at(10, 12, HOUR, lambda at: _slack(at + 10 * MINUTE), "stopped"),
    "a sensor hangs": _at(11, 12, HOUR, lambda at: _both(at + 12 * MINUTE, at + 32 * MINUTE), "hangs"),
    "the connector is killed": Fault(
        day(12) + 12 * HOUR, day(12) + 13 * HOUR, _both(day(12) + 12 * HOUR, day(12) + 12 * HOUR + 5 * MINUTE),
        "capture", _DOWN,
    ),
    "the replication slot is dropped": _captured("capture_gap", 13),
    "the source is restored": _captured("capture_source_rewound", 14),
    "nobody reads the slot": _captured("capture_wal_filling", 15, "warning"),
    "a huge transaction": _captured("capture_delayed", 16, "warning"),
    "a table loses its replica identity": _captured("capture_incomplete", 17),
    "a snapshot is cut off": _captured("capture_snapshot_open", 18, "warning"),
    "the replica's slot is dropped": _captured("capture_slot_not_copied", 19, "warning"),
    "a topic's retention is changed": _captured("capture_topics_differ", 20, "warning"),
    "the epoch is raised by half": _captured("capture_epoch_differs", 21),
    "the guardian is killed": _at(22, 12, HOUR, lambda at: _both(at + 2 * MINUTE, at + 7 * MINUTE), "unwatched"),
    # Ten messages a second: 700 are behind after 70 s, 1 000 after 100 s, and each must last five minutes.
    "a worker is stopped": _at(
        23, 12, HOUR, lambda at: _both(at + 70 * SECOND + 5 * MINUTE, at + 100 * SECOND + 5 * MINUTE), "lag", 10
    ),
    "poisoned messages": _at(24, 12, HOUR, _both, "letters", 1200),
    "letters that nobody decides about": _at(28, 12, HOUR, _slack, "undecided"),
    # These two count from the last answer and the last evaluation before, half a minute earlier.
    "the broker is away for long": _at(
        25, 12, HOUR, lambda at: _both(at + 4.5 * MINUTE, at + 29.5 * MINUTE), "broker"
    ),
    # With a warning to tell of at once, or nobody would notice that Slack is away.
    "Slack is away for long": _at(26, 12, HOUR, lambda at: {"pagerduty": at + 10 * MINUTE}, "slack away"),
    "the Dagster daemon is stopped": _at(27, 12, HOUR, lambda at: _both(at + 150 * SECOND), "evaluation stops"),
}  # fmt: skip
