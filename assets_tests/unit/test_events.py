"""Processed events on the wire: exact there and back, and each message that is none is named."""

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from payments_platform.contracts.streams import EVENT_COLUMNS, EVENT_SCHEMA
from payments_platform.streaming.events import REFUSAL, decode, encode
from payments_platform.streaming.messages import MESSAGES
from payments_platform.streaming.ndjson import ROW, read_objects

SAMPLE = {column.name: column.example for column in EVENT_COLUMNS}


def messages(values: list[bytes | None]) -> pl.DataFrame:
    rows = [
        ("analytics.transactions", 0, offset, datetime(2025, 1, 1, tzinfo=UTC), b"k", v)
        for offset, v in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=MESSAGES, orient="row")


@pytest.mark.row("S2")
def test_an_event_comes_back_as_it_was_sent() -> None:
    odd = {
        **SAMPLE,
        "amount": Decimal("-0.0001"),
        "amount_minor": 2**62,
        "created_at": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "updated_at": datetime(1, 1, 1, tzinfo=UTC),
        "description": 'line\nbreak, "quotes", 日本, \x00',
        "committed_at": None,
    }
    events = pl.DataFrame([SAMPLE, odd], schema=EVENT_SCHEMA)
    back, refused = decode(messages([text.encode() for text in encode(events)]))
    assert refused.is_empty()
    assert back.select(EVENT_SCHEMA.names()).equals(events)
    assert back["offset"].to_list() == [0, 1]


@pytest.mark.row("E3")
def test_every_message_is_an_event_or_refused_with_its_reason_and_no_value_of_it() -> None:
    good = encode(pl.DataFrame([SAMPLE], schema=EVENT_SCHEMA)).item().encode()
    bad = [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"null",
        b"{",
        good[:-1],
        good + good,
        b'{"epoch":"secret"}',
        b"{}",
        b'{"a":1}\n{"a":2}',
    ]
    values: list[bytes | None] = [good, *bad, good, None, good.replace(b",", b",\n")]
    events, refused = decode(messages(values))
    assert events["offset"].to_list() == [0, 11, 13]
    assert refused["offset"].to_list() == list(range(1, 11))
    assert refused[REFUSAL].null_count() == 0
    assert not refused[REFUSAL].str.contains("secret").any()


def test_of_many_objects_each_unfit_one_is_found() -> None:
    values = [b'{"a":%d}' % n if n % 97 else b'{"a":"x"}' for n in range(1000)]
    rows, refused = read_objects(values, pl.Schema({"a": pl.Int64()}))
    assert sorted(refused) == list(range(0, 1000, 97))
    assert rows[ROW].to_list() == rows["a"].to_list()
