"""The loop of every long-lived worker: poll a batch, hand it over, commit what is durable.

Belongs here: order of these steps, retries with back-pressure, rebalances, an orderly end. Does not: what is done with
messages (a Handler), Kafka (source.py), how a worker is put together from settings (workers.py).
"""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from threading import Event

import polars as pl

from payments_platform.operations.errors import retry_after, verdict
from payments_platform.streaming.failures import explained
from payments_platform.streaming.handler import Handler
from payments_platform.streaming.messages import MESSAGES
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.positions import Partition, Positions, without
from payments_platform.streaming.source import Pace, Source

_log = logging.getLogger(__name__)
_LAG_SECONDS = 1.0


class Worker:
    """One member of a consumer group at work, in one thread.

    A message is committed only after its handler called it durable, so a kill at any point repeats work and loses
    none. A handler that is down stops its own partitions and nothing else: they are paused, and polling goes on so
    that the group does not take the worker for dead; the position stays where the last durable message left it.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        handler: Handler,
        metrics: WorkerMetrics,
        *,
        pace: Pace | None = None,
        stop: Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._source, self._handler, self._metrics = name, source, handler, metrics
        self._pace, self._stop, self._clock = pace or Pace(), stop or Event(), clock
        self._batch = pl.DataFrame(schema=MESSAGES)
        self._durable: Positions = {}
        self._next_commit = self._next_lag = clock()

    def run(self) -> None:
        """Work until ``stop`` is set, then end in order: drain, commit, leave. Raises what no retry can heal."""
        self._source.open(self)
        try:
            while not self._stop.is_set():
                self._turn()
            self.revoked(self._source.assignment())
        except BaseException as error:
            # What ended the worker is what a person must read, not how its connections took it.
            with suppress(Exception):
                self._close()
            if (said := explained(error)) is not error:
                raise said from error
            raise
        self._close()

    def _close(self) -> None:
        try:
            self._handler.close()
        finally:
            self._source.close()

    def assigned(self, partitions: Collection[Partition]) -> Positions:
        """Partitions came; see ``Listener``."""
        _log.info("%s: takes %s", self._name, _text(partitions))
        return self._handler.start(partitions)

    def revoked(self, partitions: Collection[Partition]) -> None:
        """Partitions are asked back: make durable what can be, commit it, forget the rest."""
        _log.info("%s: gives back %s", self._name, _text(partitions))
        try:
            self._durable |= self._handler.drain(partitions)
            self._commit()
        except Exception as error:
            if verdict(error).error_class != "transient":
                raise
            _log.warning("%s: what was not durable is left to be read again: %s", self._name, error)
        self.lost(partitions)

    def lost(self, partitions: Collection[Partition]) -> None:
        """Partitions are another's already."""
        self._handler.forget(partitions)
        self._batch = without(self._batch, partitions)
        self._durable = {name: offset for name, offset in self._durable.items() if name not in set(partitions)}

    def _turn(self) -> None:
        self._take(self._source.poll(self._pace))
        if not self._batch.is_empty():
            self._persist(self._handle)
        self._persist(self._handler.tick)
        now = self._clock()
        if now >= self._next_commit:
            self._next_commit = now + self._pace.commit_seconds
            self._commit()
        if now >= self._next_lag:
            self._next_lag = now + _LAG_SECONDS
            self._metrics.lags(self._source.lags())

    def _take(self, messages: pl.DataFrame) -> None:
        self._batch = messages if self._batch.is_empty() else pl.concat([self._batch, messages])

    def _handle(self) -> Positions:
        if self._batch.is_empty():
            return {}
        with self._metrics.batch():
            positions = self._handler.handle(self._batch)
        self._metrics.handled(self._batch.height)
        self._batch = self._batch.clear()
        return positions

    def _persist(self, verb: Callable[[], Positions]) -> None:
        """Call until it succeeds; a stop signal ends the waiting, and what is not durable is read again some day."""
        attempt = 0
        while not (attempt and self._stop.is_set()):
            try:
                self._durable |= verb()
                break
            except Exception as error:
                decided = verdict(error)
                if decided.error_class != "transient":
                    raise
                attempt += 1
                _log.warning("%s: try %d failed, %s: %s", self._name, attempt, decided.because, error)
                self._back_off(attempt)
        if attempt:
            self._source.resume()
            self._metrics.resumed()

    def _back_off(self, attempt: int) -> None:
        self._source.pause()
        self._metrics.paused()
        until = self._clock() + retry_after(attempt, self._name)
        while self._clock() < until and not self._stop.is_set():
            self._take(self._source.poll(self._pace))

    def _commit(self) -> None:
        """Commit what is durable. A group in motion refuses: the positions are kept for the next time."""
        if not self._durable:
            return
        try:
            self._source.commit(self._durable)
        except Exception as error:
            if verdict(error).error_class != "transient":
                raise
            _log.warning("%s: positions are committed later: %s", self._name, error)
            return
        self._durable = {}


def _text(partitions: Collection[Partition]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in sorted(partitions)) or "no partition"
