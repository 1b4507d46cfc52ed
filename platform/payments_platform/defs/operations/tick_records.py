"""How late schedules and sensors were evaluated on each day, kept before the instance forgets their ticks."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from payments_platform.contracts.figures import TICK_RECORDS
from payments_platform.defs._platform.instance_ticks import SENSOR_TICKS_KEPT, ticks_of
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks
from payments_platform.lake.partitions import Lake
from payments_platform.operations.figures.periods import Span
from payments_platform.operations.figures.stored import is_kept


@lake_assets(TICK_RECORDS, name="tick_records")
def tick_records(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[tuple[date, DayOutputs]]:
    """Look at each day's ticks. An old day keeps what was seen when all its ticks were there."""
    lake: Lake = context.resources.lake
    now = datetime.now(UTC)
    for day in days:
        span = Span(day, day + timedelta(days=1), day.isoformat())
        if now - span.starts_at >= SENSOR_TICKS_KEPT and is_kept(lake, TICK_RECORDS, day):
            yield day, DayOutputs((lake.scan(TICK_RECORDS, day).collect(),))
        else:
            yield day, DayOutputs((ticks_of(context.instance, span, now, now),))


tick_records_checks = lake_checks(follows_contract(TICK_RECORDS))
