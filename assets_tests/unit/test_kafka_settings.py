"""Settings of the Kafka clients whose loss would lose messages, double them, or hold readers up."""

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from payments_platform.clients import kafka
from payments_platform.local.ports import choose
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


def _asked_for_seconds(client: Any) -> None:  # noqa: ANN401 - a client of any kind
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        client.poll(0.1)


@pytest.mark.parametrize(
    "make", [kafka.producer, kafka.admin, lambda servers: kafka.consumer(servers, "group")],
    ids=["producer", "admin", "consumer"],
)  # fmt: skip
def test_an_outage_is_told_in_one_line_whatever_number_of_clients(
    make: Callable[[str], Any], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Twenty lines a second bury the one that matters, and go on behind the last words of a program."""
    monkeypatch.setattr(kafka, "_OUTAGES", kafka.Outages())
    nobody = f"127.0.0.1:{choose(0, ())}"
    clients = [make(nobody) for _ in range(2)]
    with caplog.at_level(logging.WARNING):
        for client in clients:
            _asked_for_seconds(client)
    assert "rdkafka" not in capfd.readouterr().err
    assert [record.getMessage().split(" at ")[0] for record in caplog.records] == ["Kafka"]


def test_the_next_outage_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    outages = kafka.Outages(clock=lambda: now[0])
    hear = outages.told_by("b:1")["error_cb"]
    for at in (0.0, 30.0, 80.0, 141.0):
        now[0] = at
        hear(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        hear(KafkaError(KafkaError._TRANSPORT))
    assert [record.name for record in caplog.records] == ["payments.kafka", "payments.kafka"]
