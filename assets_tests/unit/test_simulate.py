"""What a simulated company must be: the same for the same seed, lawful but for its planted defects, nobody real.

Belongs here: generation without a database. Does not: what arrives in PostgreSQL (integration/test_simulate_source.py).
"""

import re
from datetime import UTC, date, datetime

import narwhals as nw
import polars as pl
import pytest
from pydantic import SecretStr

from payments_platform.contracts.customers import CLEAN_CUSTOMERS
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.merchants import CLEAN_MERCHANTS
from payments_platform.contracts.payments import CLEAN_PAYMENT_METHODS, CLEAN_TRANSACTIONS, STATUS_TRANSITIONS, STATUSES
from payments_platform.oltp import rates
from payments_platform.oltp.simulator import defects, people, profiles
from payments_platform.oltp.simulator.changes import people_changes
from payments_platform.oltp.simulator.payments import DayOfPayments, crowd, pay
from payments_platform.oltp.simulator.world import World
from payments_platform.oltp.tokens import mint
from payments_platform.settings import TokenKey

KEY = TokenKey("k1", SecretStr("key of the tests"))
OPENED, DAY = date(2026, 1, 1), date(2026, 1, 2)
WORLD = World(seed=7, per_day=4_000, defect_rate=0.02)


def told(world: World = WORLD, day: date = DAY) -> tuple[DayOfPayments, pl.DataFrame]:
    """One day of payments with its defects, and the truth about them."""
    merchants, trades = people.merchants(world, OPENED)
    everyone = crowd(world, merchants, trades, people.regulars(world, OPENED, KEY))
    return defects.break_payments(world, pay(world, everyone, people.newcomers(world, day, KEY), day), day)


def as_history(payments: DayOfPayments) -> pl.DataFrame:
    """All versions as the history table would hold them, with the columns that rules read."""
    base = payments.rows.with_columns(
        pl.col("amount").cast(pl.Decimal(20, 4)),
        version=pl.lit(1),
        op=pl.lit("c"),
        previous_status=pl.lit(None, pl.String),
    )
    fixed = base.drop("updated_at", "status", "captured_minor", "refunded_minor", "version", "op", "previous_status")
    later = payments.changes.drop("created_at").join(fixed, on="transaction_id").with_columns(op=pl.lit("u"))
    states = pl.concat([base.select(later.drop("op").columns), later.drop("op")], how="vertical_relaxed")
    previous = pl.col("status").shift(1).over("transaction_id", order_by="version")
    return states.with_columns(previous_status=previous, op=pl.when(version=1).then(pl.lit("c")).otherwise(pl.lit("u")))


def broken(rows: pl.DataFrame, dataset: Dataset, key: str) -> set[tuple[str, int, str]]:
    """Every (key, version, rule) that breaks a rule of the contract."""
    found: set[tuple[str, int, str]] = set()
    frame = nw.from_native(rows)
    for rule in dataset.row_rules:
        bad = frame.filter(~rule.holds).to_native()
        found |= {(row[0], row[1], rule.id) for row in bad.select(key, "version").iter_rows()}
    return found


@pytest.mark.row("B3")
def test_each_defect_breaks_its_rule_and_no_other() -> None:
    """A defect that breaks two rules, or none, would make the comparison of truth and quarantine worthless."""
    payments, truth = told()
    expected = {tuple(row) for row in truth.select("key", "version", "rule").iter_rows() if row[2] != defects.PAN}
    assert broken(as_history(payments), CLEAN_TRANSACTIONS, "transaction_id") == expected
    assert set(truth["rule"]) == {rule for rule, _ in defects.TRANSACTIONS}


@pytest.mark.row("B3")
def test_every_row_rule_that_the_source_can_break_is_planted() -> None:
    """A rule without a planted defect is a rule that no end-to-end test shows."""
    kinds = {
        CLEAN_TRANSACTIONS: defects.TRANSACTIONS,
        CLEAN_MERCHANTS: defects.MERCHANTS,
        CLEAN_CUSTOMERS: defects.CUSTOMERS,
        CLEAN_PAYMENT_METHODS: defects.PAYMENT_METHODS,
    }
    for dataset, ways in kinds.items():
        # The history trigger writes op: the source cannot get it wrong.
        assert {rule.id for rule in dataset.row_rules} - {"R-op-known"} == {rule for rule, _ in ways} - {defects.PAN}


@pytest.mark.row("B3")
def test_broken_people_break_their_rule_and_no_other() -> None:
    """The same for merchants, customers and payment methods."""
    found = defects.break_people(World(7, 50_000, 0.02), DAY, KEY)
    for table, rows, dataset, key in (
        ("merchants", found.merchants, CLEAN_MERCHANTS, "merchant_id"),
        ("customers", found.customers, CLEAN_CUSTOMERS, "customer_id"),
        ("payment_methods", found.methods, CLEAN_PAYMENT_METHODS, "payment_method_id"),
    ):
        truth = found.truth.filter(table=table).select("key", "version", "rule")
        versions = rows.with_columns(version=pl.lit(1), op=pl.lit("c"))
        assert broken(versions, dataset, key) == {tuple(row) for row in truth.iter_rows()}
        assert truth.height > 10


def test_no_defects_are_planted_at_rate_zero() -> None:
    """The comparison of a good run needs a world in which everything is good."""
    payments, truth = told(World(7, 4_000, 0.0))
    assert truth.is_empty()
    assert broken(as_history(payments), CLEAN_TRANSACTIONS, "transaction_id") == set()


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Every test and figure that names a seed relies on it."""
    (first, one), (second, two) = told(), told()
    assert first.rows.write_csv() == second.rows.write_csv()
    assert first.changes.write_csv() == second.changes.write_csv()
    assert one.equals(two)
    other, _ = told(World(8, 4_000, 0.02))
    assert set(other.rows["transaction_id"]).isdisjoint(first.rows["transaction_id"])


def test_statuses_follow_the_table_and_totals_stay_within_bounds() -> None:
    """A simulator that breaks the rules unasked would hide real violations among its own."""
    states = as_history(told(World(7, 20_000, 0.0))[0])
    steps = states.filter(pl.col("previous_status").is_not_null()).select("previous_status", "status").unique().rows()
    assert all(after == before or after in STATUS_TRANSITIONS[before] for before, after in steps)
    assert set(states["status"]) == set(STATUSES)
    assert states.filter(pl.col("updated_at").diff().over("transaction_id", order_by="version") <= 0).is_empty()


def test_money_has_the_decimals_of_its_currency() -> None:
    """Yen have none, dinars three: the two that break code written for cents."""
    rows = told(World(7, 20_000, 0.0))[0].rows
    assert {"JPY", "KWD", "EUR", "USD"} <= set(rows["currency"])
    assert rows.filter(currency="JPY")["amount"].str.ends_with(".0000").all()
    kuwaiti = rows.filter(currency="KWD").with_columns(pl.col("amount").cast(pl.Decimal(20, 4)))
    assert (kuwaiti["amount"] * 1000 == kuwaiti["amount_minor"]).all()


def test_few_merchants_take_most_payments() -> None:
    """Skew is what makes joins and partitions hard; even traffic would flatter them."""
    counts = told()[0].rows["merchant_id"].value_counts(sort=True)["count"].to_list()
    assert sum(counts[: len(counts) // 10]) > 0.4 * sum(counts)


def test_people_are_made_up() -> None:
    """Synthetic people only: no mail that reaches anyone, no address of a real network, no card number."""
    customers = people.regulars(WORLD, OPENED, KEY)
    assert customers.identities["email"].str.ends_with("@example.com").all()
    addresses = told()[0].rows["ip_address"]
    assert addresses.str.contains(r"^(192\.0\.2|198\.51\.100|203\.0\.113)\.\d+$|^2001:db8::").all()
    assert not {"card_number", "last4", "bin"} & set(customers.methods.columns)


def test_only_the_dormant_leave() -> None:
    """A payment whose merchant or customer is gone would look like a defect that nobody planted."""
    payers = set(told()[0].rows["customer_id"])
    year = [people_changes(WORLD, date.fromordinal(OPENED.toordinal() + n)) for n in range(365)]
    leaving = [name for changes in year for name in changes.leaving_customers]
    assert len(leaving) == len(set(leaving)) == WORLD.dormant_count
    assert payers.isdisjoint(leaving)


def test_rates_agree_whatever_range_was_asked() -> None:
    """A rate that depended on the range would be another one in the next run, and the source refuses to change it."""
    long, short = rates.series(date(2025, 1, 1), date(2025, 12, 31)), rates.series(date(2025, 6, 1), date(2025, 6, 2))
    assert (
        long.join(short, on=["currency", "rate_date"], suffix="_short")
        .filter(pl.col("usd_rate") != pl.col("usd_rate_short"))
        .is_empty()
    )
    assert set(long.filter(currency="USD")["usd_rate"]) == {"1.000000000"}
    assert (long["usd_rate"].cast(pl.Decimal(18, 9)) > 0).all()


@pytest.mark.row("G2")
def test_a_token_is_the_same_for_one_person_and_key() -> None:
    """Two tokens for one person split that person in every store."""
    assert mint(["cus_1", "cus_1"], KEY.key)[0] == mint(["cus_1"], KEY.key)[0]
    assert mint(["cus_1"], KEY.key) != mint(["cus_1"], SecretStr("another"))
    assert re.fullmatch(r"tok_[0-9a-f]{64}", mint(["cus_1"], KEY.key)[0])


def test_a_world_names_only_places_with_known_money() -> None:
    """A currency without exponent would end in the wrong number of decimals."""
    assert {place.currency for place in profiles.PLACES} == set(profiles.CURRENCIES)
    assert datetime(2026, 1, 2, tzinfo=UTC) <= told()[0].rows["created_at"].min()  # type: ignore[operator]
