"""Whether a dataset is on time: the oldest due partition that is missing decides, at a given time.

Belongs here: the rule on made-up facts, with clocks, months and zones. Does not: finding facts, saying them to Dagster.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from payments_platform.contracts.due import DEADLINE_OF_ZONE, Due, MaxAge, NotDue
from payments_platform.operations.freshness import LOOKBACK, Freshness, Landed, Watched, evaluate

LONG_AGO = date(2020, 1, 1)
MARTS = DEADLINE_OF_ZONE["marts"]
RAW = DEADLINE_OF_ZONE["raw"]


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def landed(*days: date, hour: int = 3) -> dict[datetime, Landed]:
    """Days that landed in the morning after."""
    starts = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days]
    return {it: Landed(it + timedelta(days=1, hours=hour), it + timedelta(days=1)) for it in starts}


def days(first: str, last: str, *, without: Iterable[str] = ()) -> list[date]:
    """Days, both included, but for some."""
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    every = [begin + timedelta(days=n) for n in range((end - begin).days + 1)]
    return [day for day in every if day.isoformat() not in set(without)]


def mart(*there: date) -> Watched:
    return Watched("marts/fact_transaction", "analytics", MARTS, ("raw/transactions",), landed(*there))


def raw(*there: date) -> Watched:
    return Watched("raw/transactions", "data-platform", RAW, (), landed(*there, hour=2))


def state(it: Watched, now: str, *, first: date = LONG_AGO) -> Freshness:
    (found,) = evaluate([it], at(now), first=first)
    return found


@pytest.mark.row("X4")
def test_backfilling_400_old_days_changes_no_state() -> None:
    """The counter-example that makes Dagster's own policy green: something landed, but not what is owed."""
    late = mart(*days("2026-10-10", "2026-11-21"))
    filled = mart(*days("2025-09-05", "2026-11-21"))
    assert len(filled.landed) - len(late.landed) == 400
    before = state(late, "2026-11-23T06:00:00")
    assert (before.state, before.missing) == ("FAIL", "2026-11-22")
    assert state(filled, "2026-11-23T06:00:00") == before
    on_time = mart(*days("2026-10-10", "2026-11-22"))
    assert state(on_time, "2026-11-23T06:00:00").state == "PASS"
    both = replace(on_time, landed={**on_time.landed, **filled.landed})
    assert state(both, "2026-11-23T06:00:00") == state(on_time, "2026-11-23T06:00:00")


@pytest.mark.row("X4", "C5")
def test_what_was_never_built_and_is_due_fails() -> None:
    """A new pipeline that never delivered must not stay unknown for ever."""
    found = state(mart(), "2026-11-23T06:00:00")
    assert (found.state, found.missing_count) == ("FAIL", 35)
    assert state(mart(), "2026-11-23T06:00:00", first=date(2026, 11, 22)).missing == "2026-11-22"
    assert state(mart(), "2026-11-23T05:59:59", first=date(2026, 11, 22)).state == "PASS"


@pytest.mark.row("X4")
def test_today_built_early_hides_no_older_gap() -> None:
    """The newest partition says nothing about the day before yesterday."""
    gap = mart(*days("2026-10-10", "2026-11-23", without=["2026-11-20"]))
    found = state(gap, "2026-11-23T12:00:00")
    assert (found.state, found.missing, found.due_at) == ("FAIL", "2026-11-20", at("2026-11-21T06:00:00"))
    assert found.since == found.due_at


@pytest.mark.row("X4")
def test_the_oldest_of_several_gaps_is_named_and_all_are_counted() -> None:
    gaps = mart(*days("2026-10-10", "2026-11-22", without=["2026-11-20", "2026-11-18", "2026-11-19"]))
    found = state(gaps, "2026-11-23T12:00:00")
    assert (found.missing, found.missing_count) == ("2026-11-18", 3)
    assert "2026-11-18 was due at 2026-11-19 06:00 UTC" in found.reason


@pytest.mark.row("X4")
def test_a_gap_older_than_the_lookback_is_owed_no_more() -> None:
    """Or a day that can never be built again would be red for ever, and red for ever is read by nobody."""
    old = mart(*days("2026-01-01", "2026-11-22", without=["2026-10-18"]))
    assert state(old, "2026-11-23T05:59:00").missing == "2026-10-18"
    assert state(old, "2026-11-23T06:00:00").state == "PASS"


@pytest.mark.row("O8", "C5")
@pytest.mark.parametrize(
    "now, wanted",
    [("05:59:59", "PASS"), ("06:00:00", "FAIL"), ("08:30:00", "FAIL")],
    ids=["a second before", "the very moment", "a daemon that comes late"],
)
def test_a_mart_is_late_from_six_in_the_morning(now: str, wanted: str) -> None:
    """However late somebody looks, it is late since the deadline and not since the look."""
    found = state(mart(*days("2026-10-01", "2026-11-21")), f"2026-11-23T{now}")
    assert found.state == wanted
    assert wanted == "PASS" or found.since == at("2026-11-23T06:00:00")


@pytest.mark.row("X4")
@pytest.mark.parametrize("now, missing", [("2028-03-01T06:00", "2028-02-29"), ("2027-03-01T06:00", "2027-02-28")])
def test_a_leap_day_is_a_day(now: str, missing: str) -> None:
    built = days("2027-01-01", "2028-12-31", without=[missing])
    found = state(mart(*built), now)
    assert (found.state, found.missing) == ("FAIL", missing)


MONTHLY = Due("month", timedelta(days=1))


@pytest.mark.row("X4")
@pytest.mark.parametrize(
    "now, missing",
    [
        ("2026-03-01T23:59:59", "2026-01-01"),
        ("2026-03-02T00:00:00", "2026-02-01"),
        ("2028-03-02T00:00:00", "2028-02-01"),
        ("2027-01-02T00:00:00", "2026-12-01"),
    ],
)
def test_a_month_is_due_after_its_last_day(now: str, missing: str) -> None:
    """Months have 28 to 31 days; a deadline that counts thirty is wrong most of the time."""
    newest = next(MONTHLY.due_partitions(at(now), first=LONG_AGO, lookback=LOOKBACK))
    assert newest.key == missing
    found = state(Watched("governance/report", "data-platform", MONTHLY), now, first=newest.start.date())
    assert (found.state, found.missing, found.due_at) == ("FAIL", missing, newest.end + timedelta(days=1))


@pytest.mark.row("X4")
def test_hours_and_weeks_have_the_keys_that_dagster_gives_them() -> None:
    import dagster as dg

    moment = at("2026-11-25T12:34:00")
    wanted = {
        "hour": dg.HourlyPartitionsDefinition("2026-11-01-00:00"),
        "day": dg.DailyPartitionsDefinition("2026-11-01"),
        "week": dg.WeeklyPartitionsDefinition("2026-11-01"),
        "month": dg.MonthlyPartitionsDefinition("2026-10-01"),
    }
    for period, definition in wanted.items():
        due = Due(period, timedelta())  # type: ignore[arg-type]
        newest = next(due.due_partitions(moment, first=date(2026, 10, 1), lookback=timedelta(days=60)))
        with dg.partition_loading_context(moment):
            assert newest.key == definition.get_last_partition_key()


@pytest.mark.row("X4")
@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati"])
@pytest.mark.parametrize("now", ["2026-03-29T06:00", "2026-10-25T06:00", "2026-11-01T05:59", "2026-03-08T07:00"])
def test_a_deadline_moves_for_no_viewer(zone: str, now: str) -> None:
    """Nights with 23 or 25 hours are nights of some viewers; the same moment in any zone gives the same answer."""
    built = mart(*days("2026-01-01", "2026-03-27"))
    here = evaluate([built], at(now), first=LONG_AGO)
    there = evaluate([built], at(now).astimezone(ZoneInfo(zone)), first=LONG_AGO)
    assert here == there


def test_a_time_without_a_zone_is_refused() -> None:
    """A naive six o'clock is another moment on every machine."""
    with pytest.raises(ValueError, match="no time zone"):
        evaluate([mart()], datetime(2026, 11, 23, 6), first=LONG_AGO)  # noqa: DTZ001 - the point of the test


@pytest.mark.row("X4")
def test_a_clock_that_was_wrong_leaves_nothing_behind() -> None:
    built = mart(*days("2026-10-01", "2026-11-22"))
    right = evaluate([built], at("2026-11-23T12:00:00"), first=LONG_AGO)
    wrong = evaluate([built], at("2031-01-01T00:00:00"), first=LONG_AGO)
    assert [it.state for it in wrong] == ["FAIL"]
    assert evaluate([built], at("2026-11-23T12:00:00"), first=LONG_AGO) == right


@pytest.mark.row("X4")
def test_a_late_upstream_warns_before_the_deadline_and_is_named() -> None:
    """Three hours before the reports are missed somebody can still act."""
    upstream, downstream = raw(*days("2026-10-01", "2026-11-21")), mart(*days("2026-10-01", "2026-11-21"))
    quiet = evaluate([upstream, downstream], at("2026-11-23T02:59:59"), first=LONG_AGO)
    assert [it.state for it in quiet] == ["PASS", "PASS"]
    warned = evaluate([upstream, downstream], at("2026-11-23T03:30:00"), first=LONG_AGO)
    assert [(it.state, it.causes) for it in warned] == [("FAIL", ()), ("WARN", ("raw/transactions",))]
    assert (warned[1].missing, warned[1].since) == ("2026-11-22", at("2026-11-23T03:00:00"))
    arrived = replace(upstream, landed=raw(*days("2026-10-01", "2026-11-22")).landed)
    healed = evaluate([arrived, downstream], at("2026-11-23T03:30:00"), first=LONG_AGO)
    assert [it.state for it in healed] == ["PASS", "PASS"]


@pytest.mark.row("X4", "X5")
def test_a_warning_goes_by_the_time_that_the_step_usually_takes() -> None:
    """A step of ten minutes needs no alarm three hours before: it can still be in time until ten to six."""
    built = days("2026-10-01", "2026-11-21")
    downstream = replace(mart(*built), usual=timedelta(minutes=10))
    for now, wanted in (("05:50:00", "PASS"), ("05:50:01", "WARN"), ("06:00:00", "FAIL")):
        found = evaluate([raw(*built), downstream], at(f"2026-11-23T{now}"), first=LONG_AGO)
        assert found[1].state == wanted


@pytest.mark.row("X4")
def test_one_cause_is_named_for_everything_that_waits_for_it() -> None:
    """Twenty late tables and one stopped extraction are one fault; alerts are grouped by it."""
    built = days("2026-10-01", "2026-11-21")
    chain = [
        raw(*built),
        Watched(
            "clean/transactions", "data-platform", DEADLINE_OF_ZONE["clean"], ("raw/transactions",), landed(*built)
        ),
        Watched("marts/a", "analytics", MARTS, ("clean/transactions",), landed(*built)),
        Watched("marts/b", "analytics", MARTS, ("marts/a", "clean/transactions"), landed(*built)),
    ]
    found = evaluate(chain, at("2026-11-23T07:00:00"), first=LONG_AGO)
    assert [it.state for it in found] == ["FAIL"] * 4
    assert [it.cause for it in found] == [None, *["raw/transactions"] * 3]


@pytest.mark.row("X4")
def test_a_month_waits_for_the_days_in_it() -> None:
    built = days("2026-09-01", "2026-11-30", without=["2026-11-17"])
    report = Watched("governance/report", "data-platform", MONTHLY, ("marts/fact_transaction",))
    day = next(DEADLINE_OF_ZONE["marts"].covering(MONTHLY.partition_at(at("2026-11-17T00:00"))))  # type: ignore[union-attr]
    assert day.key == "2026-11-01"
    found = evaluate([mart(*built), report], at("2026-12-02T00:00:00"), first=date(2026, 11, 1))
    assert (found[1].missing, found[1].causes) == ("2026-11-01", ("marts/fact_transaction",))


@pytest.mark.row("X4")
@pytest.mark.parametrize("seconds, wanted", [(60, "PASS"), (61, "FAIL")])
def test_a_stream_is_late_when_its_data_are_old(seconds: int, wanted: str) -> None:
    newest = at("2026-11-23T12:00:00")
    stream = Watched("search/transactions", "data-platform", MaxAge(timedelta(seconds=60)), newest=newest)
    (found,) = evaluate([stream], newest + timedelta(seconds=seconds), first=LONG_AGO)
    assert (found.state, found.due_at) == (wanted, newest + timedelta(seconds=60))
    (never,) = evaluate([replace(stream, newest=None)], newest, first=LONG_AGO)
    assert never.state == "FAIL"


def test_what_is_never_due_has_no_state() -> None:
    decisions = Watched("quarantine/repairs", "data-platform", NotDue("people write it"))
    assert evaluate([decisions], at("2026-11-23T12:00:00"), first=LONG_AGO) == []
