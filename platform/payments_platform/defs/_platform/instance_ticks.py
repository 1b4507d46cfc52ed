"""What Dagster's instance recorded of the ticks of schedules and sensors, as the frame that figures are made from.

Belongs here: reading the instance, and what it has forgotten. Does not: how late a tick is (operations/figures/ticks).
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg
import polars as pl

from payments_platform.operations.figures.periods import Span
from payments_platform.operations.figures.ticks import Automation, Tick, tick_records

# The instance keeps skipped ticks of sensors for two days (dagster.yaml); the gaps that they leave are no lag.
SENSOR_TICKS_KEPT: Final = timedelta(hours=47)
# A sensor that was silent for longer was taken out of the code, or stopped for good: its record stays in the instance.
GONE_AFTER: Final = timedelta(days=7)
_JUST_BEFORE: Final = timedelta(seconds=1)


def ticks_of(instance: dg.DagsterInstance, day: Span, until: datetime, now: datetime) -> pl.DataFrame:
    """The rows of ``operations/tick_records`` for a day, as far as ``until`` goes.

    ``now`` is when this is asked: what the instance has forgotten by then is not known.
    """
    # An instance that lives in memory alone has no automation, and no place for its ticks.
    states = instance.all_instigator_state() if instance.schedule_storage else []
    found = [_automation(instance, state, day, now) for state in states]
    return tick_records(sorted(found, key=lambda it: it.name), day, until)


def _automation(instance: dg.DagsterInstance, state: Any, day: Span, now: datetime) -> Automation:  # noqa: ANN401 - InstigatorState
    is_sensor = state.instigator_type.value == "SENSOR"
    interval = timedelta(seconds=getattr(state.instigator_data, "min_interval", None) or 0)
    is_known, ticks = now - day.starts_at < SENSOR_TICKS_KEPT, _ticks(instance, state, day)
    return Automation(
        name=state.instigator_name,
        kind="sensor" if is_sensor else "schedule",
        ticks=ticks,
        interval=interval,
        is_complete=not is_sensor or is_known,
        since=_since(instance, state, day, ticks, now) if is_sensor and is_known else None,
    )


def _ticks(instance: dg.DagsterInstance, state: Any, day: Span) -> list[Tick]:  # noqa: ANN401 - InstigatorState
    found = instance.get_ticks(
        state.instigator_origin_id,
        state.selector_id,
        after=(day.starts_at - _JUST_BEFORE).timestamp(),
        before=day.ends_at.timestamp(),
    )
    return sorted(
        (
            Tick(_moment(it.timestamp), _moment(end) if (end := it.tick_data.end_timestamp) else None,
                 it.status.value == "FAILURE")
            for it in found
        ),
        key=lambda tick: tick.at,
    )  # fmt: skip


def _since(instance: dg.DagsterInstance, state: Any, day: Span, ticks: list[Tick], now: datetime) -> datetime | None:  # noqa: ANN401 - InstigatorState
    """From when on a sensor is known to have been waited for: its last tick before the day, or when it was started.

    Its next evaluation removes ticks of more than two days ago, so that an earlier one need not have been the last.
    What can be said then is that none came in these two days.
    """
    origin, selector = state.instigator_origin_id, state.selector_id
    before = instance.get_ticks(origin, selector, before=day.starts_at.timestamp(), limit=1)
    seconds = before[0].timestamp if before else getattr(state.instigator_data, "last_sensor_start_timestamp", None)
    if seconds is None:
        return None
    moment = _moment(seconds)
    if not ticks and day.starts_at - moment > GONE_AFTER:
        return None
    return max(moment, now - SENSOR_TICKS_KEPT)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
