"""Counters of the stream: each change counts once, in its minute or as late, however the input was cut."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.fakes.changes import NOON
from payments_platform.contracts.counters import COUNTERS, DELETED, Counted
from payments_platform.streaming.counter_state import Restored, restore
from payments_platform.streaming.counters import Clock, add_up, count
from payments_platform.streaming.outgoing import Outgoing
from payments_platform.streaming.tally import Tally
from payments_platform.vocabulary import OPS_METRICS, STATE_COUNTERS

SCHEMA = pl.Schema(
    {
        "partition": pl.Int32(),
        "timestamp": pl.Datetime("ms", "UTC"),
        "updated_at": pl.Datetime("us", "UTC"),
        "is_snapshot": pl.Boolean(),
        "is_deleted": pl.Boolean(),
        "currency": pl.String(),
        "merchant_id": pl.String(),
        "status": pl.String(),
        "amount_minor": pl.Int64(),
    }
)


def change(minute: float, arrived: float | None = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any column
    row = {
        "partition": 0,
        "timestamp": NOON + timedelta(minutes=minute if arrived is None else arrived),
        "updated_at": NOON + timedelta(minutes=minute),
        "is_snapshot": False,
        "is_deleted": False,
        "currency": "EUR",
        "merchant_id": "mer_1",
        "status": "succeeded",
        "amount_minor": 100,
    }
    return {**row, **fields}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def counts(added: pl.DataFrame) -> dict[tuple[str, datetime], int]:
    return {(row["counted"], row["minute_at"]): row["changes"] for row in added.iter_rows(named=True)}


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


@pytest.mark.row("S2")
def test_a_change_counts_in_the_minute_of_its_event_and_after_the_allowed_lateness_apart() -> None:
    """Twelve minutes and the minute itself: later than that it is counted when it arrives, and never dropped."""
    added, _ = count(frame(change(0), change(13.5), change(0.4), change(14, 14.2), change(0.9)), {})
    assert counts(added) == {
        (Counted.ON_TIME, minute(0)): 1,
        (Counted.ON_TIME, minute(13)): 1,
        (Counted.ON_TIME, minute(14)): 1,
        (Counted.LATE, minute(13)): 1,
        (Counted.LATE, minute(14)): 1,
    }
    late, _ = count(frame(change(20), change(0.4, arrived=20.5)), {})
    assert counts(late)[Counted.LATE, minute(20)] == 1


def test_a_time_far_ahead_closes_no_minute() -> None:
    ahead = change(0, updated_at=datetime(9999, 12, 31, tzinfo=UTC))
    added, clocks = count(frame(change(0), ahead, change(0)), {})
    assert counts(added)[Counted.ON_TIME, minute(0)] == 2
    assert clocks[0].event_at == NOON


def test_snapshots_and_deletes_are_no_status_changes_and_are_counted_as_what_they_are() -> None:
    rows = frame(change(-5000, arrived=1, is_snapshot=True), change(1, is_deleted=True), change(1, status=None))
    added, _ = count(rows, {})
    told = {(row["counted"], row["status"]) for row in added.iter_rows(named=True)}
    assert told == {(Counted.SNAPSHOT, "succeeded"), (Counted.ON_TIME, DELETED), (Counted.ON_TIME, None)}


def test_an_arrival_dated_back_falls_into_no_minute_that_is_closed() -> None:
    """A closed minute's counter would start at nothing again, below what has been told of it."""
    added, _ = count(frame(change(30, is_snapshot=True), change(29, arrived=0, is_snapshot=True)), {})
    assert counts(added) == {(Counted.SNAPSHOT, minute(30)): 2}
    again, _ = count(frame(change(0, is_snapshot=True)), {0: Clock(NOON, minute(45))})
    assert counts(again) == {(Counted.SNAPSHOT, minute(45)): 1}


def test_sums_hold_more_than_64_bits() -> None:
    added, _ = count(frame(*(change(0, amount_minor=2**62) for _ in range(8)), change(0, amount_minor=None)), {})
    assert added["amount_minor"].item() == 2**65
    assert added["changes"].item() == 9


ROWS = st.lists(
    st.builds(
        lambda at, lag, snapshot, partition, merchant: change(
            at, at + lag, is_snapshot=snapshot, partition=partition, merchant_id=merchant
        ),
        st.integers(-30, 40),
        st.integers(0, 30),
        st.booleans(),
        st.integers(0, 1),
        st.sampled_from(["mer_1", "mer_2", None]),
    ),
    max_size=30,
)


@given(rows=ROWS, cuts=st.lists(st.integers(0, 30), max_size=4))
def test_however_the_input_is_cut_the_counters_are_the_same(rows: list[dict[str, Any]], cuts: list[int]) -> None:
    whole, end = count(frame(*rows), {})
    parts, clocks = [pl.DataFrame(schema=COUNTERS)], dict[int, Clock]()
    places = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for first, last in pairwise(places):
        added, clocks = count(frame(*rows[first:last]), clocks)
        parts.append(added)
    assert clocks == end
    assert add_up(*parts).sort(pl.all()).equals(add_up(whole).sort(pl.all()))
    assert whole["changes"].sum() == len(rows)


def stored(messages: list[Outgoing], topic: str) -> list[tuple[int, bytes, bytes | None]]:
    def encoded(text: str | bytes | None) -> bytes | None:
        return text.encode() if isinstance(text, str) else text

    return [
        (sent.partition, encoded(key) or b"", encoded(value))
        for sent in messages
        if sent.topic == topic
        for key, value in zip(sent.keys, sent.values, strict=True)
    ]


@given(rows=ROWS, stops=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=4))
def test_killed_anywhere_and_counted_again_from_the_checkpoint_the_totals_are_the_same(
    rows: list[dict[str, Any]], stops: list[tuple[int, int]]
) -> None:
    """A counter lost or doubled by a restart is a wrong figure that nobody can see."""
    rows = [row for row in rows if row["partition"] == 0]
    state, totals = list[tuple[int, bytes, bytes | None]](), list[tuple[int, bytes, bytes | None]]()
    for written_at, killed_at in [*stops, (len(rows), len(rows))]:
        restored = restore(state)
        tally = Tally.of(restored)
        start = restored.checkpoints[0].offset if restored.checkpoints else 0
        for place in range(start, min(max(written_at, killed_at), len(rows))):
            if place == killed_at:
                break
            tally = tally.counted(frame(rows[place]), {0: place + 1})
            if place + 1 == written_at:
                tally, messages = tally.checkpoint()
                state += stored(messages, STATE_COUNTERS)
                totals += stored(messages, OPS_METRICS)
    expected, _ = count(frame(*rows), {})
    latest = {key: value for _, key, value in totals}
    assert len(latest) == expected.height
    changes = sorted(int((value or b"").split(b'"changes":')[1].split(b",")[0]) for value in latest.values())
    assert changes == sorted(expected["changes"])


def test_a_closed_minute_leaves_the_state_and_an_open_one_stays() -> None:
    tally, _ = Tally.of(Restored()).counted(frame(change(0), change(1)), {0: 2}).checkpoint()
    tally, messages = tally.counted(frame(change(13.5)), {0: 3}).checkpoint()
    state = stored(messages, STATE_COUNTERS)
    assert [value for _, key, value in state if b"12:00" in key and b"minute" in key] == [None]
    assert sorted(tally.written["minute_at"]) == [minute(1), minute(13)]
    assert restore(state).checkpoints[0].offset == 3
