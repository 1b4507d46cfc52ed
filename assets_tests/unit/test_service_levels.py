"""The register of a month against months worked out by hand: met, breached by how much and with which consequence.

Belongs here: the pure judgement. Does not: where the facts come from (unit/test_figures_stored).
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from assets_tests.fakes.platform_weeks import Row, at, run, runs
from payments_platform.contracts.due import Due
from payments_platform.operations.figures.periods import Span, month_of
from payments_platform.operations.figures.register import (
    LEVELS,
    MonthFacts,
    report_lines,
    service_levels,
)
from payments_platform.operations.freshness import Landed, Watched

LEAP = month_of(date(2028, 2, 10))
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SIX = timedelta(hours=6)
MARTS = ("marts/fact_transaction", "aggregates/merchant_daily")


def watched(month: Span, late: Mapping[date, timedelta | None] | None = None) -> list[Watched]:
    """Two tables that land an hour before they are due; ``late``: so long after it instead, or (None) never."""
    late = late or {}
    landed = {
        at(day, 0): Landed(at(day, 24) + SIX + after, at(day, 24))
        for day in month.days
        if (after := late.get(day, timedelta(hours=-1))) is not None
    }
    early = {at(day, 0): Landed(at(day, 27), at(day, 24)) for day in month.days}
    return [
        Watched(MARTS[0], "analytics", Due("day", SIX), landed=landed),
        Watched(MARTS[1], "analytics", Due("day", SIX), landed=early),
        Watched("clean/transactions", "data-platform", Due("day", SIX), landed={}),
    ]


def register(
    month: Span = LEAP, now: datetime | None = None, *, rows: list[Row] | None = None,
    late: Mapping[date, timedelta | None] | None = None, lost: Mapping[date, int] | None = None,
    since: datetime | None = LONG_AGO,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    facts = MonthFacts(
        runs(rows if rows is not None else [run(f"{day}", at(day, 3)) for day in month.days]),
        watched(month, late),
        lost if lost is not None else dict.fromkeys(month.days, 0),
        since,
    )
    frame = service_levels(facts, month, now or month.ends_at + SIX)
    return {row["service_level"]: row for row in frame.iter_rows(named=True)}


def verdicts(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: row["verdict"] for name, row in found.items()}


@pytest.mark.row("O12")
def test_a_clean_month_is_met_where_it_is_measured_and_nothing_else_is_called_met() -> None:
    """A level that nobody measures and that reads 100 % is how a breach is found by a customer."""
    found = register()
    assert verdicts(found) == {
        "source_availability": "not measured",
        "fraud_decision": "not measured",
        "warehouse_freshness": "met",
        "pipeline_success": "met",
        "lost_rows": "met",
    }
    assert found["warehouse_freshness"]["sample_count"] == 29
    assert found["warehouse_freshness"]["value"] == 3 * 3600
    for row in found.values():
        assert row["consequence"] is None
        assert (row["value"] is None) == (row["verdict"] == "not measured") == (row["missed_by"] is None)
        assert row["finding"]
        assert row["is_final"]


@pytest.mark.row("O12")
def test_the_promises_and_their_consequences_are_those_of_the_document() -> None:
    assert {level.name: (level.promised.in_words(), level.consequence) for level in LEVELS} == {
        "source_availability": ("≥ 0.999", "credit of 10 % of the bill"),
        "fraud_decision": ("< 0.2", "escalation to the CTO"),
        "warehouse_freshness": ("≤ 14400", "incident report"),
        "pipeline_success": ("> 0.95", "investigation"),
        "lost_rows": ("≤ 0", "major incident"),
    }


@pytest.mark.row("O12", "O8")
@pytest.mark.parametrize("after,verdict", [
    (timedelta(), "met"), (timedelta(seconds=1), "breached"), (timedelta(hours=30), "breached"),
])  # fmt: skip
def test_one_late_day_opens_an_incident_report_and_says_by_how_much(after: timedelta, verdict: str) -> None:
    leap_day = date(2028, 2, 29)
    row = register(late={leap_day: after})["warehouse_freshness"]
    is_late = verdict == "breached"
    assert (row["verdict"], row["breach_count"], row["missed_by"]) == (verdict, int(is_late), after.total_seconds())
    assert row["consequence"] == ("incident report" if is_late else None)
    assert "2028-02-29" in row["finding"]


@pytest.mark.row("O12", "O8")
def test_a_day_that_is_missing_is_late_by_all_the_time_since() -> None:
    day = date(2028, 2, 10)
    row = register(late={day: None}, now=at(day, 24 + 6) + timedelta(days=3))["warehouse_freshness"]
    assert (row["verdict"], row["missed_by"], row["sample_count"]) == ("breached", 3 * 86_400, 13)


@pytest.mark.row("O12", "O8")
def test_a_last_day_that_is_missing_breaks_the_final_entry_of_its_month() -> None:
    """The entry is made of what was there at the deadline: there the missing day took just as long as promised."""
    last = LEAP.days[-1]
    row = register(late={last: None}, now=LEAP.ends_at + SIX)["warehouse_freshness"]
    assert row["is_final"]
    assert (row["verdict"], row["breach_count"], row["sample_count"]) == ("breached", 1, 29)
    assert (row["value"], row["missed_by"], row["consequence"]) == (4 * 3600, 0.0, "incident report")
    assert row["finding"] == "28 of 29 days were there in time; 2028-02-29 is missing, 4.0 h so far"


@pytest.mark.row("O12")
def test_a_day_counts_from_its_deadline_on() -> None:
    month = LEAP
    first = at(month.first, 24) + SIX
    before, then = (register(now=now)["warehouse_freshness"] for now in (first - timedelta(seconds=1), first))
    assert (before["verdict"], before["sample_count"]) == ("not measured", 0)
    assert (then["verdict"], then["sample_count"]) == ("met", 1)


def test_nothing_was_promised_before_the_platform_ran() -> None:
    """A backfilled year would else be a year of breaches."""
    since = at(date(2028, 2, 20), 12)
    days = {day: timedelta(days=400) for day in LEAP.days if day < date(2028, 2, 20)}
    assert register(late=days, since=since)["warehouse_freshness"]["verdict"] == "met"
    assert register(late=days, since=since)["warehouse_freshness"]["sample_count"] == 10
    assert register(since=None)["warehouse_freshness"]["verdict"] == "not measured"


@pytest.mark.row("O12", "O10")
@pytest.mark.parametrize(
    "failed,verdict,missed_by", [(0, "met", 0), (4, "met", 0), (5, "breached", 0), (10, "breached", 5)]
)
def test_success_must_lie_above_95_per_cent(failed: int, verdict: str, missed_by: int) -> None:
    rows = [run(f"{n}", at(LEAP.days[3], n / 10), outcome="failed" if n < failed else "succeeded") for n in range(100)]
    row = register(rows=rows)["pipeline_success"]
    assert (row["verdict"], row["breach_count"], row["sample_count"]) == (verdict, failed, 100)
    assert row["missed_by"] == pytest.approx(missed_by / 100)
    assert row["consequence"] == ("investigation" if verdict == "breached" else None)


@pytest.mark.row("O10", "O12")
def test_empty_runs_and_first_attempts_do_not_count_in_the_month_either() -> None:
    day = LEAP.days[5]
    rows = [
        run("bad", at(day), outcome="failed"),
        run("again", at(day, 3), outcome="failed", is_final=False),
        run("good", at(day, 4), attempts=2),
        *(run(f"empty-{n}", at(day, n / 10), tasks=0) for n in range(200)),
    ]
    row = register(rows=rows)["pipeline_success"]
    assert (row["value"], row["sample_count"], row["finding"]) == (0.5, 2, "1 of 2 executions succeeded")


@pytest.mark.row("O12")
@pytest.mark.parametrize("moment,counts", [
    (LEAP.starts_at, 1), (LEAP.starts_at - timedelta(microseconds=1), 0),
    (datetime(2028, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), 1), (datetime(2028, 3, 1, tzinfo=UTC), 0),
])  # fmt: skip
def test_a_run_belongs_to_the_month_in_which_it_ended(moment: datetime, counts: int) -> None:
    assert register(rows=[run("x", moment)])["pipeline_success"]["sample_count"] == counts


@pytest.mark.row("O12", "O9")
def test_a_lost_row_is_a_major_incident_and_names_its_day() -> None:
    row = register(lost={LEAP.days[0]: 0, LEAP.days[7]: 3})["lost_rows"]
    assert (row["verdict"], row["value"], row["missed_by"], row["breach_count"]) == ("breached", 3.0, 3.0, 1)
    assert row["consequence"] == "major incident"
    assert "2028-02-08" in row["finding"]


@pytest.mark.row("O12")
def test_a_month_in_which_nothing_happened_is_measured_by_nothing() -> None:
    found = register(rows=[], lost={}, since=None)
    assert set(verdicts(found).values()) == {"not measured"}


@pytest.mark.row("O12")
@pytest.mark.parametrize("month", [date(2026, 12, 1), date(2028, 2, 1), date(2027, 2, 1)])
def test_a_month_is_final_once_its_last_deadline_is_over(month: date) -> None:
    span = month_of(month)
    ends = span.ends_at + SIX
    looks = (ends - timedelta(seconds=1), ends)
    assert [register(span, now)["pipeline_success"]["is_final"] for now in looks] == [False, True]


@pytest.mark.row("O12", "A3")
def test_the_daily_summary_reports_each_breach_with_its_consequence() -> None:
    facts = MonthFacts(runs([run("bad", at(LEAP.days[0]), outcome="failed")]), watched(LEAP), {}, LONG_AGO)
    counted, *breaches = report_lines(service_levels(facts, LEAP, LEAP.ends_at + SIX))
    unmeasured = "source_availability, fraud_decision, lost_rows"
    assert counted == f"Service levels of the month: 1 met, 1 breached, 3 not measured ({unmeasured})."
    assert breaches == [
        "• pipeline_success 2028-02: 0 of 1 executions succeeded. Consequence: investigation",
    ]


def test_the_register_does_not_depend_on_the_order_of_its_facts() -> None:
    rows = [run(f"{n}", at(LEAP.days[n]), outcome="failed" if n % 3 else "succeeded") for n in range(20)]
    assert register(rows=rows) == register(rows=rows[::-1])
