"""What a worker tells Prometheus: lag, batch time, delay, dead letters, pauses.

Belongs here: the metrics that every worker has, and a histogram that takes whole columns. Does not: serving them
(workers.py), metrics of one worker alone (beside that worker).
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from payments_platform.streaming.positions import Partition

_DELAYS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_BATCHES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ColumnHistogram(Collector):
    """A histogram that counts a column at once: an ``observe`` a row would cost as much as the row's whole work."""

    def __init__(self, name: str, what: str, label: tuple[str, str], registry: CollectorRegistry) -> None:
        self._name, self._what, self._label = name, what, label
        self._edges = np.array(_DELAYS)
        self._counts = np.zeros(len(_DELAYS) + 1, dtype=np.int64)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: pl.Series) -> None:
        """Count each value of the column; null is none."""
        values = seconds.drop_nulls().to_numpy()
        # The first edge that is not below the value: Prometheus' buckets include their upper end.
        counts = np.bincount(np.searchsorted(self._edges, values), minlength=len(self._counts))
        # Replaced, not added to in place: a scrape in another thread reads one state or the other.
        self._counts, self._sum = self._counts + counts, self._sum + float(values.sum())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        running = np.cumsum(self._counts).tolist()
        edges = [*(str(edge) for edge in _DELAYS), "+Inf"]
        family = HistogramMetricFamily(self._name, self._what, labels=[self._label[0]])
        family.add_metric([self._label[1]], list(zip(edges, running, strict=True)), self._sum)
        yield family


class WorkerMetrics:
    """The metrics of one worker, each with its name as label. ``delay`` and ``dead_letter`` are for its handler."""

    def __init__(self, worker: str, registry: CollectorRegistry) -> None:
        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(f"payments_stream_{name}", what, ("worker", *labels), registry=registry)

        self._worker = worker
        self._lag = gauge("lag", "Offsets between the last message read and the end.", "topic", "partition")
        self._held: set[Partition] = set()
        self._paused = gauge("paused", "1 while a system the worker writes to is down.").labels(worker)
        self._retries = Counter("payments_stream_pauses", "Failed tries.", ["worker"], registry=registry).labels(worker)
        self._batch = Histogram(
            "payments_stream_batch_seconds", "Time for one batch.", ["worker"], buckets=_BATCHES, registry=registry
        ).labels(worker)
        self._messages = Counter(
            "payments_stream_messages", "Messages handed over.", ["worker"], registry=registry
        ).labels(worker)
        self._dead = Counter(
            "payments_stream_dead_letters", "Messages refused.", ["worker", "class"], registry=registry
        )
        self._partials = gauge("partials", "Events that wait for their customer or merchant.")
        self._oldest = gauge("oldest_partial_seconds", "How long the longest waits.")
        self._delay = ColumnHistogram(
            "payments_stream_delay_seconds", "From commit at the source until done here.", ("worker", worker), registry
        )

    def lags(self, lags: Mapping[Partition, int]) -> None:
        """Set the lag of each partition held; one that left is no longer ours to tell."""
        for topic, number in self._held - lags.keys():
            self._lag.remove(self._worker, topic, str(number))
        self._held = set(lags)
        for (topic, number), lag in lags.items():
            self._lag.labels(self._worker, topic, str(number)).set(lag)

    def paused(self) -> None:
        """Tell of a failed try."""
        self._paused.set(1)
        self._retries.inc()

    def resumed(self) -> None:
        """Tell that a try went well again."""
        self._paused.set(0)

    def batch(self) -> AbstractContextManager[object]:
        """Time a batch."""
        return self._batch.time()

    def handled(self, messages: int) -> None:
        """Count messages that the handler has taken."""
        self._messages.inc(messages)

    def delay(self, seconds: pl.Series) -> None:
        """Count how long each message took from its commit at the source."""
        self._delay.observe(seconds)

    def dead_letters(self, error_class: str, count: int) -> None:
        """Count refused messages."""
        self._dead.labels(self._worker, error_class).inc(count)

    def partials(self, since: pl.Series, now: datetime) -> None:
        """Tell how many events wait, and since when."""
        oldest = since.min()
        waited = (now - oldest).total_seconds() if isinstance(oldest, datetime) else 0.0
        self._partials.labels(self._worker).set(since.len())
        self._oldest.labels(self._worker).set(waited)
