"""How long a committed payment takes to be readable in each store, measured by reading the stores.

Belongs here: sampling commits, polling until each store answers, the percentiles. Does not: how a store is asked
(``Finder``, one a store), making traffic (oltp/traffic), what the figures must be (benchmarks/).
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from payments_platform.oltp.traffic.latency import Latencies, Percentiles

# Every question costs the store something too: a reader that asks without pause measures itself.
POLL_SECONDS: Final = 0.05
# Payments looked for at once in one store; beyond, new samples are passed over, so that a store that stands still does
# not get questions that grow.
_OUTSTANDING: Final = 200


@dataclass(frozen=True)
class Sample:
    """A payment whose commit was acknowledged at ``committed`` (seconds of the probe's clock)."""

    transaction_id: str
    created_at: datetime
    committed: float


# Asks one store which of these payments a reader finds there now; returns their ids. May raise while the store is away.
Finder = Callable[[Sequence[Sample]], Collection[str]]


@dataclass(frozen=True)
class Delay:
    """What one store showed: delays from acknowledged commit to readable, and samples that never came."""

    percentiles: Percentiles
    missing: int
    last_error: str


class Probe:
    """Looks for a sample of the payments committed while the block lasts, in every store, until it finds them.

    A delay ends when the store's answer arrived, so it includes the question and up to one pause between questions.
    """

    def __init__(
        self, finders: Mapping[str, Finder], per_second: float = 20.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``per_second`` bounds the samples; the payments between them are passed over."""
        self._clock, self._pause = clock, 1.0 / per_second
        self._next = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._watches = {name: _Watch(finder, clock, self._over) for name, finder in finders.items()}

    def committed(self, transaction_id: str, created_at: datetime) -> None:
        """Say that a payment's commit was just acknowledged; safe from many threads."""
        now = self._clock()
        with self._lock:
            if now < self._next:
                return
            self._next = now + self._pause
        for watch in self._watches.values():
            watch.add(Sample(transaction_id, created_at, now))

    def __enter__(self) -> Self:
        for watch in self._watches.values():
            watch.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for watch in self._watches.values():
            watch.thread.join()

    def settle(self, seconds: float) -> None:
        """Wait until every sample was found, at most ``seconds``."""
        end = self._clock() + seconds
        while self._clock() < end and any(watch.waiting for watch in self._watches.values()):
            time.sleep(POLL_SECONDS)

    def report(self) -> dict[str, Delay]:
        """The delays by store, in the order the stores were given."""
        return {
            name: Delay(watch.found.percentiles(), len(watch.waiting), watch.last_error)
            for name, watch in self._watches.items()
        }


class _Watch:
    """One store: what is looked for there, and a thread that looks."""

    def __init__(self, finder: Finder, clock: Callable[[], float], over: threading.Event) -> None:
        self._finder, self._clock, self._over = finder, clock, over
        self.waiting: dict[str, Sample] = {}
        self.found = Latencies()
        self.last_error = ""
        self.thread = threading.Thread(target=self._look, daemon=True)

    def add(self, sample: Sample) -> None:
        if len(self.waiting) < _OUTSTANDING:
            self.waiting[sample.transaction_id] = sample

    def _look(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            if not self.waiting:
                continue
            try:
                answer = self._finder(list(self.waiting.values()))
            except Exception as error:  # noqa: BLE001 - a store that is away is slow, not the end of the measurement
                self.last_error = f"{type(error).__name__}: {error}"
                continue
            now = self._clock()
            for transaction_id in answer:
                sample = self.waiting.pop(transaction_id, None)
                if sample is not None:
                    self.found.record("found", now - sample.committed)
