"""When a dataset is due: by partition, by age, or never; the arithmetic of UTC periods.

Belongs here: the closed list of deadlines, and which partitions are due at a given time. Does not: whether they are
there (operations/freshness.py), any clock, viewers' time zones: a deadline in UTC moves for nobody.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from payments_platform.vocabulary import Zone

Period = Literal["hour", "day", "week", "month"]
_KEY_FORMAT: Final[Mapping[Period, str]] = {
    "hour": "%Y-%m-%d-%H:%M",
    "day": "%Y-%m-%d",
    "week": "%Y-%m-%d",
    "month": "%Y-%m-%d",
}
# The daily job starts two hours into the next day; T+4h is then six in the morning.
START_OF_DAILY_JOB: Final = timedelta(hours=2)


@dataclass(frozen=True)
class Partition:
    """A half-open period ``[start, end)`` in UTC, and the partition key that Dagster gives it."""

    start: datetime
    end: datetime
    key: str


@dataclass(frozen=True)
class Due:
    """Each partition is due ``after`` its period has ended; making it begins ``begins`` after that end."""

    period: Period
    after: timedelta
    begins: timedelta = timedelta()

    def partition_at(self, moment: datetime) -> Partition:
        """The partition that holds a moment."""
        start = _start(self.period, moment.astimezone(UTC))
        return Partition(start, _next(self.period, start), start.strftime(_KEY_FORMAT[self.period]))

    def parsed(self, key: str) -> Partition:
        """The partition of a key. Raises ValueError for a key of another period."""
        found = self.partition_at(datetime.strptime(key, _KEY_FORMAT[self.period]).replace(tzinfo=UTC))
        if found.key != key:
            raise ValueError(f"{key} begins no {self.period}")
        return found

    def due_at(self, partition: Partition) -> datetime:
        """The moment from which a missing partition is late."""
        return partition.end + self.after

    def partition_due_next(self, now: datetime) -> Partition:
        """The oldest partition that is not due yet."""
        return self.partition_at(now - self.after)

    def due_partitions(self, now: datetime, *, first: date, lookback: timedelta) -> Iterator[Partition]:
        """What is due at ``now``, newest first: not before the day ``first``, due at most ``lookback`` ago."""
        begin = datetime.combine(first, time(), UTC)
        found = self.partition_at(self.partition_due_next(now).start - timedelta(microseconds=1))
        while found.start >= begin and self.due_at(found) > now - lookback:
            yield found
            found = self.partition_at(found.start - timedelta(microseconds=1))

    def covering(self, other: Partition) -> Iterator[Partition]:
        """The partitions of this period that share time with one of another period, oldest first."""
        found = self.partition_at(other.start)
        while found.start < other.end:
            yield found
            found = self.partition_at(found.end)


@dataclass(frozen=True)
class MaxAge:
    """A stream has no partition to wait for: its newest data may be ``age`` old and no older."""

    age: timedelta


@dataclass(frozen=True)
class NotDue:
    """Never late, for a reason."""

    reason: str


Deadline = Due | MaxAge | NotDue


def _daily(hours: int, minutes: int = 0) -> Due:
    return Due("day", timedelta(hours=hours, minutes=minutes), START_OF_DAILY_JOB)


# The zones of the daily job, one after the other as long as each phase may take (operations/phases.py).
DEADLINE_OF_ZONE: Final[Mapping[Zone, Deadline]] = {
    "oltp": NotDue("the source is live; what it holds of a day is judged where it is extracted"),
    "raw": _daily(3),
    "clean": _daily(3, 30),
    "quarantine": _daily(3, 30),
    "curated": _daily(4, 15),
    "landing": _daily(4, 45),
    "staging": _daily(6),
    "intermediate": _daily(6),
    "marts": _daily(6),
    "aggregates": _daily(6),
    # Looked at every minute, and told of when they moved.
    "streams": MaxAge(timedelta(minutes=5)),
    "documents": MaxAge(timedelta(minutes=5)),
    "search": MaxAge(timedelta(minutes=5)),
    "features": Due("hour", timedelta(minutes=30)),
    "models": Due("week", timedelta(days=1)),
    "governance": Due("month", timedelta(days=1)),
    "operations": _daily(6),
}


def in_words(deadline: Deadline) -> str:
    """A deadline as people say it."""
    match deadline:
        case Due():
            days, rest = divmod(deadline.after, timedelta(days=1))
            clock = f"{rest // timedelta(hours=1):02}:{rest // timedelta(minutes=1) % 60:02} UTC"
            return {
                "hour": f"{deadline.after // timedelta(minutes=1)} minutes after the hour",
                "day": f"{clock} of the next day" if not days else f"{clock}, {days + 1} days later",
                "week": f"{clock}, {days + 1} days after its last day",
                "month": f"{clock} of day {days + 1} of the next month",
            }[deadline.period]
        case MaxAge():
            return f"data at most {deadline.age.total_seconds():.0f} s old"
        case NotDue():
            return "never"


def _start(period: Period, moment: datetime) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "day":
            return midnight
        case "week":
            return midnight - timedelta(days=midnight.isoweekday() % 7)
        case "month":
            return midnight.replace(day=1)


def _next(period: Period, start: datetime) -> datetime:
    match period:
        case "hour":
            return start + timedelta(hours=1)
        case "day":
            return start + timedelta(days=1)
        case "week":
            return start + timedelta(days=7)
        case "month":
            return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
