"""The sources of the exporter, as the settings say: each opens what it needs and closes it again.

Belongs here: which place answers which source. Does not: the samples, how often they are read (operations/metrics).
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache

import dagster as dg

from payments_platform.clients.dagster import records_of
from payments_platform.defs._platform.figure_facts import FigureFacts
from payments_platform.defs._platform.instance_records import Rows
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage
from payments_platform.operations.alerts.access import WATCH_STATE, opened
from payments_platform.operations.alerts.file_store import FileStore
from payments_platform.operations.figures.periods import month_of, week_of
from payments_platform.operations.metrics.families import MetricSource
from payments_platform.operations.metrics.samples import (
    Sample,
    of_alerts,
    of_daemons,
    of_freshness,
    of_month,
    of_watch,
    of_week,
)
from payments_platform.settings import Settings
from payments_platform.warehouse.protocol import Warehouse

Graph = Callable[[], dg.RepositoryDefinition]


@cache
def sources_of(settings: Settings) -> "Sources":
    """The sources of these settings, one in a process: what they remember is read once."""
    return Sources(settings)


class Sources:
    """The platform of these settings. Runs that were read once are remembered."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, Rows] = {}

    def read(self, source: MetricSource, now: datetime, graph: Graph) -> list[Sample]:
        """The samples of one source. Raises whatever its place raises while it is away.

        ``graph`` loads the definitions; only freshness asks for them, so broken ones cost nothing else.
        """
        match source:
            case "figures":
                return self._figures(now)
            case "freshness":
                return self._freshness(now, graph)
            case "alerts":
                return self._alerts()
            case "watch":
                return self._watch()
            case "daemons":
                return self._daemons()

    def _places(self) -> tuple[Lake, Warehouse]:
        from payments_platform.warehouse.duckdb import DuckDBWarehouse

        return Lake(LocalStorage(self._settings.lake_root)), DuckDBWarehouse(self._settings.warehouse_path)

    def _figures(self, now: datetime) -> list[Sample]:
        lake, warehouse = self._places()
        with records_of(self._settings) as instance:
            facts = FigureFacts(instance, lake, warehouse, self._known)
            week, month = facts.week(week_of(now.date()), now), facts.month(month_of(now.date()), now)
        return [*of_week(week), *of_month(month)]

    def _freshness(self, now: datetime, graph: Graph) -> list[Sample]:
        from payments_platform.defs.operations.on_time import freshness_now

        lake, warehouse = self._places()
        with records_of(self._settings) as instance:
            states = freshness_now(graph(), instance, lake, warehouse, now)
        return list(of_freshness(states, now))

    def _alerts(self) -> list[Sample]:
        with opened(self._settings, {}, lambda _: None) as alerting:
            return list(of_alerts(alerting.store.memory(), alerting.store.waiting()))

    def _watch(self) -> list[Sample]:
        return list(of_watch(FileStore(self._settings.home.joinpath(*WATCH_STATE)).memory()))

    def _daemons(self) -> list[Sample]:
        with records_of(self._settings) as instance:
            beats = instance.get_daemon_heartbeats()
        return list(of_daemons({name: float(beat.timestamp) for name, beat in beats.items()}))
