"""What ops are given: the source, the lake, the warehouse, dbt; made from the settings at first use.

Belongs here: the names of resources and pools, and how each is built in every environment. Does not: connections
(clients/), where things are (settings).
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.streams import STREAMS, live_streams
from payments_platform.settings import Settings, load_settings

if TYPE_CHECKING:
    from payments_platform.batch.extract import Extraction, SourceConnections
    from payments_platform.oltp.upkeep import SourceUpkeep

SOURCE: Final = "source"
SOURCE_UPKEEP: Final = "source_upkeep"
LAKE: Final = "lake"
LAKE_IO: Final = "lake_io"
WAREHOUSE: Final = "warehouse"
DBT: Final = "dbt"
CLOCK: Final = "clock"
WAREHOUSE_POOL: Final = "warehouse"


class Source:
    """The source database as the assets see it: days of history, and whether a table can be read whole."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _connections(self) -> "SourceConnections":
        from payments_platform.batch.extract import SourceConnections
        from payments_platform.clients.postgres import connect, connect_arrow

        primary = self._settings.postgres("primary", "extract")
        replica = self._settings.postgres("replica", "extract")
        return SourceConnections(
            primary=partial(connect, primary, autocommit=True, name="payments-extract"),
            replica=partial(connect, replica, autocommit=True, name="payments-extract"),
            replica_arrow=partial(connect_arrow, replica, name="payments-extract"),
        )

    def extract(self, dataset: Dataset, days: Sequence[date]) -> "Iterator[tuple[date, Extraction]]":
        """Extract each day of a raw dataset, in one snapshot of the replica."""
        from payments_platform.batch.extract import extract_days

        return extract_days(self._connections(), dataset, days, epoch=self._settings.epoch, workers=2)

    def problem_with(self, dataset: Dataset) -> str | None:
        """Return what keeps a table from being read whole, or None."""
        from payments_platform.batch.extract import problem_with

        return problem_with(self._connections(), dataset)


class SourceOwner:
    """The source database as its owner sees it: whose partitions have to be kept."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def upkeep(self, *, today: date) -> "SourceUpkeep":
        """Make what comes and detach what is old enough."""
        from payments_platform.clients.postgres import connect
        from payments_platform.oltp.upkeep import keep_partitions

        with connect(self._settings.postgres("primary", "owner"), name="payments-upkeep") as session:
            return keep_partitions(session, today, self._settings.history_days)


def _lake(settings: Settings) -> Any:  # noqa: ANN401 - Lake, imported late
    from payments_platform.lake.partitions import Lake
    from payments_platform.lake.storage import LocalStorage

    return Lake(LocalStorage(settings.lake_root))


def _warehouse(settings: Settings) -> Any:  # noqa: ANN401 - Warehouse, imported late
    from payments_platform.warehouse.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(settings.warehouse_path)


def _lake_io(context: dg.InitResourceContext) -> Any:  # noqa: ANN401 - LakeIOManager, imported late
    from payments_platform.defs._platform.lake_io import LakeIOManager

    return LakeIOManager(context.resources.lake)


def _dbt() -> Any:  # noqa: ANN401 - DbtCliResource, imported late
    from dagster_dbt import DbtCliResource

    project = Path(__file__).parents[4] / "dbt"
    executable = Path(sys.executable).parent / "dbt"
    return DbtCliResource(project_dir=str(project), profiles_dir=str(project), dbt_executable=str(executable))


def resources() -> dict[str, dg.ResourceDefinition]:
    """Every resource by key. Nothing is read or opened before a run asks for it."""
    return {
        SOURCE: dg.ResourceDefinition(lambda _: Source(load_settings())),
        SOURCE_UPKEEP: dg.ResourceDefinition(lambda _: SourceOwner(load_settings())),
        LAKE: dg.ResourceDefinition(lambda _: _lake(load_settings())),
        LAKE_IO: dg.IOManagerDefinition(_lake_io, required_resource_keys={LAKE}),
        WAREHOUSE: dg.ResourceDefinition(lambda _: _warehouse(load_settings())),
        STREAMS: dg.ResourceDefinition(lambda _: live_streams(load_settings())),
        DBT: dg.ResourceDefinition(lambda _: _dbt()),
        # What decides by the time is given it: a test moves it, a leap day or a week's outage needs no waiting.
        CLOCK: dg.ResourceDefinition(lambda _: partial(datetime.now, UTC)),
    }
