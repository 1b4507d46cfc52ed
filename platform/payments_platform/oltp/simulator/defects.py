"""Plants bad rows, each with exactly one defect, and tells the truth about them.

Belongs here: one way to break each rule that a row from the source can break. Does not: the rules (contracts/). The
truth goes to a file that tests compare with what the platform quarantined; it never enters the platform.
A rule that another rule would hide is broken alone: an unknown currency, say, carries no decimal amount to disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from payments_platform.contracts.rules import MAX_AMOUNT_MINOR
from payments_platform.oltp.simulator import people
from payments_platform.oltp.simulator.payments import DayOfPayments
from payments_platform.oltp.simulator.world import Stream, World, day_start, instants, share_of
from payments_platform.settings import TokenKey

# Not a rule: the row is good, its card number must be masked before it reaches the lake.
PAN: Final = "PAN"
_NULL: Final = pl.lit(None)
_NULL_TEXT: Final = pl.lit(None, dtype=pl.String)
_EARLIER: Final = timedelta(hours=1)
_AHEAD: Final = {"created_at": pl.col("created_at") + timedelta(days=2)}
_EARLY: Final = {"updated_at": pl.col("created_at") - _EARLIER}
# Broken payments begin between these hours, so that an hour before or after lies on the same day.
_FIRST_HOUR, _LAST_HOUR = 3, 20
_PEOPLE_SHARE: Final = 0.05

Breakage = tuple[str, Mapping[str, pl.Expr]]
TRANSACTIONS: Final[tuple[Breakage, ...]] = (
    ("R-reference-present", {"merchant_id": _NULL_TEXT}),
    ("R-amount-present", {"amount_minor": _NULL}),
    (
        "R-amount-sign",
        {"amount_minor": -pl.col("amount_minor"), "amount": "-" + pl.col("amount"), "captured_minor": pl.lit(0)},
    ),
    ("R-amount-limit", {"amount_minor": pl.lit(MAX_AMOUNT_MINOR + 1), "amount": _NULL_TEXT}),
    ("R-amount-decimals", {"amount": pl.col("amount").str.slice(0, pl.col("amount").str.len_chars() - 1) + "7"}),
    ("R-currency-present", {"currency": _NULL_TEXT, "amount": _NULL_TEXT}),
    ("R-currency-known", {"currency": pl.lit("ZZZ"), "amount": _NULL_TEXT}),
    ("R-country-known", {"country_code": pl.lit("QQ")}),
    ("R-status-present", {"status": _NULL_TEXT}),
    ("R-status-known", {"status": pl.lit("authorised")}),
    ("R-status-transition", {"status": pl.lit("failed"), "captured_minor": pl.lit(0)}),
    ("R-captured-within-amount", {"captured_minor": pl.col("amount_minor") + 1}),
    ("R-refund-within-captured", {"refunded_minor": pl.col("captured_minor") + 1}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
    # Numbers that card schemes publish for tests.
    (PAN, {"description": pl.lit("Paid with 4111 1111 1111 1111")}),
    (PAN, {"metadata": pl.lit('{"note": "card 5555555555554444"}')}),
)
MERCHANTS: Final[tuple[Breakage, ...]] = (
    ("R-merchant-present", {"name": _NULL_TEXT}),
    ("R-mcc-format", {"mcc": pl.lit("54")}),
    ("R-country-known", {"country_code": pl.lit("QQ")}),
    ("R-currency-known", {"currency": pl.lit("ZZZ")}),
    ("R-status-known", {"status": pl.lit("asleep")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)
CUSTOMERS: Final[tuple[Breakage, ...]] = (
    ("R-customer-present", {"segment": _NULL_TEXT}),
    ("R-token-format", {"customer_token": "untokenised-" + pl.col("customer_id")}),
    ("R-country-known", {"country_code": pl.lit("QQ")}),
    ("R-segment-known", {"segment": pl.lit("gold")}),
    ("R-status-known", {"status": pl.lit("asleep")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)
PAYMENT_METHODS: Final[tuple[Breakage, ...]] = (
    ("R-reference-present", {"payment_method_token": _NULL_TEXT}),
    ("R-method-present", {"method_type": _NULL_TEXT}),
    ("R-method-known", {"method_type": pl.lit("cheque")}),
    ("R-brand-known", {"card_brand": pl.lit("acme")}),
    ("R-funding-known", {"card_funding": pl.lit("charge")}),
    ("R-country-known", {"issuer_country_code": pl.lit("QQ")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)


@dataclass(frozen=True)
class BrokenPeople:
    """Broken merchants, customers and payment methods, which no payment refers to."""

    merchants: pl.DataFrame
    customers: pl.DataFrame
    methods: pl.DataFrame
    truth: pl.DataFrame


def break_payments(world: World, told: DayOfPayments, day: date) -> tuple[DayOfPayments, pl.DataFrame]:
    """Break the declared share of a day's payments; return them and the truth."""
    random = world.random(Stream.DEFECTS, day)
    whole = told.rows.with_row_index("place").with_columns(hour=pl.col("created_at").dt.hour())
    calm = whole.join(told.changes, on="transaction_id", how="anti").filter(
        (pl.col("status") == "succeeded")
        & (pl.col("captured_minor") >= 1)
        & pl.col("hour").is_between(_FIRST_HOUR, _LAST_HOUR),
    )
    count = min(share_of(random, told.rows.height, world.defect_rate), calm.height)
    if count == 0:
        return told, _truth_of("transactions", told.rows.clear(), "transaction_id", [])
    places = np.sort(random.choice(calm["place"].to_numpy(), count, replace=False))
    kinds = (np.arange(count) + day.toordinal() * 7) % len(TRANSACTIONS)
    broken = _broken(told.rows[places], kinds, TRANSACTIONS)
    rows = told.rows.update(broken, on="transaction_id", include_nulls=True)
    rules = [TRANSACTIONS[kind][0] for kind in kinds]
    illegal = _illegal_steps(broken.filter(pl.Series(rules) == "R-status-transition"))
    truth = _truth_of("transactions", broken, "transaction_id", rules).filter(pl.col("rule") != "R-status-transition")
    steps = _truth_of("transactions", illegal, "transaction_id", ["R-status-transition"] * illegal.height, version=2)
    return DayOfPayments(rows, pl.concat([told.changes, illegal])), pl.concat([truth, steps])


def break_people(world: World, day: date, key: TokenKey) -> BrokenPeople:
    """A few broken rows of each entity, written around noon."""
    random = world.random(Stream.DEFECTS, day)
    count = share_of(random, world.per_day, world.defect_rate * _PEOPLE_SHARE)
    kinds = np.arange(count) + day.toordinal() * 3
    known_at = day_start(day) + 12 * 3_600_000_000 + np.arange(count) * 1_000
    ids = world.ids("cus_x", np.arange(count) + day.toordinal() * 10_000, 11)
    customers = people.customers(random, ids, known_at, known_at, key)
    merchants = _sample_merchants(world, kinds, instants(known_at), day)
    methods = customers.methods.filter(pl.col("payment_method_id").str.ends_with("_1"))
    frames = []
    truths = []
    for table, key_column, rows, ways in (
        ("merchants", "merchant_id", merchants, MERCHANTS),
        ("customers", "customer_id", customers.rows, CUSTOMERS),
        ("payment_methods", "payment_method_id", methods, PAYMENT_METHODS),
    ):
        broken = _broken(rows, kinds % len(ways), ways)
        frames.append(broken)
        truths.append(_truth_of(table, broken, key_column, [ways[kind % len(ways)][0] for kind in kinds]))
    return BrokenPeople(frames[0], frames[1], frames[2], pl.concat(truths))


def _broken(rows: pl.DataFrame, kinds: np.ndarray, ways: tuple[Breakage, ...]) -> pl.DataFrame:
    """Each row broken in the way of its kind; order kept."""
    parts = [
        rows.with_row_index("place")
        .filter(pl.Series(kinds) == kind)
        .with_columns(**{name: made.cast(rows.schema[name]) for name, made in change.items()})
        for kind, (_, change) in enumerate(ways)
    ]
    return pl.concat(parts).sort("place").drop("place")


def _illegal_steps(failed: pl.DataFrame) -> pl.DataFrame:
    """A failed payment that succeeds an hour later."""
    return failed.select(
        "transaction_id",
        "created_at",
        updated_at=pl.col("created_at") + _EARLIER,
        status=pl.lit("succeeded"),
        captured_minor="amount_minor",
        refunded_minor=pl.lit(0, dtype=pl.Int64),
        version=pl.lit(2, dtype=pl.Int32),
    )


def _sample_merchants(world: World, kinds: np.ndarray, known_at: pl.Series, day: date) -> pl.DataFrame:
    count = len(kinds)
    return pl.select(
        merchant_id=world.ids("mer_x", np.arange(count) + day.toordinal() * 10_000, 11),
        name=pl.repeat("Broken Shop", count),
        mcc=pl.repeat("5411", count),
        country_code=pl.repeat("FR", count),
        currency=pl.repeat("EUR", count),
        status=pl.repeat("active", count),
        created_at=known_at,
        updated_at=known_at,
    )


def _truth_of(table: str, rows: pl.DataFrame, key: str, rules: list[str], version: int = 1) -> pl.DataFrame:
    return rows.select(
        table=pl.lit(table),
        key=key,
        version=pl.lit(version, dtype=pl.Int32),
        rule=pl.Series(rules, dtype=pl.String),
        updated_at="updated_at",
    )
