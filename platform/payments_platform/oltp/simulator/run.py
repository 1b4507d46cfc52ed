"""Simulate days: what is missing in the source is generated and written, part by part, each part in one transaction.

Belongs here: order, resumption, parallelism. Does not: what is generated (modules beside this one), SQL (writer.py).
Whatever is interrupted, the next run goes on with the part that is missing; what is there is never written again.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.contracts.reference import RATE_SERIES_DAYS
from payments_platform.oltp import rates
from payments_platform.oltp.simulator import people, writer
from payments_platform.oltp.simulator.payments import Crowd, crowd, pay
from payments_platform.oltp.simulator.world import World, day_end
from payments_platform.settings import TokenKey
from payments_platform.vocabulary import days_between

if TYPE_CHECKING:
    from payments_platform.oltp.simulator.writer import Session

# One connection generates and copies while the other's triggers work; a third gains nothing on two cores.
WRITERS: Final = 2
_LAST_EFFECT: Final = timedelta(days=80)


@dataclass(frozen=True)
class Written:
    """What a simulation wrote. ``days`` are those that now hold payments of this run."""

    days: int
    transactions: int
    versions: int
    skipped_days: int
    load_id: str
    defects: int = 0
    truth: Path | None = None


@dataclass(frozen=True)
class Target:
    """Where to write, with which key, how far in simulated time, and whom to tell about progress."""

    address: PostgresAddress
    key: TokenKey
    until: date
    progress: Callable[[int, int], None]
    truth_folder: Path


def simulate(world: World, first: date, target: Target) -> Written:
    """Write the payments that begin on ``[first, until]`` and everything that happens to them up to the end of ``until``.

    Days of the same world that an earlier run wrote are continued, not repeated. Raises psycopg errors as they come.
    """
    return _Simulation(world, first, target).run()


class _Simulation:
    def __init__(self, world: World, first: date, target: Target) -> None:
        self.world, self.first, self.target = world, first, target
        self.source = f"simulate:{world.name}"
        self.load_id = f"simulate-{world.name}-{target.until:%Y%m%d}"
        self.end = day_end(target.until)

    def run(self) -> Written:
        with self.session() as session:
            done = writer.written_until(session, self.source)
        opened = _opened(done, self.first)
        self.register(done, opened)
        days = self.days(done)
        missing = [day for day in days if done.get(f"payments/{day}", _NEVER) < self.end]
        everyone = self.everyone(opened)
        with ThreadPoolExecutor(WRITERS) as pool:
            counts = []
            for count in pool.map(lambda day: self.write_day(everyone, day, done), missing):
                counts.append(count)
                self.target.progress(len(counts), len(missing))
        return Written(
            len(missing),
            sum(rows for rows, _ in counts),
            sum(rows + changes for rows, changes in counts),
            len(days) - len(missing),
            self.load_id,
        )

    def days(self, done: dict[str, datetime]) -> list[date]:
        """The days asked for, and earlier ones whose payments may still change by ``until``."""
        asked = days_between(self.first, self.target.until + timedelta(days=1))
        known = [date.fromisoformat(part.partition("/")[2]) for part in done if part.startswith("payments/")]
        alive = [day for day in known if self.first - _LAST_EFFECT <= day <= self.target.until]
        return sorted({*asked, *alive})

    @contextmanager
    def session(self) -> Iterator["Session"]:
        with connect(self.target.address, name="simulate") as session:
            yield session

    def register(self, done: dict[str, datetime], opened: date) -> None:
        """Rates, partitions, and everyone who is there from the start."""
        span = rates.window(self.first, self.target.until, RATE_SERIES_DAYS)
        with self.session() as session:
            session.execute("SELECT oltp.ensure_partitions(%s, %s)", (opened, self.target.until))
            rates.write(session, rates.series(*span), self.load_id)
        if "start" in done:
            return
        merchants, _ = people.merchants(self.world, opened)
        customers = people.regulars(self.world, opened, self.target.key)
        self.write_people("start", opened, merchants.rows, customers)
        with self.session() as session:
            session.execute("ANALYZE oltp.merchants, oltp.customers, oltp.payment_methods")

    def write_people(self, part: str, day: date, merchants: pl.DataFrame, customers: people.Customers) -> None:
        with self.session() as session:
            writer.begin(session, self.load_id)
            writer.insert(session, "merchants", merchants)
            writer.insert(session, "customers", customers.rows)
            writer.insert(session, "customer_identities", customers.identities)
            writer.insert(session, "payment_methods", customers.methods)
            writer.remember(session, self.source, part, day_end(day), customers.rows.height, self.load_id)

    def everyone(self, opened: date) -> Crowd:
        merchants, trades = people.merchants(self.world, opened)
        return crowd(self.world, merchants, trades, people.regulars(self.world, opened, self.target.key))

    def write_day(self, everyone: Crowd, day: date, done: dict[str, datetime]) -> tuple[int, int]:
        """Write what is missing of one day's payments; return the numbers of new payments and of later versions."""
        part = f"payments/{day}"
        written = done.get(part, _NEVER)
        arrivals = people.newcomers(self.world, day, self.target.key)
        told = pay(self.world, everyone, arrivals, day)
        rows = told.rows if written == _NEVER else told.rows.clear()
        changes = told.changes.filter(pl.col("updated_at").is_between(written, self.end, closed="right"))
        with self.session() as session:
            writer.begin(session, self.load_id)
            if written == _NEVER:
                writer.insert(session, "customers", arrivals.rows)
                writer.insert(session, "customer_identities", arrivals.identities)
                writer.insert(session, "payment_methods", arrivals.methods)
            writer.insert(session, "transactions", rows)
            writer.change_payments(session, changes)
            writer.remember(session, self.source, part, self.end, rows.height + changes.height, self.load_id)
        return rows.height, changes.height


_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


def _opened(done: dict[str, datetime], first: date) -> date:
    """The day on which the source learned of everyone: the first day of the world's first run."""
    start = done.get("start")
    return first if start is None else start.date()

