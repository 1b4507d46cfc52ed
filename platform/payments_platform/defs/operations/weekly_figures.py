"""The figures of the week of each day, with a plot over the weeks before."""

import base64
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg
import polars as pl

from payments_platform.contracts.figures import RUN_RECORDS, TICK_RECORDS, WEEKLY_FIGURES
from payments_platform.contracts.operations import PHASE_TIMES
from payments_platform.defs._platform.figure_facts import FigureFacts
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks
from payments_platform.defs._platform.resources import WAREHOUSE
from payments_platform.defs._platform.specs import key_of
from payments_platform.lake.partitions import Lake
from payments_platform.operations.figures.periods import midnight, week_of
from payments_platform.operations.figures.plots import weeks_plot
from payments_platform.operations.figures.stored import kept

PLOTTED_WEEKS: Final = 12
_READ: Final = [key_of(it) for it in (RUN_RECORDS, TICK_RECORDS, PHASE_TIMES)]


@lake_assets(WEEKLY_FIGURES, name="weekly_figures", deps=_READ, resources={WAREHOUSE})
def weekly_figures(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[tuple[date, DayOutputs]]:
    """Compute the week so far at the end of each day; a Sunday's partition is the whole week."""
    lake: Lake = context.resources.lake
    facts = FigureFacts(context.instance, lake, context.resources.warehouse)
    now = datetime.now(UTC)
    found = {day: facts.week(week_of(day), now, until=midnight(day + timedelta(days=1))) for day in days}
    for day, figures in found.items():
        yield day, DayOutputs((figures,))
    last = week_of(days[-1]).first
    sundays = [last - timedelta(days=1 + 7 * n) for n in range(PLOTTED_WEEKS)]
    before = kept(lake, WEEKLY_FIGURES, [day for day in sundays if day not in found])[0]
    picture = base64.b64encode(weeks_plot(pl.concat([before, found[days[-1]]]))).decode()
    plot = dg.MetadataValue.md(f"![figures of the jobs by week](data:image/png;base64,{picture})")
    context.add_asset_metadata({"plot": plot}, asset_key=key_of(WEEKLY_FIGURES), partition_key=days[-1].isoformat())


weekly_figures_checks = lake_checks(follows_contract(WEEKLY_FIGURES))
