"""Change messages of payments in bulk, as the connector writes them: what the stream benchmarks read.

Belongs here: making and writing them. Does not: what is measured on them (bench_stream_processor.py).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from payments_platform.clients import kafka
from payments_platform.vocabulary import topic

_QUEUE: Final = {"queue.buffering.max.messages": 1_000_000, "queue.buffering.max.kbytes": 1_000_000}
_OPEN: Final = 20_000
Row = dict[str, Any]
Message = tuple[bytes, bytes]


@dataclass(frozen=True)
class Mix:
    """60 % new payments, 40 % updates with the row before; one payment in a hundred is of a customer who comes late."""

    messages: int
    seed: int = 1
    customers: int = 100_000
    merchants: int = 5_000
    updates: float = 0.4
    late: float = 0.01
    latecomers: int = 1_000
    undecided: float = 0.25


def customer_id(number: int, *, is_late: bool = False) -> str:
    """The id of a customer of the mix."""
    return f"cus_{'late' if is_late else 'here'}{number:08d}"


def changes(mix: Mix) -> Iterator[Message]:
    """Key and value of each message, in order. Times are of the last minutes, so that counters are on time."""
    drawn = random.Random(mix.seed)  # noqa: S311 - the same load twice
    started = datetime.now(UTC) - timedelta(minutes=2)
    unfinished: list[Row] = []
    for number in range(mix.messages):
        at = _iso(started + timedelta(microseconds=number * 10))
        if unfinished and drawn.random() < mix.updates:
            place = drawn.randrange(len(unfinished))
            before = unfinished[place]
            unfinished[place] = unfinished[-1]
            unfinished.pop()
            row = {**before, "status": drawn.choice(_NEXT[before["status"]])}
            row |= {"version": before["version"] + 1, "updated_at": at}
            if row["status"] in _NEXT:
                unfinished.append(row)
            yield _message("transactions", "transaction_id", row, before, number)
        else:
            row = _payment(mix, drawn, at)
            if len(unfinished) < _OPEN:
                unfinished.append(row)
            yield _message("transactions", "transaction_id", row, None, number)


_NEXT: Final = {"processing": ("succeeded", "failed"), "succeeded": ("refunded", "partially_refunded", "disputed")}


def _payment(mix: Mix, drawn: random.Random, at: str) -> Row:
    minor, order = drawn.randrange(100, 50_000), drawn.randrange(10**6)
    # A few merchants have most of the payments.
    merchant = int(mix.merchants * drawn.random() ** 2)
    return {
        "transaction_id": f"txn_{drawn.getrandbits(96):024x}",
        "merchant_id": f"mer_{merchant:06d}",
        "customer_id": _customer(mix, drawn),
        "customer_token": f"tok_{drawn.getrandbits(256):064x}",
        "payment_method_id": f"pm_{drawn.getrandbits(64):016x}",
        "amount": f"{minor / 100:.2f}00",
        "amount_minor": minor,
        "captured_minor": minor,
        "refunded_minor": 0,
        "currency": drawn.choice(("EUR", "USD", "GBP")),
        "status": "processing" if drawn.random() < mix.undecided else "succeeded",
        "country_code": "FR",
        "device_id": f"dev_{drawn.getrandbits(64):016x}",
        "ip_address": f"203.0.113.{drawn.randrange(255)}",
        "description": f"Order {order}, thank you" if order % 200 else "paid with 4242 4242 4242 4242",
        "metadata": f'{{"order": "{order}", "channel": "web"}}',
        "created_at": at,
        "version": 1,
        "updated_at": at,
        "load_id": None,
    }


def _customer(mix: Mix, drawn: random.Random) -> str:
    is_late = drawn.random() < mix.late
    return customer_id(drawn.randrange(mix.latecomers if is_late else mix.customers), is_late=is_late)


def _message(table: str, key: str, row: Row, before: Row | None, number: int) -> Message:
    millis = 1_767_000_000_000 + number
    source = {"version": "3.6.3.Final", "connector": "postgresql", "name": "oltp", "ts_ms": millis, "snapshot": "false"}
    source |= {"db": "payments", "sequence": f'["{number}","{number + 1}"]', "ts_us": millis * 1000}
    source |= {"ts_ns": millis * 10**6, "schema": "oltp", "table": table, "txId": number, "lsn": number, "xmin": None}
    times = {"ts_ms": millis, "ts_us": millis * 1000, "ts_ns": millis * 10**6}
    op = "c" if before is None else "u"
    envelope = {"before": before, "after": row, "source": source, "transaction": None, "op": op, **times, "epoch": "1"}
    return _json({key: row[key]}), _json(envelope)


def _json(value: object) -> bytes:
    return orjson.dumps(value)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def dimensions(mix: Mix, *, are_late: bool) -> Iterator[tuple[str, Message]]:
    """Topic and message of each customer and merchant, or of the customers who come late."""
    shared = {"created_at": "2026-01-01T12:00:00Z", "version": 1, "updated_at": "2026-01-01T12:00:00Z", "load_id": None}
    person = {"customer_token": "tok_" + "a" * 64, "country_code": "FR", "segment": "consumer", "status": "active"}
    for number in range(mix.latecomers if are_late else mix.customers):
        row = {"customer_id": customer_id(number, is_late=are_late), **person, **shared}
        yield topic("customers"), _message("customers", "customer_id", row, None, number)
    for number in range(0 if are_late else mix.merchants):
        shop = {"name": f"Shop {number}", "mcc": "5411", "country_code": "FR", "currency": "EUR", "status": "active"}
        row = {"merchant_id": f"mer_{number:06d}", **shop, **shared}
        yield topic("merchants"), _message("merchants", "merchant_id", row, None, number)


def write(servers: str, messages: Iterator[tuple[str, Message]]) -> int:
    """Write messages to their topics; return how many."""
    producer, count = kafka.producer(servers, more=_QUEUE), 0
    for name, (key, value) in messages:
        count += 1
        while True:
            try:
                producer.produce(name, value, key)
            except BufferError:
                producer.poll(0.1)
            else:
                break
        if count % 10_000 == 0:
            producer.poll(0)
    producer.flush(120)
    return count
