"""The connector's configuration and the messages that the platform writes in its form."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from payments_platform.clients.connect import Connect
from payments_platform.clients.postgres import PostgresAddress
from payments_platform.contracts.streams import (
    CAPTURED_TABLES,
    CHANGE_TOPICS,
    LARGEST_CHANGE,
    LARGEST_MESSAGE,
    TOPICS,
    TopicSpec,
)
from payments_platform.streaming.capture.apply import topics_of
from payments_platform.streaming.capture.connector import EXCLUDED_COLUMNS, FAST_RETRIES, Source, configuration
from payments_platform.streaming.capture.control import Capture
from payments_platform.streaming.capture.republish import Change, message
from payments_platform.streaming.topics import ONE_BROKER, THREE_BROKERS, settings_of
from payments_platform.vocabulary import topic

SOURCE = Source("db", 5432, "payments", "payments_capture", "${env:PAYMENTS_CAPTURE_PASSWORD}", 3)


def test_the_password_is_a_reference_and_never_a_value() -> None:
    """Connect shows a connector's configuration to whoever asks, and keeps it in a topic."""
    assert configuration(SOURCE, CAPTURED_TABLES)["database.password"] == SOURCE.password
    with pytest.raises(ValueError, match="reference"):
        configuration(replace(SOURCE, password="plain"), CAPTURED_TABLES)  # noqa: S106  # what is refused


@pytest.mark.row("S1")
def test_every_change_topic_is_of_a_captured_table_and_back() -> None:
    assert {spec.name for spec in CHANGE_TOPICS} == {topic(table) for table in CAPTURED_TABLES}
    included = configuration(SOURCE, CAPTURED_TABLES)["table.include.list"].split(",")
    assert set(included) == {f"oltp.{table}" for table in (*CAPTURED_TABLES, "capture_heartbeats")}


@pytest.mark.row("Y2")
@pytest.mark.row("S6")
def test_delivery_is_exactly_once_with_three_fast_retries_and_a_declared_mismatch_rule() -> None:
    made = configuration(SOURCE, CAPTURED_TABLES)
    assert made["exactly.once.support"] == "required"
    assert made["producer.override.acks"] == "all"
    assert made["errors.max.retries"] == str(FAST_RETRIES) == "3"
    assert made["offset.mismatch.strategy"] == "trust_offset"
    assert made["publication.autocreate.mode"] == "disabled"
    assert made["transforms.epoch.static.value"] == "3"


@pytest.mark.row("E2")
def test_a_raised_largest_change_reaches_connector_and_topics_and_no_others() -> None:
    larger = 16 * 2**20
    made = configuration(replace(SOURCE, largest_change=larger), CAPTURED_TABLES)
    assert made["producer.override.max.request.size"] == str(larger)
    assert int(made["producer.override.buffer.memory"]) >= 2 * larger
    address = PostgresAddress("h", 1, "d", "u", SecretStr("p"))
    capture = Capture(address, address, Connect("http://h"), "k", 1, largest_change=larger)
    raised = {spec.name for spec in topics_of(capture) if spec.largest_message > LARGEST_MESSAGE}
    assert raised == {topic(table) for table in CAPTURED_TABLES}
    assert topics_of(replace(capture, largest_change=LARGEST_CHANGE)) == list(TOPICS)


def test_a_vault_token_and_the_key_of_tokens_stay_at_the_source() -> None:
    assert set(EXCLUDED_COLUMNS) == {"customers.token_key_id", "payment_methods.payment_method_token"}


def test_a_payment_is_keyed_by_its_id_alone_and_not_by_its_partitions_column() -> None:
    """Keyed by its time as well, a payment would not be the document of its id."""
    assert configuration(SOURCE, CAPTURED_TABLES)["message.key.columns"] == "oltp.transactions:transaction_id"


@pytest.mark.row("X15")
def test_a_message_of_a_repair_has_the_connectors_form_and_no_place_in_the_log() -> None:
    """A consumer that took a repair for a change of the log would order by a position that it does not have."""
    value = json.loads(
        message(Change("refunds", "refund_id", "r1", "d", '{"refund_id":"r1","version":4}', None), 2, 10**18)
    )
    assert set(value) == {"before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns", "epoch"}
    assert (value["before"], value["after"], value["op"]) == ({"refund_id": "r1", "version": 4}, None, "d")
    assert value["epoch"] == "2"
    assert value["source"]["lsn"] is None
    assert value["source"]["snapshot"] == "incremental"


@pytest.mark.row("P3")
@pytest.mark.parametrize("spec", TOPICS, ids=lambda spec: spec.name)
def test_in_production_two_brokers_have_a_message_before_it_counts(spec: TopicSpec) -> None:
    assert settings_of(spec, THREE_BROKERS)["min.insync.replicas"] == "2"
    made = settings_of(spec, ONE_BROKER)
    assert made["cleanup.policy"] == ("compact" if spec.retention is None else "delete")
    if spec.retention is not None:
        assert timedelta(milliseconds=int(made["retention.ms"])) == spec.retention
    else:
        assert int(made["delete.retention.ms"]) > int(made["min.compaction.lag.ms"])
