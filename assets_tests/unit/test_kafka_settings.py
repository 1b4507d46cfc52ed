"""Settings of the Kafka clients whose loss would lose messages, double them, or hold readers up."""

from typing import Any

import pytest

from payments_platform.clients import kafka
from payments_platform.streaming.processing import CONSUMER, PRODUCER


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last client was configured with; the client itself is not made."""
    seen: dict[str, Any] = {}
    for name in ("Consumer", "Producer"):
        monkeypatch.setattr(f"confluent_kafka.{name}", seen.update)
    return seen


@pytest.mark.row("P3")
def test_a_producer_has_every_replica_confirm_and_the_processor_writes_large_batches(
    configured: dict[str, Any],
) -> None:
    kafka.producer("b:1", transactional_id="slot-1", more=PRODUCER)
    assert configured["acks"] == "all"
    assert configured["enable.idempotence"] is True
    assert configured["transaction.timeout.ms"] == 10_000
    assert configured["partitioner"] == "murmur2_random"
    assert configured["compression.type"] == "lz4"
    assert configured["batch.size"] == 1 << 20


@pytest.mark.row("P4")
def test_a_consumer_commits_nothing_itself_and_sees_no_undone_message(configured: dict[str, Any]) -> None:
    kafka.consumer("b:1", "group", instance="slot-1", more=CONSUMER)
    assert configured["enable.auto.commit"] is False
    assert configured["isolation.level"] == "read_committed"
    assert configured["auto.offset.reset"] == "earliest"
    assert configured["group.instance.id"] == "slot-1"
    assert configured["session.timeout.ms"] == 10_000
    assert configured["partition.assignment.strategy"] == "cooperative-sticky"
    assert configured["fetch.wait.max.ms"] <= 50
    assert configured["queued.max.messages.kbytes"] <= 128 << 10
