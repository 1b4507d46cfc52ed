"""The workers by name, and what each is put together from.

Belongs here: the list, names of groups and slots, connecting a handler to its topics. Does not: the loop (worker.py),
any work (a handler), signals and ports (commands/stream.py).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from threading import Event
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry

from payments_platform.clients import kafka
from payments_platform.errors import ExplainedError
from payments_platform.settings import Settings
from payments_platform.streaming.handler import Handler
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.parts import Parts
from payments_platform.streaming.source import KafkaSource, Pace
from payments_platform.streaming.worker import Worker

WORKERS: Final[Mapping[str, str]] = {
    "processor": "payments_platform.streaming.processing:processor",
    "sink-mongodb": "payments_platform.streaming.sinks.jobs:mongodb",
    "sink-elasticsearch": "payments_platform.streaming.sinks.jobs:elasticsearch",
    "sink-lake": "payments_platform.streaming.sinks.jobs:lake",
}
"""Name → ``module:function``, which takes a ``Setting`` and returns a ``Job``. Imported when that worker is run."""


class UnknownWorker(ExplainedError):
    """No worker has this name. The text lists those that there are."""


@dataclass(frozen=True)
class Setting:
    """What a worker is built in. ``slot`` names this member among those of its group, and stays over restarts."""

    settings: Settings
    slot: str
    metrics: WorkerMetrics
    parts: Parts


@dataclass(frozen=True)
class Job:
    """What a worker does: the topics it follows, and its handler, which may need to know the source it is fed by."""

    topics: Collection[str]
    handler: Callable[[KafkaSource], Handler]
    pace: Pace = field(default_factory=Pace)
    more: Mapping[str, object] = field(default_factory=dict)
    """Settings of the consumer beyond clients/kafka.py's."""


def build(
    name: str, settings: Settings, *, slot: str | None = None, stop: Event, registry: CollectorRegistry = REGISTRY
) -> Worker:
    """Connect the worker ``name``. Its consumer group has its name. Raises ``UnknownWorker``.

    A registry takes the metrics of one worker: several in a process need one each.
    """
    if name not in WORKERS:
        raise UnknownWorker(f"There is no worker {name!r}. Known: {', '.join(WORKERS)}")
    slot = slot or f"{name}-1"
    metrics, parts = WorkerMetrics(name, registry), Parts(name, registry)
    module, function = WORKERS[name].split(":")
    job: Job = getattr(import_module(module), function)(Setting(settings, slot, metrics, parts))
    consumer = kafka.consumer(settings.kafka_servers(), name, instance=slot, more=job.more)
    source = KafkaSource(consumer, job.topics, parts)
    return Worker(name, source, job.handler(source), metrics, pace=job.pace, stop=stop)
