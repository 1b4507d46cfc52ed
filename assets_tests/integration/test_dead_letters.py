"""Dead letters on a real broker: nothing refused is lost, and every letter comes to one end.

Belongs here: writing, reading and ending letters. Does not: which messages a consumer refuses (its own tests).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import polars as pl
import pytest
from confluent_kafka import KafkaException

from assets_tests.conftest import Stack
from payments_platform.clients import kafka
from payments_platform.contracts.dead_letters import Fault
from payments_platform.contracts.streams import DEAD_LETTER_RETENTION, TopicSpec
from payments_platform.streaming.dead_letters import KEPT_BYTES, DeadLetterWriter, letters
from payments_platform.streaming.events import decode
from payments_platform.streaming.messages import MESSAGES
from payments_platform.streaming.reading import read_whole
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.vocabulary import dead_letters

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 25, 3, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def topic(stream_stack: Stack) -> Iterator[str]:
    """A topic of two partitions of this test alone, with its dead letters."""
    name, servers = f"probe.{uuid4().hex[:8]}", stream_stack.settings.kafka_servers()
    specs = [TopicSpec(name, "Probe.", 2, None), TopicSpec(dead_letters(name), "Probe.", 1, DEAD_LETTER_RETENTION)]
    ensure_topics(kafka.admin(servers), specs, ONE_BROKER)
    yield name
    client = kafka.admin(servers)
    for done in client.delete_topics([spec.name for spec in specs]).values():
        done.result(20)


def refused(topic: str, *values: bytes | None, first: int = 0) -> pl.DataFrame:
    """Messages that a consumer refused, with offsets from ``first`` on."""
    rows = [(topic, 1, first + n, AT, b"k%d" % n, value) for n, value in enumerate(values)]
    return pl.DataFrame(rows, schema=MESSAGES, orient="row").with_columns(
        fault=pl.lit(Fault.ENVELOPE.value), refusal=pl.lit("no op")
    )


def read(servers: str, topic: str) -> pl.DataFrame:
    """The letters of a topic."""
    return letters(read_whole(servers, [dead_letters(topic)]))


@pytest.mark.row("S8")
def test_a_letter_holds_the_message_as_it_was_and_why_it_was_refused(stream_stack: Stack, topic: str) -> None:
    servers = stream_stack.settings.kafka_servers()
    writer = DeadLetterWriter(kafka.producer(servers), "processor")
    assert writer.bury(refused(topic, b"\xff{not json", None), failed_at=AT, attempt=3) == 2
    writer.settle()
    first, second = read(servers, topic).iter_rows(named=True)
    assert (first["key"], first["value"], second["value"]) == (b"k0", b"\xff{not json", None)
    assert (first["source_topic"], first["source_partition"], second["source_offset"]) == (topic, 1, 1)
    assert (first["consumer"], first["fault"], first["refusal"], first["attempt"]) == (
        "processor", "envelope", "no op", 3,
    )  # fmt: skip
    assert (first["failed_at"], first["source_at"]) == (AT, AT.replace(microsecond=123000))


@pytest.mark.row("S8")
def test_what_the_reader_of_json_refuses_is_told_from_a_field_of_another_type(stream_stack: Stack, topic: str) -> None:
    servers = stream_stack.settings.kafka_servers()
    messages = refused(topic, b"{", b"[]", b'{"epoch": "no number"}', b"{}").drop("fault", "refusal")
    writer = DeadLetterWriter(kafka.producer(servers), "sink-mongodb")
    writer.bury(decode(messages)[1], failed_at=AT)
    writer.settle()
    assert read(servers, topic)["fault"].to_list() == ["not-json", "not-json", "type", "type"]


@pytest.mark.row("S8")
def test_a_value_that_no_producer_takes_is_named_by_its_place(stream_stack: Stack, topic: str) -> None:
    """Refused by the producer, it would cost the whole batch its transaction, and come again for ever."""
    servers = stream_stack.settings.kafka_servers()
    writer = DeadLetterWriter(kafka.producer(servers), "processor")
    writer.bury(refused(topic, b"x" * (KEPT_BYTES + 1), b"small"), failed_at=AT)
    writer.settle()
    large, small = read(servers, topic).iter_rows(named=True)
    assert (large["value"], large["left_out_bytes"], large["source_offset"]) == (None, KEPT_BYTES + 3, 0)
    assert (small["value"], small["left_out_bytes"]) == (b"small", 0)


@pytest.mark.row("S8", "O9")
def test_a_value_that_is_left_out_leaves_its_payment_and_version(stream_stack: Stack, topic: str) -> None:
    servers = stream_stack.settings.kafka_servers()
    change = b'{"op":"c","after":{"transaction_id":"txn_1","version":3,"description":"' + b"x" * KEPT_BYTES + b'"}}'
    writer = DeadLetterWriter(kafka.producer(servers), "processor")
    writer.bury(refused(topic, change, b"x" * (KEPT_BYTES + 1)), failed_at=AT)
    writer.settle()
    told = read(servers, topic).select("value", "left_out_payment", "left_out_version")
    assert told.rows() == [(None, "txn_1", 3), (None, None, None)]


@pytest.mark.row("S8")
def test_a_letter_that_the_broker_does_not_take_raises(stream_stack: Stack) -> None:
    """Its offset would be given up, and the message would be nowhere."""
    producer = kafka.producer(stream_stack.settings.kafka_servers(), more={"message.timeout.ms": 2000})
    writer = DeadLetterWriter(producer, "processor")
    writer.bury(refused("nobody.made.this", b"x"), failed_at=AT)
    with pytest.raises(KafkaException):
        writer.settle(20)


@pytest.mark.row("S8")
def test_a_message_that_no_worker_wrote_is_a_letter_too(stream_stack: Stack, topic: str) -> None:
    servers = stream_stack.settings.kafka_servers()
    producer = kafka.producer(servers)
    producer.produce(dead_letters(topic), b"?")
    producer.produce(dead_letters(topic), b"?", headers={"class": b"type", "attempt": b"many"})
    producer.flush(20)
    found = read(servers, topic)
    assert found["fault"].to_list() == ["unknown", "unknown"]
    assert found["source_offset"].to_list() == [0, 1]
