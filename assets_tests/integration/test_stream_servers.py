"""The servers of the speed layer as their users see them. Real servers."""

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from assets_tests.conftest import Stack
from payments_platform.local.home import Home

pytestmark = pytest.mark.integration


@pytest.mark.row("O7")
def test_kafka_takes_a_transaction_and_shows_it_whole(stream_stack: Stack) -> None:
    at = Home(stream_stack.home).services()["kafka"]
    servers = f"{at['host']}:{at['port']}"
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic("probe.stack", 1, 1)])["probe.stack"].result(20)
    producer = Producer({"bootstrap.servers": servers, "transactional.id": "probe"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce("probe.stack", b"kept", b"k")
    producer.commit_transaction(20)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "probe", "auto.offset.reset": "earliest"})
    consumer.subscribe(["probe.stack"])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert message.value() == b"kept"
