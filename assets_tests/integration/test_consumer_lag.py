"""How far a group is behind, on a real broker.

Does not cover: what an alert makes of it (unit/test_alert_sources.py).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition

from assets_tests.conftest import Stack
from payments_platform.clients import kafka
from payments_platform.contracts.streams import TopicSpec
from payments_platform.streaming.lag import GroupLag, lags_of, overdue_of
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC)
HELD = timedelta(minutes=6)


@pytest.fixture
def read_once(stream_stack: Stack) -> Iterator[tuple[str, str]]:
    """A topic and a group that has committed its first message, of two partitions."""
    name, servers = f"probe.{uuid4().hex[:8]}", stream_stack.settings.kafka_servers()
    client = kafka.admin(servers)
    ensure_topics(client, [TopicSpec(name, "Probe.", 2, timedelta(days=1))], ONE_BROKER)
    writer = kafka.producer(servers)
    for minutes in (20, 10, 7, 5, 1):
        sent = NOW - timedelta(minutes=minutes)
        writer.produce(name, b"x", partition=0, timestamp=int(sent.timestamp() * 1000))
    writer.produce(name, b"x", partition=1, timestamp=int((NOW - timedelta(minutes=10)).timestamp() * 1000))
    assert writer.flush(30) == 0
    member = kafka.consumer(servers, f"group-{name}")
    member.commit(offsets=[TopicPartition(name, 0, 1), TopicPartition(name, 1, 0)], asynchronous=False)
    member.close()
    yield name, f"group-{name}"
    client.delete_topics([name])[name].result(20)


@pytest.mark.row("Y2")
def test_a_group_that_collects_is_behind_by_what_it_should_have_written_alone(
    stream_stack: Stack, read_once: tuple[str, str]
) -> None:
    """A steady stream keeps the lake's group some thousand messages behind, which is no fault of it."""
    (name, group), servers = read_once, stream_stack.settings.kafka_servers()
    lags = lags_of(servers, [group])
    assert lags == [GroupLag(group, name, 0, 1, 5), GroupLag(group, name, 1, 0, 1)]
    overdue = overdue_of(servers, lags, {group: HELD}, NOW)
    assert overdue == [GroupLag(group, name, 0, 1, 3), GroupLag(group, name, 1, 0, 1)]
    assert [it.lag for it in overdue_of(servers, lags, {group: timedelta(hours=1)}, NOW)] == [0, 0]
    assert overdue_of(servers, lags, {"another": HELD}, NOW) == lags
