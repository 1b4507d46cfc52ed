"""Upkeep: what has to be done now and then so that the days go on being built.

Belongs here: partitions ahead, history that is old enough, leftovers of killed writers; a job of ops, because it makes
no dataset. Does not: retention of what the platform holds, and how each task is done (oltp/upkeep.py, lake/upkeep.py).
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from payments_platform.defs._platform.failures import RETRY
from payments_platform.defs._platform.resources import LAKE, SOURCE_UPKEEP
from payments_platform.defs.jobs import START_OF_SCHEDULES
from payments_platform.lake.partitions import Lake

# Longer than any write takes: a younger file may be about to be committed.
_LEFTOVER_AGE: Final = timedelta(days=1)


@dg.op(required_resource_keys={SOURCE_UPKEEP}, retry_policy=RETRY)
def keep_source_partitions(context: dg.OpExecutionContext) -> None:
    """Make the source's next partitions, detach history past its days, and fail when rows found no partition."""
    source: Any = context.resources.source_upkeep
    done = source.upkeep(today=datetime.now(UTC).date())
    context.add_output_metadata(
        {"partitions_made": done.made, "history_detached": list(done.detached), "default_rows": done.default_rows}
    )
    if done.default_rows:
        raise dg.Failure(done.advice, allow_retries=False)


@dg.op(required_resource_keys={LAKE}, retry_policy=RETRY)
def sweep_lake(context: dg.OpExecutionContext) -> None:
    """Remove the stream's segments past their days, and what killed writers left a day ago or earlier."""
    lake: Lake = context.resources.lake
    now = datetime.now(UTC)
    expired, removed = lake.expire_segments(now=now), lake.sweep(older_than=_LEFTOVER_AGE, now=now)
    counts = {"segments_expired": len(expired), "files_removed": len(removed)}
    context.add_output_metadata({**counts, "bytes_by_zone": lake.bytes_by_zone()})


@dg.job(description="Partitions ahead, old history detached, leftovers swept; safe at any time, also twice.")
def daily_upkeep() -> None:
    """Two tasks that do not wait for each other."""
    keep_source_partitions()
    sweep_lake()


daily_upkeep_schedule = dg.ScheduleDefinition(
    name="daily_upkeep_schedule",
    job=daily_upkeep,
    cron_schedule="0 1 * * *",
    execution_timezone="UTC",
    default_status=START_OF_SCHEDULES,
)
