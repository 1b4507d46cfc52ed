"""A store made again from the stream equals the one that followed it; the lake is mended in place and never emptied."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any, cast

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets_tests.fakes.documents import MemoryCollection
from assets_tests.fakes.events import NOW, Event, deliveries, event, frame, messages
from assets_tests.fakes.storage import MemoryStorage
from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake import segments
from payments_platform.lake.segments import Segment
from payments_platform.streaming.rebuild import Origin, rebuild_store
from payments_platform.streaming.rebuild_lake import LakeRebuild, Remade
from payments_platform.streaming.sinks.lake import Flush, LakeHandler
from payments_platform.streaming.sinks.lake_topic import TopicMadeAnew
from payments_platform.streaming.sinks.mongodb import MongoSink
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

PART = (ANALYTICS_TRANSACTIONS, 0)


class Topic:
    """A partition with a mark of a transaction after every third message; older ones may be gone."""

    def __init__(self, events: list[Event], oldest: int = 0) -> None:
        spread = [messages([it], n + n // 3, at=NOW + timedelta(minutes=9 * n)) for n, it in enumerate(events)]
        self.messages = pl.concat([messages([]), *spread])
        self.oldest = oldest
        self.end = max(self.messages["offset"].to_list(), default=0) + 2
        self.removed_at: dict[int, int] = {}

    def between(self, partition: int, start: int, end: int) -> Iterator[pl.DataFrame]:
        """``removed_at``: when a read from an offset begins, the broker has just removed all before another."""
        self.oldest = self.removed_at.get(start, self.oldest)
        held = self.messages.filter(pl.col("offset").is_between(max(start, self.oldest), end - 1))
        yield from held.iter_slices(2)

    def spoil(self, *offsets: int) -> None:
        """What stands there is no event any more."""
        bad = pl.col("offset").is_in(offsets)
        self.messages = self.messages.with_columns(value=pl.when(bad).then(pl.lit(b"{")).otherwise("value"))

    def frames(self, _: str, topic: str, starts: dict[int, int]) -> Iterator[pl.DataFrame]:
        yield from self.between(0, starts.get(0, 0), self.end)


def lake_worker(records: int) -> tuple[MemoryStorage, LakeHandler]:
    """An empty lake and its worker at the start of the topic."""
    storage = MemoryStorage()
    worker = LakeHandler(storage, lambda _: None, lambda _: (0, 1_000), Flush(records), lambda: NOW)
    worker.start([PART])
    return storage, worker


def worked(topic: Topic, upto: int | None = None, records: int = 3) -> MemoryStorage:
    """The lake after the worker read the topic up to an offset."""
    storage, worker = lake_worker(records)
    for part in topic.between(0, 0, topic.end if upto is None else upto):
        worker.handle(part)
    worker.drain([PART])
    return storage


def committed(storage: MemoryStorage) -> list[Segment]:
    return list(segments.segments(storage, ANALYTICS_TRANSACTIONS))


def rows(storage: MemoryStorage) -> pl.DataFrame:
    files = [it.file for it in committed(storage)]
    return storage.scan(files, RAW_TRANSACTIONS_STREAM.schema).collect().sort("topic_offset")


def mended(storage: MemoryStorage, topic: Topic) -> Remade:
    rebuild = LakeRebuild(storage, topic.between, lambda _: (topic.oldest, topic.end), 3, lambda: NOW)
    return rebuild.run({0: max(topic.end - 1, 0)}, lambda _: None)


def again(storage: MemoryStorage, topic: Topic) -> Remade:
    done = mended(storage, topic)
    joined = committed(storage)
    assert [(a.end, b.start) for a, b in pairwise(joined) if a.end != b.start] == []
    named = {it.file for it in joined}
    assert {file.path for file in storage.list("raw") if file.path.endswith(".parquet")} == named
    return done


def store() -> tuple[MongoSink, MemoryCollection]:
    held = MemoryCollection()
    sink = MongoSink(cast("Any", held))
    sink.prepare()
    return sink, held


@pytest.mark.row("S10")
@pytest.mark.parametrize("origin", ["lake", "kafka"])
@given(events=deliveries(), share=st.floats(0, 1))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_store_made_again_is_the_store_that_followed_the_stream(
    monkeypatch: pytest.MonkeyPatch, origin: Origin, events: list[Event], share: float
) -> None:
    """Also where the lake lags behind the topic, and when it is made again a second time."""
    followed, kept = store()
    followed.write(frame(events))
    topic = Topic(events)
    lake = worked(topic, upto=int(topic.end * share))
    monkeypatch.setattr("payments_platform.streaming.rebuild.frames", topic.frames)
    made, held = store()
    made.write(frame([event("txn_phantom")]))
    for _ in range(2):
        done = rebuild_store(made, lake, "", origin, lambda _: None)
        assert (done.events, done.refused) == (len(events), 0)
        assert held.stored == kept.stored


@pytest.mark.row("S10")
def test_what_the_lake_commits_during_a_rebuild_is_read_from_the_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost: a store made again beside a running worker lacks what that worker held at the start."""
    topic = Topic([event(f"txn_{n}") for n in range(12)])
    storage, worker = lake_worker(records=100)
    half = topic.end // 2
    for part in topic.between(0, 0, half):
        worker.handle(part)
    worker.drain([PART])
    for part in topic.between(0, half, topic.end):
        worker.handle(part)
    monkeypatch.setattr("payments_platform.streaming.rebuild.frames", topic.frames)
    made, held = store()
    before = committed(storage)

    def progress(_: int) -> None:
        worker.drain([PART])

    done = rebuild_store(made, storage, "", "lake", progress)
    assert committed(storage)[-1].end > before[-1].end
    assert done.events == 12
    assert sorted(held.stored) == sorted(f"txn_{n}" for n in range(12))


@pytest.mark.row("S10")
def test_what_is_refused_again_is_counted_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = Topic([event("txn_1"), event("txn_2"), event("txn_3")])
    topic.spoil(1)
    monkeypatch.setattr("payments_platform.streaming.rebuild.frames", topic.frames)
    sink, held = store()
    held.refusing = {"txn_3": 2}
    done = rebuild_store(sink, MemoryStorage(), "", "kafka", lambda _: None)
    assert (done.events, done.refused) == (2, 2)
    assert list(held.stored) == ["txn_1"]


@pytest.mark.row("S10")
def test_right_segments_are_kept_and_damaged_ones_made_again() -> None:
    topic = Topic([event(f"txn_{n}") for n in range(12)])
    storage = worked(topic)
    before, whole = committed(storage), rows(storage)
    assert again(storage, topic) == Remade(len(before), 0, 0)
    with storage.writing(before[1].file) as target:
        storage.scan([before[1].file], RAW_TRANSACTIONS_STREAM.schema).collect().with_columns(
            amount_minor=pl.lit(1, dtype=pl.Int64)
        ).write_parquet(target)
    storage.remove(before[2].file)
    assert again(storage, topic) == Remade(len(before) - 2, 2, 0)
    assert rows(storage).equals(whole)
    assert again(storage, topic) == Remade(len(before), 0, 0)


@pytest.mark.row("S10")
@given(lost=st.sets(st.integers(0, 7)), share=st.floats(0, 1))
@settings(max_examples=40)
def test_lost_segments_are_made_again_as_far_as_the_broker_remembers(lost: set[int], share: float) -> None:
    topic = Topic([event(f"txn_{n}") for n in range(20)])
    storage = worked(topic)
    known, whole = committed(storage), rows(storage)
    topic.oldest = int(share * topic.end)
    for place in lost & set(range(len(known))):
        if known[place].start >= topic.oldest:
            storage.remove(known[place].path)
            storage.remove(known[place].file)
    again(storage, topic)
    assert rows(storage).equals(whole)


@pytest.mark.row("S10")
def test_segments_older_than_the_topic_stay_as_they_are() -> None:
    """The lake keeps months, the topic a week: emptied first, the lake would lose what nobody else has."""
    topic = Topic([event(f"txn_{n}") for n in range(12)])
    storage = worked(topic)
    whole = rows(storage)
    topic.oldest = 9
    done = again(storage, topic)
    assert done.kept < len(committed(storage))
    assert rows(storage).equals(whole)


@pytest.mark.row("S10")
@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_segment_stays_when_the_broker_removes_its_messages_during_the_rebuild(
    is_damaged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Lost: messages that nobody else has, replaced by the few that the broker still had."""
    topic = Topic([event(f"txn_{n}") for n in range(12)])
    storage = worked(topic)
    before = committed(storage)
    if is_damaged:
        with storage.writing(before[1].file) as target:
            rows(storage).head(before[1].rows + 1).write_parquet(target)
    topic.removed_at = {before[1].start: before[1].start + 1}
    done = mended(storage, topic)
    assert done == Remade(len(before) - 1, 0, 0, left=1)
    assert committed(storage) == before
    assert before[1].path in caplog.text


@pytest.mark.row("S10")
@pytest.mark.parametrize("count", [1, 3])
def test_an_intact_segment_is_not_replaced_by_one_with_fewer_rows(count: int) -> None:
    """Also not when nothing of it can be read as an event any more."""
    topic = Topic([event(f"txn_{n}") for n in range(12)])
    storage = worked(topic)
    before, whole = committed(storage), rows(storage)
    topic.spoil(*topic.messages["offset"].head(count))
    assert again(storage, topic) == Remade(len(before) - 1, 0, 0, left=1)
    assert rows(storage).equals(whole)


@pytest.mark.row("S10")
def test_a_hole_is_not_said_to_be_filled_where_the_broker_removed_messages_meanwhile() -> None:
    topic = Topic([event(f"txn_{n}") for n in range(12)])
    storage = worked(topic)
    before = committed(storage)
    storage.remove(before[1].path)
    storage.remove(before[1].file)
    topic.removed_at = {before[1].start: before[1].start + 1}
    assert mended(storage, topic).made == 1
    made = committed(storage)[1]
    assert (made.start > before[1].start, made.end, made.rows) == (True, before[1].end, before[1].rows - 1)


@pytest.mark.row("S10")
def test_the_lake_is_not_mended_from_a_topic_that_was_made_anew() -> None:
    """Lost: its segments, replaced by other messages that have their offsets."""
    storage = worked(Topic([event(f"txn_{n}") for n in range(12)]))
    before = dict(storage.files)
    with pytest.raises(TopicMadeAnew):
        mended(storage, Topic([event(f"txn_new_{n}") for n in range(6)]))
    assert before.items() <= storage.files.items()
