"""What of the freshness of many datasets is worth saying now: changes first, the rest now and then, never a flood.

Belongs here: what was said last and what follows from it. Does not: the states (freshness.py), how they are said.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from payments_platform.operations.freshness import Freshness, State

# The event log takes 50 to 70 events a second; a burst leaves room for what runs write.
EVENTS_AT_ONCE: Final = 25
# Said again though nothing changed, so that a person sees that somebody still looks.
HEARTBEAT: Final = timedelta(hours=6)
HEARTBEATS_AT_ONCE: Final = 5
# Clocks are set back by seconds; what was late at six is not on time again a moment later.
_STEP_BACK: Final = timedelta(minutes=5)
_URGENCY: Final[Mapping[State, int]] = {"FAIL": 0, "WARN": 1, "PASS": 2}


@dataclass(frozen=True)
class Said:
    """What was said last of each dataset: its mark, and when; and when somebody looked last."""

    at: datetime | None = None
    marks: Mapping[str, tuple[str, datetime]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str | None) -> "Said":
        """Read what ``to_json`` wrote. Text that cannot be read counts as nothing said: all is said again."""
        try:
            record: dict[str, Any] = json.loads(text or "{}")
            marks = {name: (mark, _time(seconds)) for name, (mark, seconds) in record.get("marks", {}).items()}
            return cls(_time(record["at"]) if "at" in record else None, marks)
        except (ValueError, TypeError, AttributeError):
            return cls()

    def to_json(self) -> str:
        """A small text: the instigator's record is written anew with every tick."""
        marks = {name: [mark, int(when.timestamp())] for name, (mark, when) in self.marks.items()}
        at = {"at": self.at.timestamp()} if self.at else {}
        return json.dumps({**at, "marks": marks}, separators=(",", ":"))

    def steady(self, now: datetime) -> datetime:
        """The time to judge by: a clock that was set back a little stands still until it has caught up."""
        return self.at if self.at is not None and timedelta() < self.at - now <= _STEP_BACK else now

    def after(self, chosen: Iterable[Freshness], found: Sequence[Freshness], now: datetime) -> "Said":
        """The same after these were said; datasets that are watched no more are forgotten."""
        kept = {it.dataset: self.marks[it.dataset] for it in found if it.dataset in self.marks}
        return Said(now, {**kept, **{it.dataset: (_mark(it), now) for it in chosen}})


def to_say(found: Sequence[Freshness], said: Said, now: datetime) -> list[Freshness]:
    """What to say now: changes, then what was said longest ago. The rest waits for the next look.

    Another state goes before another cause or count of the same state, and of these the worse before the better.
    """
    changed = [it for it in found if said.marks.get(it.dataset, ("", now))[0] != _mark(it)]
    changed.sort(key=lambda it: (_state_said(said, it) == it.state, _URGENCY[it.state]))
    # Longer ago, or of a time that is yet to come: a clock that was wrong must not silence anyone until then.
    quiet = [it for it in found if it not in changed and not timedelta() <= now - said.marks[it.dataset][1] < HEARTBEAT]
    quiet.sort(key=lambda it: said.marks[it.dataset][1])
    return [*changed[:EVENTS_AT_ONCE], *quiet[:HEARTBEATS_AT_ONCE]]


def _state_said(said: Said, it: Freshness) -> str:
    return said.marks.get(it.dataset, ("", None))[0].partition(" ")[0]


def _mark(it: Freshness) -> str:
    """What must change before it is said again. Not the reason: it may tell a time that moves with every look."""
    return it.state if it.state == "PASS" else f"{it.state} {it.missing} {it.missing_count} {' '.join(it.causes)}"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
