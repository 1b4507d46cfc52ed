"""The processor: changes of payments to events, candidates and counters, one Kafka transaction a batch.

Belongs here: the order of the steps, and what is taken over when the transaction is in effect. Does not: the steps
(envelope, enrich, route, counters), the loop (worker.py), connecting (processing.py).
"""

import logging
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from payments_platform.contracts.streams import CUSTOMER_COLUMNS, FULL, MERCHANT_COLUMNS
from payments_platform.streaming import partials
from payments_platform.streaming.dead_letters import FAULT
from payments_platform.streaming.dimension_feed import Feed, apply
from payments_platform.streaming.dimensions import Dimension
from payments_platform.streaming.drift import announcement, drift_of
from payments_platform.streaming.enrich import enrich, join, mask
from payments_platform.streaming.envelope import decode
from payments_platform.streaming.handler import Handler
from payments_platform.streaming.messages import MESSAGES
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.outgoing import Outlet
from payments_platform.streaming.oversize import split as fit
from payments_platform.streaming.parts import Parts
from payments_platform.streaming.positions import Partition, Positions, ends, without
from payments_platform.streaming.progress import Known, Memory, Pending, Step
from payments_platform.streaming.route import route
from payments_platform.streaming.shapes import CUSTOMERS, MERCHANTS, TRANSACTIONS
from payments_platform.streaming.transitions import split

_log = logging.getLogger(__name__)
COUNTER_SECONDS: Final = 2.0
"""Counters are written this often: each batch would write most of them again."""


class Processor(Handler):
    """Change messages of payments in, everything that follows from them out.

    Each batch is one transaction with its input offsets. With an executor, which must have one thread, a transaction
    is written while the next batch is worked on; at most one is. What the worker knows is a value: when a transaction
    is undone, what was known before it is taken back, and its messages are handled again with the next ones.
    """

    def __init__(
        self,
        feed: Feed,
        memory: Memory,
        outlet: Outlet,
        metrics: WorkerMetrics,
        clock: Callable[[], datetime],
        parts: Parts | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._feed, self._memory, self._outlet, self._metrics = feed, memory, outlet, metrics
        self._clock, self._parts, self._executor = clock, parts or Parts(), executor
        self._customers = Dimension(CUSTOMERS, CUSTOMER_COLUMNS, "customer_")
        self._merchants = Dimension(MERCHANTS, MERCHANT_COLUMNS, "merchant_")
        self._is_loaded = False
        self._known = Known()
        self._pending: Pending | None = None
        self._undone = pl.DataFrame(schema=MESSAGES)
        self._next_counters = clock()

    def start(self, partitions: Collection[Partition]) -> Positions:
        """Take up the predecessor's state; begin at the last checkpoint of the counters, to count from there."""
        self._settle_later()
        if not self._is_loaded:
            self._learn(self._feed.load())
            self._is_loaded = True
        remembered = self._memory.recall(partitions)
        self._known = self._known.joined(remembered)
        points = remembered.counters.checkpoints
        return {
            (name, number): min(points[number].offset, self._known.committed.get(number, points[number].offset))
            for name, number in partitions
            if number in points
        }

    def handle(self, messages: pl.DataFrame) -> Positions:
        self._learn(self._feed.poll())
        self._do(messages)
        return {}

    def tick(self) -> Positions:
        self._learn(self._feed.poll())
        if self._pending is not None and self._pending.written.done():
            self._settle()
        known = self._known
        if self._ready().is_empty():
            self._known = known = replace(known, customers=frozenset(), merchants=frozenset())
        is_told = known.refused.is_empty() and self._undone.is_empty()
        if known.customers or known.merchants or not is_told or (known.tally.since and self._is_due()):
            self._do(pl.DataFrame(schema=MESSAGES))
        self._metrics.partials(self._known.held["processed_at"], self._clock())
        return {}

    def drain(self, partitions: Collection[Partition]) -> Positions:  # noqa: ARG002 - all are written at once
        """Leave counters written, so that the next owner need not count again."""
        self._settle()
        if self._known.tally.since or not self._undone.is_empty():
            self._next_counters = self._clock()
            self._do(pl.DataFrame(schema=MESSAGES))
            self._settle()
        return {}

    def forget(self, partitions: Collection[Partition]) -> None:
        """Another worker reads what is undone of them."""
        self._settle_later()
        self._undone = without(self._undone, partitions)
        self._known = self._known.without({number for _, number in partitions})

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown()
        self._feed.close()
        self._outlet.close()

    def _learn(self, messages: pl.DataFrame) -> None:
        if messages.is_empty():
            return
        (customers, merchants), refused = apply(messages, (self._customers, self._merchants))
        self._known = self._known.learned(customers, merchants, refused)

    def _is_due(self) -> bool:
        return self._clock() >= self._next_counters

    def _ready(self) -> pl.DataFrame:
        """The waiting events that are whole now."""
        held, customers, merchants = self._known.held, self._known.customers, self._known.merchants
        if held.is_empty() or not (customers or merchants):
            return held.clear()
        candidates = partials.ready(held, set(customers), set(merchants))
        joined = join(candidates, self._customers, self._merchants, self._clock())
        return joined.filter(pl.col("enrichment") == FULL)

    def _do(self, messages: pl.DataFrame) -> None:
        messages = messages if self._undone.is_empty() else pl.concat([self._undone, messages])
        step = self._step(messages)
        self._settle()
        if self._executor is None:
            self._tell(step, self._write(step))
        else:
            self._pending = Pending(step, messages, self._known, self._executor.submit(self._write, step))
        self._known, self._undone = step.after, messages.clear()
        if step.is_checkpoint:
            self._next_counters = self._clock() + timedelta(seconds=COUNTER_SECONDS)

    def _write(self, step: Step) -> datetime:
        self._outlet.write(step.outgoing, step.refused, step.positions)
        return self._clock()

    def _settle(self) -> None:
        """Wait for the transaction that is being written. Raises its error, after which it is as if it never was."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            written = pending.written.result()
        except Exception:
            now = self._known
            self._known = pending.before.learned(now.customers, now.merchants, now.refused)
            self._undone = pending.messages
            raise
        self._tell(pending.step, written)

    def _settle_later(self) -> None:
        """Settle where no error can be met: what was undone is written with the next call, which meets it again."""
        with suppress(Exception):
            self._settle()

    def _step(self, messages: pl.DataFrame) -> Step:
        known = self._known
        with self._parts.time("decode"):
            decoded = decode(messages, TRANSACTIONS)
            new_drift = drift_of(messages, TRANSACTIONS) - known.drift
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
            tally = known.tally.counted(changes, {number: offset for (_, number), offset in reached.items()})
            is_checkpoint = self._is_due() and bool(tally.since)
            tally, counters = tally.checkpoint() if is_checkpoint else (tally, [])
        with self._parts.time("encode"):
            again = full.with_columns(is_new=False, offset=pl.lit(None, pl.Int64)).select(fresh.columns)
            events = fresh if again.is_empty() else pl.concat([fresh, again])
            outgoing = [*route(events), *partials.kept(late), *partials.deleted(full), *counters]
            if new_drift:
                outgoing.append(announcement(new_drift))
        refused = pl.concat([known.refused, self._uncommitted(pl.concat([decoded.refused, illegal, oversize]))])
        positions = {
            (name, number): offset
            for (name, number), offset in reached.items()
            if offset > known.committed.get(number, 0)
        }
        after = Known(
            held=pl.concat([partials.without(partials.without(known.held, full), late), late]),
            tally=tally,
            committed={**known.committed, **{number: offset for (_, number), offset in positions.items()}},
            drift=known.drift | new_drift,
        )
        return Step(outgoing, refused, positions, after, new_drift, fresh, is_checkpoint)

    def _uncommitted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Less what is read for the counters alone: it has been told already."""
        known = rows["partition"].replace_strict(self._known.committed, default=0, return_dtype=pl.Int64)
        told = rows["offset"] < known
        return rows.filter(~told) if told.any() else rows

    def _tell(self, step: Step, written: datetime) -> None:
        taken = written - step.fresh["committed_at"]
        self._metrics.delay(taken.dt.total_microseconds() / 1e6)
        for fault, count in step.refused.group_by(FAULT).len().iter_rows():
            self._metrics.dead_letters(fault, count)
        for drift in step.new_drift:
            _log.warning("%s of table %s: %s", drift.column, drift.table, drift.what)
