"""How dead letters end, on a real broker: once, in order, and for ever.

Belongs here: replays, repairs, discards, expiry and races between them. Does not: writing letters (test_dead_letters),
the ledger as such (unit tests).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import polars as pl
import pytest

from assets_tests.conftest import Stack
from payments_platform.clients import kafka
from payments_platform.contracts.dead_letters import Fault, LetterState
from payments_platform.contracts.streams import DEAD_LETTER_RETENTION, STATE_TOPICS, TopicSpec
from payments_platform.streaming.dead_letter_ledger import STATE, read_ledger
from payments_platform.streaming.dead_letter_replay import DeadLetterOffice, Decision, OfficeTaken, Outcome
from payments_platform.streaming.dead_letters import DeadLetterWriter
from payments_platform.streaming.messages import frame_of
from payments_platform.streaming.reading import read_whole
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.vocabulary import dead_letters

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 25, 3, tzinfo=UTC)
MENDED = Decision("operator", AT, "the contract was mended")


class Topic(NamedTuple):
    """A topic with its dead letters, and what a test does with them."""

    servers: str
    name: str

    def write(self, *messages: tuple[str, bytes | None]) -> None:
        """Write messages (key, value) to partition 1."""
        producer = kafka.producer(self.servers)
        for key, value in messages:
            producer.produce(self.name, key=key.encode(), value=value, partition=1)
        producer.flush(20)

    def refuse(self, is_refused: pl.Expr, consumer: str = "processor") -> None:
        """Refuse what is there already."""
        messages = frame_of(read_whole(self.servers, [self.name])).filter(is_refused)
        writer = DeadLetterWriter(kafka.producer(self.servers), consumer)
        writer.bury(messages.with_columns(fault=pl.lit(Fault.TYPE.value), refusal=pl.lit("amount")), failed_at=AT)
        writer.settle()

    def ledger(self) -> pl.DataFrame:
        """The ledger of this topic."""
        return read_ledger(self.servers, [dead_letters(self.name)]).filter(pl.col("source_topic") == self.name)

    def replay(self, *offsets: int) -> Outcome:
        """Replay all letters, or those of some offsets."""
        with DeadLetterOffice(self.servers) as office:
            ledger = self.ledger()
            chosen = ledger.filter(pl.col("source_offset").is_in(offsets)) if offsets else ledger
            return office.replay(ledger, chosen, MENDED)

    def values(self) -> list[bytes | None]:
        """The committed values, in order."""
        return frame_of(read_whole(self.servers, [self.name]))["value"].to_list()

    def states(self) -> list[str]:
        """The states of the letters, by offset."""
        return self.ledger().sort("source_offset")[STATE].to_list()


def made(stack: Stack, retention: timedelta | None) -> Iterator[Topic]:
    """A topic of two partitions, with its dead letters and the topics of state."""
    servers, name = stack.settings.kafka_servers(), f"probe.{uuid4().hex[:8]}"
    specs = [TopicSpec(name, "Probe.", 2, retention), TopicSpec(dead_letters(name), "Probe.", 1, DEAD_LETTER_RETENTION)]
    ensure_topics(kafka.admin(servers), [*specs, *STATE_TOPICS], ONE_BROKER)
    yield Topic(servers, name)
    client = kafka.admin(servers)
    for done in client.delete_topics([spec.name for spec in specs]).values():
        done.result(20)


@pytest.fixture
def topic(stream_stack: Stack) -> Iterator[Topic]:
    """A topic that removes messages by age."""
    yield from made(stream_stack, timedelta(days=1))


@pytest.fixture
def last_of_key(stream_stack: Stack) -> Iterator[Topic]:
    """A topic that keeps the last message of each key."""
    yield from made(stream_stack, None)


@pytest.mark.row("S8", "X17")
def test_a_replay_has_one_effect_however_often_it_runs(topic: Topic) -> None:
    topic.write(("a", b"1"), ("b", b"2"), ("a", b"3"))
    topic.refuse(pl.col("value") != b"2")
    assert topic.replay().ended == {LetterState.REPLAYED: 2}
    assert topic.replay().ended == {}
    assert topic.values() == [b"1", b"2", b"3", b"1", b"3"]
    assert topic.states() == ["replayed", "replayed"]


@pytest.mark.row("S8")
def test_a_second_command_takes_over_and_nothing_of_the_first_remains(topic: Topic) -> None:
    """Two people at once, or one who lost patience: the message would be written twice."""
    topic.write(("a", b"1"))
    topic.refuse(pl.lit(value=True))

    def first() -> None:
        with DeadLetterOffice(topic.servers) as office:
            ledger = topic.ledger()
            assert topic.replay().ended == {LetterState.REPLAYED: 1}
            office.replay(ledger, ledger, MENDED)

    with pytest.raises(OfficeTaken, match="stand as they did"):
        first()
    assert topic.values() == [b"1", b"1"]


@pytest.mark.row("S8")
def test_a_command_that_is_killed_before_its_commit_has_done_nothing(topic: Topic) -> None:
    topic.write(("a", b"1"))
    topic.refuse(pl.lit(value=True))
    killed = DeadLetterOffice(topic.servers)
    killed.__enter__()
    killed._producer.begin_transaction()
    killed._produce(topic.ledger().row(0, named=True), 0, {})
    killed._producer.flush(20)
    assert topic.replay().ended == {LetterState.REPLAYED: 1}
    assert topic.values() == [b"1", b"1"]


@pytest.mark.row("S8", "X17")
def test_the_order_of_a_key_is_kept_or_the_key_is_parked(topic: Topic) -> None:
    topic.write(("a", b"1"), ("b", b"2"), ("a", b"3"))
    topic.refuse(pl.lit(value=True))
    assert topic.states() == ["open", "open", "parked"]
    second = topic.replay(2, 1)
    assert (second.ended, second.parked) == ({LetterState.REPLAYED: 1}, 1)
    assert topic.replay(2, 0).ended == {LetterState.REPLAYED: 2}
    assert topic.values() == [b"1", b"2", b"3", b"2", b"1", b"3"]


@pytest.mark.row("S8")
def test_a_message_refused_again_is_a_second_attempt(topic: Topic) -> None:
    topic.write(("a", b"1"))
    topic.refuse(pl.lit(value=True))
    topic.replay()
    topic.refuse(pl.col("offset") > 0)
    rows = topic.ledger().sort("source_offset")
    assert rows[STATE].to_list() == ["replayed", "open"]
    assert rows["attempts"].to_list() == [1, 2]


@pytest.mark.row("S8", "Y4")
def test_an_older_message_never_becomes_the_last_of_its_key(last_of_key: Topic) -> None:
    """Compaction keeps the last by offset: a worker that starts later would join payments with yesterday's customer."""
    last_of_key.write(("a", b"old"), ("b", b"old"), ("a", b"new"))
    last_of_key.refuse(pl.col("value") == b"old")
    assert last_of_key.replay().ended == {LetterState.SUPERSEDED: 1, LetterState.REPLAYED: 1}
    assert last_of_key.values() == [b"old", b"old", b"new", b"old"]
    assert last_of_key.states() == ["superseded", "replayed"]


@pytest.mark.row("S8", "E3", "X17")
def test_a_repair_writes_the_value_that_a_person_gave(topic: Topic) -> None:
    topic.write(("a", b"{"))
    topic.refuse(pl.lit(value=True))
    with DeadLetterOffice(topic.servers) as office:
        ledger = topic.ledger()
        assert office.repair(ledger, ledger.row(0, named=True), b"{}", MENDED).ended == {LetterState.REPAIRED: 1}
    assert topic.values() == [b"{", b"{}"]
    assert topic.states() == ["repaired"]


@pytest.mark.row("S8", "E3", "X17")
def test_a_discard_says_who_and_why_for_ever_and_frees_the_key(topic: Topic) -> None:
    topic.write(("a", b"1"), ("a", b"2"))
    topic.refuse(pl.lit(value=True))
    with DeadLetterOffice(topic.servers) as office:
        first = topic.ledger().row(0, named=True)
        assert office.end([first], LetterState.DISCARDED, Decision("ann", AT, "a test message")) == 1
    rows = topic.ledger().sort("source_offset")
    assert rows[STATE].to_list() == ["discarded", "open"]
    assert rows.row(0, named=True)["ended_by"] == "ann"
    assert rows.row(0, named=True)["end_reason"] == "a test message"
    assert topic.replay().ended == {LetterState.REPLAYED: 1}


@pytest.mark.row("S8", "X17")
def test_no_letter_is_removed_by_its_topic_without_an_end(topic: Topic) -> None:
    """Retention would remove it, and nobody would ever know that a payment is missing in a store."""
    topic.write(("a", b"1"))
    topic.refuse(pl.lit(value=True))
    sweep = Decision("sweep", AT + timedelta(days=13, minutes=1), "nobody decided")
    with DeadLetterOffice(topic.servers) as office:
        assert office.expire(topic.ledger(), Decision("sweep", AT, "early")).ended == {}
        assert office.expire(topic.ledger(), sweep).ended == {LetterState.EXPIRED: 1}
    assert topic.states() == ["expired"]
