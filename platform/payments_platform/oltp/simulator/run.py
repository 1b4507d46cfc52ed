"""Simulate days: what is missing in the source is generated and written, part by part, each part in one transaction.

Belongs here: order, resumption, parallelism. Does not: what is generated (modules beside this one), SQL (writer.py).
One thread makes up the days in order; sessions write their parts, as many at a time as keep two cores busy. Whatever
is interrupted, the next run goes on with the part that is missing; what is there is never written again.
"""

from collections import deque
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
from payments_platform.oltp.simulator.payments import Crowd, DayOfPayments, crowd, part_of, pay
from payments_platform.oltp.simulator.seasons import payments_on
from payments_platform.oltp.simulator.world import World, day_end
from payments_platform.settings import TokenKey
from payments_platform.vocabulary import days_between

if TYPE_CHECKING:
    from payments_platform.oltp.simulator.writer import Session

# While one session's triggers work the other copies; a third gains nothing on two cores.
WRITERS: Final = 2
# Payments of one part: enough that statements cost nothing, few enough that the last parts end together and that a
# part's rows stay in the session's memory, whatever the size of the day.
PART_ROWS: Final = 25_000
# Days made up ahead of those being written.
_AHEAD: Final = 2
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
        missing = [day for day in days if self.is_missing(day)]
        unchanged = self.unchanged()
        everyone = self.everyone()
        counts: list[tuple[int, int]] = []
        with ThreadPoolExecutor(WRITERS) as pool:
            # First in line, so it always runs. Changes of people touch nobody who pays for the first time, and nobody
            # who leaves ever paid: their order among the payments is free.
            prepared = pool.submit(self.prepare, everyone, needed=bool(missing or unchanged))
            changed = pool.submit(self.write_changes, unchanged, prepared)
            writing: deque[list[Future[tuple[int, int]]]] = deque()
            for day in missing:
                writing.append(self.submit_day(pool, everyone, day, prepared))
                if len(writing) > _AHEAD:
                    counts.append(_sum(writing.popleft()))
                    self.target.progress(len(counts), len(missing))
            while writing:
                counts.append(_sum(writing.popleft()))
                self.target.progress(len(counts), len(missing))
            prepared.result()
            changed.result()
        truth, planted = self.tell_truth(everyone)
        new, versions = sum(rows for rows, _ in counts), sum(rows + changes for rows, changes in counts)
        return Written(len(missing), new, versions, len(days) - len(missing), planted, truth)

    def days(self) -> list[date]:
        """The days asked for, and earlier ones whose payments may still change by ``until``."""
        known = [date.fromisoformat(part.split("/")[1]) for part in self.done if part.startswith("payments/")]
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
            writer.open_session(session)
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

    def is_missing(self, day: date) -> bool:
        parts = range(0, payments_on(day, self.world.per_day), PART_ROWS)
        return any(self.written(_part(day, first)) < self.end for first in parts)

    def written(self, part: str) -> datetime:
        return self.done.get(part, _NEVER)

    def submit_day(
        self, pool: ThreadPoolExecutor, everyone: Crowd, day: date, prepared: Future[None]
    ) -> list[Future[tuple[int, int]]]:
        """Make up a day and have its parts written; who arrives is there before any of the day's payments."""
        told = self.tell_day(everyone, day)
        self.truths[day] = told.truth
        arrived = pool.submit(self.write_arrivals, told, day, prepared)
        payments = told.payments
        starts = range(0, payments.rows.height, PART_ROWS)
        return [pool.submit(self.write_part, part_of(payments, n, PART_ROWS), _part(day, n), arrived) for n in starts]

    def write_arrivals(self, told: _Day, day: date, prepared: Future[None]) -> None:
        prepared.result()
        part = f"arrivals/{day}"
        if part in self.done:
            return
        with self.session() as session:
            writer.begin(session, self.load_id)
            writer.insert_customers(session, told.arrivals)
            writer.insert(session, "merchants", told.broken.merchants)
            writer.insert(session, "customers", told.broken.customers)
            writer.insert(session, "payment_methods", told.broken.methods)
            writer.remember(session, self.source, part, day_end(day), told.arrivals.rows.height, self.load_id)

    def write_part(self, told: DayOfPayments, part: str, arrived: Future[None]) -> tuple[int, int]:
        """Write what is missing of some payments; return the numbers of new payments and of later versions."""
        arrived.result()
        written = self.written(part)
        rows = told.rows if written == _NEVER else told.rows.clear()
        changes = told.changes.filter(pl.col("updated_at").is_between(written, self.end, closed="right"))
        with self.session() as session:
            writer.begin(session, self.load_id)
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


def _part(day: date, first: int) -> str:
    """The name of the part of a day whose first payment is the given one."""
    return f"payments/{day}/{first}"


def _sum(parts: list[Future[tuple[int, int]]]) -> tuple[int, int]:
    """Wait for the parts of a day; return the numbers of its new payments and later versions."""
    counts = [part.result() for part in parts]
    return sum(rows for rows, _ in counts), sum(changes for _, changes in counts)
