"""One evaluation: ask the sources, take the step, keep state and messages together, deliver.

Belongs here: the order of these, and that one failing source stops no other. Does not: any of them. A process that dies
between two of them loses nothing: what was kept is delivered by the next evaluation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

from payments_platform.operations.alerts.engine import Channel, Notice, step
from payments_platform.operations.alerts.messages import Links, Message, of_notice, summary_message
from payments_platform.operations.alerts.outbox import Entry, Sender, deliver
from payments_platform.operations.alerts.rules import SourceName
from payments_platform.operations.alerts.sources import Source, of_the_path
from payments_platform.operations.alerts.state import Memory, Observation
from payments_platform.operations.alerts.store import Store
from payments_platform.operations.alerts.summary import facts_of

SUMMARY_AT: Final = time(7, 0, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
# What a summary says beside the alerts: lines from whoever has figures.
Figures = Callable[[datetime], Sequence[str]]


@dataclass(frozen=True)
class Alerting:
    """Everything an evaluation needs but the time."""

    store: Store
    sources: Mapping[SourceName, Source]
    channels: Mapping[Channel, Sender]
    environment: str
    links: Links = field(default_factory=Links)
    figures: Figures = lambda _: ()
    summary_channels: tuple[Channel, ...] = ("slack", "email")


@dataclass(frozen=True)
class Evaluated:
    """What one evaluation did: notices made, entries tried, sources that could not be asked with their reasons."""

    memory: Memory
    notices: tuple[Notice, ...]
    tried: tuple[Entry, ...]
    problems: Mapping[str, str]


def evaluate(alerting: Alerting, now: datetime) -> Evaluated | None:
    """Evaluate once; None when another process is at it, which does the same."""
    with alerting.store.alone() as alone:
        if not alone:
            return None
        memory = alerting.store.memory()
        observations, problems = _asked(alerting.sources, now)
        waiting = alerting.store.waiting()
        observations += of_the_path(memory, alerting.sources, problems, waiting, now)
        answered = [*(name for name in alerting.sources if name not in problems), "alerts"]
        after, notices = step(memory, observations, answered, now)
        after, summaries = _summary(alerting, after, now)
        messages = [of_notice(notice, alerting.links, alerting.environment) for notice in notices]
        alerting.store.keep(after, [*messages, *summaries], now)
        tried = deliver(alerting.store, alerting.channels, now)
        return Evaluated(after, tuple(notices), tuple(tried), problems)


def _asked(sources: Mapping[SourceName, Source], now: datetime) -> tuple[list[Observation], dict[str, str]]:
    observations: list[Observation] = []
    problems: dict[str, str] = {}
    for name, source in sources.items():
        try:
            observations += source(now)
        except Exception as error:  # noqa: BLE001 - whatever a client raises: told as source_unreadable, others go on
            problems[name] = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')[:300]}"
    return observations, problems


def _summary(alerting: Alerting, memory: Memory, now: datetime) -> tuple[Memory, list[Message]]:
    """The day's summary when it is due and not made. At the very first evaluation nothing has been lived through."""
    day, is_due = now.date(), now.timetz() >= SUMMARY_AT
    if memory.summary_day is None:
        return replace(memory, summary_day=day if is_due else day - _DAY), []
    if not is_due or memory.summary_day >= day:
        return memory, []
    try:
        figures = list(alerting.figures(now))
    except Exception as error:  # noqa: BLE001 - the summary comes, and says what it lacks
        figures = [f"The figures could not be read: {type(error).__name__}"]
    facts = [*facts_of(memory, alerting.store.recent(now - _DAY), now), *figures]
    messages = [summary_message(channel, alerting.environment, now, facts) for channel in alerting.summary_channels]
    return replace(memory, summary_day=day), messages
