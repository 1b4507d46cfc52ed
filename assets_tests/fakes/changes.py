"""Change messages as the connector writes them, and a processor's surroundings in memory.

Belongs here: envelopes of payments, customers and merchants; feed, memory and outlet without a broker. Does not: any
Kafka.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl

from payments_platform.streaming import counter_state
from payments_platform.streaming.failures import TransactionAborted
from payments_platform.streaming.messages import MESSAGES
from payments_platform.streaming.outgoing import Outgoing
from payments_platform.streaming.positions import Partition, Positions
from payments_platform.streaming.processing import held
from payments_platform.streaming.processor import Remembered
from payments_platform.vocabulary import STATE_COUNTERS, STATE_PARTIALS, dead_letters, topic

Row = dict[str, Any]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAYMENTS = topic("transactions")


def iso(at: datetime) -> str:
    """A time as the connector writes it: no digits that are zero."""
    return at.isoformat().replace("+00:00", "Z")


def payment(number: int, version: int = 1, **fields: object) -> Row:
    """A row of oltp.transactions on the wire."""
    row = {
        "transaction_id": f"txn_{number}",
        "merchant_id": "mer_1",
        "customer_id": "cus_1",
        "customer_token": "tok_" + "a" * 64,
        "payment_method_id": "pm_1",
        "amount": "12.5000",
        "amount_minor": 1250,
        "captured_minor": 0,
        "refunded_minor": 0,
        "currency": "EUR",
        "status": "processing",
        "country_code": "FR",
        "device_id": "dev_1",
        "ip_address": "203.0.113.7",
        "description": "Order 1",
        "metadata": '{"order": "1"}',
        "created_at": iso(NOON),
        "version": version,
        "updated_at": iso(NOON + timedelta(seconds=version)),
        "load_id": None,
    }
    return {**row, **fields}


def customer(name: str = "cus_1", version: int = 1, **fields: object) -> Row:
    """A row of oltp.customers on the wire."""
    row = {"customer_id": name, "customer_token": "tok_" + "a" * 64, "country_code": "FR", "segment": "consumer"}
    times = {"created_at": iso(NOON), "version": version, "updated_at": iso(NOON), "load_id": None}
    return {**row, "status": "active", **times, **fields}


def merchant(name: str = "mer_1", version: int = 1, **fields: object) -> Row:
    """A row of oltp.merchants on the wire."""
    row = {"merchant_id": name, "name": "Sample Shop", "mcc": "5411", "country_code": "FR", "currency": "EUR"}
    times = {"created_at": iso(NOON), "version": version, "updated_at": iso(NOON), "load_id": None}
    return {**row, "status": "active", **times, **fields}


def envelope(
    after: Row | None, before: Row | None = None, *, op: str | None = None, epoch: int | str | None = 1, **more: object
) -> bytes:
    """A change message's value. The op follows from what there is, unless given."""
    op = op or ("d" if after is None else "c" if before is None else "u")
    millis = int((NOON + timedelta(seconds=1)).timestamp() * 1000)
    source = {"version": "3.6.3.Final", "connector": "postgresql", "name": "oltp", "ts_ms": millis, "snapshot": "false"}
    source |= {"db": "payments", "sequence": '["1","2"]', "ts_us": millis * 1000, "ts_ns": millis * 1_000_000}
    source |= {"schema": "oltp", "table": "transactions", "txId": 7, "lsn": 42, "xmin": None}
    times = {"ts_ms": millis, "ts_us": millis * 1000, "ts_ns": millis * 1_000_000}
    value = {"before": before, "after": after, "source": source, "transaction": None, "op": op, **times, **more}
    return orjson.dumps(value if epoch is None else {**value, "epoch": str(epoch)})


def key_of(row: Row) -> bytes:
    """The key of a row's messages."""
    name = next(iter(row))
    return orjson.dumps({name: row[name]})


def messages(
    changes: Sequence[tuple[bytes | None, bytes | None]],
    *,
    name: str = PAYMENTS,
    partition: int = 0,
    first: int = 0,
    at: datetime = NOON + timedelta(seconds=30),
) -> pl.DataFrame:
    """Keys and values as a batch polled from one partition."""
    rows = [(name, partition, first + place, at, key, value) for place, (key, value) in enumerate(changes)]
    return pl.DataFrame(rows, schema=MESSAGES, orient="row")


def changed(
    after: Row | None, before: Row | None = None, *, op: str | None = None, epoch: int | str | None = 1
) -> tuple[bytes, bytes]:
    """Key and value of a change."""
    row = after or before
    assert row
    return key_of(row), envelope(after, before, op=op, epoch=epoch)


@dataclass
class MemoryFeed:
    """Changes of customers and merchants that come when a test says so."""

    waiting: list[pl.DataFrame] = field(default_factory=list)

    def come(self, *rows: Row | tuple[Row | None, Row]) -> None:
        """Have these rows, or (after, before) pairs, come with the next poll."""
        for row in rows:
            after, before = row if isinstance(row, tuple) else (row, None)
            known = after or before
            assert known
            table = "customers" if "segment" in known else "merchants"
            self.waiting.append(messages([changed(after, before)], name=topic(table)))

    def load(self) -> pl.DataFrame:
        return self.poll()

    def poll(self) -> pl.DataFrame:
        frames, self.waiting = self.waiting, []
        return pl.concat([pl.DataFrame(schema=MESSAGES), *frames])

    def close(self) -> None:
        """Nothing is open."""


Written = tuple[str, int, bytes | None, bytes | None]


@dataclass
class MemoryOutlet:
    """Topics as one list, in effect whole or not at all. It also is what the next worker recalls."""

    log: list[Written] = field(default_factory=list)
    committed: Positions = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    after: list[BaseException] = field(default_factory=list)
    """Raised when the write is in effect already: a worker that is killed before it learns of it."""
    is_expelled: bool = False
    """The writer is no member of its group any more. Like the broker, the outlet learns that by positions alone."""

    def write(self, outgoing: Sequence[Outgoing], refused: pl.DataFrame, positions: Positions) -> None:
        if self.failures:
            raise self.failures.pop()
        if self.is_expelled and positions:
            raise TransactionAborted("the group has another generation")
        for sent in outgoing:
            for key, value in zip(sent.keys, sent.values, strict=True):
                self.log.append((sent.topic, sent.partition, _bytes(key), _bytes(value)))
        for row in refused.iter_rows(named=True):
            self.log.append((dead_letters(row["topic"]), 0, row["key"], orjson.dumps(row["fault"])))
        assert all(offset >= self.committed.get(name, 0) for name, offset in positions.items())
        self.committed |= positions
        if self.after:
            raise self.after.pop()

    def close(self) -> None:
        """Nothing is open."""

    def values(self, name: str) -> list[Any]:
        """What a topic holds, parsed."""
        return [orjson.loads(value) for topic, _, _, value in self.log if topic == name and value is not None]

    def recall(self, partitions: Collection[Partition]) -> Remembered:
        """What the state topics hold."""
        numbers = {number for _, number in partitions}
        stored = [(number, key, value) for name, number, key, value in self.log if name == STATE_COUNTERS]
        kept = [(None, number, 0, NOON, key, value) for name, number, key, value in self.log if name == STATE_PARTIALS]
        frame = pl.DataFrame(kept, schema=MESSAGES, orient="row")
        return Remembered(
            held(frame.filter(pl.col("partition").is_in(numbers))),
            counter_state.restore((n, k or b"", v) for n, k, v in stored if n in numbers),
            {name: offset for name, offset in self.committed.items() if name in set(partitions)},
        )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
