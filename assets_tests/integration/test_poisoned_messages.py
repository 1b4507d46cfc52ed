"""Thousands of poisoned messages among good ones, on a real broker: nothing waits, nothing is lost, all come to an end.

Belongs here: the loop, the reading of changes, letters and replays together. Does not: each of them alone.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from uuid import uuid4

import polars as pl
import pytest
from prometheus_client import CollectorRegistry

from assets_tests.conftest import Stack
from assets_tests.fakes.changes import changed, envelope, key_of, payment
from payments_platform.clients import kafka
from payments_platform.contracts.dead_letters import Fault, LetterState
from payments_platform.contracts.streams import DEAD_LETTER_RETENTION, STATE_TOPICS, TopicSpec
from payments_platform.streaming.dead_letter_ledger import STATE, read_ledger
from payments_platform.streaming.dead_letter_replay import DeadLetterOffice, Decision, Outcome, waiting
from payments_platform.streaming.dead_letters import DeadLetterWriter
from payments_platform.streaming.envelope import decode
from payments_platform.streaming.handler import Handler
from payments_platform.streaming.messages import frame_of
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.positions import Positions, ends
from payments_platform.streaming.reading import read_whole
from payments_platform.streaming.shapes import TRANSACTIONS
from payments_platform.streaming.source import KafkaSource
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.streaming.transitions import split
from payments_platform.streaming.worker import Worker
from payments_platform.vocabulary import dead_letters

pytestmark = pytest.mark.integration
CLASSES = (Fault.NOT_JSON, Fault.ENVELOPE, Fault.EPOCH, Fault.TYPE, Fault.KEY, Fault.TRANSITION)


def poison(fault: Fault, number: int) -> tuple[bytes, bytes]:
    """Key and value of a message that is refused with this fault."""
    row = payment(number)
    match fault:
        case Fault.NOT_JSON:
            return key_of(row), b'{"op": "c", "after": {'
        case Fault.ENVELOPE:
            return changed(row, op="x")
        case Fault.EPOCH:
            return changed(row, epoch=None)
        case Fault.TYPE:
            return key_of(row), envelope({**row, "amount_minor": "a lot"})
        case Fault.KEY:
            return key_of(payment(number + 5_000_000)), envelope(row)
        case _:
            before = {**row, "status": "failed"}
            return changed({**row, "status": "succeeded", "version": 2}, before)


class Reading(Handler):
    """Reads changes as the processor does, until it is mended: then it takes whatever comes."""

    def __init__(self, servers: str) -> None:
        self._letters = DeadLetterWriter(kafka.producer(servers), "processor")
        self.is_mended = False
        self.taken: Counter[bytes] = Counter()
        self.delays: list[float] = []

    def handle(self, messages: pl.DataFrame) -> Positions:
        if self.is_mended:
            self.taken.update(messages["key"].to_list())
            return ends(messages)
        read = decode(messages, TRANSACTIONS)
        good, illegal = split(read.changes, messages)
        for refused in (read.refused, illegal):
            self._letters.bury(refused, failed_at=datetime.now(UTC))
        self._letters.settle()
        now = datetime.now(UTC)
        self.taken.update(good["key"].to_list())
        self.delays += [(now - at).total_seconds() for at in good["timestamp"]]
        return ends(messages)


@contextmanager
def working(servers: str, topic: str, handler: Reading) -> Iterator[None]:
    """A worker on the topic, while the block lasts."""
    stop = Event()
    consumer = kafka.consumer(servers, f"{topic}-readers")
    metrics = WorkerMetrics("probe", CollectorRegistry())
    worker = Worker("probe", KafkaSource(consumer, [topic]), handler, metrics, stop=stop)
    thread = Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


@pytest.fixture
def topic(stream_stack: Stack) -> Iterator[str]:
    """A topic of this test alone, with its dead letters."""
    servers, name = stream_stack.settings.kafka_servers(), f"probe.{uuid4().hex[:8]}"
    specs = [
        TopicSpec(name, "Probe.", 2, timedelta(days=1)),
        TopicSpec(dead_letters(name), "Probe.", 1, DEAD_LETTER_RETENTION),
    ]
    client = kafka.admin(servers)
    ensure_topics(client, [*specs, *STATE_TOPICS], ONE_BROKER)
    yield name
    for done in client.delete_topics([spec.name for spec in specs]).values():
        done.result(20)


def until(holds: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.1)


@pytest.mark.row("S8", "E3", "X17")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("poisoned, budget", [(600, 5.0), pytest.param(10_000, 1.5, marks=pytest.mark.slow)])
def test_poisoned_messages_delay_no_good_one_and_all_come_to_an_end(
    stream_stack: Stack, topic: str, poisoned: int, budget: float
) -> None:
    """Seeded. One good message beside each poisoned one, a thousand a second of both: 500 good ones have 1.5 s."""
    servers, random_ = stream_stack.settings.kafka_servers(), random.Random(20_26)
    handler = Reading(servers)
    faults = [CLASSES[n % len(CLASSES)] for n in range(poisoned)]
    bad = [poison(fault, n) for n, fault in enumerate(faults)]
    good = [changed(payment(n + 1_000_000)) for n in range(poisoned)]
    both = bad + good
    random_.shuffle(both)
    with working(servers, topic, handler):
        producer = kafka.producer(servers)
        for n, (key, value) in enumerate(both):
            producer.produce(topic, key=key, value=value)
            if n % 100 == 99:
                producer.poll(0)
                time.sleep(0.1)
        producer.flush(30)
        until(lambda: sum(handler.taken.values()) == poisoned)
        until(lambda: ledger(servers, topic).height == poisoned)
    assert set(handler.taken) == {key for key, _ in good}
    delays = sorted(handler.delays)
    assert delays[int(len(delays) * 0.95)] <= budget
    assert Counter(ledger(servers, topic)["fault"].to_list()) == Counter(fault.value for fault in faults)

    # Given up, or mended and replayed; the same command again finds nothing to do.
    assert end(servers, topic, Fault.NOT_JSON).ended == {"discarded": faults.count(Fault.NOT_JSON)}
    handler.is_mended, handler.taken = True, Counter()
    left = poisoned - faults.count(Fault.NOT_JSON)
    assert end(servers, topic, None).ended == {"replayed": left}
    assert end(servers, topic, None).ended == {}
    with working(servers, topic, handler):
        until(lambda: sum(handler.taken.values()) >= left)
    replayed = Counter(key for fault, (key, _) in zip(faults, bad, strict=True) if fault is not Fault.NOT_JSON)
    assert handler.taken == replayed
    assert waiting(ledger(servers, topic)).is_empty()
    assert set(ledger(servers, topic)[STATE]) == {"discarded", "replayed"}
    assert frame_of(read_whole(servers, [topic])).height == 2 * poisoned + left


def ledger(servers: str, topic: str) -> pl.DataFrame:
    """The letters of the topic."""
    return read_ledger(servers, [dead_letters(topic)]).filter(pl.col("source_topic") == topic)


def end(servers: str, topic: str, fault: Fault | None) -> Outcome:
    """Discard the letters of a class, or replay all that are left."""
    decision = Decision("operator", datetime.now(UTC), "mended")
    with DeadLetterOffice(servers) as office:
        rows = waiting(ledger(servers, topic))
        if fault is None:
            return office.replay(rows, rows, decision)
        outcome, chosen = Outcome(), rows.filter(pl.col("fault") == fault.value).rows(named=True)
        outcome.count(LetterState.DISCARDED, office.end(chosen, LetterState.DISCARDED, decision))
        return outcome
