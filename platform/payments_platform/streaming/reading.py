"""Topics read whole, from the oldest message to the end: what is known once, by no group, and commits nothing.

Belongs here: knowing where the end is. Does not: following a topic (worker.py), what the messages say.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from payments_platform.clients import kafka
from payments_platform.errors import ExplainedError
from payments_platform.streaming.messages import frame_of

if TYPE_CHECKING:
    import polars as pl
    from confluent_kafka import Consumer, Message
    from confluent_kafka.admin import TopicMetadata

_SECONDS: Final = 30.0
_BATCH: Final = 10_000


class BrokerAway(ExplainedError):
    """The broker did not answer in time. Nothing is known then, which is not the same as nothing being there."""

    error_class = "transient"


def read_whole(servers: str, topics: Collection[str]) -> "list[Message]":
    """Every committed message of the topics, in order within a partition; of a topic that is not there, none.

    The end is where the last committed transaction stood when it was reached.
    Raises BrokerAway.
    """
    with _reader(servers) as consumer:
        return list(_messages(consumer, topics))


def frames(servers: str, topic: str, starts: Mapping[int, int] | None = None) -> "Iterator[pl.DataFrame]":
    """The committed messages of a topic as frames, from ``starts`` (by partition; else the oldest) to the end.

    Raises BrokerAway.
    """
    with _reader(servers) as consumer:
        batch: list[Message] = []
        for message in _messages(consumer, [topic], starts):
            batch.append(message)
            if len(batch) == _BATCH:
                yield frame_of(batch)
                batch = []
        if batch:
            yield frame_of(batch)


def between(servers: str, topic: str, partition: int, start: int, end: int) -> "Iterator[pl.DataFrame]":
    """The committed messages of a partition with offsets in ``[start, end)``. Raises BrokerAway."""
    from confluent_kafka import TopicPartition

    with _reader(servers) as consumer:
        consumer.assign([TopicPartition(topic, partition, start)])
        batch: list[Message] = []
        for message in _to_the_end(consumer, [(topic, partition)]):
            if (message.offset() or 0) >= end:
                break
            batch.append(message)
            if len(batch) == _BATCH:
                yield frame_of(batch)
                batch = []
        if batch:
            yield frame_of(batch)


def held(servers: str, topic: str) -> dict[int, tuple[int, int]]:
    """By partition of a topic, the oldest offset that the broker still has and the next that it will give."""
    from confluent_kafka import TopicPartition

    with _reader(servers) as consumer:
        numbers = sorted(_known(consumer)[topic].partitions)
        places = {number: TopicPartition(topic, number) for number in numbers}
        return {number: consumer.get_watermark_offsets(it, timeout=_SECONDS) for number, it in places.items()}


@contextmanager
def _reader(servers: str, more: Mapping[str, str] | None = None) -> "Iterator[Consumer]":
    consumer = kafka.consumer(servers, "payments-readers", more={"enable.partition.eof": True, **(more or {})})
    try:
        yield consumer
    finally:
        consumer.close()


def _messages(
    consumer: "Consumer", topics: Collection[str], starts: Mapping[int, int] | None = None
) -> "Iterator[Message]":
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    known, given = _known(consumer), starts or {}
    places = [(name, number) for name in topics if name in known for number in known[name].partitions]
    consumer.assign([TopicPartition(*place, given.get(place[1], OFFSET_BEGINNING)) for place in places])
    yield from _to_the_end(consumer, places)


def _known(consumer: "Consumer") -> "Mapping[str, TopicMetadata]":
    from confluent_kafka import KafkaException

    try:
        known: Mapping[str, TopicMetadata] = consumer.list_topics(timeout=_SECONDS).topics
    except KafkaException as silence:
        raise BrokerAway(f"Kafka does not answer ({silence.args[0].str()}). See: payments status") from None
    return known


def _to_the_end(consumer: "Consumer", places: Collection[tuple[str, int]]) -> "Iterator[Message]":
    """Every message of assigned partitions, until each has told that there are no more."""
    from confluent_kafka import KafkaError, KafkaException

    waiting: set[tuple[str | None, int | None]] = set(places)
    heard = time.monotonic()
    while waiting:
        for message in consumer.consume(_BATCH, 0.1):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the name librdkafka gives it
                waiting.discard((message.topic(), message.partition()))
            elif not error.retriable():
                raise KafkaException(error)
            else:
                continue
            heard = time.monotonic()
        if time.monotonic() - heard > _SECONDS:
            raise BrokerAway(f"Kafka sent nothing for {_SECONDS:.0f} s. See: payments status")


def read_range(servers: str, place: tuple[str, int], start: int, end: int) -> "list[Message]":
    """The messages of a topic's partition with offsets in ``[start, end)``, those not committed yet included."""
    from confluent_kafka import TopicPartition

    with _reader(servers, {"isolation.level": "read_uncommitted"}) as consumer:
        consumer.assign([TopicPartition(*place, start)])
        return [message for message in _to_the_end(consumer, {place}) if (message.offset() or 0) < end]


def compacted(servers: str, topics: Collection[str]) -> set[str]:
    """Those of the topics that keep the last message of each key, whatever its age."""
    from confluent_kafka.admin import ConfigResource, ResourceType

    client = kafka.admin(servers)  # named: answers of a client that nobody holds never come
    asked = client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in topics])
    policies = {resource.name: answer.result(_SECONDS)["cleanup.policy"].value for resource, answer in asked.items()}
    return {name for name, policy in policies.items() if "compact" in str(policy)}


def ends_of(servers: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
    """The next offset of each partition that readers of committed messages will come to. Raises BrokerAway."""
    from confluent_kafka import KafkaException, TopicPartition

    with _reader(servers) as consumer:
        try:
            known = consumer.list_topics(timeout=_SECONDS).topics
            places = [(name, number) for name in topics if name in known for number in known[name].partitions]
            return {it: consumer.get_watermark_offsets(TopicPartition(*it), timeout=_SECONDS)[1] for it in places}
        except KafkaException as silence:
            raise BrokerAway(f"Kafka does not answer ({silence.args[0].str()}). See: payments status") from None
