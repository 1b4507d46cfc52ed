"""What the worker loop relies on, held to the in-memory source and to a Kafka consumer alike.

Kafka is librdkafka's own mock broker here: groups, offsets and pauses are real, no server is started.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import polars as pl
import pytest
from confluent_kafka import Producer

from assets_tests.fakes.stream import MemoryBroker, MemorySource
from payments_platform.clients import kafka
from payments_platform.streaming.positions import Partition, Positions, ends
from payments_platform.streaming.source import KafkaSource, Pace, Source

TOPIC = "oltp.transactions"
PACE = Pace(batch=7, linger_seconds=0.01, idle_seconds=0.05)


@dataclass
class Recorder:
    """A listener that writes down what it was told."""

    starts: Positions = field(default_factory=dict)
    told: list[tuple[str, list[Partition]]] = field(default_factory=list)

    def assigned(self, partitions: Collection[Partition]) -> Positions:
        self.told.append(("assigned", sorted(partitions)))
        return self.starts

    def revoked(self, partitions: Collection[Partition]) -> None:
        self.told.append(("revoked", sorted(partitions)))

    def lost(self, partitions: Collection[Partition]) -> None:
        self.told.append(("lost", sorted(partitions)))


@dataclass
class Broker:
    """One broker with one topic of four partitions, of which the first is written to."""

    append: Callable[[bytes | None, bytes | None], None]
    member: Callable[[], Source]


@pytest.fixture(params=["memory", "kafka"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "memory":
        stored = MemoryBroker({TOPIC: 4})
        yield Broker(lambda key, value: stored.append(TOPIC, key, value), lambda: MemorySource(stored, "g", [TOPIC]))
        return
    producer = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    servers = ",".join(f"{b.host}:{b.port}" for b in producer.list_topics(timeout=5).brokers.values())

    def append(key: bytes | None, value: bytes | None) -> None:
        producer.produce(TOPIC, value, key, 0)
        producer.flush(5)

    more = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 100}
    yield Broker(append, lambda: KafkaSource(kafka.consumer(servers, "g", more=more), [TOPIC]))


def read(source: Source, count: int) -> pl.DataFrame:
    frames: list[pl.DataFrame] = []
    for _ in range(300):
        frames.append(source.poll(PACE))
        if sum(frame.height for frame in frames) >= count:
            break
    return pl.concat(frames)


def test_messages_come_in_order_and_in_batches_no_larger_than_asked(broker: Broker) -> None:
    for number in range(20):
        broker.append(b"k", None if number == 3 else b"%d" % number)
    source, listener = broker.member(), Recorder()
    source.open(listener)
    first = read(source, 1)
    rest = read(source, 20 - first.height)
    assert first.height <= 7
    assert [*first["value"], *rest["value"]] == [None if n == 3 else b"%d" % n for n in range(20)]
    assert ends(rest) == {(TOPIC, 0): 20}
    assert listener.told == [("assigned", [(TOPIC, number) for number in range(4)])]
    assert source.lags()[TOPIC, 0] == 0
    source.close()


@pytest.mark.row("S7")
def test_the_next_member_starts_where_the_last_one_committed_or_where_its_handler_says(broker: Broker) -> None:
    for number in range(10):
        broker.append(None, b"%d" % number)
    source = broker.member()
    source.open(Recorder())
    read(source, 10)
    source.commit({(TOPIC, 0): 4})
    source.close()
    following = broker.member()
    following.open(Recorder())
    assert read(following, 6)["offset"].to_list() == [4, 5, 6, 7, 8, 9]
    following.close()
    rebuilt = broker.member()
    rebuilt.open(Recorder(starts={(TOPIC, 0): 8}))
    assert read(rebuilt, 2)["offset"].to_list() == [8, 9]
    rebuilt.close()


def test_a_paused_source_delivers_nothing_and_loses_nothing(broker: Broker) -> None:
    broker.append(None, b"0")
    source = broker.member()
    source.open(Recorder())
    read(source, 1)
    source.pause()
    broker.append(None, b"1")
    assert all(source.poll(PACE).is_empty() for _ in range(5))
    source.resume()
    assert read(source, 1)["value"].to_list() == [b"1"]
    source.close()
