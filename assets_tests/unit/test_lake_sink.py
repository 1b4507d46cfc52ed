"""The lake's segments: every message once, in order, joined without a hole, whoever is killed or taken for dead."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_tests.fakes.events import NOW, event, frame, messages
from assets_tests.fakes.storage import MemoryStorage
from payments_platform.contracts.streams import EVENT_SCHEMA, RAW_TRANSACTIONS_STREAM
from payments_platform.lake import segments
from payments_platform.lake.segments import Segment
from payments_platform.lake.storage import Storage
from payments_platform.lake.upkeep import sweep
from payments_platform.operations.errors import verdict
from payments_platform.streaming.sinks.lake import Flush, LakeHandler
from payments_platform.streaming.sinks.lake_topic import MADE_ANEW, TopicMadeAnew
from payments_platform.streaming.windows import following
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

PART = (ANALYTICS_TRANSACTIONS, 0)


class Clock:
    """A clock that tests move."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def handler(
    storage: Storage,
    clock: Clock,
    refused: list[pl.DataFrame] | None = None,
    oldest: int = 0,
    records: int = 10,
    high: int = 1_000,
) -> LakeHandler:
    letters: list[pl.DataFrame] = [] if refused is None else refused
    return LakeHandler(storage, letters.append, lambda _: (oldest, high), Flush(records), clock)


def topic(count: int, at: Callable[[int], datetime] = lambda n: NOW + timedelta(seconds=n)) -> list[pl.DataFrame]:
    """``count`` messages, one a frame; every fifth offset holds a mark of a transaction instead."""
    return [messages([event(f"txn_{n}")], n + n // 4, at=at(n)) for n in range(count)]


def committed(storage: Storage) -> list[Segment]:
    return list(segments.segments(storage, ANALYTICS_TRANSACTIONS))


def rows(storage: Storage) -> pl.DataFrame:
    files = [segment.file for segment in committed(storage)]
    return storage.scan(files, RAW_TRANSACTIONS_STREAM.schema).collect()


def assert_whole(storage: Storage, written: list[pl.DataFrame], first: int = 0) -> None:
    """What the segments hold is the messages up to the last end, each once, and they join."""
    found = committed(storage)
    assert [segment.start for segment in found[:1]] == [first]
    assert [(a.end, b.start) for a, b in pairwise(found) if a.end != b.start] == []
    end = found[-1].end
    assert rows(storage)["topic_offset"].to_list() == [
        part["offset"][0] for part in written if first <= part["offset"][0] < end
    ]
    for segment in found:
        held = storage.scan([segment.file], RAW_TRANSACTIONS_STREAM.schema).collect()
        assert held.height == segment.rows
        (hour,) = held["appended_at"].dt.truncate("1h").unique()
        assert f"/year={hour:%Y}/month={hour:%m}/day={hour:%d}/hour={hour:%H}/" in segment.file


@pytest.mark.row("S5", "O2")
@pytest.mark.parametrize("waited, counted", [(1, 1), (0, 0), (-1, 0), (3600, 2)])
def test_the_age_of_what_is_held_counts_from_its_own_time_and_of_a_backlog_from_a_moment_ago(
    waited: int, counted: int
) -> None:
    """Else each batch of a backlog would be a segment; a clock of the broker that is ahead holds nothing longer."""
    storage, clock = MemoryStorage(), Clock()
    worker = handler(storage, clock)
    worker.start([PART])
    worker.handle(messages([event("txn_1")], at=NOW - timedelta(seconds=waited)))
    clock.at = NOW + timedelta(minutes=5) - timedelta(seconds=counted, milliseconds=1)
    assert worker.tick() == {}
    clock.at += timedelta(milliseconds=1)
    assert worker.tick() == {PART: 1}


@pytest.mark.row("S5")
def test_a_segment_is_committed_by_number_of_records_or_by_age() -> None:
    storage, clock = MemoryStorage(), Clock()
    worker = handler(storage, clock)
    worker.start([PART])
    log = topic(20)
    for part in log[:9]:
        assert worker.handle(part) == {}
    assert worker.tick() == {}
    assert worker.handle(log[9]) == {PART: log[9]["offset"][0] + 1}
    assert worker.handle(log[10]) == {}
    clock.at += timedelta(minutes=5)
    assert worker.tick() == {PART: log[10]["offset"][0] + 1}
    assert [segment.rows for segment in committed(storage)] == [10, 1]
    assert_whole(storage, log)


@pytest.mark.row("S5")
def test_rows_are_the_events_as_they_were_beside_where_they_stood() -> None:
    storage = MemoryStorage()
    worker = handler(storage, Clock())
    worker.start([PART])
    worker.handle(messages([event("txn_1"), event("txn_2", 3)], 7))
    assert worker.drain([PART]) == {PART: 9}
    found = rows(storage)
    assert found.select(EVENT_SCHEMA.names()).equals(
        frame([event("txn_1"), event("txn_2", 3)]).select(EVENT_SCHEMA.names())
    )
    assert found["topic_offset"].to_list() == [7, 8]


@pytest.mark.row("S5")
def test_a_segment_is_cut_where_an_hour_ends_and_so_at_midnight() -> None:
    storage = MemoryStorage()
    start = datetime(2026, 11, 25, 23, 59, 58, tzinfo=UTC)
    log = topic(8, lambda n: start + timedelta(seconds=n))
    worker = handler(storage, Clock())
    worker.start([PART])
    worker.handle(pl.concat(log))
    worker.drain([PART])
    assert [f"{it.first_appended_at:%d %H}" for it in committed(storage)] == ["25 23", "26 00"]
    assert_whole(storage, log)


@pytest.mark.row("S5", "S7", "Y3")
@given(data=st.data())
@settings(max_examples=60)
def test_kills_and_workers_taken_for_dead_neither_lose_nor_double_a_message(data: st.DataObject) -> None:
    """Two workers believe to hold the partition, each may be killed at any time and starts again where segments end."""
    storage, clock = MemoryStorage(), Clock()
    log = topic(40, lambda n: NOW + timedelta(minutes=7 * n))
    offsets = [part["offset"][0] for part in log]
    workers: dict[int, tuple[LakeHandler, int]] = {}
    for _ in range(data.draw(st.integers(5, 40))):
        who = data.draw(st.integers(0, 1))
        if who not in workers or data.draw(st.integers(0, 5)) == 0:
            fresh = handler(storage, clock, records=data.draw(st.integers(1, 12)))
            workers[who] = (fresh, fresh.start([PART])[PART])
        worker, position = workers[who]
        ahead = [part for part, offset in zip(log, offsets, strict=True) if offset >= position]
        batch = ahead[: data.draw(st.integers(0, 9))]
        durable = worker.handle(pl.concat(batch)) if batch else worker.tick()
        if data.draw(st.booleans()):
            clock.at += timedelta(minutes=5)
            durable |= worker.tick()
        assert durable.get(PART, 0) <= max([segment.end for segment in committed(storage)], default=0)
        workers[who] = (worker, batch[-1]["offset"][0] + 1 if batch else position)
    last = handler(storage, clock, records=1)
    position = last.start([PART])[PART]
    rest = [part for part, offset in zip(log, offsets, strict=True) if offset >= position]
    if rest:
        last.handle(pl.concat(rest))
    assert_whole(storage, log)
    assert rows(storage).height == len(log)
    named = {segment.file for segment in committed(storage)}
    assert {file.path for file in storage.list("raw") if file.path.endswith(".parquet")} == named


@pytest.mark.row("S8")
def test_what_is_no_event_is_refused_once_and_its_place_is_covered() -> None:
    storage, refused = MemoryStorage(), list[pl.DataFrame]()
    worker = handler(storage, Clock(), refused)
    worker.start([PART])
    bad = messages([event("txn_1")], 1).with_columns(value=pl.lit(b"{"))
    worker.handle(pl.concat([messages([event("txn_0")], 0), bad, messages([event("txn_2")], 2)]))
    assert worker.drain([PART]) == {PART: 3}
    assert sum(part.height for part in refused) == 1
    assert [(it.start, it.end, it.rows) for it in committed(storage)] == [(0, 3, 2)]


def test_what_the_broker_no_longer_has_is_a_hole_that_shows(caplog: pytest.LogCaptureFixture) -> None:
    """Segments that pretended to join would hide a loss for ever."""
    storage = MemoryStorage()
    worker = handler(storage, Clock(), records=1)
    worker.start([PART])
    worker.handle(messages([event("txn_0")], 0))
    late = handler(storage, Clock(), oldest=50, records=1)
    assert late.start([PART]) == {PART: 50}
    assert "1 to 50" in caplog.text
    late.handle(messages([event("txn_1")], 50))
    assert [(it.start, it.end) for it in committed(storage)] == [(0, 1), (50, 51)]


def ten_segments() -> MemoryStorage:
    storage = MemoryStorage()
    worker = handler(storage, Clock(), records=1)
    worker.start([PART])
    for part in topic(10):
        worker.handle(part)
    return storage


@pytest.mark.row("S5")
def test_a_topic_that_ends_before_the_lake_is_refused_also_once_it_has_grown() -> None:
    """Taken as it is, every message below the lake's end would be left out without a word."""
    storage = ten_segments()
    end = committed(storage)[-1].end
    with pytest.raises(TopicMadeAnew) as told:
        handler(storage, Clock(), high=end - 1).start([PART])
    assert verdict(told.value).error_class == "permanent"
    assert f"{ANALYTICS_TRANSACTIONS}[0]: the lake ends at offset {end}, the topic at {end - 1}" in str(told.value)
    with pytest.raises(TopicMadeAnew, match=f"the topic at {end - 1}"):
        handler(storage, Clock(), high=end + 1).start([PART])
    later = datetime.now(UTC) + timedelta(days=2)
    assert sweep(storage, older_than=timedelta(days=1), now=later) == []


@pytest.mark.row("S5")
def test_a_topic_that_ends_where_the_lake_does_is_the_same_topic() -> None:
    storage = ten_segments()
    end = committed(storage)[-1].end
    assert handler(storage, Clock(), high=end).start([PART]) == {PART: end}


@pytest.mark.row("S5")
def test_a_topic_made_anew_under_a_worker_stops_it_and_what_it_held_is_kept() -> None:
    """What a worker holds of a topic that is gone, nobody else has."""
    storage, log = MemoryStorage(), topic(5)
    worker = handler(storage, Clock(), records=100)
    worker.start([PART])
    for part in log:
        worker.handle(part)
    with pytest.raises(TopicMadeAnew, match="went back to 1"):
        worker.handle(messages([event("txn_new")], 1))
    assert rows(storage)["topic_offset"].to_list() == [part["offset"][0] for part in log]
    with pytest.raises(TopicMadeAnew):
        handler(storage, Clock()).start([PART])


@pytest.mark.row("S5")
def test_a_batch_that_failed_half_way_may_come_again() -> None:
    """It is not a topic made anew: its messages were not handled yet."""
    storage, refused, log = MemoryStorage(), list[pl.DataFrame](), topic(3)

    def refuse(bad: pl.DataFrame) -> None:
        refused.append(bad)
        if len(refused) == 1:
            raise ConnectionError

    worker = LakeHandler(storage, refuse, lambda _: (0, 3), Flush(2), Clock())
    worker.start([PART])
    with pytest.raises(ConnectionError):
        worker.handle(pl.concat(log))
    worker.handle(pl.concat(log))
    worker.drain([PART])
    assert rows(storage).height == 3


@pytest.mark.row("S5")
def test_once_the_old_segments_are_moved_away_the_new_topic_is_read_whole() -> None:
    """The way out that the error tells of; the windows go on with the number that follows."""
    storage = ten_segments()
    (window,) = following(storage, 0, NOW)
    with pytest.raises(TopicMadeAnew, match="raw/transactions_stream out of the lake"):
        handler(storage, Clock(), high=2).start([PART])
    assert storage.read(MADE_ANEW)
    for file in list(storage.list("raw/transactions_stream")):
        storage.remove(file.path)
    worker = handler(storage, Clock(), high=2, records=1)
    assert worker.start([PART]) == {PART: 0}
    worker.handle(messages([event("txn_new"), event("txn_newer")], 0))
    assert rows(storage)["transaction_id"].to_list() == ["txn_new", "txn_newer"]
    (after,) = following(storage, window.number, NOW)
    assert (after.number, after.breaks) == (window.number + 1, ())
    assert after.ranges == {f"{ANALYTICS_TRANSACTIONS}-0": (0, 2)}


@pytest.mark.row("G5")
def test_old_segments_go_and_the_last_of_a_partition_stays() -> None:
    storage = MemoryStorage()
    worker = handler(storage, Clock(), records=1)
    worker.start([PART])
    for part in topic(3, lambda n: NOW + timedelta(days=n)):
        worker.handle(part)
    removed = segments.expire(storage, ANALYTICS_TRANSACTIONS, before=NOW + timedelta(days=1))
    assert removed == [segments.segment_path(ANALYTICS_TRANSACTIONS, 0, 0)]
    segments.expire(storage, ANALYTICS_TRANSACTIONS, before=NOW + timedelta(days=100))
    assert [it.start for it in committed(storage)] == [2]
    assert segments.ends(storage, ANALYTICS_TRANSACTIONS) == {0: 3}
    assert len(list(storage.list("raw"))) == 2


def test_a_sweep_takes_what_no_segment_names_and_nothing_else() -> None:
    """The rows of the stream have no manifest in their folder: a sweep that looked for one would empty the lake."""
    storage = MemoryStorage()
    worker = handler(storage, Clock(), records=1)
    worker.start([PART])
    worker.handle(messages([event("txn_0")], 0))
    held = [file.path for file in storage.list("raw")]
    orphan = committed(storage)[0].file.replace("part-", "part-dead")
    storage.replace(orphan, b"half", expected=None)
    storage.replace("raw/transactions_stream/_windows/1.json", b"{}", expected=None)
    later = datetime.now(UTC) + timedelta(days=2)
    assert sweep(storage, older_than=timedelta(days=1), now=later) == [orphan]
    assert [file.path for file in storage.list("raw")] == sorted([*held, "raw/transactions_stream/_windows/1.json"])
