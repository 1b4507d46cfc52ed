"""The lag of a worker while its broker is away: what is not known is left out, and the worker goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

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
