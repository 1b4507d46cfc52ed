"""Which runs are due: after outages, failures, beside other runs, after the data they need. Time is given.

Belongs here: the choice over plain facts. Does not: what Dagster's records say (definitions/test_job_schedules).
"""

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta

import pytest

from payments_platform.contracts.due import Due, Period
from payments_platform.operations.due_runs import AGAIN_AFTER, RUNS_AT_ONCE, Attempt, DueRun, RunState, Work, due_runs
from payments_platform.operations.freshness import LOOKBACK, Landed, Watched

FIRST = date(2028, 1, 1)
# A leap day was yesterday.
NOW = datetime(2028, 3, 1, 2, 20, tzinfo=UTC)
TODAY = datetime(2028, 3, 1, tzinfo=UTC)
DAY, GRACE = timedelta(days=1), timedelta(minutes=15)
DAILY = Due("day", timedelta(hours=2), timedelta(hours=2))


def days_ago(*numbers: int) -> set[datetime]:
    return {TODAY - number * DAY for number in numbers}


def watched(name: str, there: Iterable[datetime], period: Period = "day") -> Watched:
    landed = {start: Landed(start + DAY, start + DAY) for start in there}
    return Watched(name, "analytics", Due(period, timedelta(hours=6), timedelta(hours=2)), landed=landed)


def all_but(*numbers: int) -> set[datetime]:
    return days_ago(*(number for number in range(1, 70) if number not in numbers))


def attempt(starts: Collection[datetime], state: RunState, at: datetime = NOW, *, is_own: bool = True) -> Attempt:
    return Attempt(frozenset(starts), state, at, is_own)


def asked(
    there: Iterable[datetime], attempts: Iterable[Attempt] = (), *, now: datetime = NOW, size: int = 30
) -> list[DueRun]:
    work = Work(DAILY, (watched("raw/a", days_ago(*range(1, 70))), watched("marts/b", there)))
    return due_runs(work, list(attempts), now, first=FIRST, size=size, grace=GRACE)


def shown(runs: Iterable[DueRun]) -> list[tuple[str, str, int]]:
    return [(run.first.key, run.last.key, run.count) for run in runs]


@pytest.mark.row("R1")
def test_nothing_is_asked_for_while_nothing_is_missing() -> None:
    assert asked(all_but()) == []


@pytest.mark.row("R1")
def test_a_dataset_missing_of_many_makes_its_day_due() -> None:
    """The leap day, and by its own name."""
    assert shown(asked(all_but(1))) == [("2028-02-29", "2028-02-29", 1)]


@pytest.mark.row("R1")
def test_days_missed_by_a_daemon_that_was_down_share_one_run() -> None:
    """Nine runs at once would hold the machine, and the day that is due at six, for hours."""
    assert shown(asked(all_but(*range(1, 10)))) == [("2028-02-21", "2028-02-29", 9)]


@pytest.mark.row("R1")
def test_what_is_asked_for_at_once_is_bounded_and_begins_with_the_oldest() -> None:
    """Each hole is a run of its own: the rest is asked for when these have ended."""
    holes = asked(all_but(2, 4, 6, 8, 10))
    assert shown(holes) == [("2028-02-20", "2028-02-20", 1), ("2028-02-22", "2028-02-22", 1)]
    assert len(holes) == RUNS_AT_ONCE
    at_work = [attempt(days_ago(10), "under way"), attempt(days_ago(8), "under way")]
    assert asked(all_but(2, 4, 6, 8, 10), at_work) == []


@pytest.mark.row("R1")
def test_an_outage_of_months_asks_for_the_lookback_and_nothing_older() -> None:
    runs = asked(())
    assert [run.count for run in runs] == [30, 5]
    assert runs[0].first.start > NOW - LOOKBACK - 2 * DAY
    assert runs[-1].last.key == "2028-02-29"


@pytest.mark.row("R1")
def test_a_run_takes_no_more_days_than_it_may() -> None:
    assert shown(asked(all_but(1, 2, 3, 4, 5), size=2)) == [
        ("2028-02-25", "2028-02-26", 2),
        ("2028-02-27", "2028-02-28", 2),
    ]


@pytest.mark.row("R1")
def test_nothing_before_the_first_day_is_asked_for() -> None:
    work = Work(DAILY, (watched("raw/a", ()),))
    assert shown(due_runs(work, [], NOW, first=date(2028, 2, 28), size=30)) == [("2028-02-28", "2028-02-29", 2)]


@pytest.mark.row("R1")
@pytest.mark.parametrize("is_own", [True, False])
def test_a_day_that_any_run_is_at_work_on_is_left_alone(*, is_own: bool) -> None:
    """A backfill and the daily job on the same day at once would each undo the other's commit."""
    at_work = attempt(days_ago(3, 2), "under way", is_own=is_own)
    assert shown(asked(all_but(1, 2, 3), [at_work])) == [("2028-02-29", "2028-02-29", 1)]


@pytest.mark.row("R1")
def test_a_run_that_left_a_day_missing_is_tried_once_more_later_and_alone() -> None:
    """What stopped one day must not stop the others; what stops it twice needs a person."""
    failed = attempt(days_ago(2), "ended", NOW - AGAIN_AFTER + timedelta(seconds=1))
    assert shown(asked(all_but(1, 2, 3), [failed])) == [
        ("2028-02-27", "2028-02-27", 1),
        ("2028-02-29", "2028-02-29", 1),
    ]
    again = asked(all_but(1, 2), [attempt(days_ago(2), "ended", NOW - AGAIN_AFTER)])
    assert [(run.first.key, run.attempt) for run in again] == [("2028-02-28", 1), ("2028-02-29", 0)]
    twice = [attempt(days_ago(1), "ended", NOW - 2 * DAY), attempt(days_ago(1), "ended", NOW - DAY)]
    assert asked(all_but(1), twice) == []


@pytest.mark.row("R1")
def test_a_run_that_a_person_cancelled_is_not_started_again() -> None:
    assert asked(all_but(1), [attempt(days_ago(1), "cancelled", NOW - DAY)]) == []


@pytest.mark.row("R1")
def test_a_schedule_has_its_minutes_before_the_day_counts_as_missed() -> None:
    """Otherwise schedule and sensor would both ask for the same day."""
    assert asked(all_but(1), now=TODAY + timedelta(hours=2, minutes=14, seconds=59)) == []
    assert len(asked(all_but(1), now=TODAY + timedelta(hours=2, minutes=15))) == 1


@pytest.mark.row("R1")
def test_the_same_run_has_the_same_key_and_another_attempt_another() -> None:
    """The key is what keeps a tick that is evaluated twice from starting two runs."""
    first, again = asked(all_but(1)), asked(all_but(1), now=NOW + timedelta(hours=3))
    later = asked(all_but(1), [attempt(days_ago(1), "ended", NOW - DAY)])
    assert first[0].key == again[0].key != later[0].key


@pytest.mark.row("R4")
def test_a_day_of_profiles_waits_for_every_mart_that_it_reads_and_for_no_clock() -> None:
    due = Due("day", timedelta(), timedelta())
    marts = [watched("marts/a", all_but()), watched("marts/b", all_but(1))]
    profiles = watched("documents/customer_360", all_but(1, 2))
    waiting = due_runs(Work(due, (profiles,), tuple(marts)), [], NOW, first=FIRST, size=30)
    assert shown(waiting) == [("2028-02-28", "2028-02-28", 1)]
    marts[1] = watched("marts/b", all_but())
    ready = due_runs(Work(due, (profiles,), tuple(marts)), [], NOW, first=FIRST, size=30)
    assert shown(ready) == [("2028-02-28", "2028-02-29", 2)]


@pytest.mark.row("R5")
@pytest.mark.parametrize("hole, count", [(None, 1), (1, 0), (29, 0)])
def test_the_report_of_a_month_waits_for_every_day_of_it(hole: int | None, count: int) -> None:
    """A report over twenty-eight days of a leap February would look whole, and be signed."""
    due = Due("month", timedelta(), timedelta())
    report = watched("governance/report", [datetime(2028, 1, 1, tzinfo=UTC)], "month")
    days = all_but(*([hole] if hole else []))
    runs = due_runs(Work(due, (report,), (watched("marts/a", days),)), [], NOW, first=FIRST, size=1)
    assert [run.first.key for run in runs] == ["2028-02-01"] * count


@pytest.mark.row("R5")
def test_no_month_is_reported_before_it_is_over() -> None:
    due = Due("month", timedelta(), timedelta())
    work = Work(due, (watched("governance/report", (), "month"),), (watched("marts/a", all_but()),))
    at = datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)
    assert [run.first.key for run in due_runs(work, [], at, first=FIRST, size=1)] == ["2028-01-01"]
