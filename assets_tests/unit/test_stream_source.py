"""A worker's consumer where the broker does not help: lags that are not known, partitions that are taken away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from unittest.mock import MagicMock

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from payments_platform.streaming.source import KafkaSource

TOPIC = "oltp.transactions"


@dataclass
class FakeConsumer:
    """Holds two partitions, of which the second was never read; the broker answers with an error or offset 4."""

    error: int | None = None

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)]

    def position(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(TOPIC, one.partition, OFFSET_INVALID if one.partition else 7) for one in partitions]

    def committed(self, partitions: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.error is not None:
            raise KafkaException(KafkaError(self.error))
        return [TopicPartition(TOPIC, one.partition, 4) for one in partitions]

    def get_watermark_offsets(self, partition: TopicPartition, cached: bool) -> tuple[int, int]:
        assert cached, partition
        return 0, 10


def lags(error: int | None = None) -> dict[tuple[str, int], int]:
    return KafkaSource(cast("Any", FakeConsumer(error)), [TOPIC]).lags()


@pytest.mark.parametrize("error", [KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._WAIT_COORD])
def test_a_broker_that_is_away_leaves_the_lag_of_an_unread_partition_unknown(error: int) -> None:
    assert lags() == {(TOPIC, 0): 3, (TOPIC, 1): 6}
    assert lags(error) == {(TOPIC, 0): 3}


def test_an_error_that_waiting_does_not_heal_is_raised_by_the_lag_too() -> None:
    with pytest.raises(KafkaException):
        lags(KafkaError.GROUP_AUTHORIZATION_FAILED)


class Taken:
    """A group that gives partitions, takes them away, and gives them again."""

    def __init__(self) -> None:
        self.calls: dict[str, Any] = {}
        self.paused: set[tuple[str, int]] = set()
        self.held: list[TopicPartition] = []

    def subscribe(self, topics: Sequence[str], **calls: Any) -> None:  # noqa: ANN401 - callables of the client's own
        assert topics == [TOPIC]
        self.calls = calls

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.held = list(partitions)

    def assignment(self) -> list[TopicPartition]:
        return self.held

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self.paused |= {(one.topic, one.partition) for one in partitions}

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self.paused -= {(one.topic, one.partition) for one in partitions}


@pytest.mark.row("S7", "S10", "E1")
@pytest.mark.parametrize("away", ["on_revoke", "on_lost"])
def test_a_partition_that_is_taken_from_a_paused_worker_is_resumed_before_it_goes(away: str) -> None:
    """Librdkafka delivers nothing of one that comes back otherwise: sinks stood still for ever and looked well."""
    consumer, listener = Taken(), MagicMock()
    listener.assigned.return_value = {}
    source = KafkaSource(cast("Any", consumer), [TOPIC])
    source.open(listener)
    consumer.calls["on_assign"](consumer, [TopicPartition(TOPIC, 0)])
    source.pause()
    assert consumer.paused
    consumer.calls[away](consumer, [TopicPartition(TOPIC, 0)])
    assert not consumer.paused
    consumer.calls["on_assign"](consumer, [TopicPartition(TOPIC, 0)])
    assert consumer.paused
    source.resume()
    assert not consumer.paused
