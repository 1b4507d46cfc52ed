"""Simulate days: what is missing in the source is generated and written, part by part, each part in one transaction.

Belongs here: order, resumption, parallelism. Does not: what is generated (modules beside this one), SQL (writer.py).
Whatever is interrupted, the next run goes on with the part that is missing; what is there is never written again.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

import polars as pl

from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.contracts.reference import RATE_SERIES_DAYS
from payments_platform.errors import ExplainedError
from payments_platform.oltp import rates
from payments_platform.oltp.simulator import defects, people, writer
from payments_platform.oltp.simulator.changes import people_changes
from payments_platform.oltp.simulator.payments import Crowd, DayOfPayments, crowd, pay
from payments_platform.oltp.simulator.world import World, day_end
from payments_platform.settings import TokenKey
from payments_platform.vocabulary import days_between

if TYPE_CHECKING:
    from payments_platform.oltp.simulator.writer import Session

# One connection generates and copies while the other's triggers work; a third gains nothing on two cores.
WRITERS: Final = 2
# Longer than the longest life of a payment: days further back have nothing left to continue.
_LIFE: Final = timedelta(days=80)
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


class SimulationRefused(ExplainedError):
    """The days asked for cannot be added to what was simulated before."""


@dataclass(frozen=True)
class Written:
    """What a simulation wrote. ``days`` are those that got new rows, ``truth`` is the file of the planted defects."""

    days: int
    transactions: int
    versions: int
    skipped_days: int
    defects: int
    truth: Path


@dataclass(frozen=True)
class Target:
    """Where to write, with which key, up to which day, whom to tell, and where the truth about defects goes."""

    address: PostgresAddress
    key: TokenKey
    until: date
    progress: Callable[[int, int], None]
    truth_folder: Path


@dataclass(frozen=True)
class _Day:
    """All that one day adds."""

    arrivals: people.Customers
    broken: defects.BrokenPeople
    payments: DayOfPayments
    truth: pl.DataFrame


def simulate(world: World, first: date, target: Target) -> Written:
    """Write the payments that begin on ``[first, until]`` and all that happens to them up to the end of ``until``.

    Days of the same world that an earlier run wrote are continued, not repeated. Raises SimulationRefused for days
    before the world's first, and psycopg errors as they come.
    """
    return _Simulation(world, first, target).run()


class _Simulation:
    def __init__(self, world: World, first: date, target: Target) -> None:
        self.world, self.first, self.target = world, first, target
        self.source = f"simulate:{world.name}"
        self.load_id = f"simulate-{world.name}-{target.until:%Y%m%d}"
        self.end = day_end(target.until)
        self.asked = days_between(first, target.until + timedelta(days=1))
        self.truths: dict[date, pl.DataFrame] = {}
        self.idle: SimpleQueue[Session] = SimpleQueue()
        with self.session() as session:
            self.done = writer.written_until(session, self.source)
        start = self.done.get("start")
        self.opened = first if start is None else start.date()

    def run(self) -> Written:
        try:
            return self.write()
        finally:
            while not self.idle.empty():
                self.idle.get().close()

    def write(self) -> Written:
        if self.first < self.opened:
            raise SimulationRefused(
                f"This seed and size were first simulated from {self.opened} on; days before cannot be added."
                f" Choose days from {self.opened} on, another --seed, or payments reset."
            )
        days = self.days()
        missing = [day for day in days if self.done.get(f"payments/{day}", _NEVER) < self.end]
        unchanged = self.unchanged()
        everyone = self.everyone()
        counts: list[tuple[int, int]] = []
        with ThreadPoolExecutor(WRITERS) as pool:
            # First in line, so it always runs; the first day is made up meanwhile. Changes of people touch nobody who
            # pays for the first time, and nobody who leaves ever paid: they may come last.
            prepared = pool.submit(self.prepare, everyone, needed=bool(missing or unchanged))
            days_written = pool.map(lambda day: self.write_day(everyone, day, prepared), missing)
            changed = pool.submit(self.write_changes, unchanged, prepared)
            for count in days_written:
                counts.append(count)
                self.target.progress(len(counts), len(missing))
            prepared.result()
            changed.result()
        truth, planted = self.tell_truth(everyone)
        new, versions = sum(rows for rows, _ in counts), sum(rows + changes for rows, changes in counts)
        return Written(len(missing), new, versions, len(days) - len(missing), planted, truth)

    def days(self) -> list[date]:
        """The days asked for, and earlier ones whose payments may still change by ``until``."""
        known = [date.fromisoformat(part.partition("/")[2]) for part in self.done if part.startswith("payments/")]
        alive = [day for day in known if self.first - _LIFE <= day <= self.target.until]
        return sorted({*self.asked, *alive})

    @contextmanager
    def session(self) -> Iterator["Session"]:
        """One transaction of the loader, on the connection of an earlier one where there is one.

        A new connection maps the server's memory anew, page by page: a tenth of the work of a day.
        """
        try:
            session = self.idle.get_nowait()
        except Empty:
            session = connect(self.target.address, name="simulate")
        try:
            with session.transaction():
                yield session
        except BaseException:
            session.close()
            raise
        self.idle.put(session)

    def prepare(self, everyone: Crowd, *, needed: bool) -> None:
        """Partitions, rates, and those who are there from the start."""
        if not needed:
            return
        with self.session() as session:
            session.execute("SELECT oltp.ensure_partitions(%s, %s)", (self.opened, self.target.until))
            rates.write(
                session, rates.series(self.first - timedelta(days=RATE_SERIES_DAYS), self.target.until), self.load_id
            )
        if "start" not in self.done:
            self.write_start(everyone)

    def unchanged(self) -> list[date]:
        """The days asked for on which nobody was changed yet.

        Changes are versions 2, 3, … of rows: a day before the last one written comes too late for them.
        """
        last = max((part for part in self.done if part.startswith("people/")), default="people/")
        return [day for day in self.asked if f"people/{day}" > last]

    def everyone(self) -> Crowd:
        merchants, trades = people.merchants(self.world, self.opened)
        return crowd(self.world, merchants, trades, people.regulars(self.world, self.opened, self.target.key))

    def write_start(self, everyone: Crowd) -> None:
        with self.session() as session:
            writer.begin(session, self.load_id)
            writer.insert(session, "merchants", everyone.merchants.rows)
            writer.insert_customers(session, everyone.customers)
            writer.remember(
                session, self.source, "start", day_end(self.opened), everyone.customers.rows.height, self.load_id
            )
        with self.session() as session:
            session.execute("ANALYZE oltp.merchants, oltp.customers, oltp.payment_methods")

    def write_changes(self, days: list[date], prepared: Future[None]) -> None:
        """Write what becomes of merchants and customers, day after day."""
        prepared.result()
        for day in days:
            self.change_people(day)

    def change_people(self, day: date) -> None:
        changes = people_changes(self.world, day)
        with self.session() as session:
            writer.begin(session, self.load_id)
            writer.change_people(session, "merchants", "merchant_id", changes.merchants)
            writer.change_people(session, "customers", "customer_id", changes.customers)
            leaving = changes.leaving_merchants.to_list(), changes.leaving_customers.to_list()
            writer.delete_people(session, *leaving, day_end(day))
            writer.remember(session, self.source, f"people/{day}", day_end(day), changes.merchants.height, self.load_id)

    def tell_day(self, everyone: Crowd, day: date) -> _Day:
        arrivals = people.newcomers(self.world, day, self.target.key)
        broken = defects.break_people(self.world, day, self.target.key)
        told, truth = defects.break_payments(self.world, pay(self.world, everyone, arrivals, day), day)
        return _Day(arrivals, broken, told, pl.concat([truth, broken.truth]))

    def write_day(self, everyone: Crowd, day: date, prepared: Future[None]) -> tuple[int, int]:
        """Write what is missing of one day's payments; return the numbers of new payments and of later versions."""
        part = f"payments/{day}"
        written = self.done.get(part, _NEVER)
        told = self.tell_day(everyone, day)
        self.truths[day] = told.truth
        rows = told.payments.rows if written == _NEVER else told.payments.rows.clear()
        changes = told.payments.changes.filter(pl.col("updated_at").is_between(written, self.end, closed="right"))
        prepared.result()
        with self.session() as session:
            writer.begin(session, self.load_id)
            if written == _NEVER:
                writer.insert_customers(session, told.arrivals)
                writer.insert(session, "merchants", told.broken.merchants)
                writer.insert(session, "customers", told.broken.customers)
                writer.insert(session, "payment_methods", told.broken.methods)
            writer.insert(session, "transactions", rows)
            writer.change_payments(session, changes)
            writer.remember(session, self.source, part, self.end, rows.height + changes.height, self.load_id)
        return rows.height, changes.height

    def tell_truth(self, everyone: Crowd) -> tuple[Path, int]:
        """Write the planted defects of the days asked for, also of those that an earlier run wrote."""
        skipped = {day: self.tell_day(everyone, day).truth for day in self.asked if day not in self.truths}
        truth = pl.concat([(self.truths | skipped)[day] for day in self.asked])
        self.target.truth_folder.mkdir(parents=True, exist_ok=True)
        path = self.target.truth_folder / f"defects-{self.world.seed}-{self.first}-{self.target.until}.parquet"
        truth.write_parquet(path)
        return path, truth.height
