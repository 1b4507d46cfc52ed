"""The runs that ended on each day, and their tasks, as the instance recorded them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import polars as pl

from payments_platform.contracts.figures import RUN_RECORDS
from payments_platform.defs._platform.instance_records import run_records as read
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks


@lake_assets(RUN_RECORDS, name="run_records")
def run_records(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[tuple[date, DayOutputs]]:
    """Keep what ended on each day: Dagster's own records may be removed."""
    found = read(context.instance, days[0], days[-1] + timedelta(days=1), datetime.now(UTC))
    for day in days:
        yield day, DayOutputs((found.filter(pl.col("partition_date") == day),))


run_records_checks = lake_checks(follows_contract(RUN_RECORDS))
