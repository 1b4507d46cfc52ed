"""A day that is unlike the days before is told of; thirty ordinary days, weekends and all, are not.

Belongs here: the profile of a day and its comparison with earlier ones, on the simulator's own seasons and on counts
made up. Does not: where warnings are shown (test_quality, assets/).
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import polars as pl
import pytest
from pydantic import SecretStr

from payments_platform.batch.as_usual import MIN_DAYS, Comparison, comparisons
from payments_platform.batch.profile import profile
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, RAW_TRANSACTIONS
from payments_platform.contracts.sample import sample
from payments_platform.lake.manifest import Manifest, Output
from payments_platform.lake.writing import _by_column
from payments_platform.oltp.simulator import consents, people
from payments_platform.oltp.simulator.changes import people_changes
from payments_platform.oltp.simulator.payments import crowd, pay
from payments_platform.oltp.simulator.world import Stream, World
from payments_platform.settings import TokenKey

FIRST, DAYS = date(2026, 1, 1), 30
WORLD, KEY = World(seed=7, per_day=600, defect_rate=0.0), TokenKey("k1", SecretStr("0" * 64))


def manifest(table: str, day: date, rows: pl.DataFrame, verdict: str = "passed") -> Manifest:
    """A passed day with the profile of the given versions; columns that the frame lacks are null."""
    clean, raw = dataset(f"clean/{table}"), dataset(f"raw/{table}")
    missing = [name for name in raw.names if name not in rows.columns]
    whole = rows.with_columns(pl.lit(None, dtype=raw.schema[name]).alias(name) for name in missing)
    counted = profile(whole.select(raw.names).cast(raw.schema).lazy(), clean)
    assert counted is not None
    return Manifest(
        dataset=clean.name,
        day=day,
        verdict=verdict,  # type: ignore[arg-type]
        code_version="test",
        outputs={clean.name: Output((), rows.height, {}, "", "")},
        written_at=datetime(2026, 3, 1, tzinfo=UTC),
        profile=_by_column(counted.collect()),
    )


@cache
def simulated() -> dict[str, list[pl.DataFrame]]:
    """Each day's versions of each table, as the simulator tells them; the first day brings everybody."""
    merchants, trades = people.merchants(WORLD, FIRST)
    everyone = crowd(WORLD, merchants, trades, people.regulars(WORLD, FIRST, KEY))
    decided = consents.decisions(WORLD.random(Stream.CONSENTS), everyone.customers)
    days = [FIRST + timedelta(days=number) for number in range(DAYS)]
    payments, told = [], {name: list[pl.DataFrame]() for name in ("merchants", "customers", "payment_methods")}
    for number, day in enumerate(days):
        arrivals = people.newcomers(WORLD, day, KEY)
        lives = pay(WORLD, everyone, arrivals, day)
        first = lives.rows.with_columns(op=pl.lit("c"), version=pl.lit(1, pl.Int32))
        later = lives.changes.join(
            lives.rows.drop("updated_at", "status", "captured_minor", "refunded_minor", "created_at"),
            on="transaction_id",
        )
        later = later.with_columns(op=pl.lit("u"))
        previous = pl.col("status").shift(1).over("transaction_id", order_by="version")
        payments.append(pl.concat([first, later], how="diagonal_relaxed").with_columns(previous_status=previous))
        changed = people_changes(WORLD, decided, day)
        told["merchants"].append(pl.concat([merchants.rows, changed.merchants][number > 0 :], how="diagonal_relaxed"))
        crowds = [everyone.customers.rows] if number == 0 else []
        told["customers"].append(pl.concat([*crowds, arrivals.rows, changed.customers], how="diagonal_relaxed"))
        methods = [everyone.customers.methods] if number == 0 else []
        told["payment_methods"].append(pl.concat([*methods, arrivals.methods], how="diagonal_relaxed"))
    history = pl.concat(payments)
    by_day = [history.filter(pl.col("updated_at").dt.date() == day) for day in days]
    return told | {"transactions": by_day}


@cache
def manifests(table: str) -> list[Manifest]:
    return [manifest(table, FIRST + timedelta(days=number), rows) for number, rows in enumerate(simulated()[table])]


def fired(found: list[Comparison]) -> list[str]:
    return [comparison.rule for comparison in found if comparison.verdict == "fired"]


@pytest.mark.row("B3")
@pytest.mark.parametrize("table", ["transactions", "merchants", "customers", "payment_methods"])
def test_thirty_ordinary_days_give_no_warning(table: str) -> None:
    """A warning that comes each Monday is one that nobody reads when it matters."""
    days = manifests(table)
    for number, day in enumerate(days):
        found = comparisons(day, days[:number])
        assert fired(found) == [], f"{table} {day.day}: {[comparison.finding for comparison in found]}"
    if table == "transactions":
        assert {comparison.verdict for comparison in comparisons(days[-1], days[:-1])} == {"quiet"}


def rows_of(number: int) -> pl.DataFrame:
    return simulated()["transactions"][number]


@pytest.mark.row("B3")
@pytest.mark.parametrize("number", [*range(14, 21), DAYS - 1])
def test_a_tripled_day_is_told_of_on_every_weekday(number: int) -> None:
    day = manifest("transactions", FIRST + timedelta(days=number), pl.concat([rows_of(number)] * 3))
    assert fired(comparisons(day, manifests("transactions")[:number])) == ["W-rows-as-usual"]
    few = manifest("transactions", FIRST + timedelta(days=number), rows_of(number)[: rows_of(number).height // 4])
    assert "W-rows-as-usual" in fired(comparisons(few, manifests("transactions")[:number]))


@pytest.mark.row("B3")
@pytest.mark.parametrize(
    "column, change",
    [
        ("currency", pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("KWD")).otherwise("currency")),
        ("status", pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("failed")).otherwise("status")),
        ("country_code", pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("BR")).otherwise("country_code")),
        ("currency", pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("eur")).otherwise("currency")),
        ("amount_minor", pl.col("amount_minor") * 10),
    ],
)
def test_a_shifted_mix_is_told_of_under_its_column(column: str, change: pl.Expr) -> None:
    """A third of the payments in a currency that nobody paid in yesterday are good rows, each by itself."""
    day = manifest("transactions", FIRST + timedelta(days=20), rows_of(20).with_columns(change.alias(column)))
    found = comparisons(day, manifests("transactions")[:20])
    assert fired(found) == ["W-mix-as-usual"]
    assert f"{column} has shifted" in next(comparison.finding for comparison in found if comparison.verdict == "fired")


@pytest.mark.row("B3")
@pytest.mark.parametrize("column", ["country_code", "device_id", "description"])
def test_a_column_that_empties_is_told_of(column: str) -> None:
    emptied = pl.when(pl.int_range(pl.len()) % 5 != 0).then(pl.col(column))
    day = manifest("transactions", FIRST + timedelta(days=20), rows_of(20).with_columns(emptied.alias(column)))
    found = comparisons(day, manifests("transactions")[:20])
    assert fired(found) == ["W-nulls-as-usual"]
    assert f"{column} is empty in 20" in next(item.finding for item in found if item.verdict == "fired")


def test_without_a_week_of_passed_days_before_there_is_no_verdict_and_it_says_so() -> None:
    """A verdict from three days compares a weekend with workdays."""
    days = manifests("transactions")
    strange = manifest("transactions", days[20].day, pl.concat([rows_of(20)] * 9))
    failed = [replace(day, verdict="failed") for day in days[:20]]
    later = [replace(day, day=day.day + timedelta(days=60)) for day in days]
    for baseline in (days[: MIN_DAYS - 1], failed, later, days[20:]):
        found = comparisons(strange, baseline)
        assert {comparison.verdict for comparison in found} == {"unknown"}
        assert all("no verdict" in comparison.finding for comparison in found)


@pytest.mark.row("B3")
def test_a_profile_holds_listed_values_and_sizes_and_nothing_of_a_person() -> None:
    """It is kept for as long as the manifest: an e-mail address sent as a currency must not get in."""
    rows = sample(RAW_TRANSACTIONS, 3).with_columns(
        currency=pl.Series(["EUR", "ann@example.com", None]),
        amount_minor=pl.Series([0, 1250, None], dtype=pl.Int64),
    )
    kept = manifest("transactions", FIRST, rows).profile
    assert kept["currency"] == {"EUR": 1, "(other)": 1, "": 1}
    assert kept["amount_minor"] == {"0": 1, "7": 1, "": 1}
    assert "ann" not in str(kept)
    assert set(kept) <= set(CLEAN_TRANSACTIONS.names)
