"""The worker of a store: messages to events, events to the sink, what cannot be used to the dead letters.

Belongs here: the handler that every sink of four verbs shares, and the way to the dead letters. Does not: the loop
(worker.py), any store, the lake's handler, which gathers (lake.py).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from payments_platform.streaming.dead_letters import FAULT, DeadLetterWriter
from payments_platform.streaming.events import decode
from payments_platform.streaming.handler import Handler
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.positions import Positions, ends
from payments_platform.streaming.sinks.elasticsearch import ElasticsearchSink
from payments_platform.streaming.sinks.protocol import SOURCE_POSITION, Sink

if TYPE_CHECKING:
    from confluent_kafka import Producer

Refuse = Callable[[pl.DataFrame], None]
"""Makes refused messages durable as dead letters: the columns of a message, ``refusal`` and perhaps ``fault``."""
Clock = Callable[[], datetime]
_UNREADABLE: Final = "unreadable"
_EXPIRY: Final = timedelta(hours=1)


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def to_dead_letters(producer: "Producer", consumer: str, metrics: WorkerMetrics, clock: Clock = now) -> Refuse:
    """Write refused messages to their topic's dead letters, and wait until the broker has them."""
    writer = DeadLetterWriter(producer, consumer)

    def refuse(refused: pl.DataFrame) -> None:
        if refused.is_empty():
            return
        writer.bury(refused, failed_at=clock())
        writer.settle()
        faults = refused[FAULT] if FAULT in refused.columns else pl.Series(FAULT, [_UNREADABLE] * refused.height)
        for fault, count in faults.value_counts().iter_rows():
            metrics.dead_letters(fault, count)

    return refuse


class SinkHandler(Handler):
    """Puts each batch into effect at once. A store that is away stops its own worker and no other."""

    def __init__(self, sink: Sink, refuse: Refuse, metrics: WorkerMetrics, clock: Clock = now) -> None:
        self._sink, self._refuse, self._metrics, self._clock = sink, refuse, metrics, clock
        self._is_prepared = False

    def handle(self, messages: pl.DataFrame) -> Positions:
        if not self._is_prepared:
            self._sink.prepare()
            self._is_prepared = True
        events, unreadable = decode(messages)
        refused = self._sink.write(events)
        self._refuse(unreadable)
        # As they were: what is refused is judged by people, and perhaps replayed.
        self._refuse(messages.join(refused, on=SOURCE_POSITION, maintain_order="left"))
        self._metrics.delay((self._clock() - events["committed_at"]).dt.total_microseconds() / 1e6)
        return ends(messages)

    def close(self) -> None:
        self._sink.close()


class SearchHandler(SinkHandler):
    """Removes the indices of days that are no longer kept, too: the engine of the local stack does not by itself."""

    def __init__(self, sink: ElasticsearchSink, refuse: Refuse, metrics: WorkerMetrics, clock: Clock = now) -> None:
        super().__init__(sink, refuse, metrics, clock)
        self._engine = sink
        self._next = clock()

    def tick(self) -> Positions:
        if self._clock() >= self._next:
            self._engine.expire()
            self._next = self._clock() + _EXPIRY
        return {}
