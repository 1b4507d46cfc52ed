"""A sensor that stood still is late by all the time it stood: over midnight, within a day, for whole days, until now.

Belongs here: the arithmetic on given ticks. Does not: reading them (definitions/test_instance_ticks).
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from payments_platform.operations.figures.periods import Span
from payments_platform.operations.figures.ticks import Automation, Tick, tick_records

MONDAY, TUESDAY, WEDNESDAY = (
    Span(day, day + timedelta(days=1), f"{day}") for day in (date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4))
)
HALF_MINUTE = timedelta(seconds=30)
HOUR = 3600.0


def at(day: Span, hour: float) -> datetime:
    return day.starts_at + timedelta(hours=hour)


def ticks(begins: datetime, ends: datetime) -> list[Tick]:
    """A tick each half minute, the end included."""
    count = int((ends - begins) / HALF_MINUTE)
    return [Tick(begins + n * HALF_MINUTE, begins + n * HALF_MINUTE) for n in range(count + 1)]


def lags(
    found: list[Tick], day: Span, until: datetime | None = None, **more: object
) -> tuple[int, float, float] | None:
    """Ticks, P95 and longest lag of the day; None without a row."""
    it = Automation("alerts", "sensor", found, HALF_MINUTE, **more)  # type: ignore[arg-type]
    rows = list(tick_records([it], day, until or day.ends_at).iter_rows(named=True))
    return (rows[0]["tick_count"], rows[0]["p95_lag_seconds"], rows[0]["longest_lag_seconds"]) if rows else None


@pytest.mark.row("R6")
def test_a_night_without_a_tick_is_seen_on_both_its_days() -> None:
    """Silent from 21:00 to 06:00: three hours of the first day, and nine by the time it comes back."""
    night = ticks(MONDAY.starts_at, at(MONDAY, 21)) + ticks(at(TUESDAY, 6), TUESDAY.ends_at)
    assert lags(night, MONDAY) == (2521, 0.0, 3 * HOUR - 30)
    assert lags(night, TUESDAY) == (2160, 0.0, 9 * HOUR - 30)


@pytest.mark.row("R6")
def test_a_gap_inside_a_day_is_its_longest_lag_though_95_of_100_ticks_were_in_time() -> None:
    gap = ticks(MONDAY.starts_at, at(MONDAY, 8)) + ticks(at(MONDAY, 15), MONDAY.ends_at)
    assert lags(gap, MONDAY) == (2041, 0.0, 7 * HOUR - 30)


@pytest.mark.row("R6")
def test_a_sensor_that_never_comes_back_is_late_on_whole_days_too() -> None:
    gone = ticks(MONDAY.starts_at, at(MONDAY, 12))
    assert lags(gone, TUESDAY) == (0, 36 * HOUR - 30, 36 * HOUR - 30)
    assert lags(gone, WEDNESDAY) == (0, 60 * HOUR - 30, 60 * HOUR - 30)


@pytest.mark.row("R6")
def test_a_day_that_is_not_over_is_judged_up_to_now() -> None:
    gone = ticks(MONDAY.starts_at, at(MONDAY, 12))
    assert lags(gone, MONDAY, at(MONDAY, 13)) == (1441, 0.0, HOUR - 30)
    assert lags(gone, MONDAY, at(MONDAY, 12) + HALF_MINUTE) == (1441, 0.0, 0.0)
    assert lags(gone, TUESDAY, TUESDAY.starts_at) is None


@pytest.mark.row("R6")
def test_ticks_after_the_look_are_not_known_yet() -> None:
    assert lags(ticks(MONDAY.starts_at, MONDAY.ends_at), MONDAY, at(MONDAY, 1)) == (120, 0.0, 0.0)


@pytest.mark.row("R6")
def test_where_the_tick_before_is_forgotten_it_was_waited_for_at_least_since() -> None:
    """A weekend: the first evaluation after it removes the last one before it."""
    back = ticks(at(MONDAY, 8), MONDAY.ends_at)
    assert lags(back, MONDAY, since=MONDAY.starts_at - timedelta(hours=16)) == (1920, 0.0, 24 * HOUR - 30)
    assert lags(back, MONDAY, since=at(MONDAY, 9)) == lags(back, MONDAY) == (1920, 0.0, 0.0)


@pytest.mark.row("R6")
def test_a_sensor_that_is_on_time_has_no_lag_at_either_end_of_its_day() -> None:
    steady = ticks(MONDAY.starts_at - timedelta(hours=1), datetime(2026, 3, 3, 1, tzinfo=UTC))
    assert lags(steady, MONDAY) == (2880, 0.0, 0.0)
