"""The processor: each change told once in effect, whole in the end, whatever order, repetition or kill."""

from datetime import datetime, timedelta
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from assets_tests.fakes.changes import (
    NOON,
    PAYMENTS,
    MemoryFeed,
    MemoryOutlet,
    Row,
    changed,
    customer,
    merchant,
    messages,
    payment,
)
from payments_platform.streaming.dead_letters import KEPT_BYTES
from payments_platform.streaming.failures import TransactionAborted
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.positions import Positions
from payments_platform.streaming.processor import COUNTER_SECONDS, Processor
from payments_platform.vocabulary import (
    ANALYTICS_TRANSACTIONS,
    FRAUD_CANDIDATES,
    FRAUD_SIGNALS,
    OPS_METRICS,
    STATE_PARTIALS,
    dead_letters,
)

Change = tuple[bytes | None, bytes | None]


class Bench:
    """A processor between a feed and topics in memory; ``restart`` puts a new one in its place."""

    def __init__(self, *known: Row) -> None:
        self.feed, self.outlet, self.registry = MemoryFeed(), MemoryOutlet(), CollectorRegistry()
        self.now = NOON + timedelta(minutes=1)
        self.dimensions: list[Any] = []
        self.learn(*known)
        self.start: Positions = {}
        self.restart()

    def learn(self, *rows: Row | tuple[Row | None, Row]) -> None:
        self.dimensions += rows
        self.feed.come(*rows)

    def restart(self) -> None:
        self.feed, self.registry = MemoryFeed(), CollectorRegistry()
        self.feed.come(*self.dimensions)
        metrics = WorkerMetrics("processor", self.registry)
        self.processor = Processor(self.feed, self.outlet, self.outlet, metrics, self._clock)
        self.start = self.processor.start([(PAYMENTS, 0)])

    def read_from(self) -> int:
        return self.start.get((PAYMENTS, 0), self.outlet.committed.get((PAYMENTS, 0), 0))

    def handle(self, *changes: Change, first: int = 0) -> None:
        self.processor.handle(messages(changes, first=first))

    def wait(self, seconds: float = COUNTER_SECONDS) -> None:
        self.now += timedelta(seconds=seconds)
        self.processor.tick()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"payments_stream_{name}", {"worker": "processor", **labels})

    def _clock(self) -> datetime:
        return self.now


def state(event: dict[str, Any]) -> tuple[Any, ...]:
    return (event["transaction_id"], event["version"], event["enrichment"])


def final(outlet: MemoryOutlet) -> dict[str, dict[str, Any]]:
    """What a store holds that keeps the highest position of each payment."""
    kept: dict[str, dict[str, Any]] = {}
    for event in outlet.values(ANALYTICS_TRANSACTIONS):
        old = kept.get(event["transaction_id"])
        position = ("epoch", "version", "enrichment")
        if old is None or [event[name] for name in position] >= [old[name] for name in position]:
            kept[event["transaction_id"]] = {k: v for k, v in event.items() if k != "processed_at"}
    return kept


@pytest.mark.row("S2")
def test_a_payment_is_told_with_its_customer_and_merchant_to_the_topics_it_is_for() -> None:
    bench = Bench(customer(), merchant())
    paid = payment(2, status="succeeded", description="card 4242 4242 4242 4242")
    bench.handle(changed(payment(1)), changed(paid), changed(payment(1, 2, status="failed"), payment(1)))
    events = bench.outlet.values(ANALYTICS_TRANSACTIONS)
    assert [state(event) for event in events] == [("txn_1", 1, 1), ("txn_2", 1, 1), ("txn_1", 2, 1)]
    assert {event["customer_segment"] for event in events} == {"consumer"}
    assert {event["merchant_name"] for event in events} == {"Sample Shop"}
    assert events[1]["description"] == "card [PAN]"
    assert events[2]["previous_status"] == "processing"
    assert [state(event) for event in bench.outlet.values(FRAUD_CANDIDATES)] == [("txn_1", 1, 1)]
    assert bench.outlet.values(FRAUD_SIGNALS) == []
    assert bench.outlet.committed == {(PAYMENTS, 0): 3}
    counters = {(one["status"], one["changes"]) for one in bench.outlet.values(OPS_METRICS)}
    assert counters == {("processing", 1), ("succeeded", 1), ("failed", 1)}
    assert bench.metric("delay_seconds_count") == 3


@pytest.mark.row("E3")
def test_an_event_whose_customer_is_late_is_told_at_once_and_again_whole() -> None:
    bench = Bench(merchant())
    bench.handle(changed(payment(1)), changed(payment(2, customer_id="cus_2")))
    bench.wait(5)
    assert bench.metric("partials") == 2
    assert bench.metric("oldest_partial_seconds") == 5
    bench.learn(customer())
    bench.wait(0)
    assert [state(event) for event in bench.outlet.values(ANALYTICS_TRANSACTIONS)] == [
        ("txn_1", 1, 0),
        ("txn_2", 1, 0),
        ("txn_1", 1, 1),
    ]
    assert bench.metric("partials") == 1
    assert len(bench.outlet.values(FRAUD_CANDIDATES)) == 2


@pytest.mark.row("E3")
def test_an_event_waits_over_a_restart_and_a_customer_that_comes_meanwhile_completes_it() -> None:
    bench = Bench(merchant())
    bench.handle(changed(payment(1)))
    bench.dimensions.append(customer())
    bench.restart()
    bench.processor.tick()
    assert state(bench.outlet.values(ANALYTICS_TRANSACTIONS)[-1]) == ("txn_1", 1, 1)
    bench.restart()
    bench.processor.tick()
    assert len(bench.outlet.values(ANALYTICS_TRANSACTIONS)) == 2


def test_one_that_names_nobody_stays_partial_and_waits_for_nothing() -> None:
    bench = Bench(customer(), merchant())
    bench.handle(changed(payment(1, customer_id=None)))
    bench.wait()
    assert state(bench.outlet.values(ANALYTICS_TRANSACTIONS)[0]) == ("txn_1", 1, 0)
    assert bench.metric("partials") == 0
    assert bench.outlet.values(STATE_PARTIALS) == []


def test_dimensions_keep_the_highest_version_and_forget_who_was_deleted() -> None:
    bench = Bench(merchant(), customer(version=2, segment="vip"), customer(version=1, segment="business"))
    bench.handle(changed(payment(1)))
    bench.learn((None, customer(version=2)))
    bench.learn(customer(version=2, segment="business"))
    bench.handle(changed(payment(2)), first=1)
    told = bench.outlet.values(ANALYTICS_TRANSACTIONS)
    assert [event["customer_segment"] for event in told] == ["vip", None]


@pytest.mark.row("E3")
def test_what_cannot_be_read_or_may_not_follow_is_a_dead_letter_and_the_rest_goes_on() -> None:
    bench = Bench(customer(), merchant())
    illegal = changed(payment(2, 2, status="pending"), payment(2, status="refunded"))
    bench.feed.waiting.append(messages([(b"?", b"?")], name="oltp.customers"))
    bench.handle(changed(payment(1)), (b"k", b"junk"), illegal, changed(None, payment(1)), (b"k", None))
    assert [state(event) for event in bench.outlet.values(ANALYTICS_TRANSACTIONS)] == [("txn_1", 1, 1), ("txn_1", 2, 1)]
    assert bench.outlet.values(dead_letters(PAYMENTS)) == ["not-json", "transition"]
    assert bench.outlet.values(dead_letters("oltp.customers")) == ["not-json"]
    assert bench.outlet.committed == {(PAYMENTS, 0): 5}
    assert bench.metric("dead_letters_total", **{"class": "not-json"}) == 2


@pytest.mark.row("E3")
def test_an_event_too_large_for_a_message_is_a_dead_letter_and_its_neighbours_are_told() -> None:
    """Refused by the broker instead, it would undo its whole batch, for ever."""
    bench = Bench(customer(), merchant())
    huge, large = payment(2, description="x" * KEPT_BYTES), payment(3, description="x" * 2_000_000)
    bench.handle(changed(payment(1)), changed(huge), changed(large))
    told = [state(event)[0] for event in bench.outlet.values(ANALYTICS_TRANSACTIONS)]
    assert told == ["txn_1", "txn_3"]
    assert bench.outlet.values(dead_letters(PAYMENTS)) == ["oversize"]
    assert bench.outlet.committed == {(PAYMENTS, 0): 3}


@pytest.mark.row("E3")
def test_a_changed_table_is_announced_once() -> None:
    bench = Bench(customer(), merchant())
    for first in range(3):
        bench.handle(changed(payment(first, risk="high")), first=first)
    drift = [one for one in bench.outlet.values(OPS_METRICS) if one["kind"] == "drift"]
    assert drift == [{"kind": "drift", "table": "transactions", "column": "risk", "what": "unknown column"}]


@pytest.mark.row("Y2")
def test_a_batch_that_is_undone_is_told_once_when_it_is_handled_again() -> None:
    bench = Bench(merchant())
    bench.outlet.failures = [TransactionAborted("undone"), TransactionAborted("undone")]
    batch = messages([changed(payment(1)), changed(payment(2, customer_id="cus_2"))])
    for _ in range(2):
        with pytest.raises(TransactionAborted):
            bench.processor.handle(batch)
    bench.learn(customer("cus_2"))
    bench.processor.handle(batch)
    bench.wait()
    told = [state(event) for event in bench.outlet.values(ANALYTICS_TRANSACTIONS)]
    assert told == [("txn_1", 1, 0), ("txn_2", 1, 1)]
    assert sum(one["changes"] for one in bench.outlet.values(OPS_METRICS)) == 2


@pytest.mark.row("Y2")
def test_counters_that_were_not_written_are_counted_again_without_telling_the_events_again() -> None:
    bench = Bench(customer(), merchant())
    bench.handle(changed(payment(1)))
    bench.handle(changed(payment(2)), changed(payment(3)), first=1)
    assert [one["changes"] for one in bench.outlet.values(OPS_METRICS)] == [1]
    bench.restart()
    assert bench.read_from() == 1
    bench.handle(changed(payment(2)), changed(payment(3)), first=1)
    bench.wait()
    assert [one["changes"] for one in bench.outlet.values(OPS_METRICS)] == [1, 3]
    assert len(bench.outlet.values(ANALYTICS_TRANSACTIONS)) == 3


def test_a_worker_that_stalled_past_its_session_writes_nothing_more_whatever_wakes_it() -> None:
    """Its counters are older than the new owner's: written last, they would be the totals that count."""
    bench = Bench(customer(), merchant())
    bench.handle(changed(payment(1)))
    bench.handle(changed(payment(2)), first=1)
    stalled, before = bench.processor, list(bench.outlet.log)
    bench.outlet.is_expelled = True
    bench.now += timedelta(seconds=COUNTER_SECONDS)
    with pytest.raises(TransactionAborted):
        stalled.tick()
    with pytest.raises(TransactionAborted):
        stalled.drain([(PAYMENTS, 0)])
    assert bench.outlet.log == before
    bench.outlet.is_expelled = False
    bench.restart()
    assert bench.read_from() == 1
    bench.outlet.is_expelled = True
    with pytest.raises(TransactionAborted):
        bench.handle(changed(payment(2)), first=1)
    assert bench.outlet.log == before


def test_a_tick_without_input_moves_no_position() -> None:
    bench = Bench(customer(), merchant())
    bench.handle(changed(payment(1)))
    bench.handle(changed(payment(2)), first=1)
    bench.wait()
    assert bench.outlet.committed == {(PAYMENTS, 0): 2}
    assert [one["changes"] for one in bench.outlet.values(OPS_METRICS)] == [1, 2]


def test_a_partition_that_leaves_takes_its_state_along() -> None:
    bench = Bench(merchant())
    bench.handle(changed(payment(1)))
    bench.handle(changed(payment(2)), first=1)
    bench.processor.drain([(PAYMENTS, 0)])
    bench.processor.forget([(PAYMENTS, 0)])
    bench.learn(customer())
    bench.wait()
    assert all(event["enrichment"] == 0 for event in bench.outlet.values(ANALYTICS_TRANSACTIONS))
    bench.processor.start([(PAYMENTS, 0)])
    bench.processor.tick()
    assert {state(event) for event in bench.outlet.values(ANALYTICS_TRANSACTIONS)} >= {("txn_1", 1, 1), ("txn_2", 1, 1)}


def lives() -> list[Change]:
    """Three payments' whole lives, one of them deleted, of two customers."""
    changes: list[Change] = []
    for number in range(3):
        rows = [payment(number, version, customer_id=f"cus_{number % 2}") for version in (1, 2, 3)]
        rows[1]["status"], rows[2]["status"] = "succeeded", "disputed"
        changes += [changed(rows[0]), changed(rows[1], rows[0]), changed(rows[2], rows[1])]
        if number == 2:
            changes += [changed(None, rows[2]), (changes[-1][0], None)]
    return changes


def told_straight() -> dict[str, dict[str, Any]]:
    bench = Bench(customer("cus_0"), customer("cus_1"), merchant())
    bench.handle(*lives())
    return final(bench.outlet)


STRAIGHT = told_straight()


@pytest.mark.row("Y2")
@settings(max_examples=40)
@given(
    order=st.permutations(lives()),
    again=st.lists(st.integers(0, len(lives()) - 1), max_size=5),
    dimensions=st.permutations([customer("cus_0"), customer("cus_1"), merchant()]),
    moments=st.lists(st.integers(0, 20), min_size=3, max_size=3),
    size=st.integers(1, 6),
    kills=st.sets(st.integers(0, 12), max_size=4),
    aborts=st.sets(st.integers(0, 12), max_size=4),
)
def test_shuffled_repeated_delayed_and_killed_the_last_events_are_the_same(
    order: list[Change],
    again: list[int],
    dimensions: list[Row],
    moments: list[int],
    size: int,
    kills: set[int],
    aborts: set[int],
) -> None:
    topic = [*order, *(order[place] for place in again)]
    due = sorted(zip(moments, range(3), strict=True))
    bench, round_, place = Bench(), 0, 0
    while place < len(topic) or due:
        for _, which in [one for one in due if one[0] <= round_]:
            bench.learn(dimensions[which])
        due = [one for one in due if one[0] > round_]
        batch = topic[place : place + size]
        if round_ in aborts:
            bench.outlet.failures = [TransactionAborted("undone")]
        if round_ in kills:
            bench.outlet.after = [SystemExit()]
        try:
            if batch:
                bench.handle(*batch, first=place)
            place += len(batch)
            bench.wait()
        except TransactionAborted:
            bench.outlet.failures = []
        except SystemExit:
            bench.restart()
            place = bench.read_from()
        bench.outlet.after = []
        round_ += 1
    bench.wait()
    assert final(bench.outlet) == STRAIGHT
    changes = sum(1 for _, value in topic if value is not None)
    assert changes <= len(bench.outlet.values(ANALYTICS_TRANSACTIONS)) <= 2 * changes
    assert bench.metric("partials") == 0
    totals = {key: orjson.loads(value or b"") for name, _, key, value in bench.outlet.log if name == OPS_METRICS}
    assert sum(total["changes"] for total in totals.values()) == changes


def test_the_messages_of_a_payment_stay_in_the_partition_of_its_changes() -> None:
    bench = Bench(customer(), merchant())
    other = messages([changed(payment(2))], partition=3)
    bench.processor.handle(pl.concat([messages([changed(payment(1))]), other]))
    places = {(number, orjson.loads(key or b"")["transaction_id"]) for name, number, key, _ in bench.outlet.log
              if name == ANALYTICS_TRANSACTIONS}  # fmt: skip
    assert places == {(0, "txn_1"), (3, "txn_2")}
