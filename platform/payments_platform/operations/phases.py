"""The phases of the daily job: which zone belongs to which, how long each may take, how long it took.

Belongs here: targets, limits and the arithmetic on given times. Does not: reading run records (defs/operations), any
clock. dbt builds the star schema after the load, so its staging, intermediate and marts models count as "transform"
and its aggregates as "aggregates"; its run results give the times per model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from payments_platform.vocabulary import Zone

Phase = Literal["extract", "validate", "transform", "load", "aggregates", "total"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)

PHASE_OF_ZONE: Final[Mapping[Zone, Phase]] = {
    "raw": "extract",
    "clean": "validate",
    "quarantine": "validate",
    "curated": "transform",
    "landing": "load",
    "staging": "transform",
    "intermediate": "transform",
    "marts": "transform",
    "aggregates": "aggregates",
}


@dataclass(frozen=True)
class Limit:
    """Time a phase should take, must stay below, and the 95th percentile that the requirements quote for it."""

    target_seconds: int
    sla_seconds: int
    document_p95_seconds: int


def _minutes(target: int, sla: int, p95: int) -> Limit:
    return Limit(target * 60, sla * 60, p95 * 60)


LIMITS: Final[Mapping[Phase, Limit]] = {
    "extract": _minutes(45, 60, 42),
    "validate": _minutes(15, 30, 12),
    "transform": _minutes(30, 45, 28),
    "load": _minutes(20, 30, 18),
    "aggregates": _minutes(10, 15, 8),
    "total": _minutes(120, 240, 108),
}


@dataclass(frozen=True)
class StepTime:
    """When a step, or one dbt model, of a zone began and ended."""

    zone: Zone
    started_at: datetime
    ended_at: datetime

    def __post_init__(self) -> None:
        """Refuse times that would make a sum lie: without a zone, or backwards."""
        if self.started_at.tzinfo is None or self.ended_at.tzinfo is None:
            raise ValueError(f"times of a {self.zone} step must carry a time zone")
        if self.ended_at < self.started_at:
            raise ValueError(f"a {self.zone} step ends at {self.ended_at} before it starts at {self.started_at}")

    @property
    def seconds(self) -> float:
        """Busy time of the step."""
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class PhaseTime:
    """One row of the table: a phase, its busy seconds, what it is held against, and rows written where known."""

    phase: Phase
    seconds: float
    target_seconds: int
    sla_seconds: int
    document_p95_seconds: int
    is_within_sla: bool
    row_count: int | None = None


def phase_of(zone: Zone) -> Phase | None:
    """The phase that a zone's steps belong to; None for zones outside the daily job's five phases."""
    return PHASE_OF_ZONE.get(zone)


def phase_table(
    steps: Iterable[StepTime],
    *,
    run: tuple[datetime, datetime] | None = None,
    rows: Mapping[Phase, int] | None = None,
) -> tuple[PhaseTime, ...]:
    """Times of all phases, in their order, of one run.

    Phases overlap when steps interleave, so the seconds of a phase are the sum of its busy steps: five phases may add
    up to more than the total, which is wall-clock time from ``run``'s start to its end (from the first step to the
    last when ``run`` is not given). A phase without steps took 0 seconds. A limit reached is a limit missed.
    """
    known = tuple(steps)
    busy: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
    for step in known:
        phase = phase_of(step.zone)
        if phase is not None:
            busy[phase] += step.seconds
    busy["total"] = _wall_clock(known, run)
    counts = rows or {}
    return tuple(_row(phase, seconds, counts.get(phase)) for phase, seconds in busy.items())


def _wall_clock(steps: Sequence[StepTime], run: tuple[datetime, datetime] | None) -> float:
    if run is not None:
        return (run[1] - run[0]).total_seconds()
    if not steps:
        return 0.0
    return (max(step.ended_at for step in steps) - min(step.started_at for step in steps)).total_seconds()


def _row(phase: Phase, seconds: float, row_count: int | None) -> PhaseTime:
    limit = LIMITS[phase]
    return PhaseTime(
        phase,
        seconds,
        limit.target_seconds,
        limit.sla_seconds,
        limit.document_p95_seconds,
        seconds < limit.sla_seconds,
        row_count,
    )
