"""Where a worker's messages come from: a Kafka consumer group behind the few verbs that the loop needs.

Belongs here: polling in batches, commits, pausing, rebalances, lag. Does not: client settings (clients/kafka.py), when
to do what (worker.py).
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import polars as pl

from payments_platform.operations.errors import verdict
from payments_platform.streaming.failures import fenced
from payments_platform.streaming.messages import MESSAGES, frame_of
from payments_platform.streaming.parts import Parts
from payments_platform.streaming.positions import Partition, Positions

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, TopicPartition

_log = logging.getLogger(__name__)
_REQUEST_SECONDS = 10.0


@dataclass(frozen=True)
class Pace:
    """How messages are gathered: small batches soon when few come, large ones when many wait."""

    batch: int = 10_000
    """At most so many messages at once; bounds memory and what one retry repeats."""
    linger_seconds: float = 0.1
    """How long the first message of a batch waits for company. It is part of every event's delay; the fixed cost
    of a batch, about 15 ms of a core, is paid so many times a second at most."""
    idle_seconds: float = 0.25
    """How long to wait for a first message; also how often a worker looks at its clock and its stop signal."""
    commit_seconds: float = 0.5
    """Positions are committed this often: a commit is a write at the broker, and a kill repeats this much work."""


class Listener(Protocol):
    """Who is told of partitions. Called inside ``poll`` alone, in the thread of the caller."""

    def assigned(self, partitions: Collection[Partition]) -> Positions:
        """They came; returns where to start instead of at the committed offset."""

    def revoked(self, partitions: Collection[Partition]) -> None:
        """They leave after this returns: the last moment to commit."""

    def lost(self, partitions: Collection[Partition]) -> None:
        """They have left, and another worker may have them: nothing can be committed any more."""


class Source(Protocol):
    """A member of a consumer group."""

    def open(self, listener: Listener) -> None:
        """Join the group. Partitions come with a later poll."""

    def poll(self, pace: Pace) -> pl.DataFrame:
        """The next messages, possibly none (columns of ``MESSAGES``). Keeps the membership alive, also while paused."""

    def commit(self, positions: Positions) -> None:
        """Store positions with the group and wait until they are."""

    def pause(self) -> None:
        """Deliver nothing until ``resume``, also of partitions that come meanwhile; what was delivered stays so."""

    def resume(self) -> None:
        """Deliver again, from the message after the last delivered one."""

    def assignment(self) -> Collection[Partition]:
        """The partitions held now."""

    def lags(self) -> dict[Partition, int]:
        """How many offsets lie between the last delivered message and the end, where that is known."""

    def close(self) -> None:
        """Leave without telling the listener."""


class KafkaSource:
    """A Kafka consumer that follows ``topics``."""

    def __init__(self, consumer: "Consumer", topics: Collection[str], parts: Parts | None = None) -> None:
        self.consumer = consumer
        self._parts = parts or Parts()
        self._topics = list(topics)
        self._paused = self._is_closing = False

    def open(self, listener: Listener) -> None:
        # A partition that is taken away while it is paused, and comes back, would deliver nothing for ever, resumed or
        # not: it is resumed before it goes.
        def revoke(consumer: "Consumer", partitions: "list[TopicPartition]") -> None:
            if not self._is_closing:
                listener.revoked(_names(partitions))
                consumer.resume(partitions)

        def lose(consumer: "Consumer", partitions: "list[TopicPartition]") -> None:
            listener.lost(_names(partitions))
            consumer.resume(partitions)

        def assign(consumer: "Consumer", partitions: "list[TopicPartition]") -> None:
            starts = listener.assigned(_names(partitions))
            for partition in partitions:
                partition.offset = starts.get((partition.topic, partition.partition), partition.offset)
            consumer.incremental_assign(partitions)
            if self._paused:
                consumer.pause(partitions)

        self.consumer.subscribe(
            self._topics,
            on_assign=assign,
            on_revoke=revoke,
            on_lost=lose,
        )

    def poll(self, pace: Pace) -> pl.DataFrame:
        with self._parts.time("wait"):
            messages = self.consumer.consume(1, pace.idle_seconds)
        if not messages:
            return pl.DataFrame(schema=MESSAGES)
        with self._parts.time("consume"):
            if pace.batch > 1:
                messages += self.consumer.consume(pace.batch - 1, pace.linger_seconds)
            good = [message for message in messages if message.error() is None]
            for message in messages if len(good) < len(messages) else ():
                _judge(message.topic(), message.error())
            return frame_of(good)

    def commit(self, positions: Positions) -> None:
        from confluent_kafka import TopicPartition

        offsets = [TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()]
        self.consumer.commit(offsets=offsets, asynchronous=False)

    def pause(self) -> None:
        self._paused = True
        self.consumer.pause(self.consumer.assignment())

    def resume(self) -> None:
        self._paused = False
        self.consumer.resume(self.consumer.assignment())

    def assignment(self) -> Collection[Partition]:
        return _names(self.consumer.assignment())

    def lags(self) -> dict[Partition, int]:
        held = self.consumer.position(self.consumer.assignment())
        unread = [partition for partition in held if partition.offset < 0]
        starts = self._committed(unread) if unread else []
        lags = {}
        for partition in [*(partition for partition in held if partition.offset >= 0), *starts]:
            low, high = self.consumer.get_watermark_offsets(partition, cached=True)
            if high >= 0:
                read = partition.offset if partition.offset >= 0 else max(low, 0)
                lags[partition.topic, partition.partition] = max(high - read, 0)
        return lags

    def _committed(self, partitions: "list[TopicPartition]") -> "list[TopicPartition]":
        """Where reading begins; none while the broker is away: a figure for a chart must not end a worker."""
        from confluent_kafka import KafkaException

        try:
            return self.consumer.committed(partitions, timeout=_REQUEST_SECONDS)
        except KafkaException as error:
            if verdict(error).error_class != "transient":
                raise
            _log.warning("The lag of %d partitions is not known for now: %s", len(partitions), error)
            return []

    def close(self) -> None:
        self._is_closing = True
        # Leaving as a member that stays known keeps the place for the restart; without one, others take over at once.
        self.consumer.close()


def _names(partitions: "Iterable[TopicPartition]") -> list[Partition]:
    return [(partition.topic, partition.partition) for partition in partitions]


def _judge(name: str | None, reason: "KafkaError | None") -> None:
    """Tell of what the consumer heals by itself; raise what it cannot."""
    from confluent_kafka import KafkaException

    if reason is None:
        return
    if reason.fatal():
        raise fenced(reason)
    error = KafkaException(reason)
    if verdict(error).error_class != "transient":
        raise error
    _log.warning("The consumer of %s goes on after: %s", name or "its topics", reason)
