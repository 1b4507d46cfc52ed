"""The processor: changes of payments to events, candidates and counters, one Kafka transaction a batch.

Belongs here: the order of the steps, and what is taken over when the transaction is in effect. Does not: the steps
(envelope, enrich, route, counters), the loop (worker.py), connecting (processing.py).
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import polars as pl

from payments_platform.contracts.counters import Drift
from payments_platform.contracts.streams import CUSTOMER_COLUMNS, FULL, MERCHANT_COLUMNS
from payments_platform.streaming import partials
from payments_platform.streaming.counter_state import Restored
from payments_platform.streaming.dead_letters import FAULT
from payments_platform.streaming.dimension_feed import REFUSED, Feed, apply
from payments_platform.streaming.dimensions import Dimension
from payments_platform.streaming.drift import announcement, drift_of
from payments_platform.streaming.enrich import enrich, join, mask
from payments_platform.streaming.envelope import decode
from payments_platform.streaming.handler import Handler
from payments_platform.streaming.messages import MESSAGES
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.outgoing import Outgoing, Outlet
from payments_platform.streaming.oversize import split as fit
from payments_platform.streaming.parts import Parts
from payments_platform.streaming.positions import Partition, Positions, ends
from payments_platform.streaming.route import route
from payments_platform.streaming.shapes import CUSTOMERS, MERCHANTS, TRANSACTIONS
from payments_platform.streaming.tally import Tally
from payments_platform.streaming.transitions import split

_log = logging.getLogger(__name__)
COUNTER_SECONDS: Final = 2.0
"""Counters are written this often: each batch would write most of them again."""


@dataclass(frozen=True)
class Remembered:
    """What the state topics hold of some partitions, and the input's offsets that belong to it."""

    held: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=partials.HELD))
    counters: Restored = field(default_factory=Restored)
    committed: Positions = field(default_factory=dict)


class Memory(Protocol):
    """Where a worker finds what its predecessor left."""

    def recall(self, partitions: Collection[Partition]) -> Remembered:
        """Read the state of these partitions, as of the input's committed offsets."""


@dataclass(frozen=True)
class _Step:
    """What one transaction writes, and what is known when it is in effect."""

    outgoing: list[Outgoing]
    refused: pl.DataFrame
    positions: Positions
    held: pl.DataFrame
    tally: Tally
    drift: frozenset[Drift]
    new_drift: frozenset[Drift]
    fresh: pl.DataFrame
    is_checkpoint: bool


class Processor(Handler):
    """Change messages of payments in, everything that follows from them out.

    Each batch is one transaction with its input offsets. What the worker knows of waiting events and counters changes
    only when that transaction is in effect, so a batch that is undone is simply handled again.
    """

    def __init__(
        self,
        feed: Feed,
        memory: Memory,
        outlet: Outlet,
        metrics: WorkerMetrics,
        clock: Callable[[], datetime],
        parts: Parts | None = None,
    ) -> None:
        self._feed, self._memory, self._outlet, self._metrics = feed, memory, outlet, metrics
        self._clock, self._parts = clock, parts or Parts()
        self._customers = Dimension(CUSTOMERS, CUSTOMER_COLUMNS, "customer_")
        self._merchants = Dimension(MERCHANTS, MERCHANT_COLUMNS, "merchant_")
        self._is_loaded = False
        self._held = pl.DataFrame(schema=partials.HELD)
        self._tally = Tally.of(Restored())
        self._committed: Positions = {}
        self._came: tuple[set[str], set[str]] = (set(), set())
        self._refused = pl.DataFrame(schema=REFUSED)
        self._drift: frozenset[Drift] = frozenset()
        self._next_counters = clock()

    def start(self, partitions: Collection[Partition]) -> Positions:
        """Take up the predecessor's state; begin at the last checkpoint of the counters, to count from there."""
        if not self._is_loaded:
            self._learn(self._feed.load())
            self._is_loaded = True
        remembered = self._memory.recall(partitions)
        self._held = pl.concat([self._held, remembered.held])
        self._tally = self._tally.joined(Tally.of(remembered.counters))
        self._committed |= remembered.committed
        # Whoever waits may have been completed while nobody held the partition.
        self._came[0].update(remembered.held["customer_id"])
        points = remembered.counters.checkpoints
        return {
            (name, number): min(points[number].offset, self._committed.get((name, number), points[number].offset))
            for name, number in partitions
            if number in points
        }

    def handle(self, messages: pl.DataFrame) -> Positions:
        self._learn(self._feed.poll())
        self._do(messages)
        return {}

    def tick(self) -> Positions:
        self._learn(self._feed.poll())
        if self._ready().is_empty():
            self._came = (set(), set())
        if any(self._came) or not self._refused.is_empty() or (self._tally.since and self._is_due()):
            self._do(pl.DataFrame(schema=MESSAGES))
        self._metrics.partials(self._held["processed_at"], self._clock())
        return {}

    def drain(self, partitions: Collection[Partition]) -> Positions:  # noqa: ARG002 - all are written at once
        """Leave counters written, so that the next owner need not count again."""
        if self._tally.since:
            self._next_counters = self._clock()
            self._do(pl.DataFrame(schema=MESSAGES))
        return {}

    def forget(self, partitions: Collection[Partition]) -> None:
        numbers = {number for _, number in partitions}
        self._held = self._held.filter(~pl.col("partition").is_in(numbers))
        self._tally = self._tally.without(numbers)
        self._committed = {place: at for place, at in self._committed.items() if place[1] not in numbers}

    def close(self) -> None:
        self._feed.close()
        self._outlet.close()

    def _learn(self, messages: pl.DataFrame) -> None:
        if messages.is_empty():
            return
        came, refused = apply(messages, (self._customers, self._merchants))
        for known, new in zip(self._came, came, strict=True):
            known.update(new)
        self._refused = pl.concat([self._refused, refused])

    def _is_due(self) -> bool:
        return self._clock() >= self._next_counters

    def _ready(self) -> pl.DataFrame:
        """The waiting events that are whole now."""
        if self._held.is_empty() or not any(self._came):
            return self._held.clear()
        candidates = partials.ready(self._held, *self._came)
        joined = join(candidates, self._customers, self._merchants, self._clock())
        return joined.filter(pl.col("enrichment") == FULL)

    def _do(self, messages: pl.DataFrame) -> None:
        step = self._step(messages)
        self._outlet.write(step.outgoing, step.refused, step.positions)
        self._held, self._tally, self._drift = step.held, step.tally, step.drift
        self._committed |= step.positions
        self._came, self._refused = (set(), set()), self._refused.clear()
        if step.is_checkpoint:
            self._next_counters = self._clock() + timedelta(seconds=COUNTER_SECONDS)
        self._tell(step)

    def _step(self, messages: pl.DataFrame) -> _Step:
        with self._parts.time("decode"):
            decoded = decode(messages, TRANSACTIONS)
            new_drift = drift_of(messages, TRANSACTIONS) - self._drift
            changes, illegal = split(decoded.changes, messages)
        with self._parts.time("mask"):
            masked = mask(self._uncommitted(changes))
        with self._parts.time("join"):
            told = enrich(masked, self._customers, self._merchants, self._clock())
            fresh, oversize = fit(told, messages)
            full = self._ready()
            late = partials.waiting(fresh)
        with self._parts.time("count"):
            reached = ends(messages)
            tally = self._tally.counted(changes, {number: offset for (_, number), offset in reached.items()})
            is_checkpoint = self._is_due() and bool(tally.since)
            tally, counters = tally.checkpoint() if is_checkpoint else (tally, [])
        with self._parts.time("encode"):
            again = full.with_columns(is_new=False, offset=pl.lit(None, pl.Int64)).select(fresh.columns)
            events = fresh if again.is_empty() else pl.concat([fresh, again])
            outgoing = [*route(events), *partials.kept(late), *partials.deleted(full), *counters]
            if new_drift:
                outgoing.append(announcement(new_drift))
        refused = pl.concat([self._refused, self._uncommitted(pl.concat([decoded.refused, illegal, oversize]))])
        newer = {place: offset for place, offset in reached.items() if offset > self._committed.get(place, 0)}
        held = pl.concat([partials.without(partials.without(self._held, full), late), late])
        # Without a position the broker would not ask whether this worker is still of the group: one that had stalled
        # would write its old counters over the new owner's. Where nothing is new, the last positions are given again.
        positions = newer or dict(self._committed)
        return _Step(
            outgoing, refused, positions, held, tally, self._drift | new_drift, new_drift, fresh, is_checkpoint
        )

    def _uncommitted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Less what is read for the counters alone: it has been told already."""
        committed = {number: offset for (_, number), offset in self._committed.items()}
        known = rows["partition"].replace_strict(committed, default=0, return_dtype=pl.Int64)
        told = rows["offset"] < known
        return rows.filter(~told) if told.any() else rows

    def _tell(self, step: _Step) -> None:
        taken = self._clock() - step.fresh["committed_at"]
        self._metrics.delay(taken.dt.total_microseconds() / 1e6)
        for fault, count in step.refused.group_by(FAULT).len().iter_rows():
            self._metrics.dead_letters(fault, count)
        for drift in step.new_drift:
            _log.warning("%s of table %s: %s", drift.column, drift.table, drift.what)
