"""Which runs of a job are due now: its partitions that should be there, are not, and can be made.

Belongs here: the choice, from facts and a given time. Does not: finding the facts (defs/_platform/job_facts.py),
asking for runs (defs/job_schedules.py), any clock. Pure, and nothing is remembered: a daemon that was away for days
asks for what is missing and for nothing else. See ADR 0036.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, Literal

from payments_platform.contracts.due import Due, Partition
from payments_platform.operations.freshness import LOOKBACK, Watched

RunState = Literal["under way", "ended", "cancelled"]
# Runs of one job that wait or work at a time: what is missing of a month must not fill the queue that others share.
RUNS_AT_ONCE: Final = 2
# A partition that a run left missing is tried once more, some time later and alone; then it is a person's.
ATTEMPTS: Final = 2
AGAIN_AFTER: Final = timedelta(minutes=30)


@dataclass(frozen=True)
class Attempt:
    """A run that was to make these partitions, by their starts; ``at`` is when it ended, or began if it has not.

    ``ended`` says nothing of success: whether the partition is there, what is there says. A cancelled run was ended by
    a person, who knows why. ``is_own``: of the job itself, and not of another that makes the same datasets.
    """

    starts: frozenset[datetime]
    state: RunState
    at: datetime
    is_own: bool = True


@dataclass(frozen=True)
class Work:
    """A job's datasets: what it makes and what it reads from others; when its partitions can begin."""

    due: Due
    makes: tuple[Watched, ...]
    reads: tuple[Watched, ...] = ()


@dataclass(frozen=True)
class DueRun:
    """A run to ask for: consecutive partitions, both ends included. ``attempt`` counts from 0."""

    first: Partition
    last: Partition
    count: int
    attempt: int

    @property
    def key(self) -> str:
        """The same however often the same run is asked for, so that asking twice starts it once."""
        return f"{self.first.key}/{self.last.key}/{self.attempt}"


def begun(due: Due, now: datetime, *, first: date, grace: timedelta = timedelta()) -> list[Partition]:
    """The partitions whose run could have begun ``grace`` ago, within the lookback of freshness, oldest first."""
    able = replace(due, after=due.begins + grace)
    return list(able.due_partitions(now, first=first, lookback=LOOKBACK))[::-1]


def due_runs(
    work: Work, attempts: Sequence[Attempt], now: datetime, *, first: date, size: int, grace: timedelta = timedelta()
) -> list[DueRun]:
    """The runs to ask for now: oldest partitions first, at most ``size`` in a run, few at once.

    ``grace`` leaves a partition to its schedule for a while. Left out are partitions that any run is at work on, whose
    inputs are not all there, that a person cancelled, or that were tried ``ATTEMPTS`` times.
    """
    chosen = [
        (partition, tried)
        for partition in begun(work.due, now, first=first, grace=grace)
        if not _is_there(work, partition)
        and _is_ready(work, partition)
        and (tried := _tried(attempts, partition, now)) is not None
    ]
    free = RUNS_AT_ONCE - sum(it.is_own and it.state == "under way" for it in attempts)
    return _in_runs(work.due, chosen, size)[: max(free, 0)]


def _is_there(work: Work, partition: Partition) -> bool:
    return all(partition.start in it.landed for it in work.makes)


def _is_ready(work: Work, partition: Partition) -> bool:
    """Whether everything that the partition is made from is there, of a month each of its days."""
    return all(
        covered.start in it.landed
        for it in work.reads
        if isinstance(it.deadline, Due)
        for covered in it.deadline.covering(partition)
    )


def _tried(attempts: Sequence[Attempt], partition: Partition, now: datetime) -> int | None:
    """How often the partition was tried; None while it must be left alone."""
    over = [it for it in attempts if partition.start in it.starts]
    if any(it.state == "under way" or (it.is_own and it.state == "cancelled") for it in over):
        return None
    own = [it for it in over if it.is_own]
    if len(own) >= ATTEMPTS or (own and now - max(it.at for it in own) < AGAIN_AFTER):
        return None
    return len(own)


def _in_runs(due: Due, chosen: Sequence[tuple[Partition, int]], size: int) -> list[DueRun]:
    """Neighbours share a run, but for those that were tried before: what stopped one must not stop the others."""
    found: list[DueRun] = []
    for partition, tried in chosen:
        before = found[-1] if found else None
        joins = before is not None and before.last.end == partition.start and before.count < size
        if before is not None and joins and not tried and not before.attempt:
            found[-1] = replace(before, last=due.partition_at(partition.start), count=before.count + 1)
        else:
            found.append(DueRun(partition, partition, 1, tried))
    return found
