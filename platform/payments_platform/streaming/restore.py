"""Topics of state read to their end, where the end is certain: open transactions are waited for.

Belongs here: that reading. Does not: what state means (partials.py, counter_state.py), topics for people (reading.py).
"""

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import polars as pl

from payments_platform.streaming.lag import ends_of
from payments_platform.streaming.messages import MESSAGES, frame_of
from payments_platform.streaming.positions import Partition
from payments_platform.streaming.reading import BrokerAway

if TYPE_CHECKING:
    from confluent_kafka import Consumer
    from confluent_kafka.admin import AdminClient

_BATCH: Final = 10_000
_SECONDS: Final = 10.0
_SILENCE_SECONDS: Final = 60.0


def read_to_end(
    consumer: "Consumer", client: "AdminClient", topics: Collection[str], numbers: Collection[int] | None = None
) -> pl.DataFrame:
    """All committed messages of the topics (of these partitions), and leave the consumer assigned at their end.

    The end is that of all messages, committed or not: a transaction that a former owner's commit has decided but not
    yet marked everywhere is waited for. Stopping at the last mark instead would restore state older than the input's
    offsets. ``consumer`` reads committed messages and has ``enable.partition.eof`` on. Raises BrokerAway.
    """
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    there = consumer.list_topics(timeout=_SECONDS).topics
    names: list[Partition] = [
        (name, number)
        for name in topics
        if name in there
        for number in there[name].partitions
        if numbers is None or number in numbers
    ]
    consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for name, number in names])
    waiting = {name: end for name, end in ends_of(client, names).items() if end > 0}
    frames = [pl.DataFrame(schema=MESSAGES)]
    heard = time.monotonic()
    while waiting:
        messages = consumer.consume(_BATCH, 0.1)
        frames.append(frame_of([message for message in messages if message.error() is None]))
        heard = time.monotonic() if messages else heard
        at_end = {(m.topic(), m.partition()): m.offset() or 0 for m in messages if m.error() is not None}
        waiting = {name: end for name, end in waiting.items() if at_end.get(name, 0) < end}
        if time.monotonic() - heard > _SILENCE_SECONDS:
            raise BrokerAway(f"Kafka sent nothing of {sorted(waiting)} for {_SILENCE_SECONDS:.0f} s")
    return pl.concat(frames)
