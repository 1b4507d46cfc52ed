"""The processor as it runs: its connections, its pace, and the state it takes up.

Belongs here: putting it together. Does not: what it does (processor.py).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import polars as pl

from payments_platform.clients import kafka
from payments_platform.streaming import counter_state, partials
from payments_platform.streaming.dimension_feed import KafkaFeed
from payments_platform.streaming.events import decode
from payments_platform.streaming.positions import Partition
from payments_platform.streaming.processor import Processor, Remembered
from payments_platform.streaming.restore import read_to_end
from payments_platform.streaming.source import KafkaSource, Pace
from payments_platform.streaming.transactions import KafkaOutlet
from payments_platform.streaming.workers import Job, Setting
from payments_platform.vocabulary import STATE_COUNTERS, STATE_PARTIALS, topic

if TYPE_CHECKING:
    from confluent_kafka import Consumer
    from confluent_kafka.admin import AdminClient

TOPIC: Final = topic("transactions")
PROCESSOR: Final = "processor"
_SECONDS: Final = 30.0
# A batch of a busy worker leaves as a few large requests: compressed better, and less often acknowledged. With the
# client's queue as large as a batch of events, candidates and counters together, none waits for room.
PRODUCER: Final = {
    "batch.size": 1 << 20,
    "batch.num.messages": 20_000,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 1 << 20,
}
# The next batch is on this machine before the present one is done; at most this much memory waits.
CONSUMER: Final = {
    "queued.min.messages": 100_000,
    "queued.max.messages.kbytes": 128 << 10,
    "fetch.message.max.bytes": 4 << 20,
}
_READER: Final = {"enable.partition.eof": True}


@dataclass(frozen=True)
class KafkaMemory:
    """State topics, partition by partition: state of an input partition lies in the partition of the same number."""

    input: "Consumer"
    reader: "Consumer"
    client: "AdminClient"

    def recall(self, partitions: Collection[Partition]) -> Remembered:
        """The offsets first: once these are certain, whatever belongs to them is on its way into the state topics."""
        from confluent_kafka import TopicPartition

        asked = [TopicPartition(name, number) for name, number in partitions]
        committed = self.input.committed(asked, timeout=_SECONDS)
        numbers = [number for _, number in partitions]
        messages = read_to_end(self.reader, self.client, (STATE_PARTIALS, STATE_COUNTERS), numbers)
        counters = messages.filter(pl.col("topic") == STATE_COUNTERS).select("partition", "key", "value")
        return Remembered(
            held(messages.filter(pl.col("topic") == STATE_PARTIALS)),
            counter_state.restore(counters.iter_rows()),
            {(place.topic, place.partition): place.offset for place in committed if place.offset >= 0},
        )


def held(messages: pl.DataFrame) -> pl.DataFrame:
    """The waiting events that messages of state.partials leave: the latest of a key counts, and a tombstone is none."""
    latest = messages.unique(("partition", "key"), keep="last", maintain_order=True)
    events, _ = decode(latest)
    keys = pl.struct("transaction_id").struct.json_encode().cast(pl.Binary).alias("key")
    return events.with_columns(keys).select(partials.HELD.names())


def processor(setting: Setting) -> Job:
    """The job of ``payments stream run processor``."""
    servers = setting.settings.kafka_servers()

    def handler(source: KafkaSource) -> Processor:
        client = kafka.admin(servers)
        reader, follower = (kafka.consumer(servers, f"{setting.slot}-reads", more=_READER) for _ in range(2))
        return Processor(
            KafkaFeed(follower, client, ("customers", "merchants")),
            KafkaMemory(source.consumer, reader, client),
            KafkaOutlet(
                kafka.producer(servers, transactional_id=setting.slot, more=PRODUCER),
                source.consumer.consumer_group_metadata,
                PROCESSOR,
                setting.parts,
            ),
            setting.metrics,
            lambda: datetime.now(UTC),
            setting.parts,
        )

    return Job((TOPIC,), handler, Pace(batch=20_000), CONSUMER)
