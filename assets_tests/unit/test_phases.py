"""What phase times promise: every zone of the daily job is timed, sums are busy time, the total is wall clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_platform.operations.phases import LIMITS, PHASE_OF_ZONE, PHASES, Phase, StepTime, phase_of, phase_table
from payments_platform.vocabulary import DBT_ZONES, LAKE_ZONES, Zone

START = datetime(2025, 1, 2, 2, tzinfo=UTC)
TIMED: tuple[Zone, ...] = (*(zone for zone in LAKE_ZONES if zone != "operations"), "landing", *DBT_ZONES)


def step(zone: Zone, begin: float, end: float) -> StepTime:
    return StepTime(zone, START + timedelta(seconds=begin), START + timedelta(seconds=end))


def seconds(*steps: StepTime) -> dict[Phase, float]:
    return {row.phase: row.seconds for row in phase_table(steps)}


@pytest.mark.row("B7")
def test_the_limits_are_those_of_the_requirements() -> None:
    minutes = {
        phase: (limit.target_seconds / 60, limit.sla_seconds / 60, limit.document_p95_seconds / 60)
        for phase, limit in LIMITS.items()
    }
    assert minutes == {
        "extract": (45, 60, 42),
        "validate": (15, 30, 12),
        "transform": (30, 45, 28),
        "load": (20, 30, 18),
        "aggregates": (10, 15, 8),
        "total": (120, 240, 108),
    }


@pytest.mark.row("B7")
def test_every_zone_of_the_daily_job_belongs_to_a_phase() -> None:
    """A zone left out would make the job look faster than it is."""
    assert set(PHASE_OF_ZONE) == set(TIMED)
    assert {phase_of(zone) for zone in TIMED} | {"total"} == set(PHASES)
    assert phase_of("operations") is None


def test_a_run_has_every_phase_once_and_in_order_even_without_steps() -> None:
    rows = phase_table([])
    assert tuple(row.phase for row in rows) == PHASES
    assert {row.seconds for row in rows} == {0.0}
    assert all(row.is_within_sla for row in rows)


def test_interleaved_steps_add_up_to_busy_time_while_the_total_is_wall_clock() -> None:
    found = seconds(step("raw", 0, 10), step("raw", 0, 10), step("clean", 5, 9), step("aggregates", 12, 13))
    assert found == {"extract": 20, "validate": 4, "transform": 0, "load": 0, "aggregates": 1, "total": 13}


def test_the_models_of_the_star_schema_count_as_transform() -> None:
    found = seconds(step("curated", 0, 1), step("staging", 2, 3), step("intermediate", 3, 4), step("marts", 4, 6))
    assert found["transform"] == 5


def test_the_total_of_a_given_run_includes_its_waits() -> None:
    run = (START - timedelta(seconds=30), START + timedelta(seconds=60))
    total = phase_table([step("raw", 0, 10)], run=run)[-1]
    assert total.seconds == 90


@pytest.mark.row("B7")
def test_a_limit_reached_is_a_limit_missed() -> None:
    """The register promises less than an hour, not an hour."""
    at, below = (phase_table([step("raw", 0, end)])[0] for end in (3600, 3599))
    assert (at.is_within_sla, below.is_within_sla) == (False, True)


def test_row_counts_stand_beside_their_phase_and_are_null_where_unknown() -> None:
    rows = {row.phase: row.row_count for row in phase_table([], rows={"load": 7})}
    assert rows["load"] == 7
    assert rows["extract"] is None


def test_times_that_would_make_a_sum_lie_are_refused() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        step("raw", 10, 5)
    naive = START.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        StepTime("raw", naive, naive)


@given(st.lists(st.tuples(st.sampled_from(TIMED), st.integers(0, 9999), st.integers(0, 9999)), max_size=20))
def test_no_second_of_a_step_is_lost_or_counted_twice_in_any_order(drawn: list[tuple[Zone, int, int]]) -> None:
    steps = [step(zone, begin, begin + length) for zone, begin, length in drawn]
    found = seconds(*steps)
    assert sum(found.values()) - found["total"] == sum(length for _, _, length in drawn)
    assert seconds(*reversed(steps)) == found
