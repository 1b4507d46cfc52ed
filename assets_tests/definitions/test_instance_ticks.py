"""What an instance says of ticks, with what it forgets: gaps that begin before a day, and automation that is gone.

Belongs here: which ticks are asked for. Does not: how late they are (unit/test_standstills).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from payments_platform.defs._platform.instance_ticks import GONE_AFTER, SENSOR_TICKS_KEPT, ticks_of
from payments_platform.operations.figures.periods import Span

DAY = Span(date(2026, 3, 2), date(2026, 3, 3), "2026-03-02")
HALF_MINUTE, HOUR = timedelta(seconds=30), timedelta(hours=1)
# When the figures of the day are made.
MORNING = DAY.ends_at + timedelta(hours=6, minutes=30)


@dataclass
class Instance:
    """One sensor with ticks at these moments. Bounds are strict and the newest comes first, as in Dagster's storage."""

    begun: Sequence[datetime]
    started: datetime | None = None
    schedule_storage: object = field(default_factory=object)

    def all_instigator_state(self) -> list[Any]:
        started = self.started.timestamp() if self.started else None
        data = SimpleNamespace(min_interval=30, last_sensor_start_timestamp=started)
        kind = SimpleNamespace(value="SENSOR")
        return [SimpleNamespace(instigator_name="alerts", instigator_type=kind, instigator_data=data,
                                instigator_origin_id="o", selector_id="s")]  # fmt: skip

    def get_ticks(
        self, origin: str, selector: str, *, before: float, after: float = 0.0, limit: int | None = None
    ) -> list[Any]:
        assert (origin, selector) == ("o", "s")
        found = [it.timestamp() for it in sorted(self.begun, reverse=True) if after < it.timestamp() < before]
        return [SimpleNamespace(timestamp=it, tick_data=SimpleNamespace(end_timestamp=it + 1),
                                status=SimpleNamespace(value="SKIPPED")) for it in found[:limit]]  # fmt: skip


def steady(begins: datetime, ends: datetime) -> list[datetime]:
    """Every half minute, the end left out."""
    return [begins + n * HALF_MINUTE for n in range(int((ends - begins) / HALF_MINUTE))]


def read(instance: Instance, now: datetime = MORNING, until: datetime | None = None) -> tuple[int, float | None] | None:
    """Ticks and longest lag in hours; None without a row."""
    rows = list(ticks_of(instance, DAY, until or DAY.ends_at, now).iter_rows(named=True))  # type: ignore[arg-type]
    longest = rows[0]["longest_lag_seconds"] if rows else None
    return (rows[0]["tick_count"], longest and round(longest / 3600, 1)) if rows else None


@pytest.mark.row("R6")
def test_the_last_tick_before_a_day_is_found_however_long_before_midnight_it_was() -> None:
    night = steady(DAY.starts_at - 5 * HOUR, DAY.starts_at - 3 * HOUR) + steady(DAY.starts_at + 6 * HOUR, DAY.ends_at)
    assert read(Instance(night)) == (2160, 9.0)


@pytest.mark.row("R6")
def test_a_tick_at_the_midnight_that_begins_a_day_is_of_that_day() -> None:
    assert read(Instance(steady(DAY.starts_at, DAY.ends_at))) == (2880, 0.0)


@pytest.mark.row("R6")
def test_a_whole_day_without_a_tick_is_as_late_as_is_known() -> None:
    assert read(Instance([DAY.starts_at - HOUR])) == (0, 25.0)
    # What is older than two days may have been followed by others, which are removed.
    known = (DAY.ends_at - (MORNING - SENSOR_TICKS_KEPT)) / HOUR
    assert read(Instance([DAY.starts_at - timedelta(days=5)])) == (0, round(known, 1))


@pytest.mark.row("R6")
def test_an_outage_so_long_that_its_beginning_is_forgotten_is_still_seen() -> None:
    """Friday evening to Monday morning: the first evaluation removes all before it."""
    back = steady(DAY.starts_at + 8 * HOUR, DAY.ends_at)
    known = (DAY.starts_at + 8 * HOUR - (MORNING - SENSOR_TICKS_KEPT)) / HOUR
    for earlier in ([], [DAY.starts_at - timedelta(days=20)]):
        assert read(Instance([*earlier, *back], DAY.starts_at - timedelta(days=90))) == (1920, round(known, 1))


@pytest.mark.row("R6")
def test_a_sensor_that_was_first_started_on_the_day_was_not_late_before() -> None:
    started = DAY.starts_at + 8 * HOUR
    assert read(Instance(steady(started + HALF_MINUTE, DAY.ends_at), started)) == (1919, 0.0)
    assert read(Instance([], None)) is None


@pytest.mark.row("R6")
def test_what_was_silent_for_more_than_a_week_is_taken_for_gone() -> None:
    """The instance keeps the record of a sensor that was renamed: it would be late for ever."""
    assert read(Instance([DAY.starts_at - GONE_AFTER])) is not None
    assert read(Instance([DAY.starts_at - GONE_AFTER - HALF_MINUTE])) is None
    assert read(Instance([], DAY.starts_at - GONE_AFTER - HALF_MINUTE)) is None


@pytest.mark.row("R6")
@pytest.mark.parametrize("later, longest", [(46, 0.0), (47, None)])
def test_a_day_of_which_ticks_may_be_removed_has_no_known_lag(later: int, longest: float | None) -> None:
    """Whatever moment the week is judged up to: what counts is when the instance is asked."""
    ticks = steady(DAY.starts_at - HOUR, DAY.ends_at)
    assert read(Instance(ticks), DAY.starts_at + later * HOUR, DAY.ends_at) == (2880, longest)


def test_skipped_ticks_are_trusted_for_less_than_they_are_kept() -> None:
    assert timedelta(hours=47) == SENSOR_TICKS_KEPT
    assert timedelta(days=7) == GONE_AFTER
    (kept,) = re.findall(r"skipped: (\d+)", (Path(__file__).parents[2] / "dagster.yaml").read_text(encoding="utf-8"))
    assert timedelta(days=int(kept)) > SENSOR_TICKS_KEPT


def test_an_instance_in_memory_has_no_ticks() -> None:
    assert ticks_of(Instance([], schedule_storage=None), DAY, DAY.ends_at, datetime.now(UTC)).is_empty()  # type: ignore[arg-type]
