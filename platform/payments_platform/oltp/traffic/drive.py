"""Drives live traffic: sessions that serve requests as they fall due, until the time is over or somebody stops it.

Belongs here: threads, timing, the report. Does not: when (pacer.py), what (operations.py), how it is shown (commands/).
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.oltp import rates
from payments_platform.oltp.traffic.cast import cast
from payments_platform.oltp.traffic.latency import Latencies
from payments_platform.oltp.traffic.operations import Application, Payment, Request, requests
from payments_platform.oltp.traffic.pacer import Pacer
from payments_platform.settings import TokenKey

if TYPE_CHECKING:
    from collections.abc import Iterator

SESSIONS: Final = 8
# A run that is later than this at its end did not keep up.
_LATE_SECONDS: Final = 1.0
# A payment is converted with the last rate before its day.
_RATE_DAYS: Final = 7


@dataclass(frozen=True)
class Traffic:
    """What to drive: the seed of all requests, transactions a second, and the sessions that share them.

    ``loader`` is there for exchange rates, which are not the application's to write; ``key`` for new customers.
    """

    app: PostgresAddress
    loader: PostgresAddress
    key: TokenKey
    seed: int
    tps: float
    sessions: int = SESSIONS


@dataclass(frozen=True)
class Progress:
    """Where a run stands: transactions done, seconds since its begin, seconds it is late."""

    done: int
    seconds: float
    behind: float


@dataclass(frozen=True)
class Report:
    """What a run did.

    ``commit`` times from the first statement to the acknowledged commit, ``response`` from the moment the transaction
    was due: waiting for a free session counts there.
    """

    transactions: int
    seconds: float
    asked_tps: float
    behind: float
    commit: Latencies
    response: Latencies

    @property
    def tps(self) -> float:
        """Transactions a second reached."""
        return self.transactions / self.seconds if self.seconds else 0.0

    @property
    def kept_up(self) -> bool:
        """No transaction was more than a second late at the end."""
        return self.behind < _LATE_SECONDS


def drive(
    traffic: Traffic,
    seconds: float | None,
    stop: threading.Event,
    progress: Callable[[Progress], None],
    paid: Callable[[Payment], None] = lambda _: None,
) -> Report:
    """Serve requests at the asked rate for ``seconds``, or until ``stop`` is set; each in one committed transaction.

    ``paid`` is told of each payment once it is committed, from the session's thread. Raises what the database
    raises; the other sessions then finish the transaction they are in.
    """
    with connect(traffic.app, autocommit=True, name="live traffic") as session:
        everyone = cast(session, traffic.seed, traffic.key)
    _fix_rates(traffic.loader)
    started = datetime.now(UTC)
    application = Application(f"{traffic.seed}_{int(started.timestamp() * 1e6):x}", everyone, paid)
    run = _Run(traffic, seconds, stop, application, requests(traffic.seed, everyone))
    return run.report(progress)


def _fix_rates(loader: PostgresAddress) -> None:
    """The rates of the last days, where the source has none: what is paid now must convert."""
    today = datetime.now(UTC).date()
    with connect(loader, name="live traffic") as session:
        rates.write(session, rates.series(today - timedelta(days=_RATE_DAYS), today), "live")


class _Run:
    def __init__(
        self,
        traffic: Traffic,
        seconds: float | None,
        stop: threading.Event,
        application: Application,
        asked: "Iterator[Request]",
    ) -> None:
        self.traffic, self.stop, self.application, self.asked = traffic, stop, application, asked
        self.commit, self.response = Latencies(), Latencies()
        self.seconds = seconds
        self.pacer = Pacer(traffic.tps, seconds)
        self.lock = threading.Lock()
        self.done = 0
        self.ready = threading.Barrier(traffic.sessions, action=self.begin)

    def begin(self) -> None:
        """Start the clock when every session is open: opening them is not traffic."""
        self.pacer = Pacer(self.traffic.tps, self.seconds)

    def report(self, progress: Callable[[Progress], None]) -> Report:
        with ThreadPoolExecutor(self.traffic.sessions) as pool:
            working = [pool.submit(self.work) for _ in range(self.traffic.sessions)]
            try:
                while not all(worker.done() for worker in working):
                    time.sleep(0.2)
                    progress(Progress(self.done, self.pacer.elapsed, self.pacer.behind))
            finally:
                behind, elapsed = self.pacer.behind, self.pacer.elapsed
                self.stop.set()
        for worker in working:
            worker.result()
        return Report(self.done, elapsed, self.traffic.tps, behind, self.commit, self.response)

    def work(self) -> None:
        """Serve one slot after another on a session of its own."""
        try:
            with connect(self.traffic.app, autocommit=True, name="live traffic") as session:
                self.ready.wait()
                while (slot := self.pacer.take()) is not None and self.pacer.wait_for(slot, self.stop):
                    with self.lock:
                        request = next(self.asked)
                    began = time.perf_counter()
                    kind = self.application.serve(session, request, slot.number)
                    ended = time.perf_counter()
                    self.commit.record(kind, ended - began)
                    self.response.record(kind, ended - slot.due)
                    with self.lock:
                        self.done += 1
        except threading.BrokenBarrierError:
            return  # the session that failed says why
        except BaseException:
            self.ready.abort()
            self.stop.set()
            raise
