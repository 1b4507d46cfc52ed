"""Simulate days: what is missing in the source is generated and written, part by part, each part in one transaction.

Belongs here: order, resumption, parallelism. Does not: what is generated (modules beside this one), SQL (writer.py).
One thread makes up the days in order; sessions write their parts, as many at a time as keep two cores busy. Whatever
is interrupted, the next run goes on with the part that is missing; what is there is never written again.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Final

import polars as pl

from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.contracts.reference import RATE_SERIES_DAYS
from payments_platform.errors import ExplainedError
from payments_platform.oltp import rates
from payments_platform.oltp.simulator import consents, devices, people, subscriptions, writer
from payments_platform.oltp.simulator.changes import PeopleChanges, people_changes
from payments_platform.oltp.simulator.days import Day, Truth, tell_day
from payments_platform.oltp.simulator.payments import Crowd, crowd, part_of
from payments_platform.oltp.simulator.seasons import payments_on
from payments_platform.oltp.simulator.world import Stream, World, day_end
from payments_platform.settings import TokenKey
from payments_platform.vocabulary import days_between

if TYPE_CHECKING:
    from payments_platform.oltp.simulator.writer import Session

# While one session's triggers work the other copies; a third gains nothing on two cores.
WRITERS: Final = 2
# Payments of one part: enough that statements cost nothing, few enough that the last parts end together and that a
# part's rows stay in the session's memory, whatever the size of the day.
PART_ROWS: Final = 60_000
# Days made up ahead of those being written.
_AHEAD: Final = 2
# Longer than the longest life of a payment: days further back have nothing left to continue.
_LIFE: Final = timedelta(days=80)
_TRANSACTIONS: Final = ("transactions", "transaction_id")
_REFUNDS: Final = ("refunds", "refund_id")
_DISPUTES: Final = ("disputes", "dispute_id")
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


class SimulationRefused(ExplainedError):
    """The days asked for cannot be added to what was simulated before."""


@dataclass(frozen=True)
class Written:
    """What a simulation wrote. ``days`` are those that got new rows; ``tables`` counts the versions of each table.

    ``truth`` is the file of the planted defects, ``fraud_truth`` that of the payments nobody consented to: those of the
    days asked for, also when an earlier run wrote them.
    """

    days: int
    transactions: int
    tables: Mapping[str, int]
    skipped_days: int
    defects: int
    truth: Path
    frauds: int
    fraud_truth: Path

    @property
    def versions(self) -> int:
        """Versions of payments."""
        return self.tables.get("transactions", 0)


@dataclass(frozen=True)
class Target:
    """Where to write, with which key, up to which day, whom to tell, and where the truth about defects goes."""

    address: PostgresAddress
    key: TokenKey
    until: date
    progress: Callable[[int, int], None]
    truth_folder: Path


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
        self.truths: dict[date, Truth] = {}
        self.counts: Counter[str] = Counter()
        self.rows_new = 0
        self.counting = Lock()
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
        with ThreadPoolExecutor(WRITERS) as pool:
            # First in line, so it always runs. Changes of people touch nobody who pays for the first time, and nobody
            # who leaves ever paid: their order among the payments is free.
            needed = bool(missing or unchanged)
            prepared = pool.submit(self.prepare, everyone, needed=needed)
            rated = pool.submit(self.fix_rates, needed=needed)
            changed = pool.submit(self.write_changes, everyone, unchanged, prepared)
            writing: deque[list[Future[None]]] = deque()
            for done, day in enumerate(missing):
                writing.append(self.submit_day(pool, everyone, day, prepared))
                if len(writing) > _AHEAD:
                    _wait(writing.popleft())
                    self.target.progress(done + 1 - _AHEAD, len(missing))
            while writing:
                _wait(writing.popleft())
                self.target.progress(len(missing) - len(writing), len(missing))
            for task in (prepared, rated, changed):
                task.result()
        return self.report(everyone, len(missing), len(days) - len(missing))

    def report(self, everyone: Crowd, written: int, skipped: int) -> Written:
        """Write the truth about the days asked for, also of those that an earlier run wrote."""
        told = [self.truths.get(day) or self.tell_day(everyone, day).truth for day in self.asked]
        planted, frauds = pl.concat([truth.defects for truth in told]), pl.concat([truth.frauds for truth in told])
        return Written(
            days=written,
            transactions=self.rows_new,
            tables=dict(self.counts),
            skipped_days=skipped,
            defects=planted.height,
            truth=self.keep("defects", planted),
            frauds=frauds.height,
            fraud_truth=self.keep("frauds", frauds),
        )

    def keep(self, kind: str, truth: pl.DataFrame) -> Path:
        self.target.truth_folder.mkdir(parents=True, exist_ok=True)
        path = self.target.truth_folder / f"{kind}-{self.world.seed}-{self.first}-{self.target.until}.parquet"
        truth.write_parquet(path)
        return path

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
        """Partitions, and those who are there from the start."""
        if not needed:
            return
        with self.session() as session:
            session.execute("SELECT oltp.ensure_partitions(%s, %s)", (self.opened, self.target.until))
        if "start" not in self.done:
            self.write_start(everyone)

    def fix_rates(self, *, needed: bool) -> None:
        """Exchange rates of the days and of those that may be paid before; nothing that is written waits for them."""
        if not needed:
            return
        series = rates.series(self.first - timedelta(days=RATE_SERIES_DAYS), self.target.until)
        with self.session() as session:
            rates.write(session, series, self.load_id)

    @property
    def last_changed(self) -> str:
        return max((part for part in self.done if part.startswith("people/")), default="people/")

    def unchanged(self) -> list[date]:
        """The days asked for on which nobody was changed yet.

        Changes are versions 2, 3, … of rows: a day before the last one written comes too late for them.
        """
        return [day for day in self.asked if f"people/{day}" > self.last_changed]

    def everyone(self) -> Crowd:
        merchants, trades = people.merchants(self.world, self.opened)
        return crowd(self.world, merchants, trades, people.regulars(self.world, self.opened, self.target.key))

    def write_start(self, everyone: Crowd) -> None:
        owned = devices.at_start(self.world, everyone.customers, self.opened, self.target.key)
        with self.writing("start", day_end(self.opened)) as (session, counts):
            counts["merchants"] = writer.insert(session, "merchants", everyone.merchants.rows)
            counts.update(writer.insert_customers(session, everyone.customers))
            counts["devices"] = writer.insert(session, "devices", owned)
            counts["consents"] = writer.insert(session, "consents", self.decided(everyone))
        with self.session() as session:
            session.execute("ANALYZE oltp.merchants, oltp.customers, oltp.payment_methods, oltp.devices")

    def decided(self, everyone: Crowd) -> pl.DataFrame:
        """The consents of the start; those who may leave have some that can leave with them."""
        return consents.decisions(self.world.random(Stream.CONSENTS), everyone.customers, self.world.dormant_count)

    def write_changes(self, everyone: Crowd, days: list[date], prepared: Future[None]) -> None:
        """Write what becomes of merchants, customers and what is theirs, day after day."""
        prepared.result()
        if not days:
            return
        decided = self.decided(everyone)
        told = subscriptions.versions(self.world, everyone, self.opened, self.end)
        last = self.done.get(self.last_changed, _NEVER)
        for day in days:
            end = day_end(day)
            due = told.filter(pl.col("updated_at").is_between(last, end, closed="right"))
            self.change_people(people_changes(self.world, decided, day), due, f"people/{day}", end)
            last = end

    def change_people(self, changes: PeopleChanges, due: pl.DataFrame, part: str, end: datetime) -> None:
        with self.writing(part, end) as (session, counts):
            for table, key, changed in (
                ("merchants", "merchant_id", changes.merchants),
                ("customers", "customer_id", changes.customers),
                ("payment_methods", "payment_method_id", changes.methods),
                ("devices", "device_id", changes.devices),
                ("consents", "consent_id", changes.consents),
            ):
                counts[table] = writer.change_people(session, table, key, changed)
            counts["subscriptions"] = writer.write_versions(session, "subscriptions", "subscription_id", due)
            leaving = changes.leaving_merchants.to_list(), changes.leaving_customers.to_list()
            counts.update(writer.delete_people(session, *leaving, end))

    def tell_day(self, everyone: Crowd, day: date) -> Day:
        return tell_day(self.world, everyone, day, self.target.key)

    def is_missing(self, day: date) -> bool:
        parts = range(0, payments_on(day, self.world.per_day), PART_ROWS)
        return any(self.written(_part(day, first)) < self.end for first in parts)

    def written(self, part: str) -> datetime:
        return self.done.get(part, _NEVER)

    def submit_day(
        self, pool: ThreadPoolExecutor, everyone: Crowd, day: date, prepared: Future[None]
    ) -> list[Future[None]]:
        """Make up a day and have its parts written; who arrives is there before any of the day's payments."""
        told = self.tell_day(everyone, day)
        self.truths[day] = told.truth
        arrived = pool.submit(self.write_arrivals, told, day, prepared)
        starts = range(0, told.payments.rows.height, PART_ROWS)
        return [pool.submit(self.write_part, told, day, first, arrived) for first in starts]

    def write_arrivals(self, told: Day, day: date, prepared: Future[None]) -> None:
        prepared.result()
        part = f"arrivals/{day}"
        if part in self.done:
            return
        with self.writing(part, day_end(day)) as (session, counts):
            counts.update(writer.insert_customers(session, told.arrivals))
            counts["devices"] = writer.insert(session, "devices", told.devices)
            counts["consents"] = writer.insert(session, "consents", told.consents)
            for broken in told.broken_people:
                counts[broken.table] += writer.write_versions(session, broken.table, broken.key, broken.versions)

    def write_part(self, told: Day, day: date, first: int, arrived: Future[None]) -> None:
        """Write what is missing of some payments, and of the refunds and disputes that follow them."""
        arrived.result()
        name = _part(day, first)
        since = self.written(name)
        part = part_of(told.payments, first, PART_ROWS)
        rows = part.rows if since == _NEVER else part.rows.clear()
        back = part.reversals

        def due(frame: pl.DataFrame, at: str = "updated_at") -> pl.DataFrame:
            return frame.filter(pl.col(at).is_between(since, self.end, closed="right"))

        with self.writing(name, self.end) as (session, counts):
            counts["transactions"] = writer.insert(session, "transactions", rows)
            counts["transactions"] += writer.change_payments(session, due(part.changes))
            counts["transactions"] += writer.delete_rows(session, *_TRANSACTIONS, due(part.deletes, "at"))
            counts["refunds"] = writer.write_versions(session, *_REFUNDS, due(back.refunds))
            counts["refunds"] += writer.delete_rows(session, *_REFUNDS, due(back.refund_deletes, "at"))
            counts["disputes"] = writer.write_versions(session, *_DISPUTES, due(back.disputes))
            counts["disputes"] += writer.delete_rows(session, *_DISPUTES, due(back.dispute_deletes, "at"))
            for broken in told.broken_reversals if first == 0 else ():
                counts[broken.table] += writer.write_versions(session, broken.table, broken.key, due(broken.versions))
        with self.counting:
            self.rows_new += rows.height

    @contextmanager
    def writing(self, part: str, until: datetime) -> Iterator[tuple["Session", Counter[str]]]:
        """One transaction that writes a part; what it counts becomes part of the report once it is committed."""
        counts: Counter[str] = Counter()
        with self.session() as session:
            writer.begin(session, self.load_id)
            yield session, counts
            writer.remember(session, self.source, part, until, counts.total(), self.load_id)
        with self.counting:
            self.counts.update(counts)


def _part(day: date, first: int) -> str:
    """The name of the part of a day whose first payment is the given one."""
    return f"payments/{day}/{first}"


def _wait(parts: list[Future[None]]) -> None:
    for part in parts:
        part.result()
