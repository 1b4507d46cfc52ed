"""From what is known elsewhere to observations: freshness, the alerting path itself.

Belongs here: which rule a state belongs to, its figure, what it waits for. Does not: finding the states; what Dagster
records (run_sources.py), the speed layer (stream_sources.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from payments_platform.contracts import catalogue
from payments_platform.lake.paths import keeper
from payments_platform.operations.alerts.outbox import Entry
from payments_platform.operations.alerts.rules import SourceName
from payments_platform.operations.alerts.state import Memory, Observation
from payments_platform.operations.freshness import Freshness

# Asks one source what it sees now. Raises while it cannot be asked.
Source = Callable[[datetime], Sequence[Observation]]
# What analysts query at 06:00 UTC; everything else is on the way there.
WAREHOUSE_ZONES: Final = frozenset({"marts", "aggregates"})


def of_freshness(states: Sequence[Freshness], now: datetime) -> list[Observation]:
    """One observation for each dataset that is late or will be.

    All that wait for the same partition of the same zone share a cause, so that a day that never began is one message
    and not one for each of a hundred datasets.
    """
    known = {state.dataset: state for state in states}
    return [_of_state(state, known, now) for state in states if state.state != "PASS"]


def _of_state(state: Freshness, known: Mapping[str, Freshness], now: datetime) -> Observation:
    zone = state.dataset.partition("/")[0]
    root = known.get(state.cause or state.dataset, state)
    is_stream = state.state == "FAIL" and state.missing is None
    # Late from its deadline on, that moment included: a warning must not end before what it warned of begins.
    late = max((now - (state.since or now)).total_seconds(), 1.0)
    rule, value = "dataset_late", late
    if state.state == "WARN":
        rule, value = "deadline_at_risk", 1.0
    elif is_stream:
        rule = "stream_late"
    elif zone in WAREHOUSE_ZONES:
        rule = "mart_late"
    return Observation(
        rule=rule,
        subject=state.dataset,
        value=value,
        text=state.reason,
        # A root may be in time itself and too late for what reads it: then the reader says of which partition.
        cause=f"{_kept_in(root.dataset)} {root.missing or state.missing or 'stream'}",
        waits_for=state.causes,
        owner=state.owner,
        asset=state.dataset,
        since=state.since,
    )


def _kept_in(name: str) -> str:
    """The zone whose manifest a dataset is kept by: a table and its quarantine are late together."""
    known = catalogue.DATASETS.get(name)
    return (keeper(known).name if known else name).partition("/")[0]


def of_the_path(
    memory: Memory, sources: Mapping[SourceName, Source], problems: Mapping[str, str], waiting: Sequence[Entry],
    now: datetime,
) -> Iterator[Observation]:  # fmt: skip
    """What alerting says of itself: sources that do not answer, messages that wait."""
    for name in sources:
        if name in problems:
            last = memory.answered.get(name, memory.evaluated_at or now)
            seconds = (now - last).total_seconds()
            text = f"{name} cannot be asked: {problems[name]}"
            # One cause: a broker that is away silences several.
            yield Observation("source_unreadable", name, seconds, text, cause="unreadable sources")
    oldest: dict[str, Entry] = {}
    for entry in waiting:
        oldest.setdefault(entry.message.channel, entry)
    for channel, entry in oldest.items():
        seconds = (now - entry.created_at).total_seconds()
        count = sum(it.message.channel == channel for it in waiting)
        text = f"{count} messages to {channel} wait; it said: {entry.error or 'nothing yet'}"
        yield Observation("messages_undelivered", channel, seconds, text)
