"""What a simulated company must be: the same for the same seed, lawful but for its planted defects, nobody real.

Belongs here: generation without a database. Does not: what arrives in PostgreSQL (integration/test_simulate_source.py).
"""

import re
from datetime import UTC, date, datetime, timedelta

import narwhals as nw
import polars as pl
import pytest
from pydantic import SecretStr

from payments_platform.contracts.catalogue import DATASETS
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, STATUS_TRANSITIONS, STATUSES
from payments_platform.oltp import rates
from payments_platform.oltp.simulator import (
    breakages,
    consents,
    defects,
    devices,
    fraud,
    people,
    profiles,
    subscriptions,
)
from payments_platform.oltp.simulator.changes import people_changes
from payments_platform.oltp.simulator.days import Day, tell_day
from payments_platform.oltp.simulator.payments import Crowd, DayOfPayments, crowd, pay
from payments_platform.oltp.simulator.world import Stream, World
from payments_platform.oltp.tokens import mint
from payments_platform.settings import TokenKey

KEY = TokenKey("k1", SecretStr("key of the tests"))
OPENED, DAY = date(2026, 1, 1), date(2026, 1, 2)
WORLD = World(seed=7, per_day=4_000, defect_rate=0.02)


TABLES_OF_SOURCE = {
    *("transactions", "merchants", "customers", "payment_methods"),
    *("devices", "refunds", "disputes", "subscriptions", "consents"),
}
CLEAN = {dataset.key[1]: dataset for dataset in DATASETS.values() if dataset.zone == "clean"}


def everyone(world: World = WORLD) -> Crowd:
    """Who takes part in a world."""
    merchants, trades = people.merchants(world, OPENED)
    return crowd(world, merchants, trades, people.regulars(world, OPENED, KEY))


def whole(world: World = WORLD, day: date = DAY) -> Day:
    """One day, all of it."""
    return tell_day(world, everyone(world), day, KEY)


def told(world: World = WORLD, day: date = DAY) -> tuple[DayOfPayments, pl.DataFrame]:
    """One day of payments with its defects, and the truth about them."""
    payments = pay(world, everyone(world), people.newcomers(world, day, KEY), day)
    return defects.break_payments(world, payments, day)


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


def with_history(versions: pl.DataFrame, key: str) -> pl.DataFrame:
    """Versions with the columns that the history adds."""
    frame = versions.with_columns(op=pl.when(pl.col("version") == 1).then(pl.lit("c")).otherwise(pl.lit("u")))
    if "status" not in frame.columns:
        return frame
    return frame.with_columns(previous_status=pl.col("status").shift(1).over(key, order_by="version"))


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
    rows = truth.select("key", "version", "rule").iter_rows()
    expected = {tuple(row) for row in rows if row[2] not in breakages.WARNED}
    assert broken(as_history(payments), CLEAN_TRANSACTIONS, "transaction_id") == expected
    assert set(truth["rule"]) == {way[0] for way in breakages.TRANSACTIONS}


@pytest.mark.row("B3")
@pytest.mark.parametrize("table", sorted(TABLES_OF_SOURCE))
def test_every_row_rule_that_the_source_can_break_is_planted(table: str) -> None:
    """A rule without a planted defect is a rule that no end-to-end test shows."""
    ways: tuple[breakages.Breakage, ...] = getattr(breakages, table.upper())
    planted = {way[0] for way in ways} - set(breakages.WARNED)
    assert {rule.id for rule in CLEAN[table].row_rules} - set(breakages.UNBREAKABLE) == planted


@pytest.mark.row("B3")
def test_broken_rows_of_other_tables_break_their_rule_and_no_other() -> None:
    """The same for every table but the payments; a rule about two versions is broken by the second."""
    world = World(7, 50_000, 0.02)
    rows = told(World(7, 4_000, 0.0))[0].rows
    found, truths = defects.break_others(world, DAY, rows, KEY)
    assert {one.table for one in found} == TABLES_OF_SOURCE - {"transactions"}
    for one in found:
        truth = truths.filter(table=one.table).select("key", "version", "rule")
        versions = with_history(one.versions, one.key)
        assert broken(versions, CLEAN[one.table], one.key) == {tuple(row) for row in truth.iter_rows()}
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
    decided = consents.decisions(WORLD.random(Stream.CONSENTS), everyone().customers)
    year = [people_changes(WORLD, decided, date.fromordinal(OPENED.toordinal() + n)) for n in range(365)]
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


def test_refunds_and_lost_disputes_add_up_to_what_each_payment_gave_back() -> None:
    """Two tables that tell of the same money must not disagree about it."""
    payments = told(World(7, 20_000, 0.0))[0]
    final = payments.changes.sort("version").group_by("transaction_id").last()
    steps = payments.reversals
    refunded = steps.refunds.filter(status="succeeded").group_by("transaction_id").agg(pl.col("amount_minor").sum())
    lost = steps.disputes.filter(status="lost").select("transaction_id", lost="amount_minor")
    both = final.join(refunded, on="transaction_id", how="left").join(lost, on="transaction_id", how="left")
    back = pl.col("amount_minor").fill_null(0) + pl.col("lost").fill_null(0)
    assert both.filter(back != pl.col("refunded_minor")).is_empty()
    assert refunded.height > 100
    assert set(steps.disputes["transaction_id"]) == set(payments.changes.filter(status="disputed")["transaction_id"])


@pytest.mark.parametrize("table, key", [("refunds", "refund_id"), ("disputes", "dispute_id")])
def test_refunds_and_disputes_obey_their_rules(table: str, key: str) -> None:
    """Unasked violations would hide the planted ones."""
    payments = told(World(7, 20_000, 0.0))[0]
    versions = getattr(payments.reversals, table)
    assert broken(with_history(versions, key), CLEAN[table], key) == set()
    born = versions.join(payments.rows.select("transaction_id", paid="created_at"), on="transaction_id")
    assert born.filter(pl.col("created_at") < pl.col("paid")).is_empty()


def test_subscriptions_obey_their_rules_and_a_longer_telling_repeats_a_shorter_one() -> None:
    """A version that changed when the run went further would be written twice, or never."""
    crowd_, world = everyone(World(7, 4_000, 0.0)), World(7, 4_000, 0.0)
    until, later = datetime(2026, 1, 20, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)
    short = subscriptions.versions(world, crowd_, OPENED, until)
    long = subscriptions.versions(world, crowd_, OPENED, later)
    assert long.filter(pl.col("updated_at") <= until).equals(short)
    assert broken(with_history(long, "subscription_id"), CLEAN["subscriptions"], "subscription_id") == set()
    assert set(long["status"]) == {"trialing", "active", "past_due", "unpaid", "canceled"}
    order = pl.col("updated_at").diff().over("subscription_id", order_by="version")
    assert long.filter(order.dt.total_microseconds() <= 0).is_empty()


def test_refunds_fail_and_disputes_end_and_some_are_removed() -> None:
    """Deletes and ends that never happened would prove nothing about them."""
    told_ = told(World(7, 20_000, 0.0))[0].reversals
    assert set(told_.refunds["status"]) == {"pending", "succeeded", "failed"}
    assert set(told_.disputes["status"]) == {"needs_response", "under_review", "won", "lost"}
    last = pl.col("updated_at").max()
    for versions, deletes, key in (
        (told_.refunds, told_.refund_deletes, "refund_id"),
        (told_.disputes, told_.dispute_deletes, "dispute_id"),
    ):
        ends = versions.group_by(key=key).agg(last)
        gone = deletes.join(ends, on="key", how="left")
        assert gone.height > 0
        assert gone.filter(pl.col("at") <= pl.col("updated_at")).is_empty()


def test_devices_and_consents_obey_their_rules_and_belong_to_the_payers() -> None:
    """A payment's device is its payer's, but for the few that the source does not know and the attackers'."""
    world = World(7, 4_000, 0.0, fraud_rate=0.0)
    day, people_ = whole(world), everyone(world)
    for table, key, rows in (("devices", "device_id", day.devices), ("consents", "consent_id", day.consents)):
        assert rows.height > 0
        assert broken(with_history(rows.with_columns(version=pl.lit(1)), key), CLEAN[table], key) == set()
    start = devices.at_start(world, people_.customers, OPENED, KEY)
    since = [devices.renewed(world, people_.customers, OPENED, KEY), day.devices]
    known = pl.concat([start, *since]).select("device_id", owner="customer_id")
    assert known["device_id"].is_unique().all()
    used = day.payments.rows.join(known, on="device_id", how="left")
    assert used.filter(pl.col("owner").is_not_null() & (pl.col("owner") != pl.col("customer_id"))).is_empty()
    assert 0 < used["owner"].null_count() < 0.01 * used.height


def test_frauds_have_their_patterns_and_nothing_in_a_payment_tells() -> None:
    """The truth is visible only as a dispute, days later: a payment that said it would make every model look good."""
    world = World(7, 100_000, 0.0)
    day = whole(world)
    payments = day.payments.rows.join(day.payments.frauds, on="transaction_id", how="left")
    assert 0.002 < 1 - payments["pattern"].null_count() / payments.height < 0.004
    testing, taken, ring = (payments.filter(pattern=name) for name in fraud.PATTERNS)
    assert testing.filter(status="failed").height > 0.5 * testing.height > 0
    assert testing["payment_method_id"].n_unique() > 5 * testing["device_id"].n_unique()
    span = taken.group_by("customer_id").agg(pl.col("created_at").max() - pl.col("created_at").min())
    assert span.filter(pl.col("created_at") >= timedelta(hours=1)).is_empty()
    assert taken["device_id"].n_unique() == taken["customer_id"].n_unique()
    assert ring["merchant_id"].n_unique() < ring["customer_id"].n_unique() < ring.height
    disputes = day.payments.reversals.disputes.filter(version=1)
    dated = disputes.join(payments.select("transaction_id", paid="created_at"), on="transaction_id")
    assert dated.filter(pl.col("created_at") - pl.col("paid") < timedelta(days=1)).is_empty()
    fraudulent = disputes.filter(reason_code="fraudulent")["transaction_id"]
    disputed = day.payments.frauds.filter("is_disputed")["transaction_id"]
    assert set(disputed) <= set(fraudulent)
    assert len(fraudulent) < 1.2 * len(disputed)
    told_by = set(day.payments.rows.columns) & {"pattern", "is_fraud", "is_disputed"}
    assert not told_by


def test_a_world_without_frauds_has_none() -> None:
    """The share is a parameter: a test that counts disputes can do without."""
    assert whole(World(7, 4_000, 0.0, fraud_rate=0.0)).truth.frauds.is_empty()
