"""ISO weeks and calendar months in UTC, by name and by the days that they hold.

Belongs here: the arithmetic of these two. Does not: when something is due (contracts/due.py, whose weeks begin on
Sunday as Dagster's partitions do), any clock, viewers' time zones: a week in UTC moves for nobody.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from payments_platform.vocabulary import days_between

# A period needs days before it to be compared with and a day that ends it; the calendar stops at both ends.
_YEARS: Final = range(1970, 9999)


@dataclass(frozen=True)
class Span:
    """Whole days ``[first, end)``, UTC, and the name that people give them."""

    first: date
    end: date
    name: str

    @property
    def days(self) -> list[date]:
        """The days, in order."""
        return days_between(self.first, self.end)

    @property
    def starts_at(self) -> datetime:
        """The midnight that begins it."""
        return midnight(self.first)

    @property
    def ends_at(self) -> datetime:
        """The midnight that ends it."""
        return midnight(self.end)


def midnight(day: date) -> datetime:
    """The beginning of a day, UTC."""
    return datetime.combine(day, time(), UTC)


def week_of(day: date) -> Span:
    """The ISO week that holds a day: from Monday, named by the year that holds its Thursday (``2026-W53``)."""
    year, week, weekday = day.isocalendar()
    monday = day - timedelta(days=weekday - 1)
    return Span(monday, monday + timedelta(days=7), f"{year}-W{week:02}")


def month_of(day: date) -> Span:
    """The calendar month that holds a day (``2028-02``)."""
    first = day.replace(day=1)
    return Span(first, (first + timedelta(days=32)).replace(day=1), f"{first:%Y-%m}")


def week_named(name: str) -> Span:
    """The week of a name such as ``2026-W48``.

    Raises ValueError for another text, for a week that never comes, and for one at the ends of the calendar.
    """
    year, marker, week = name.partition("-W")
    if not (marker and year.isdigit() and week.isdigit()):
        raise ValueError(f"{name!r} is no ISO week; write it as 2026-W48")
    _check_year(name, int(year))
    try:
        return week_of(date.fromisocalendar(int(year), int(week), 1))
    except ValueError:
        raise ValueError(f"{name!r} is no week: that year has none of this number") from None


def month_named(name: str) -> Span:
    """The month of a name such as ``2026-11``. Raises ValueError as for a week."""
    try:
        first = date.fromisoformat(f"{name}-01")
    except ValueError:
        raise ValueError(f"{name!r} is no month; write it as 2026-11") from None
    _check_year(name, first.year)
    return month_of(first)


def _check_year(name: str, year: int) -> None:
    if year not in _YEARS:
        raise ValueError(f"{name!r} lies outside of the years {_YEARS[0]} to {_YEARS[-1]}")
