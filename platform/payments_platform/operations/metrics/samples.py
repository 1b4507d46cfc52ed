"""From what is known of the platform to samples of its metrics.

Belongs here: pure functions, one a source. Does not: reading the sources (defs/), serving (exporter.py), any clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from payments_platform.contracts.catalogue import DATASETS
from payments_platform.contracts.due import Due
from payments_platform.operations.alerts.engine import ROUTES
from payments_platform.operations.alerts.outbox import Entry
from payments_platform.operations.alerts.rules import RULES
from payments_platform.operations.alerts.state import Memory
from payments_platform.operations.freshness import Freshness
from payments_platform.operations.metrics.families import name_of

_CHANNELS: Final = tuple(dict.fromkeys(channel for channels in ROUTES.values() for channel in (*channels, "email")))


@dataclass(frozen=True)
class Sample:
    """One value of a metric, by the values of its labels."""

    metric: str
    labels: tuple[str, ...]
    value: float


def of_week(figures: pl.DataFrame) -> Iterator[Sample]:
    """The figures of a week; one that was not measured has no sample."""
    for row in figures.drop_nulls("value").iter_rows(named=True):
        yield Sample(name_of(row["figure"]), (row["subject"],), row["value"])


def of_month(register: pl.DataFrame) -> Iterator[Sample]:
    """The register of a month. A level that was not measured has no value, and is not said to be kept."""
    for row in register.iter_rows(named=True):
        label, is_measured = (row["service_level"],), row["value"] is not None
        yield Sample("payments_service_level_measured", label, float(is_measured))
        yield Sample("payments_service_level_promised", label, row["promised"])
        if is_measured:
            yield Sample("payments_service_level_value", label, row["value"])
            yield Sample("payments_service_level_breached", label, float(row["verdict"] == "breached"))


def of_freshness(states: Sequence[Freshness], now: datetime) -> Iterator[Sample]:
    """Every watched dataset."""
    for state in states:
        label, is_late = (state.dataset,), state.state == "FAIL"
        late = (now - state.since).total_seconds() if is_late and state.since else 0.0
        # A stream that never brought anything is late since nobody knows when.
        unknown = is_late and state.since is None
        yield Sample("payments_dataset_late_seconds", label, float("inf") if unknown else max(late, 0.0))
        yield Sample("payments_dataset_missing_partitions", label, float(state.missing_count))
        yield Sample("payments_dataset_at_risk", label, float(state.state == "WARN"))
        start = _start_of_missing(state)
        if start is not None:
            yield Sample("payments_dataset_oldest_missing_timestamp_seconds", label, start.timestamp())


def _start_of_missing(state: Freshness) -> datetime | None:
    deadline = DATASETS[state.dataset].deadline
    if state.state != "FAIL" or state.due_at is None or not isinstance(deadline, Due):
        return None
    return deadline.partition_at(state.due_at - deadline.after - timedelta(microseconds=1)).start


def of_alerts(memory: Memory, waiting: Sequence[Entry]) -> Iterator[Sample]:
    """Every rule and severity, open or not: a series that comes and goes cannot be alerted on."""
    found = [(alert.rule, alert.severity) for alert in memory.open_alerts]
    for rule in RULES:
        for level in rule.levels:
            count = float(found.count((rule.name, level.severity)))
            yield Sample("payments_alerts_open", (rule.name, level.severity), count)
    for channel in _CHANNELS:
        count = float(sum(entry.message.channel == channel for entry in waiting))
        yield Sample("payments_alerts_messages_waiting", (channel,), count)
    if memory.evaluated_at is not None:
        yield Sample("payments_alerts_evaluated_timestamp_seconds", (), memory.evaluated_at.timestamp())


def of_watch(memory: Memory) -> Iterator[Sample]:
    """What the dead-man's switch remembers of its last look."""
    yield Sample("payments_alerts_silent", (), float(bool(memory.open_alerts)))
    if memory.evaluated_at is not None:
        yield Sample("payments_alerts_watched_timestamp_seconds", (), memory.evaluated_at.timestamp())


def of_daemons(heartbeats: Mapping[str, float]) -> Iterator[Sample]:
    """The last heartbeat of each daemon, in seconds since 1970."""
    for daemon, at in sorted(heartbeats.items()):
        yield Sample("payments_daemon_heartbeat_timestamp_seconds", (daemon,), at)
