"""The exporter: sources are read in the background, each at its own pace; a scrape shows what was read last.

Belongs here: when a source is read, what is shown while it cannot be. Does not: any source, HTTP. A scrape asks nobody,
so it takes milliseconds and never fails, whatever is away.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from payments_platform.operations.metrics.families import EVERY, METRIC_SOURCES, METRICS, MetricSource
from payments_platform.operations.metrics.samples import Sample

# Reads one source. Raises while it is away.
Reader = Callable[[MetricSource, datetime], Sequence[Sample]]
Say = Callable[[str], None]
# A source that has not answered for so many of its turns is taken for away: it may hang.
_MISSED_TURNS: Final = 3


@dataclass(frozen=True)
class _Answer:
    """What a source said last, when, and how long it took. ``samples`` None: it could not be read."""

    samples: Sequence[Sample] | None
    at: datetime
    seconds: float


class Exporter(Collector):
    """Collects for Prometheus. ``read_once`` reads one source; ``start`` does so for all, over and over."""

    def __init__(self, read: Reader, clock: Callable[[], datetime], say: Say) -> None:
        self._read, self._clock, self._say = read, clock, say
        self._answers: dict[MetricSource, _Answer] = {}

    def read_once(self, source: MetricSource) -> None:
        """Read one source; what it raises is said once and shown as a source that is away."""
        before, began, started = self._answers.get(source), self._clock(), time.perf_counter()
        try:
            answer = _Answer(tuple(self._read(source, began)), began, 0.0)
        except Exception as error:  # noqa: BLE001 - whatever a client raises: the other sources go on
            answer = _Answer(None, began, 0.0)
            if before is None or before.samples is not None:
                self._say(f"{source} cannot be read: {type(error).__name__}: {str(error).strip()[:300]}")
        self._answers[source] = replace(answer, seconds=time.perf_counter() - started)

    def start(self, stop: threading.Event) -> None:
        """Read each source in a thread of its own until ``stop``: one that hangs holds up no other."""
        for source in METRIC_SOURCES:
            threading.Thread(target=self._keep_reading, args=(source, stop), daemon=True, name=source).start()

    def _keep_reading(self, source: MetricSource, stop: threading.Event) -> None:
        while not stop.is_set():
            self.read_once(source)
            stop.wait(EVERY[source].total_seconds())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every metric of the list, with the samples of the sources that answer."""
        now, answers = self._clock(), dict(self._answers)
        up = {source for source, answer in answers.items() if self._is_up(source, answer, now)}
        samples = [*self._own(answers, up)]
        for source in up:
            samples += answers[source].samples or ()
        by_metric: dict[str, list[Sample]] = {}
        for sample in samples:
            by_metric.setdefault(sample.metric, []).append(sample)
        for metric in METRICS:
            family = GaugeMetricFamily(metric.name, metric.says, labels=metric.labels)
            for sample in by_metric.get(metric.name, ()):
                family.add_metric(sample.labels, sample.value)
            yield family

    def _is_up(self, source: MetricSource, answer: _Answer, now: datetime) -> bool:
        return answer.samples is not None and now - answer.at <= _MISSED_TURNS * EVERY[source]

    def _own(self, answers: Mapping[MetricSource, _Answer], up: set[MetricSource]) -> Iterator[Sample]:
        for source in METRIC_SOURCES:
            yield Sample("payments_metrics_source_up", (source,), float(source in up))
            if source in answers:
                at, seconds = answers[source].at, answers[source].seconds
                yield Sample("payments_metrics_source_read_timestamp_seconds", (source,), at.timestamp())
                yield Sample("payments_metrics_source_read_seconds", (source,), seconds)
