"""Where a worker's time goes: seconds by part of the work, for metrics and the benchmark.

Belongs here: the stopwatch. Does not: what the parts are (whoever times them).
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter


class Parts:
    """Adds up seconds by name; with a registry, Prometheus sees them too."""

    def __init__(self, worker: str = "", registry: CollectorRegistry | None = None) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._worker = worker
        self._counter: Counter | None = None
        if registry is not None:
            labels = ["worker", "part"]
            self._counter = Counter("payments_stream_part_seconds", "Seconds by part.", labels, registry=registry)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time that the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            self.seconds[name] += taken
            if self._counter is not None:
                self._counter.labels(self._worker, name).inc(taken)
