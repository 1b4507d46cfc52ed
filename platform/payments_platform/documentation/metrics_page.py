"""The page of metrics, from the code that serves them. Belongs here: the tables. Does not: any metric."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry

from payments_platform.documentation.markdown import table
from payments_platform.operations.metrics.families import METRICS
from payments_platform.streaming.capture.metrics import Metrics
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.parts import Parts

_LEAD = """# Metrics

Every long-lived program serves Prometheus' text format at `/metrics` on 127.0.0.1; `payments status` shows the
addresses. Nothing else is needed: any Prometheus can scrape them, and `curl` shows them."""
_PLATFORM = """## The platform: `payments alerts watch`, port 9414

A scrape shows what was read last and asks nobody. A source that cannot be read, or has missed three of its turns,
takes its metrics away and sets `payments_metrics_source_up` to 0: an old figure never passes for a new one. Figures
and service levels are read every 5 minutes, freshness every minute, the rest every 15 seconds."""
_CAPTURE = "## Change capture: `payments capture watch`, port 9409"
_WORKERS = "## Stream workers: `payments stream run …`, ports 9410 to 9413\n\nEach with its name as the label `worker`."


def metrics_page() -> str:
    """A row for every metric: name with labels, unit, meaning."""
    rows = [(f"`{it.name}`", ", ".join(it.labels), it.unit, it.says) for it in METRICS]
    workers = CollectorRegistry()
    WorkerMetrics("worker", workers)
    Parts("worker", workers)
    return "\n".join(
        [
            _LEAD,
            "",
            _PLATFORM,
            "",
            *table(("metric", "by", "unit", "meaning"), rows),
            "",
            _CAPTURE,
            "",
            *_families(Metrics().registry),
            "",
            _WORKERS,
            "",
            *_families(workers),
        ]
    )


def _families(registry: CollectorRegistry) -> Sequence[str]:
    return table(("metric", "type", "unit", "meaning"), list(_rows(registry)))


def _rows(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, str]]:
    for family in sorted(registry.collect(), key=lambda it: it.name):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        unit = "count" if family.type == "counter" else _unit(family.name)
        yield f"`{name}`", family.type, unit, family.documentation


def _unit(name: str) -> str:
    """By Prometheus' convention a name ends with its unit; without one it counts, or says yes (1) or no (0)."""
    return name.rsplit("_", 1)[-1] if name.endswith(("_seconds", "_bytes", "_ratio")) else "count, or 1 and 0"
