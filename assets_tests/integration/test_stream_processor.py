"""The processor on the real broker: kills, a rival, a neighbour that takes over, and what readers of topics see."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import orjson
import polars as pl
import pytest
from confluent_kafka import Consumer

from assets_tests.conftest import Stack
from assets_tests.fakes.changes import PAYMENTS, Row, changed, customer, iso, merchant, payment
from payments_platform.clients import kafka
from payments_platform.contracts.streams import LARGEST_MESSAGE, TOPICS
from payments_platform.streaming.dimension_feed import REFUSED
from payments_platform.streaming.failures import MessagesRefused, TransactionAborted
from payments_platform.streaming.lag import lags_of
from payments_platform.streaming.outgoing import Outgoing
from payments_platform.streaming.reading import read_whole
from payments_platform.streaming.restore import read_to_end
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.streaming.transactions import KafkaOutlet
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, FRAUD_CANDIDATES, OPS_METRICS, STATE_PARTIALS, topic

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
GROUP = "processor"


class Probe:
    """Changes of payments that only this test made, and what came of them."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.servers = stack, stack.settings.kafka_servers()
        self.mark = uuid4().hex[:8]
        self.customer, self.merchant = f"cus_{self.mark}", f"mer_{self.mark}"
        self._producer = kafka.producer(self.servers)
        self.rows: list[Row] = []

    def pay(self, count: int, *, late: int = 0) -> None:
        """Send new payments and, for half, the update that follows; the first ``late`` are of nobody known yet."""
        for _ in range(count):
            number, at = len(self.rows), iso(datetime.now(UTC))
            who = f"{self.customer}_late" if number < late else self.customer
            row = payment(number, transaction_id=f"txn_{self.mark}_{number}", customer_id=who, updated_at=at)
            row["merchant_id"] = self.merchant
            self.rows.append(row)
            self.send(PAYMENTS, *changed(row))
            if number % 2:
                update = {**row, "version": 2, "status": "succeeded"}
                self.rows.append(update)
                self.send(PAYMENTS, *changed(update, row))
        self._producer.flush(30)

    def know(self, *rows: Row) -> None:
        """Send customers and merchants."""
        for row in rows:
            self.send(topic("customers" if "segment" in row else "merchants"), *changed(row))
        self._producer.flush(30)

    def send(self, name: str, key: bytes, value: bytes) -> None:
        self._producer.produce(name, value, key)

    def told(self, name: str = ANALYTICS_TRANSACTIONS) -> Counter[tuple[str, int, int]]:
        """How often each event of this test is in a topic, as a reader of committed messages sees it."""
        mark = self.mark.encode()
        found = [orjson.loads(m.value() or b"") for m in read_whole(self.servers, [name]) if mark in (m.key() or b"")]
        return Counter((event["transaction_id"], event["version"], event["enrichment"]) for event in found)

    def expected(self, enrichment: int) -> set[tuple[str, int, int]]:
        return {(row["transaction_id"], row["version"], enrichment) for row in self.rows}

    def counted(self) -> int:
        """Changes by the latest total of each counter of this test's merchant."""
        latest = {m.key(): orjson.loads(m.value() or b"") for m in read_whole(self.servers, [OPS_METRICS])}
        return sum(one["changes"] for one in latest.values() if one.get("merchant_id") == self.merchant)

    def until(self, seconds: float, what: str, *, full: bool = True) -> None:
        """Wait until every event has been told, whole, and counted."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.told().keys() >= self.expected(1 if full else 0) and self.counted() == len(self.rows):
                return
            time.sleep(0.5)
        pytest.fail(f"{what}: {len(self.told())} of {len(self.rows)} events, {self.counted()} counted")

    @contextmanager
    def worker(self, slot: str) -> "Iterator[subprocess.Popen[str]]":
        with subprocess.Popen(
            [str(Path(sys.executable).parent / "payments"), "stream", "run", GROUP, "--slot", slot],
            env={**os.environ, "PAYMENTS_HOME": str(self.stack.home), "PAYMENTS_ENVIRONMENT": "test"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()


@pytest.fixture
def probe(stream_stack: Stack) -> Probe:
    servers = stream_stack.settings.kafka_servers()
    ensure_topics(kafka.admin(servers), TOPICS, ONE_BROKER)
    probe = Probe(stream_stack)
    probe.know(customer(probe.customer), merchant(probe.merchant))
    return probe


@pytest.mark.row("S2")
@pytest.mark.row("Y2")
@pytest.mark.row("S7")
@pytest.mark.faults
def test_killed_again_and_again_each_change_is_told_once_and_counted_once(probe: Probe) -> None:
    """A worker that is killed between its messages and its offsets leaves none of them for readers to see."""
    drawn = Random(5)
    for _ in range(4):
        with probe.worker("probe-1") as process:
            deadline = time.monotonic() + drawn.uniform(3.5, 6.0)
            while time.monotonic() < deadline:
                probe.pay(40, late=30)
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
    with probe.worker("probe-1") as process:
        probe.know(customer(f"{probe.customer}_late"))
        probe.until(60, "after the kills")
        process.terminate()
        assert process.wait(30) == 0
    told = probe.told()
    assert set(told.values()) == {1}
    partial = {event for event in told if event[2] == 0}
    assert told.keys() - partial == probe.expected(1)
    assert partial <= probe.expected(0)
    assert partial
    assert set(probe.told(FRAUD_CANDIDATES).values()) == {1}
    lags = [line for line in lags_of(probe.servers, [GROUP]) if line.topic == PAYMENTS]
    assert [line.lag for line in lags] == [0] * len(lags)


@pytest.mark.row("S7")
@pytest.mark.row("O4")
@pytest.mark.faults
def test_a_neighbour_takes_over_what_a_killed_worker_held(probe: Probe) -> None:
    with probe.worker("probe-1") as first, probe.worker("probe-2"):
        probe.pay(400, late=10)
        time.sleep(4)
        first.send_signal(signal.SIGKILL)
        probe.pay(400)
        probe.know(customer(f"{probe.customer}_late"))
        probe.until(60, "after the first was killed")
    assert set(probe.told().values()) == {1}


@pytest.mark.row("Y2")
def test_of_two_processes_of_one_slot_the_older_ends_and_says_why(probe: Probe) -> None:
    with probe.worker("probe-1") as older:
        probe.pay(20)
        probe.until(30, "by the older")
        with probe.worker("probe-1"):
            time.sleep(3)
            deadline = time.monotonic() + 30
            while older.poll() is None and time.monotonic() < deadline:
                probe.pay(5)
                time.sleep(0.5)
            probe.until(30, "by the younger")
        assert older.returncode == 1
        assert older.stderr is not None
        assert "another process runs with the same --slot" in older.stderr.read()
    assert set(probe.told().values()) == {1}


@pytest.fixture
def outbox(probe: Probe) -> str:
    return f"probe-{probe.mark}"


def outlet(probe: Probe, slot: str) -> KafkaOutlet:
    member = kafka.consumer(probe.servers, f"group-{slot}")
    return KafkaOutlet(kafka.producer(probe.servers, transactional_id=slot), member.consumer_group_metadata, "probe")


def event(probe: Probe, number: int) -> Outgoing:
    value = orjson.dumps({"transaction_id": f"{probe.mark}{number}", "version": 1, "enrichment": 1})
    return Outgoing(ANALYTICS_TRANSACTIONS, 0, [probe.mark.encode()], [value])


NOBODY = pl.DataFrame(schema=REFUSED)


@pytest.mark.row("Y2")
def test_messages_and_offsets_are_in_effect_together_or_not_at_all(probe: Probe, outbox: str) -> None:
    written = outlet(probe, outbox)
    written.write([event(probe, 1)], NOBODY, {(PAYMENTS, 0): 5})
    too_large = Outgoing(ANALYTICS_TRANSACTIONS, 0, [b"k"], [b"x" * 2 * LARGEST_MESSAGE])
    with pytest.raises(MessagesRefused):
        written.write([event(probe, 2), too_large], NOBODY, {(PAYMENTS, 0): 6})
    written.write([event(probe, 3)], NOBODY, {(PAYMENTS, 0): 7})
    assert {name for name, _, _ in probe.told()} == {f"{probe.mark}1", f"{probe.mark}3"}
    lags = lags_of(probe.servers, [f"group-{outbox}"])
    assert [(line.partition, line.committed) for line in lags] == [(0, 7)]


def joined(probe: Probe, group: str) -> Consumer:
    """A member of the group that holds partitions."""
    member = kafka.consumer(probe.servers, group)
    member.subscribe([PAYMENTS])
    deadline = time.monotonic() + 60
    while not member.assignment() and time.monotonic() < deadline:
        member.consume(1, 0.2)
    assert member.assignment()
    return member


@pytest.mark.row("Y2")
def test_the_last_positions_given_again_fence_a_writer_of_an_older_generation(probe: Probe, outbox: str) -> None:
    """A tick has no new position. Without any, the broker would take what a stalled worker writes."""
    member = joined(probe, outbox)
    membership = member.consumer_group_metadata()
    written = KafkaOutlet(
        kafka.producer(probe.servers, transactional_id=outbox), member.consumer_group_metadata, "probe"
    )
    stalled = KafkaOutlet(
        kafka.producer(probe.servers, transactional_id=f"{outbox}-stalled"), lambda: membership, "probe"
    )
    for number in (1, 2):
        written.write([event(probe, number)], NOBODY, {(PAYMENTS, 0): 5})
    member.close()
    successor = joined(probe, outbox)
    with pytest.raises(TransactionAborted):
        stalled.write([event(probe, 3)], NOBODY, {(PAYMENTS, 0): 5})
    successor.close()
    assert {name for name, _, _ in probe.told()} == {f"{probe.mark}1", f"{probe.mark}2"}


@pytest.mark.row("Y2")
def test_what_was_produced_and_not_committed_is_undone_by_the_successor(probe: Probe, outbox: str) -> None:
    killed = kafka.producer(probe.servers, transactional_id=outbox)
    killed.init_transactions(20)
    killed.begin_transaction()
    killed.produce(ANALYTICS_TRANSACTIONS, b'{"transaction_id":"lost","version":1,"enrichment":1}', probe.mark.encode())
    killed.flush(10)
    begun = time.monotonic()
    successor = outlet(probe, outbox)
    successor.write([event(probe, 1)], NOBODY, {})
    assert {name for name, _, _ in probe.told()} == {f"{probe.mark}1"}
    assert timedelta(seconds=time.monotonic() - begun) < timedelta(seconds=40)


def test_state_is_read_to_the_end_of_a_transaction_that_is_still_being_decided(probe: Probe, outbox: str) -> None:
    """Read to the last decided one instead, it would be older than the offsets that belong to it."""
    deciding = kafka.producer(probe.servers, transactional_id=outbox)
    deciding.init_transactions(20)
    deciding.begin_transaction()
    deciding.produce(STATE_PARTIALS, b"{}", probe.mark.encode(), 0)
    deciding.flush(10)
    reader = kafka.consumer(probe.servers, f"reader-{outbox}", more={"enable.partition.eof": True})
    with ThreadPoolExecutor() as pool:
        found = pool.submit(read_to_end, reader, kafka.admin(probe.servers), [STATE_PARTIALS], [0])
        time.sleep(1.5)
        assert not found.done()
        deciding.commit_transaction(10)
        assert probe.mark.encode() in found.result(20)["key"].to_list()
    reader.close()
