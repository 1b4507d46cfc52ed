"""The register of service levels: the month of each day as far as the day went, with a plot over the months before."""

import base64
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg
import polars as pl

from payments_platform.contracts.figures import RUN_RECORDS, SERVICE_LEVELS
from payments_platform.contracts.operations import DATA_LOAD_TIMES, QUALITY_REPORT, STREAM_RECONCILIATION
from payments_platform.defs._platform.figure_facts import FigureFacts
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks
from payments_platform.defs._platform.resources import WAREHOUSE
from payments_platform.defs._platform.specs import key_of
from payments_platform.lake.partitions import Lake
from payments_platform.operations.figures.periods import midnight, month_of
from payments_platform.operations.figures.plots import register_plot
from payments_platform.operations.figures.stored import kept

PLOTTED_MONTHS: Final = 12
# A day is due at six in the morning of the next.
_DUE_BY: Final = timedelta(days=1, hours=6)
_READ: Final = [key_of(it) for it in (RUN_RECORDS, DATA_LOAD_TIMES, QUALITY_REPORT, STREAM_RECONCILIATION)]


@lake_assets(SERVICE_LEVELS, name="service_levels", deps=_READ, resources={WAREHOUSE})
def service_levels(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[tuple[date, DayOutputs]]:
    """Judge the month up to each day's deadline; the partition of a month's last day is the month's final entry."""
    lake: Lake = context.resources.lake
    facts = FigureFacts(context.instance, lake, context.resources.warehouse)
    now = datetime.now(UTC)
    found = {day: facts.month(month_of(day), min(now, midnight(day) + _DUE_BY)) for day in days}
    for day, register in found.items():
        yield day, DayOutputs((register,))
    shown, ends = found[days[-1]], month_of(days[-1]).first
    for _ in range(PLOTTED_MONTHS - 1):
        last = ends - timedelta(days=1)
        shown, ends = pl.concat([kept(lake, SERVICE_LEVELS, [last])[0], shown]), month_of(last).first
    picture = base64.b64encode(register_plot(shown)).decode()
    plot = dg.MetadataValue.md(f"![service levels by month](data:image/png;base64,{picture})")
    context.add_asset_metadata({"plot": plot}, asset_key=key_of(SERVICE_LEVELS), partition_key=days[-1].isoformat())


service_levels_checks = lake_checks(follows_contract(SERVICE_LEVELS))
