"""Every metric that the platform's exporter gives to Prometheus: name, labels, meaning, and the source it comes from.

Belongs here: the closed list, from which the page in docs is written. Does not: values (samples.py), the metrics of
workers (streaming/).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, get_args

from payments_platform.operations.figures.catalogue import FIGURES

MetricSource = Literal["figures", "freshness", "alerts", "watch", "daemons"]
METRIC_SOURCES: Final[tuple[MetricSource, ...]] = get_args(MetricSource)
# How often each is read. A scrape is usually every 15 s; what costs more is asked less often.
EVERY: Final[Mapping[MetricSource, timedelta]] = {
    "figures": timedelta(minutes=5),
    "freshness": timedelta(minutes=1),
    "alerts": timedelta(seconds=15),
    "watch": timedelta(seconds=15),
    "daemons": timedelta(seconds=15),
}


@dataclass(frozen=True)
class Metric:
    """A gauge. ``source`` None: the exporter's own, which is always there."""

    name: str
    labels: tuple[str, ...]
    unit: str
    says: str
    source: MetricSource | None


def _gauges(source: MetricSource | None, *rows: tuple[str, str, str, str]) -> tuple[Metric, ...]:
    return tuple(
        Metric(f"payments_{name}", tuple(labels.split()), unit, says, source) for name, labels, unit, says in rows
    )


def name_of(figure: str) -> str:
    """The metric of a figure."""
    return f"payments_{figure}"


METRICS: Final[tuple[Metric, ...]] = (
    *(Metric(name_of(it.name), (it.of,), it.unit, f"This ISO week so far: {it.says}", "figures") for it in FIGURES),
    *_gauges(
        "figures",
        ("service_level_measured", "service_level", "1 or 0", "1 when this month so far was measured, 0 when not."),
        ("service_level_breached", "service_level", "1 or 0",
         "1 when this month so far breaks the promise; absent when not measured."),
        ("service_level_value", "service_level", "the level's",
         "What this month so far held; absent when not measured."),
        ("service_level_promised", "service_level", "the level's", "What is promised."),
    ),
    *_gauges(
        "freshness",
        ("dataset_late_seconds", "dataset", "seconds",
         "Since the deadline of the oldest due partition that is missing; 0 when none is."),
        ("dataset_missing_partitions", "dataset", "count", "Due partitions that are missing."),
        ("dataset_oldest_missing_timestamp_seconds", "dataset", "seconds since 1970",
         "Beginning of the oldest due partition that is missing; absent when none is."),
        ("dataset_at_risk", "dataset", "1 or 0", "1 when the next partition cannot be there in time."),
    ),
    *_gauges(
        "alerts",
        ("alerts_open", "rule severity", "count", "Open alerts."),
        ("alerts_messages_waiting", "channel", "count", "Messages that their channel has not taken yet."),
        ("alerts_evaluated_timestamp_seconds", "", "seconds since 1970", "When the rules were evaluated last."),
    ),
    *_gauges(
        "watch",
        ("alerts_watched_timestamp_seconds", "", "seconds since 1970", "When the dead-man's switch looked last."),
        ("alerts_silent", "", "1 or 0", "1 while the dead-man's switch tells that nothing is evaluated."),
    ),
    *_gauges(
        "daemons",
        ("daemon_heartbeat_timestamp_seconds", "daemon", "seconds since 1970", "Last heartbeat of a daemon."),
    ),
    *_gauges(
        None,
        ("metrics_source_up", "source", "1 or 0", "0 while a source cannot be read; its metrics are absent then."),
        ("metrics_source_read_timestamp_seconds", "source", "seconds since 1970", "When the source was read last."),
        ("metrics_source_read_seconds", "source", "seconds", "How long the last reading took."),
    ),
)  # fmt: skip
BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}
