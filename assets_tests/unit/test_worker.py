"""The worker loop: what is committed is durable, what is not is read again, and nothing waits for ever."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from threading import Event

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from assets_tests.fakes.stream import MemoryBroker, MemorySource
from payments_platform.streaming.handler import Handler
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.positions import Partition, Positions, ends
from payments_platform.streaming.source import Pace
from payments_platform.streaming.worker import Worker

TOPIC = "oltp.transactions"


@dataclass
class Store(Handler):
    """A sink that may hold messages, be down for some calls, and stops the worker when it has seen enough."""

    stop: Event
    enough: int
    hold: int = 0
    down: int = 0
    failure: Exception = field(default_factory=ConnectionRefusedError)
    on_failure: Callable[[], None] = lambda: None
    written: list[tuple[int, int]] = field(default_factory=list)
    held: pl.DataFrame | None = None
    closed: bool = False
    seen: int = 0

    def handle(self, messages: pl.DataFrame) -> Positions:
        if self.down:
            self.down -= 1
            self.on_failure()
            raise self.failure
        self.seen += messages.height
        if self.seen >= self.enough:
            self.stop.set()
        self.held = messages if self.held is None else pl.concat([self.held, messages])
        return self._write() if self.held.height > self.hold else {}

    def drain(self, partitions: Collection[Partition]) -> Positions:
        return self._write()

    def forget(self, partitions: Collection[Partition]) -> None:
        self.held = None

    def close(self) -> None:
        self.closed = True

    def _write(self) -> Positions:
        if self.held is None:
            return {}
        written, self.held = self.held, None
        self.written += written.select("partition", "offset").rows()
        return ends(written)


@dataclass
class Mortal(Store):
    """A store whose process is killed after some turns: no drain, no commit, no goodbye."""

    turns: int = 1

    def tick(self) -> Positions:
        self.turns -= 1
        if self.turns <= 0:
            raise SystemExit
        return {}


class Time:
    """Each look at the clock is some seconds later, so that no test waits."""

    def __init__(self, step: float = 0.3) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def broker_of(*counts: int) -> MemoryBroker:
    broker = MemoryBroker({TOPIC: len(counts)})
    for number, count in enumerate(counts):
        for offset in range(count):
            broker.append(TOPIC, b"k", b"%d" % offset, number)
    return broker


def worker(
    source: MemorySource, store: Store, registry: CollectorRegistry | None = None, pace: Pace | None = None
) -> Worker:
    metrics = WorkerMetrics("sink", registry or CollectorRegistry())
    return Worker("sink", source, store, metrics, pace=pace or Pace(batch=10), stop=store.stop, clock=Time())


def all_of(broker: MemoryBroker) -> list[tuple[int, int]]:
    return [(number, offset) for (_, number), stored in broker.log.items() for offset in range(len(stored))]


@pytest.mark.row("S7")
def test_an_orderly_end_leaves_nothing_unwritten_and_commits_all_of_it() -> None:
    broker, stop = broker_of(25, 25), Event()
    source, store = MemorySource(broker, "g", [TOPIC]), Store(stop, enough=50, hold=1000)
    worker(source, store).run()
    assert sorted(store.written) == all_of(broker)
    assert broker.committed["g"] == {(TOPIC, 0): 25, (TOPIC, 1): 25}
    assert store.closed
    assert source.closed


@pytest.mark.row("E1")
def test_a_store_that_is_down_pauses_the_worker_and_gets_the_same_messages_later() -> None:
    broker, stop, registry = broker_of(30), Event(), CollectorRegistry()
    source, store = MemorySource(broker, "g", [TOPIC]), Store(stop, enough=30, down=6)
    paused: list[bool] = []
    store.on_failure = lambda: paused.append(source._paused)
    worker(source, store, registry).run()
    assert store.written == all_of(broker)
    assert paused == [False, True, True, True, True, True]
    assert source.polls > 6 + 3
    assert not source._paused
    assert registry.get_sample_value("payments_stream_pauses_total", {"worker": "sink"}) == 6
    assert registry.get_sample_value("payments_stream_paused", {"worker": "sink"}) == 0


def test_messages_that_a_handler_holds_are_not_committed() -> None:
    """Committed and then lost with the process, they would reach no store."""
    broker = broker_of(25)
    with pytest.raises(SystemExit):
        worker(MemorySource(broker, "g", [TOPIC]), Mortal(Event(), enough=10**9, hold=1000, turns=9)).run()
    assert broker.committed == {}
    again = Store(Event(), enough=25)
    worker(MemorySource(broker, "g", [TOPIC]), again).run()
    assert again.written == all_of(broker)


@pytest.mark.row("E2")
def test_an_error_that_no_retry_heals_ends_the_worker_at_once_and_commits_nothing_of_the_batch() -> None:
    broker, stop = broker_of(30), Event()
    source = MemorySource(broker, "g", [TOPIC])
    store = Store(stop, enough=30, down=1, failure=ValueError("the store refuses the login"))
    with pytest.raises(ValueError, match="refuses the login"):
        worker(source, store).run()
    assert broker.committed == {}
    assert store.closed
    assert source.closed


@pytest.mark.parametrize("losing", [False, True], ids=["revoked", "lost"])
def test_a_partition_that_leaves_while_the_store_is_down_leaves_its_messages_to_the_next_owner(losing: bool) -> None:
    """Written here as well they would come twice, committed here they would never be written."""
    broker, stop = broker_of(10, 10), Event()
    source, store = MemorySource(broker, "g", [TOPIC]), Store(stop, enough=20, down=2)
    store.enough = 10
    store.on_failure = lambda: source.move([(TOPIC, 0)], losing=losing)
    worker(source, store, pace=Pace(batch=100)).run()
    assert store.written == [(0, offset) for offset in range(10)]
    assert broker.committed["g"] == {(TOPIC, 0): 10}


def test_a_stop_signal_ends_the_wait_for_a_store_that_stays_down() -> None:
    broker, stop = broker_of(10), Event()
    store = Store(stop, enough=10, down=1000)
    calls = iter(range(1000))
    store.on_failure = lambda: stop.set() if next(calls) == 3 else None
    worker(MemorySource(broker, "g", [TOPIC]), store).run()
    assert store.written == []
    assert broker.committed == {}
    assert store.closed


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=3),
    kills=st.lists(st.integers(1, 30), max_size=4),
    hold=st.integers(0, 20),
)
def test_whatever_is_killed_everything_is_written_and_no_position_passes_what_is(
    counts: list[int], kills: list[int], hold: int
) -> None:
    broker, written = broker_of(*counts), set[tuple[int, int]]()
    for turns in kills:
        store = Mortal(Event(), enough=10**9, hold=hold, turns=turns)
        with pytest.raises(SystemExit):
            worker(MemorySource(broker, "g", [TOPIC]), store, pace=Pace(batch=3)).run()
        written |= set(store.written)
        committed = broker.committed.get("g", {})
        assert all((number, offset) in written for (_, number), end in committed.items() for offset in range(end))
    left = sum(counts) - sum(broker.committed.get("g", {}).values())
    if left:
        last = Store(Event(), enough=left, hold=hold)
        worker(MemorySource(broker, "g", [TOPIC]), last).run()
        written |= set(last.written)
    assert sorted(written) == all_of(broker)


def test_a_scrape_tells_lag_batches_and_delays_by_worker() -> None:
    registry = CollectorRegistry()
    metrics = WorkerMetrics("sink", registry)
    metrics.lags({("t", 0): 5, ("t", 1): 7})
    metrics.lags({("t", 1): 6})
    metrics.delay(pl.Series([0.05, 0.4, None, 9.0, 99999.0]))
    metrics.delay(pl.Series([], dtype=pl.Float64))
    assert registry.get_sample_value("payments_stream_lag", {"worker": "sink", "topic": "t", "partition": "0"}) is None
    assert registry.get_sample_value("payments_stream_lag", {"worker": "sink", "topic": "t", "partition": "1"}) == 6

    def below(edge: str) -> float | None:
        return registry.get_sample_value("payments_stream_delay_seconds_bucket", {"worker": "sink", "le": edge})

    assert [below(edge) for edge in ("0.05", "0.3", "0.5", "10.0", "3600.0", "+Inf")] == [1, 1, 2, 3, 3, 4]
    assert registry.get_sample_value("payments_stream_delay_seconds_count", {"worker": "sink"}) == 4
