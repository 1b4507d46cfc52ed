"""Payments at rates that one commit each cannot reach on two cores: many rows a commit, by the application's role.

Belongs here: the rows and their timetable. Does not: what is measured (bench_stream.py). 60 of 100 rows are new
payments, 40 are captures of earlier ones; an open loop, as in live traffic.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.oltp.traffic.cast import Cast, cast
from payments_platform.oltp.traffic.pacer import Pacer, Slot
from payments_platform.settings import TokenKey

ROWS_A_COMMIT: Final = 50
_NEW_OF_A_COMMIT: Final = 30
_SESSIONS: Final = 4
_INSERT: Final = (
    "INSERT INTO oltp.transactions (transaction_id, merchant_id, customer_id, customer_token, payment_method_id,"
    " amount, amount_minor, captured_minor, refunded_minor, currency, status, country_code, device_id, ip_address,"
    " description, metadata)"
    " SELECT *, 12.5, 1250, 0, 0, 'EUR', 'processing', 'FR', NULL, '203.0.113.7', 'Order in bulk',"
    ' \'{"order": "1"}\' FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])'
    " RETURNING transaction_id, created_at"
)
_CAPTURE: Final = (
    "UPDATE oltp.transactions t SET status = 'succeeded', captured_minor = amount_minor FROM unnest(%s::text[],"
    " %s::timestamptz[]) AS earlier (transaction_id, created_at)"
    " WHERE t.transaction_id = earlier.transaction_id AND t.created_at = earlier.created_at"
)
Paid = Callable[[str, datetime], None]


@dataclass(frozen=True)
class Written:
    """Rows changed, in how many seconds, and how late the timetable was at the end."""

    rows: int
    seconds: float
    behind: float


def write(
    address: PostgresAddress, key: TokenKey, seed: int, rows_a_second: float, seconds: float, paid: Paid
) -> Written:
    """Change ``rows_a_second`` rows for ``seconds``; ``paid`` is told of one payment of each commit."""
    with connect(address, autocommit=True) as session:
        everyone = cast(session, seed, key)
    run = _Run(address, everyone, f"{seed}_{time.time_ns():x}", paid)
    run.pacer = Pacer(rows_a_second / ROWS_A_COMMIT, seconds)
    with ThreadPoolExecutor(_SESSIONS) as pool:
        for worker in [pool.submit(run.work) for _ in range(_SESSIONS)]:
            worker.result()
    return Written(run.commits * ROWS_A_COMMIT, run.pacer.elapsed, run.pacer.behind)


class _Run:
    pacer: Pacer

    def __init__(self, address: PostgresAddress, everyone: Cast, name: str, paid: Paid) -> None:
        self.address, self.everyone, self.name, self.paid = address, everyone, name, paid
        self.commits, self.lock, self.stop = 0, threading.Lock(), threading.Event()

    def work(self) -> None:
        earlier: list[tuple[str, datetime]] = []
        with connect(self.address, name="bench writer") as session:
            while (slot := self.pacer.take()) is not None and self.pacer.wait_for(slot, self.stop):
                captured = earlier[: ROWS_A_COMMIT - _NEW_OF_A_COMMIT]
                with session.transaction():
                    made: list[Any] = session.execute(_INSERT, self._rows(slot)).fetchall()
                    if captured:
                        session.execute(_CAPTURE, tuple(map(list, zip(*captured, strict=True))))
                self.paid(*made[-1])
                earlier = [*earlier[len(captured) :], *made][-1000:]
                with self.lock:
                    self.commits += 1

    def _rows(self, slot: Slot) -> tuple[list[str], ...]:
        numbers = range(slot.number * _NEW_OF_A_COMMIT, (slot.number + 1) * _NEW_OF_A_COMMIT)
        merchants, customers = self.everyone.merchants, self.everyone.customers
        rows = [
            (
                f"txn_bulk_{self.name}_{number}",
                merchants[number % len(merchants)].merchant_id,
                customers[number % len(customers)].customer_id,
                customers[number % len(customers)].customer_token,
                customers[number % len(customers)].payment_method_id,
            )
            for number in numbers
        ]
        return tuple(map(list, zip(*rows, strict=True)))
