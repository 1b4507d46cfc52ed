"""Weekly figures against figures worked out by hand: a clean week, a bad one, and the edges of a week.

Belongs here: the pure computation. Does not: reading records (definitions/test_instance_records).
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from assets_tests.fakes.platform_weeks import DAILY, HOURLY, Row, at, phases, run, runs, task, ticks
from payments_platform.operations.figures.catalogue import FIGURES
from payments_platform.operations.figures.periods import Span, week_of
from payments_platform.operations.figures.weekly import weekly_figures

WEEK = week_of(date(2028, 3, 1))  # Monday, 28 February, to Sunday, 5 March; with a leap day
AFTER = WEEK.ends_at
Figures = dict[tuple[str, str], tuple[float | None, bool | None, int]]


def figures(
    rows: list[Row], *, tick: pl.DataFrame | None = None, phase: pl.DataFrame | None = None, week: Span = WEEK,
    until: datetime | None = None,
) -> Figures:  # fmt: skip
    frame = weekly_figures(
        runs(rows),
        ticks() if tick is None else tick,
        phases() if phase is None else phase,
        week,
        until or week.ends_at,
    )
    assert set(frame["week_date"]) <= {week.first}
    return {(row["figure"], row["subject"]): (row["value"], row["is_met"], row["sample_count"])
            for row in frame.iter_rows(named=True)}  # fmt: skip


def of(found: Figures, job: str = DAILY) -> dict[str, tuple[float | None, bool | None, int]]:
    return {figure: value for (figure, subject), value in found.items() if subject == job}


def clean_week() -> list[Row]:
    """Seven nights of 10 minutes, each asked for two seconds after 02:00."""
    return [run(f"clean-{day}", at(day, 2.5), lag=2) for day in WEEK.days]


def before(seconds: float = 600) -> list[Row]:
    """The four weeks before, as usual."""
    return [run(f"before-{n}", at(WEEK.first - timedelta(days=n), 2.5), seconds, lag=2) for n in range(1, 29)]


@pytest.mark.row("R6", "O10", "A1")
def test_a_clean_week_meets_every_target() -> None:
    assert of(figures([*before(), *clean_week()])) == {
        "job_executions": (7.0, None, 7),
        "job_success_ratio": (1.0, True, 7),
        "job_retry_ratio": (0.0, True, 7),
        "task_retry_ratio": (None, None, 0),
        "job_median_seconds": (600.0, None, 7),
        "job_p95_seconds": (600.0, None, 7),
        "job_duration_ratio": (1.0, True, 7),
        "task_duration_ratio": (None, None, 0),
        "schedule_lag_seconds": (2.0, True, 7),
    }


def bad_week() -> list[Row]:
    """Four good nights, one slow and one at the second attempt; one failed for good; empty and cancelled runs."""
    days = WEEK.days
    return [
        run("a", at(days[0]), 600, lag=1),
        run("b", at(days[1]), 1500, lag=45),
        run("c-1", at(days[2]), 300, outcome="failed", is_final=False, lag=1),
        run("c-2", at(days[2], 3), 700, attempts=2, lag=3601),
        run("d-1", at(days[3]), 10, outcome="failed", is_final=False),
        run("d-2", at(days[3], 3), 10, outcome="failed", attempts=2),
        run("e", at(days[4]), 600),
        *(run(f"empty-{n}", at(days[5], n), 1, tasks=0) for n in range(20)),
        run("stopped", at(days[6]), 60, outcome="cancelled"),
        run("never-began", at(days[6], 5), None, outcome="failed", tasks=0),
    ]


@pytest.mark.row("R6", "O10", "A1")
def test_a_week_with_retries_failures_and_empty_runs_is_counted_by_hand() -> None:
    """a, b, c, e succeeded; d and one that never began failed: 4 of 6, of which c and d needed another attempt."""
    found = of(figures([*before(), *bad_week()]))
    assert found["job_executions"] == (6.0, None, 6)
    assert found["job_success_ratio"] == (4 / 6, False, 6)
    assert found["job_retry_ratio"] == (2 / 6, False, 6)
    assert found["job_median_seconds"] == (650.0, None, 4)
    assert found["job_p95_seconds"] == (1500.0, None, 4)
    assert found["job_duration_ratio"] == (2.5, False, 4)
    assert found["schedule_lag_seconds"] == (45.0, False, 3)


@pytest.mark.row("R6")
def test_twenty_empty_runs_do_not_pad_a_failure() -> None:
    """One failure and twenty runs that did nothing would read as 95 %."""
    day = WEEK.days[0]
    rows = [run("bad", at(day), outcome="failed"), *(run(f"empty-{n}", at(day, n), tasks=0) for n in range(20))]
    assert of(figures(rows))["job_success_ratio"] == (0.0, False, 1)


@pytest.mark.row("R6")
def test_a_retry_over_the_end_of_a_week_counts_once_where_it_ended() -> None:
    rows = [
        run("first", AFTER - timedelta(minutes=5), outcome="failed", is_final=False),
        run("second", AFTER + timedelta(minutes=5), attempts=2),
    ]
    following = week_of(WEEK.end)
    assert of(figures(rows))["job_executions"] == (0.0, None, 0)
    assert of(figures(rows))["job_success_ratio"] == (None, None, 0)
    assert of(figures(rows, week=following))["job_success_ratio"] == (1.0, True, 1)
    assert of(figures(rows, week=following))["job_retry_ratio"] == (1.0, False, 1)


@pytest.mark.row("R6")
@pytest.mark.parametrize("moment,counts", [
    (WEEK.starts_at - timedelta(microseconds=1), 0), (WEEK.starts_at, 1),
    (WEEK.ends_at - timedelta(microseconds=1), 1), (WEEK.ends_at, 0),
])  # fmt: skip
def test_a_run_belongs_to_the_week_in_which_it_ended(moment: datetime, counts: int) -> None:
    found = of(figures([run("x", moment), run("other", at(WEEK.days[3]))]))
    assert found["job_executions"][2] == counts + 1


def test_what_ended_later_than_the_look_is_not_known_yet() -> None:
    until = at(WEEK.days[3], 0)
    assert of(figures(clean_week(), until=until))["job_executions"] == (3.0, None, 3)


@pytest.mark.row("R6")
@pytest.mark.parametrize("failed,is_met", [(0, True), (1, False)])
def test_exactly_99_of_100_is_not_more_than_99_per_cent(failed: int, is_met: bool) -> None:
    day = WEEK.days[1]
    rows = [run(f"{n}", at(day, n / 10), outcome="failed" if n < failed else "succeeded") for n in range(100)]
    assert of(figures(rows))["job_success_ratio"] == ((100 - failed) / 100, is_met, 100)


@pytest.mark.row("R6")
@pytest.mark.parametrize("seconds,is_met", [(1199.0, True), (1200.0, False)])
def test_twice_the_usual_time_is_a_target_missed(seconds: float, is_met: bool) -> None:
    rows = [*before(), run("slow", at(WEEK.days[0]), seconds)]
    assert of(figures(rows))["job_duration_ratio"] == (seconds / 600, is_met, 1)


def test_too_few_runs_say_nothing_of_what_is_usual() -> None:
    rows = [run(f"{n}", at(WEEK.days[n])) for n in range(4)]
    assert of(figures(rows))["job_duration_ratio"] == (None, None, 4)
    assert of(figures([*rows, run("5", at(WEEK.days[5]))]))["job_duration_ratio"] == (1.0, True, 5)


@pytest.mark.row("R6")
@pytest.mark.parametrize("lag,is_met", [(29.9, True), (30.0, False)])
def test_a_scheduled_run_begins_within_half_a_minute(lag: float, is_met: bool) -> None:
    assert of(figures([run("x", at(WEEK.days[0]), lag=lag)]))["schedule_lag_seconds"] == (lag, is_met, 1)


@pytest.mark.row("R6")
def test_each_task_is_held_beside_its_own_usual_time_and_retries_are_counted() -> None:
    """A task of a minute beside one of an hour: only a task that is slow for itself is slow."""
    rows: list[Row] = []
    for n in range(10):
        day = WEEK.first - timedelta(days=n + 1)
        rows += [task("raw", f"b{n}", at(day), 60), task("models", f"b{n}", at(day), 3600)]
        rows += [task("tiny", f"b{n}", at(day), 0.1)]
    day = WEEK.days[2]
    rows += [task("raw", "r", at(day), 180, attempts=2), task("models", "r", at(day), 3600)]
    rows += [task("tiny", "r", at(day), 0.9), task("new", "r", at(day), 500), run("r", at(day))]
    found = of(figures(rows))
    assert found["task_duration_ratio"] == (3.0, False, 3)
    assert found["task_retry_ratio"] == (0.25, False, 4)


def test_jobs_are_counted_apart() -> None:
    rows = [*clean_week(), run("h", at(WEEK.days[0]), job=HOURLY, outcome="failed")]
    found = figures(rows)
    assert of(found)["job_success_ratio"] == (1.0, True, 7)
    assert of(found, HOURLY)["job_success_ratio"] == (0.0, False, 1)


@pytest.mark.row("R6")
def test_ticks_show_their_worst_day_and_an_unknown_lag_is_no_good_lag() -> None:
    tick = ticks([
        (WEEK.days[0], "alerts", "sensor", 5760, 0, 5759, 3.0, 9.0),
        (WEEK.days[1], "alerts", "sensor", 5760, 2, 5759, 31.0, 400.0),
        (WEEK.days[1], "old", "sensor", 100, 0, 0, None, None),
        (WEEK.first - timedelta(days=1), "alerts", "sensor", 5760, 0, 5759, 900.0, 900.0),
    ])  # fmt: skip
    found = figures([], tick=tick)
    assert found == {
        ("tick_lag_seconds", "alerts"): (31.0, False, 11518),
        ("longest_gap_seconds", "alerts"): (400.0, True, 11518),
        ("tick_lag_seconds", "old"): (None, None, 0),
        ("longest_gap_seconds", "old"): (None, None, 0),
    }


@pytest.mark.row("R6")
def test_hours_without_a_tick_are_no_green_week_though_95_of_100_ticks_were_in_time() -> None:
    tick = ticks([(WEEK.days[0], "alerts", "sensor", 2041, 0, 2040, 0.0, 25_170.0)])
    assert figures([], tick=tick) == {
        ("tick_lag_seconds", "alerts"): (0.0, True, 2040),
        ("longest_gap_seconds", "alerts"): (25_170.0, False, 2040),
    }


@pytest.mark.row("B7", "R6")
def test_phases_are_held_against_their_limits_and_a_run_of_many_days_counts_once() -> None:
    measured = at(WEEK.days[1], 3)
    rows = [("r1", "extract", 3600.0, measured)] * 3 + [("r1", "validate", 60.0, measured)]
    rows += [("r2", "extract", 100.0, at(WEEK.days[2], 3)), ("later", "extract", 9999.0, AFTER)]
    found = figures([], phase=phases(rows))
    assert found["phase_seconds", "extract"] == (3600.0, False, 2)
    assert found["phase_seconds", "validate"] == (60.0, True, 1)
    assert found["phase_seconds", "load"] == (None, None, 0)


def test_a_week_without_a_run_has_no_figure() -> None:
    """Nothing ran: that is no success."""
    assert figures([]) == {}
    assert figures(before()) == {}


@pytest.mark.row("R6")
def test_a_viewer_s_clock_moves_nothing() -> None:
    """The night that clocks change in Europe, the same look gives the same figures in any zone."""
    week = week_of(date(2026, 3, 29))
    rows = [run(f"{day}", at(day, 2.5), lag=2) for day in week.days]
    paris = week.ends_at.astimezone(ZoneInfo("Europe/Paris"))
    wanted = weekly_figures(runs(rows), ticks(), phases(), week, week.ends_at)
    assert weekly_figures(runs(rows), ticks(), phases(), week, paris).equals(wanted)
    assert wanted.filter(pl.col("figure") == "job_executions")["value"].to_list() == [7.0]


# Written down a second time on purpose: whoever changes a target changes what the platform promises, and says so here.
EDGES: dict[str, tuple[float, float]] = {
    "job_success_ratio": (0.9901, 0.99),
    "job_retry_ratio": (0.0499, 0.05),
    "task_retry_ratio": (0.0499, 0.05),
    "job_duration_ratio": (1.999, 2),
    "task_duration_ratio": (1.999, 2),
    "schedule_lag_seconds": (29.99, 30),
    "tick_lag_seconds": (29.99, 30),
    "longest_gap_seconds": (599.9, 600),
}


@pytest.mark.row("R6")
def test_every_target_is_missed_at_its_edge_and_not_before() -> None:
    """A target that can be moved without a test failing is a target that nobody holds."""
    targets = {figure.name: figure.target for figure in FIGURES if figure.target}
    assert set(targets) == set(EDGES)
    for name, target in targets.items():
        assert tuple(target.holds(value) for value in EDGES[name]) == (True, False), name
        for factor in (0.98, 1.02):
            moved = replace(target, limit=target.limit * factor)
            assert tuple(moved.holds(value) for value in EDGES[name]) != (True, False), (name, factor)


def test_every_figure_says_what_it_is() -> None:
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)
    assert all(figure.says.endswith(".") for figure in FIGURES)
