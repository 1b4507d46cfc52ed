"""What counts as there: a manifest that passed, a load that passed; and the delays measured of it.

Belongs here: facts from a lake in memory and a made-up record of loads. Does not: the judgement (test_freshness).
"""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest

from assets_tests.fakes.storage import MemoryStorage
from payments_platform.contracts.catalogue import WATCHED, dataset
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.due import DEADLINE_OF_ZONE, Due
from payments_platform.contracts.sample import sample
from payments_platform.lake.manifest import Verdict
from payments_platform.lake.partitions import Lake
from payments_platform.lake.paths import manifest_path
from payments_platform.lake.storage import ANY
from payments_platform.operations.evidence import days_looked_at, facts, first_owed, lake_landings, nearest_rank
from payments_platform.operations.freshness import LOOKBACK, Freshness, evaluate
from payments_platform.operations.load_times import load_times_of, measured
from payments_platform.vocabulary import Zone, days_between
from payments_platform.warehouse.load_times import SCHEMA

CLEAN, QUARANTINE = dataset("clean/transactions"), dataset("quarantine/transactions")
RAW, LANDING = dataset("raw/transactions"), dataset("landing/transactions")
FACT = dataset("marts/fact_transaction")
FIRST = date(2026, 11, 1)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAYS = days_between(FIRST, date(2026, 11, 23))


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def write(lake: Lake, day: date, verdict: Verdict = "passed", hours: float = 27) -> None:
    """A day of clean and quarantine that landed so many hours after it began."""
    now = midnight(day) + timedelta(hours=hours)
    lake.write(day, {CLEAN: sample(CLEAN, 2), QUARANTINE: sample(QUARANTINE, 1)}, code_version="test", now=now)
    lake.set_verdict(CLEAN, day, verdict)


def loads(*days: date, name: str = FACT.name, passed: bool = True, hours: float = 29) -> pl.DataFrame:
    """The record of loads: these days of a table."""
    rows = [
        (name, day, 1, 10, midnight(day) + timedelta(days=1), at, at, passed)
        for day in days
        for at in [midnight(day) + timedelta(hours=hours)]
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def states(lake: Lake, record: pl.DataFrame) -> dict[str, Freshness]:
    watched = facts([CLEAN, QUARANTINE, FACT], {}, lake, record, days_looked_at(NOW))
    return {it.dataset: it for it in evaluate(watched, NOW, first=FIRST)}


@pytest.fixture
def lake() -> Lake:
    return Lake(MemoryStorage())


@pytest.mark.row("X4")
@pytest.mark.parametrize("verdict, wanted", [("passed", "PASS"), ("failed", "FAIL"), ("pending", "FAIL")])
def test_a_day_whose_check_failed_is_not_there(lake: Lake, verdict: Verdict, wanted: str) -> None:
    """Its rows lie there, and Dagster calls the partition materialised; nobody may read them."""
    for day in DAYS:
        write(lake, day, verdict if day == date(2026, 11, 20) else "passed")
    found = states(lake, loads())
    assert (found[CLEAN.name].state, found[QUARANTINE.name].state) == (wanted, wanted)
    assert found[CLEAN.name].missing == (None if wanted == "PASS" else "2026-11-20")


@pytest.mark.row("X4")
def test_a_manifest_that_cannot_be_read_is_a_day_that_is_missing(lake: Lake) -> None:
    """One damaged file must not blind the sensor for every other dataset."""
    for day in DAYS:
        write(lake, day)
    lake.storage.replace(manifest_path(CLEAN, DAYS[3]), b"{", expected=ANY)
    assert states(lake, loads())[CLEAN.name].missing == DAYS[3].isoformat()


@pytest.mark.row("X4")
@pytest.mark.parametrize(
    "before, after, hours, wanted",
    [
        ("passed", "pending", 0, "PASS"),
        ("passed", "pending", 2, "PASS"),
        ("passed", "pending", 2.01, "FAIL"),
        ("passed", "failed", 0, "FAIL"),
        ("failed", "pending", 0, "FAIL"),
    ],
)
def test_a_day_that_is_built_again_is_there_for_two_hours_while_nobody_has_judged_it(
    lake: Lake, before: Verdict, after: Verdict, hours: float, wanted: str
) -> None:
    """Every backfill of recent days would open an alert otherwise; what failed, or never passed, is missing at once."""
    for day in DAYS:
        write(lake, day)
    again = date(2026, 11, 20)
    write(lake, again, before)
    write(lake, again, after, hours=(NOW - midnight(again)) / timedelta(hours=1))
    watched = facts([CLEAN], {}, lake, loads(), days_looked_at(NOW), now=NOW + timedelta(hours=hours))
    (found,) = evaluate(watched, NOW, first=FIRST)
    assert (found.state, found.missing) == (wanted, None if wanted == "PASS" else "2026-11-20")
    # Whoever would read the day cannot: without a time nothing that is not passed is there.
    (strict,) = facts([CLEAN], {}, lake, loads(), days_looked_at(NOW))
    assert midnight(again) not in strict.landed


@pytest.mark.row("X5")
@pytest.mark.parametrize("between", ["passed", "failed", "pending"])
def test_a_day_that_is_built_again_keeps_its_first_landing(lake: Lake, between: Verdict) -> None:
    """The delay is the one that people waited for, not the age of the day that was repaired."""
    write(lake, FIRST)
    write(lake, FIRST, between, hours=200)
    write(lake, FIRST, hours=24 * 20)
    (watched,) = facts([CLEAN], {}, lake, loads(), DAYS)
    (row,) = load_times_of([watched], FIRST).to_dicts()
    assert (row["delay_seconds"], row["is_on_time"]) == (3 * 3600, True)
    # The record in the warehouse keeps each landing, this one too.
    assert lake_landings([CLEAN], lake, DAYS)["landed_at"].to_list() == [midnight(FIRST) + timedelta(hours=24 * 20)]


@pytest.mark.row("X5")
def test_a_day_that_was_built_before_it_was_over_lands_with_its_evening(lake: Lake) -> None:
    write(lake, FIRST, hours=14)
    write(lake, FIRST, hours=27)
    (watched,) = facts([CLEAN], {}, lake, loads(), DAYS)
    assert watched.landed[midnight(FIRST)].landed_at == midnight(FIRST) + timedelta(hours=27)


@pytest.mark.row("X4", "O8")
def test_a_day_of_the_warehouse_counts_when_its_load_passed(lake: Lake) -> None:
    record = loads(*DAYS[:-1])
    assert states(lake, record)[FACT.name].missing == "2026-11-22"
    failed = pl.concat([record, loads(DAYS[-1], passed=False)])
    assert states(lake, failed)[FACT.name].missing == "2026-11-22"
    assert states(lake, pl.concat([record, loads(DAYS[-1])]))[FACT.name].state == "PASS"


@pytest.mark.row("X4")
@pytest.mark.parametrize("period, zone", [("day", "marts"), ("week", "models"), ("month", "governance")])
@pytest.mark.parametrize("stored", [FACT, CLEAN], ids=["warehouse", "lake"])
def test_what_is_there_of_each_period_is_never_missed_and_a_hole_always(
    lake: Lake, stored: Dataset, period: str, zone: Zone
) -> None:
    """A month that is due within the lookback began up to 67 days ago: it must be looked for where it begins."""
    due = DEADLINE_OF_ZONE[zone]
    assert isinstance(due, Due)
    assert due.period == period
    it, first = replace(stored, due=due), date(2026, 6, 1)
    last = datetime(2027, 1, 15, tzinfo=UTC)
    starts = [part.start.date() for part in due.due_partitions(last, first=first, lookback=timedelta(days=250))]
    record = loads(*starts, hours=24)
    for day in starts:
        write(lake, day, hours=24)
    moments = [datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(70)]
    assert {judged(it, lake, record, now, first) for now in moments} == {("PASS", None)}
    hole = [part.start.date() for part in due.due_partitions(moments[0], first=first, lookback=LOOKBACK)][-1]
    lake.set_verdict(CLEAN, hole, "failed")
    assert judged(it, lake, record.filter(pl.col("partition_date") != hole), moments[0], first) == ("FAIL", f"{hole}")


@pytest.mark.row("X4")
def test_a_day_is_not_taken_for_its_first_hour(lake: Lake) -> None:
    """Neither the lake nor the warehouse says of an hour when it landed; that its day landed says nothing of it."""
    hourly = replace(FACT, due=DEADLINE_OF_ZONE["features"])
    (found,) = facts([hourly], {}, lake, loads(*DAYS), DAYS)
    assert found.landed == {}
    # Until one of them does, a dataset that is due by the hour would be late for ever.
    assert [it.name for it in WATCHED if isinstance(it.deadline, Due) and it.deadline.period == "hour"] == []


def judged(it: Dataset, lake: Lake, record: pl.DataFrame, now: datetime, first: date) -> tuple[str, str | None]:
    """The state of one dataset and what it misses."""
    days = days_looked_at(now, [it.deadline])
    (found,) = evaluate(facts([it], {}, lake, record, days), now, first=first)
    return found.state, found.missing


@pytest.mark.row("X4")
def test_a_month_that_is_late_waits_for_the_days_that_are_looked_at(lake: Lake) -> None:
    """Its cause is a day up to two months old; a day that nobody looked for would be taken for the cause."""
    month = replace(dataset("aggregates/merchant_daily"), due=DEADLINE_OF_ZONE["governance"])
    now, first = datetime(2026, 12, 10, 12, tzinfo=UTC), date(2026, 10, 1)
    record = loads(*days_between(first, date(2026, 12, 10)))
    days = days_looked_at(now, [month.deadline, FACT.deadline])
    watched = facts([FACT, month], {month.name: [FACT.name]}, lake, record, days)
    found = {it.dataset: it for it in evaluate(watched, now, first=first)}
    assert (found[month.name].missing, found[month.name].causes) == ("2026-11-01", ())


@pytest.mark.row("X4")
def test_backfilling_400_old_days_changes_no_state_of_the_warehouse(lake: Lake) -> None:
    record = loads(*DAYS[:-1])
    old = loads(*days_between(date(2025, 9, 1), date(2026, 10, 6)), hours=24 * 365)
    before = states(lake, record)
    assert old.height == 400
    assert states(lake, pl.concat([record, old])) == before
    assert before[FACT.name].state == "FAIL"


@pytest.mark.row("X4")
def test_production_owes_every_day_of_the_settings_and_a_laptop_what_its_person_began(lake: Lake) -> None:
    """Who never built anything owes all; and a week tried out on a laptop does not owe the years before it."""
    first = date(2025, 1, 1)
    assert first_owed("production", first, lake, [CLEAN]) == first
    assert first_owed("local", first, lake, [CLEAN]) is None
    write(lake, FIRST)
    assert first_owed("local", first, lake, [CLEAN, RAW]) == FIRST
    assert first_owed("production", first, lake, [CLEAN, RAW]) == first


@pytest.mark.row("X5")
def test_delays_are_those_of_the_landings_to_the_second(lake: Lake) -> None:
    """Recomputed from the raw times: the end of a day to its landing, and the value that a share of them keeps."""
    hours = {day: 25 + 0.25 * n + n / 3600 for n, day in enumerate(DAYS)}
    for day in DAYS:
        write(lake, day, hours=hours[day])
    (watched,) = facts([CLEAN], {}, lake, loads(), DAYS)
    found = measured(watched, NOW)
    assert found is not None
    delays = sorted(round((hours[day] - 24) * 3600) for day in DAYS)
    assert len(delays) == 22
    assert found.delays.p50 == timedelta(seconds=delays[10])
    assert found.delays.p90 == timedelta(seconds=delays[19])
    assert found.delays.longest == timedelta(seconds=delays[21])
    assert (found.delay, found.partition.key) == (timedelta(seconds=delays[-1]), "2026-11-22")
    (row,) = load_times_of([watched], DAYS[4]).to_dicts()
    assert (row["delay_seconds"], row["landed_count"]) == (delays[4], 5)
    assert (row["p50_delay_seconds"], row["p90_delay_seconds"]) == (delays[2], delays[4])
    assert row["is_on_time"]
    assert row["due_at"] == midnight(DAYS[5]) + timedelta(hours=3, minutes=30)


@pytest.mark.row("X5")
def test_the_percentiles_roll(lake: Lake) -> None:
    """A bad month long ago must not hide that it is good now."""
    slow, quick = days_between(date(2026, 9, 1), date(2026, 10, 1)), days_between(date(2026, 10, 1), date(2026, 10, 31))
    record = pl.concat([loads(*slow, hours=40), loads(*quick, hours=26)])
    (watched,) = facts([FACT], {}, lake, record, [*slow, *quick])
    found = measured(watched, NOW)
    assert found is not None
    assert (found.delays.count, found.delays.longest) == (30, timedelta(hours=2))


@pytest.mark.row("X5")
def test_a_day_that_did_not_land_has_no_delay_and_keeps_its_deadline(lake: Lake) -> None:
    (watched,) = facts([FACT], {}, lake, loads(DAYS[0]), DAYS)
    (row,) = load_times_of([watched], DAYS[1]).to_dicts()
    assert (row["landed_at"], row["delay_seconds"], row["is_on_time"]) == (None, None, None)
    assert row["due_at"] == midnight(DAYS[2]) + timedelta(hours=6)


@pytest.mark.row("X5")
def test_the_usual_time_of_a_step_is_measured_from_what_it_reads(lake: Lake) -> None:
    record = pl.concat([loads(*DAYS, name=LANDING.name, hours=27), loads(*DAYS, hours=27.5)])
    watched = facts([LANDING, FACT], {FACT.name: [LANDING.name]}, lake, record, DAYS)
    assert [it.usual for it in watched] == [None, timedelta(minutes=30)]
    few = facts([LANDING, FACT], {FACT.name: [LANDING.name]}, lake, record, DAYS[:4])
    assert [it.usual for it in few] == [None, None]


@pytest.mark.row("X5")
def test_landings_of_the_lake_are_kept_with_what_they_hold(lake: Lake) -> None:
    write(lake, DAYS[0])
    write(lake, DAYS[1], "failed")
    kept = lake_landings([CLEAN, QUARANTINE], lake, DAYS)
    rows = kept.select("dataset", "partition_date", "row_count").rows()
    assert rows == [(CLEAN.name, DAYS[0], 2), (QUARANTINE.name, DAYS[0], 1)]
    assert kept["landed_at"].to_list() == [midnight(DAYS[0]) + timedelta(hours=27)] * 2


@pytest.mark.parametrize("share, wanted", [(0.5, 2), (0.9, 4), (1.0, 4), (0.01, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, wanted: int) -> None:
    values = [timedelta(hours=n) for n in (3, 1, 4, 2)]
    assert nearest_rank(values, share) == timedelta(hours=wanted)
