"""Processed events for tests, as frames that a sink gets, and what a store must hold after them in whatever order.

Belongs here: making events, a model of the merge of a few lines, histories for property tests. Does not: any store.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

from payments_platform.contracts.streams import EVENT_COLUMNS, EVENT_SCHEMA, FULL, PARTIAL
from payments_platform.streaming.events import encode
from payments_platform.streaming.messages import MESSAGES
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

Event = dict[str, Any]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
_SAMPLE = {column.name: column.example for column in EVENT_COLUMNS}
_JOINED = ("customer_country_code", "customer_segment", "customer_status", "merchant_name", "merchant_status")
_PLACE = ("topic", "partition", "offset", "timestamp", "key")


def event(transaction_id: str, version: int = 1, enrichment: int = FULL, epoch: int = 1, **fields: Any) -> Event:  # noqa: ANN401 - cells
    """One event; its status, amounts and times tell its version apart from others."""
    joined = dict.fromkeys(_JOINED) if enrichment == PARTIAL else {}
    return {
        **_SAMPLE,
        "transaction_id": transaction_id,
        "epoch": epoch,
        "version": version,
        "enrichment": enrichment,
        "op": "c" if version == 1 else "u",
        "status": ("pending", "processing", "succeeded", "disputed")[version % 4],
        "previous_status": None,
        "captured_minor": version * 10,
        "description": f"Order of {transaction_id}" if version % 2 else None,
        "metadata": '{"order":"%s"}' % ("x" * 50 * version),
        "created_at": NOW - timedelta(days=1, milliseconds=len(transaction_id)),
        "updated_at": NOW - timedelta(seconds=100 - version),
        "committed_at": NOW - timedelta(seconds=100 - version),
        "processed_at": NOW,
        **joined,
        **fields,
    }


def deleted(transaction_id: str, version: int, **fields: Any) -> Event:  # noqa: ANN401 - cells
    """The delete that made this version."""
    return event(transaction_id, version, op="d", is_deleted=True, **fields)


def frame(events: Sequence[Event], first: int = 0) -> pl.DataFrame:
    """Events beside the columns of their messages, at offsets from ``first`` on."""
    rows = [
        {**it, "topic": ANALYTICS_TRANSACTIONS, "partition": 0, "offset": first + n, "timestamp": NOW, "key": b"{}"}
        for n, it in enumerate(events)
    ]
    places = {name: MESSAGES[name] for name in _PLACE}
    return pl.DataFrame(rows, schema=pl.Schema({**places, **EVENT_SCHEMA}))


def messages(events: Sequence[Event], first: int = 0, partition: int = 0, at: datetime = NOW) -> pl.DataFrame:
    """The same as messages of the topic."""
    values: list[str] = encode(frame(events)).to_list()
    rows = [(ANALYTICS_TRANSACTIONS, partition, first + n, at, b"{}", text.encode()) for n, text in enumerate(values)]
    return pl.DataFrame(rows, schema=MESSAGES, orient="row")


def position(it: Event) -> tuple[int, int, int]:
    """What decides which of two events of a payment is the later one."""
    return (it["epoch"], it["version"], it["enrichment"])


def current(events: Sequence[Event]) -> dict[str, Event]:
    """By payment the event that every store must show, whatever order they came in."""
    return {it["transaction_id"]: it for it in sorted(events, key=position)}


def states(events: Sequence[Event]) -> dict[tuple[str, int, int], Event]:
    """By payment, epoch and version the event that the lifecycle must show."""
    return {(it["transaction_id"], it["epoch"], it["version"]): it for it in sorted(events, key=position)}


@st.composite
def _history(draw: st.DrawFn, transaction_id: str) -> list[Event]:
    """Versions of a payment, some partial and again full, perhaps deleted, perhaps captured again after a failover."""
    found: list[Event] = []
    last = draw(st.integers(1, 4))
    for version in range(1, last + 1):
        kinds = draw(st.sampled_from([(FULL,), (PARTIAL, FULL), (PARTIAL,)]))
        found += [event(transaction_id, version, kind) for kind in kinds]
    if draw(st.booleans()):
        found.append(deleted(transaction_id, last + 1))
    elif draw(st.booleans()):
        # The replica that took over had not seen the last version: the same number means another row now.
        found.append(event(transaction_id, last, epoch=2, status="failed"))
    return found


@st.composite
def deliveries(draw: st.DrawFn) -> list[Event]:
    """Histories of a few payments, shuffled and partly repeated: late, twice, deletes first, partials last."""
    known = [it for n in range(draw(st.integers(1, 3))) for it in draw(_history(f"txn_{n}"))]
    again = draw(st.lists(st.sampled_from(known), max_size=4))
    return draw(st.permutations([*known, *again]))


def batches(events: Sequence[Event], size: int) -> list[pl.DataFrame]:
    """A delivery in batches, offsets running on."""
    return [frame(events[n : n + size], n) for n in range(0, len(events), size)]
