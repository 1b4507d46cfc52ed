"""The timetable of live traffic: when each transaction is due, whatever became of the ones before.

Belongs here: due times, and how far a run fell behind them. Does not: what is done (operations.py), threads.
Open loop: a server that slows down does not slow down its customers. A loop that waits for each answer before it asks
again would measure a slow server as a quiet one.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """One transaction to start: its number from 0 on, and when it is due on the pacer's clock, in seconds."""

    number: int
    due: float


class Pacer:
    """Hands out slots at ``rate`` a second for ``seconds``, or without end; safe to ask from many threads."""

    def __init__(self, rate: float, seconds: float | None, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin now."""
        self._rate, self._clock = rate, clock
        self._limit = None if seconds is None else round(seconds * rate)
        self._lock = threading.Lock()
        self._next = 0
        self.started = clock()
        self._end = None if seconds is None else self.started + seconds

    def take(self) -> Slot | None:
        """The next slot; None when the time is over. Slots that are late by then are not made up for."""
        with self._lock:
            over = self._end is not None and self._clock() >= self._end
            if over or (self._limit is not None and self._next >= self._limit):
                return None
            slot = Slot(self._next, self.started + self._next / self._rate)
            self._next += 1
            return slot

    def wait_for(self, slot: Slot, stop: threading.Event) -> bool:
        """Sleep until the slot is due; False when the run was stopped meanwhile."""
        return not stop.wait(max(0.0, slot.due - self._clock()))

    @property
    def elapsed(self) -> float:
        """Seconds since the begin."""
        return self._clock() - self.started

    @property
    def behind(self) -> float:
        """How many seconds the next slot is late; 0 when the run keeps up."""
        with self._lock:
            return max(0.0, self._clock() - self.started - self._next / self._rate)
