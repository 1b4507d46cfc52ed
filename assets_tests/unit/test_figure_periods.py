"""Weeks and months of the figures: every day belongs to one of each, whatever the calendar or the viewer does."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_platform.operations.figures.periods import month_named, month_of, week_named, week_of


@pytest.mark.row("R6")
@pytest.mark.parametrize("day,name,monday", [
    (date(2026, 12, 31), "2026-W53", date(2026, 12, 28)),
    (date(2027, 1, 3), "2026-W53", date(2026, 12, 28)),
    (date(2027, 1, 4), "2027-W01", date(2027, 1, 4)),
    (date(2024, 12, 30), "2025-W01", date(2024, 12, 30)),
    (date(2028, 2, 29), "2028-W09", date(2028, 2, 28)),
])  # fmt: skip
def test_a_week_over_new_year_is_one_week_with_one_name(day: date, name: str, monday: date) -> None:
    """A week that was cut at new year would show two halves, each with too few runs to say anything."""
    week = week_of(day)
    assert (week.name, week.first, week.end - week.first) == (name, monday, timedelta(days=7))
    assert week_named(name) == week


@pytest.mark.row("O12")
@pytest.mark.parametrize("day,days", [
    (date(2028, 2, 29), 29), (date(2027, 2, 28), 28), (date(2100, 2, 1), 28), (date(2026, 12, 31), 31),
    (date(2026, 4, 30), 30),
])  # fmt: skip
def test_a_month_has_its_days_and_no_more(day: date, days: int) -> None:
    month = month_of(day)
    assert (month.first.day, len(month.days), month.days[-1].month) == (1, days, day.month)
    assert month_named(month.name) == month


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Paris", "Australia/Lord_Howe"])
def test_a_week_with_a_change_of_clocks_lasts_as_long_as_any_other_for_every_viewer(zone: str) -> None:
    """In the viewer's time the last week of March has 167 hours; ours are UTC."""
    week = week_of(date(2026, 3, 29))
    begins, ends = (moment.astimezone(ZoneInfo(zone)) for moment in (week.starts_at, week.ends_at))
    assert (ends.astimezone(UTC) - begins.astimezone(UTC)) == timedelta(days=7)
    assert week.starts_at == datetime(2026, 3, 23, tzinfo=UTC)


@given(st.dates(date(1990, 1, 1), date(2199, 12, 1)))
def test_periods_follow_each_other_without_a_gap(day: date) -> None:
    for of in (week_of, month_of):
        found = of(day)
        assert found.first <= day < found.end
        assert of(found.end).first == found.end
        assert of(found.first) == found


@pytest.mark.parametrize("name", ["2026-48", "2026-W60", "W48", "", "2027-W53", "last week"])
def test_what_names_no_week_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="week"):
        week_named(name)


@pytest.mark.parametrize("name", ["2026-13", "2026", "November", "2026-11-25"])
def test_what_names_no_month_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no month"):
        month_named(name)
