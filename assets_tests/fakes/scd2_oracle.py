"""What a slowly changing dimension must be, said in forty lines of Python: the oracle that the SQL is compared with.

Belongs here: intervals of one natural key from its versions. Does not: SQL, frames, anything shared with the models.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Version:
    """A state of an entity: its position at the source, when it began, what it says."""

    epoch: int
    version: int
    at: datetime
    status: str = "active"
    is_deleted: bool = False


@dataclass(frozen=True)
class Interval:
    """A state and the half-open time in which it held."""

    state: Version
    start: datetime
    end: datetime


def timeline(versions: Iterable[Version]) -> list[Interval]:
    """Walk the states as the source made them: a new one ends all that began at its time or later."""
    standing: list[Version] = []
    for state in sorted(set(versions)):
        while standing and standing[-1].at >= state.at:
            standing.pop()
        standing.append(state)
    bounds = [FIRST, *(state.at for state in standing[1:]), LAST]
    return [Interval(state, bounds[n], bounds[n + 1]) for n, state in enumerate(standing)]


def valid_at(versions: Iterable[Version], moment: datetime) -> Version | None:
    """The state that held at a moment, or None when no state is known at all."""
    return next((row.state for row in timeline(versions) if row.start <= moment < row.end), None)
