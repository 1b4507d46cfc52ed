"""Landing times: per day, when each dataset landed, and how long that usually takes, with a plot."""

import base64
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import dagster as dg
import polars as pl

from payments_platform.contracts.catalogue import DATASETS
from payments_platform.contracts.due import Due
from payments_platform.contracts.operations import DATA_LOAD_TIMES, PHASE_TIMES
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks
from payments_platform.defs._platform.resources import WAREHOUSE, WAREHOUSE_POOL
from payments_platform.defs._platform.specs import key_of
from payments_platform.lake.partitions import Lake
from payments_platform.operations.evidence import facts, lake_landings
from payments_platform.operations.load_times import WINDOW, delays_plot, load_times_of
from payments_platform.vocabulary import LAKE_ZONES, days_between
from payments_platform.warehouse.protocol import Warehouse

# All but itself: of its own landing it knows nothing yet.
_TOLD: Final = [it for it in DATASETS.values() if isinstance(it.deadline, Due) and it != DATA_LOAD_TIMES]
_IN_LAKE: Final = [it for it in _TOLD if it.zone in LAKE_ZONES]


@lake_assets(
    DATA_LOAD_TIMES,
    name="data_load_times",
    deps=[key_of(PHASE_TIMES)],
    resources={WAREHOUSE},
    pool=WAREHOUSE_POOL,
)
def load_times(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[tuple[date, DayOutputs]]:
    """Look up what landed when, keep it in the warehouse, and measure the delays."""
    lake: Lake = context.resources.lake
    warehouse: Warehouse = context.resources.warehouse
    looked_at = days_between(days[0] - timedelta(days=WINDOW - 1), days[-1] + timedelta(days=1))
    warehouse.record_lake_days(lake_landings(_IN_LAKE, lake, looked_at))
    watched = facts(_TOLD, {}, lake, warehouse.load_times(), looked_at)
    measured = {day: load_times_of(watched, day) for day in days}
    warehouse.record_delays(pl.concat(measured.values()))
    for day, rows in measured.items():
        yield day, DayOutputs((rows,))
    picture = base64.b64encode(delays_plot(watched, looked_at)).decode()
    plot = dg.MetadataValue.md(f"![hours from the end of the day to landing](data:image/png;base64,{picture})")
    shown = {"plot": plot}
    context.add_asset_metadata(shown, asset_key=key_of(DATA_LOAD_TIMES), partition_key=days[-1].isoformat())


data_load_times_checks = lake_checks(follows_contract(DATA_LOAD_TIMES))
