"""The partitions of the asset graph: UTC days from the configured first day on."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg

from payments_platform.settings import load_settings
from payments_platform.vocabulary import day_of, days_between

DAILY = dg.DailyPartitionsDefinition(start_date=load_settings().first_partition.isoformat(), timezone="UTC")
HOURLY = dg.HourlyPartitionsDefinition(start_date=f"{load_settings().first_partition}-00:00", timezone="UTC")
HOUR_FORMAT: Final = "%Y-%m-%d-%H:%M"
# One run takes up to this many days: planning costs more than the work when every day is a run of its own.
IN_RANGES = dg.BackfillPolicy.multi_run(max_partitions_per_run=load_settings().days_per_run)

RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"
SINGLE: Final = "dagster/partition"
# A run that checks windows of the stream rather than hours names the first and the last.
WINDOWS_TAG: Final = "payments/windows"
_HOUR: Final = timedelta(hours=1)


def days_of(run_tags: Mapping[str, str]) -> list[date]:
    """The days a run covers, from its tags: one day, or a range with both ends included.

    Checks have no partition range of their own in Dagster, so they and the assets read the same tags. Raises ValueError
    when the run covers no day: working on "all days" by mistake would rewrite history.
    """
    if RANGE_START in run_tags:
        first, last = day_of(run_tags[RANGE_START]), day_of(run_tags[RANGE_END])
        return [*days_between(first, last), last]
    if SINGLE in run_tags:
        return [day_of(run_tags[SINGLE])]
    raise ValueError("the run names no day: start it for a partition or a range of partitions")


def windows_of(run_tags: Mapping[str, str]) -> range:
    """The windows of the stream that a run names. Raises ValueError when it names none."""
    if WINDOWS_TAG not in run_tags:
        raise ValueError("the run names no windows")
    first, last = map(int, run_tags[WINDOWS_TAG].split("-"))
    return range(first, last + 1)


def hours_of(run_tags: Mapping[str, str]) -> list[str]:
    """The hourly partition keys a run covers, as ``days_of`` does for days. Raises ValueError when it covers none."""
    first, last = (run_tags.get(tag, run_tags.get(SINGLE)) for tag in (RANGE_START, RANGE_END))
    if first is None or last is None:
        raise ValueError("the run names no hour: start it for a partition or a range of partitions")
    start, end = (datetime.strptime(key, HOUR_FORMAT).replace(tzinfo=UTC) for key in (first, last))
    return [(start + timedelta(hours=n)).strftime(HOUR_FORMAT) for n in range(int((end - start) / _HOUR) + 1)]
