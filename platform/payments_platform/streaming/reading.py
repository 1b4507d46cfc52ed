"""Topics read whole, from the oldest message to the end: what is known once, by no group, and commits nothing.

Belongs here: knowing where the end is. Does not: following a topic (worker.py), what the messages say.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from payments_platform.clients import kafka
from payments_platform.errors import ExplainedError

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

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


@contextmanager
def _reader(servers: str) -> "Iterator[Consumer]":
    consumer = kafka.consumer(servers, "payments-readers", more={"enable.partition.eof": True})
    try:
        yield consumer
    finally:
        consumer.close()


def _messages(consumer: "Consumer", topics: Collection[str]) -> "Iterator[Message]":
    from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

    try:
        known = consumer.list_topics(timeout=_SECONDS).topics
    except KafkaException as silence:
        raise BrokerAway(f"Kafka does not answer ({silence.args[0].str()}). See: payments status") from None
    there = [(name, number) for name in topics if name in known for number in known[name].partitions]
    parts = [TopicPartition(name, number, OFFSET_BEGINNING) for name, number in there]
    waiting: set[tuple[str | None, int | None]] = set(there)
    consumer.assign(parts)
    heard = time.monotonic()
    while waiting:
        for message in consumer.consume(_BATCH, 1.0):
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
