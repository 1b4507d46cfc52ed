"""Whether each dataset is on time: the state of its oldest due partition, and what upstream keeps it waiting.

Belongs here: the value that checks, alerts and tables read, and the rule that makes it from facts and a given time.
Does not: finding the facts (evidence.py), saying it to anyone, any clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, get_args

from payments_platform.contracts.due import Deadline, Due, MaxAge, NotDue, Partition

State = Literal["PASS", "WARN", "FAIL"]
STATES: Final[tuple[State, ...]] = get_args(State)
LOOKBACK: Final = timedelta(days=35)
_SHOWN: Final = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True)
class Landed:
    """A partition that is there and passed: when it could first be read, and up to when its source was read."""

    landed_at: datetime
    data_as_of: datetime


@dataclass(frozen=True)
class Watched:
    """What is known of one dataset. ``landed`` goes by the start of the partition; ``reads`` are dataset names.

    ``newest`` is the time of the newest data of a stream. ``usual`` is the time that a partition usually takes after
    the last thing it reads has landed; None while nobody has measured it, then what the deadlines allow. ``owed_from``
    is the first day of a dataset that began later than the others.
    """

    dataset: str
    owner: str
    deadline: Deadline
    reads: tuple[str, ...] = ()
    landed: Mapping[datetime, Landed] = field(default_factory=dict)
    newest: datetime | None = None
    usual: timedelta | None = None
    owed_from: date | None = None


@dataclass(frozen=True)
class Freshness:
    """One dataset at one moment.

    FAIL: a due partition is missing; ``missing`` is the oldest, ``due_at`` its deadline and ``since`` the same moment,
    whenever somebody looked. WARN: the next partition cannot be there in time, because of ``causes``. ``causes`` are
    the datasets furthest upstream that miss it too; () when it is the dataset's own. ``due_at`` of a PASS is the next
    deadline.
    """

    dataset: str
    owner: str
    state: State
    since: datetime | None
    missing: str | None
    missing_count: int
    due_at: datetime | None
    next_due: datetime | None
    causes: tuple[str, ...]
    reason: str

    @property
    def cause(self) -> str | None:
        """The first of the causes, by which alerts of one fault are grouped; None when it is the dataset's own."""
        return self.causes[0] if self.causes else None


def evaluate(
    watched: Sequence[Watched], now: datetime, *, first: date, lookback: timedelta = LOOKBACK
) -> list[Freshness]:
    """The state of every dataset that can be late, in the order given.

    ``first`` is the first day that has a partition: nothing before it is owed. A dataset that was never built owes
    everything since. The same facts and time give the same answer; nothing is remembered, so that a clock that was
    wrong for a while leaves nothing behind. Raises ValueError for a time without a zone.
    """
    if now.tzinfo is None:
        raise ValueError(f"{now} has no time zone; a deadline is a moment in UTC")
    # Subtracting days from a local time counts by the wall clock: an hour would be lost or won twice a year.
    judged = _Judgement(watched, now.astimezone(UTC), first, lookback)
    return [found for it in watched if (found := judged.state(it)) is not None]


class _Judgement:
    """One evaluation: facts by name, and the earliest arrivals computed so far."""

    def __init__(self, watched: Sequence[Watched], now: datetime, first: date, lookback: timedelta) -> None:
        self._by_name = {it.dataset: it for it in watched}
        self._now, self._first, self._lookback = now, first, lookback
        self._arrivals: dict[tuple[str, datetime], datetime] = {}
        self._roots: dict[tuple[str, datetime], tuple[str, ...]] = {}

    def state(self, it: Watched) -> Freshness | None:
        match it.deadline:
            case Due():
                return self._of_partitions(it, it.deadline)
            case MaxAge():
                return self._of_stream(it, it.deadline)
            case NotDue():
                return None

    def _of_partitions(self, it: Watched, due: Due) -> Freshness:
        first = max(self._first, it.owed_from or self._first)
        owed = list(due.due_partitions(self._now, first=first, lookback=self._lookback))
        missing = [partition for partition in owed if partition.start not in it.landed]
        following = due.partition_due_next(self._now)
        next_due = due.due_at(following)
        if missing:
            oldest = missing[-1]
            due_at, causes = due.due_at(oldest), self._roots_of(it, oldest)
            reason = f"{oldest.key} was due at {due_at:{_SHOWN}} and is not there{_more(len(missing))}{_waits(causes)}"
            return Freshness(
                it.dataset, it.owner, "FAIL", due_at, oldest.key, len(missing), due_at, next_due, causes, reason
            )
        arrival = self._arrival(it, due, following)
        if arrival > next_due and following.end <= self._now and following.start.date() >= first:
            causes = self._roots_of(it, following)
            hopeless = next_due - (arrival - self._now)
            reason = (
                f"{following.key} is due at {next_due:{_SHOWN}} and can be there at {arrival:{_SHOWN}} at the earliest"
                f"{_waits(causes)}"
            )
            return Freshness(
                it.dataset, it.owner, "WARN", hopeless, following.key, 0, next_due, next_due, causes, reason
            )
        since = it.landed[owed[0].start].landed_at if owed else None
        reason = f"{owed[0].key} is there" if owed else "nothing is due yet"
        return Freshness(it.dataset, it.owner, "PASS", since, None, 0, next_due, next_due, (), reason)

    def _of_stream(self, it: Watched, limit: MaxAge) -> Freshness:
        late_at = it.newest + limit.age if it.newest else None
        if late_at is not None and self._now <= late_at:
            reason = f"data up to {it.newest:{_SHOWN}}"
            return Freshness(it.dataset, it.owner, "PASS", it.newest, None, 0, late_at, late_at, (), reason)
        causes = tuple(name for name in sorted(it.reads) if self._is_old_stream(name))
        known = f"its newest data is of {it.newest:{_SHOWN}}" if it.newest else "it has no data"
        reason = f"{known}, more than {limit.age.total_seconds():.0f} s may not pass{_waits(causes)}"
        return Freshness(it.dataset, it.owner, "FAIL", late_at, None, 0, late_at, late_at, causes, reason)

    def _is_old_stream(self, name: str) -> bool:
        it = self._by_name.get(name)
        if it is None or not isinstance(it.deadline, MaxAge):
            return False
        return it.newest is None or self._now > it.newest + it.deadline.age

    def _upstream(self, it: Watched, partition: Partition) -> Iterator[tuple[Watched, Due, Partition]]:
        """The partitions of what it reads that a partition is made from."""
        for name in sorted(it.reads):
            parent = self._by_name.get(name)
            if parent is not None and isinstance(parent.deadline, Due):
                for covered in parent.deadline.covering(partition):
                    yield parent, parent.deadline, covered

    def _roots_of(self, it: Watched, partition: Partition) -> tuple[str, ...]:
        """The datasets furthest upstream that miss the partition too."""
        key = (it.dataset, partition.start)
        if key not in self._roots:
            found: set[str] = set()
            for parent, _, covered in self._upstream(it, partition):
                if covered.start not in parent.landed:
                    found |= set(self._roots_of(parent, covered) or (parent.dataset,))
            self._roots[key] = tuple(sorted(found))
        return self._roots[key]

    def _arrival(self, it: Watched, due: Due, partition: Partition) -> datetime:
        """When a partition can be there at the earliest, were all that is missing upstream begun this moment."""
        if partition.start in it.landed:
            return it.landed[partition.start].landed_at
        key = (it.dataset, partition.start)
        if key not in self._arrivals:
            upstream = list(self._upstream(it, partition))
            before = [parent_due.due_at(covered) for _, parent_due, covered in upstream]
            allowed = max(due.due_at(partition) - max(before), timedelta()) if before else timedelta()
            arrivals = [self._arrival(parent, parent_due, covered) for parent, parent_due, covered in upstream]
            takes = allowed if it.usual is None else it.usual
            # A step whose inputs are there may be at work already; one that lacks an input begins now at the earliest.
            self._arrivals[key] = max([self._now, *(arrival + takes for arrival in arrivals)])
        return self._arrivals[key]


def _more(count: int) -> str:
    return f"; {count} due partitions are missing" if count > 1 else ""


def _waits(causes: Sequence[str]) -> str:
    return f"; it waits for {', '.join(causes)}" if causes else ""
