"""Plants bad rows, each with exactly one defect, and tells the truth about them.

Belongs here: which rows are broken, and the truth. Does not: the ways to break them (breakages.py), the rules
(contracts/). The truth goes to a file that tests compare with what the platform quarantined, and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from payments_platform.oltp.simulator import breakages, devices, people
from payments_platform.oltp.simulator.breakages import Breakage
from payments_platform.oltp.simulator.payments import DayOfPayments
from payments_platform.oltp.simulator.world import Stream, World, day_start, instants, share_of
from payments_platform.settings import TokenKey

# Broken payments begin between these hours, so that an hour before or after lies on the same day.
_FIRST_HOUR, _LAST_HOUR = 3, 20
_EARLIER: Final = timedelta(hours=1)
_OTHERS_SHARE: Final = 0.05
# However large a day of payments: on its first days a world has few disputes, and a day that is mostly bad fails whole.
_OTHERS_AT_MOST: Final = 20
_NOON: Final = 12 * 3_600_000_000
_Values = Mapping[str, str | int | bool]
_MERCHANT: Final[_Values] = {
    "name": "Broken Shop",
    "mcc": "5411",
    "country_code": "FR",
    "currency": "EUR",
    "status": "active",
}
_CONSENT: Final[_Values] = {"purpose": "marketing", "is_granted": True, "channel": "web"}
_SUBSCRIPTION: Final[_Values] = {
    "plan_code": "basic",
    "billing_interval": "month",
    "amount_minor": 900,
    "currency": "EUR",
    "status": "active",
}
_REFUND: Final[_Values] = {"amount_minor": 100, "reason_code": "requested_by_customer", "status": "pending"}
_DISPUTE: Final[_Values] = {"amount_minor": 100, "reason_code": "general", "status": "needs_response"}


@dataclass(frozen=True)
class Broken:
    """Broken rows of one table, which no payment refers to, version by version, and their key."""

    table: str
    key: str
    versions: pl.DataFrame


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
    kinds = (np.arange(count) + day.toordinal() * 7) % len(breakages.TRANSACTIONS)
    broken = _broken(told.rows[places], kinds, breakages.TRANSACTIONS)
    rows = told.rows.update(broken, on="transaction_id", include_nulls=True)
    rules = [breakages.TRANSACTIONS[kind][0] for kind in kinds]
    illegal = _illegal_steps(broken.filter(pl.Series(rules) == "R-status-transition"))
    truth = _truth_of("transactions", broken, "transaction_id", rules).filter(pl.col("rule") != "R-status-transition")
    steps = _truth_of("transactions", illegal, "transaction_id", ["R-status-transition"] * illegal.height, version=2)
    return replace(told, rows=rows, changes=pl.concat([told.changes, illegal])), pl.concat([truth, steps])


def break_others(world: World, day: date, rows: pl.DataFrame, key: TokenKey) -> tuple[list[Broken], pl.DataFrame]:
    """A few broken rows of each table but the payments, written around noon, and the truth about them.

    Broken refunds and disputes name payments of ``rows``, the day's own.
    """
    random = world.random(Stream.DEFECTS, day)
    count = min(share_of(random, world.per_day, world.defect_rate * _OTHERS_SHARE), _OTHERS_AT_MOST)
    kinds = np.arange(count) + day.toordinal() * 3
    found, truths = [], []
    for table, table_key, sound, ways in _sound(world, random, day, _payments(rows, count), key):
        broken = _versions(sound, kinds % len(ways), ways, table_key)
        rules = [ways[kind % len(ways)] for kind in kinds]
        truth = sound.select(key=table_key).with_columns(
            rule=pl.Series([way[0] for way in rules], dtype=pl.String),
            version=pl.Series([len(way) - 1 for way in rules], dtype=pl.Int32),
        )
        at = broken.select("version", "updated_at", key=table_key)
        found.append(Broken(table, table_key, broken))
        truths.append(
            truth.join(at, on=["key", "version"], how="left").select(
                table=pl.lit(table), key="key", version="version", rule="rule", updated_at="updated_at"
            )
        )
    return found, pl.concat(truths)


def _versions(sound: pl.DataFrame, kinds: np.ndarray, ways: tuple[Breakage, ...], key: str) -> pl.DataFrame:
    """Each row broken in the way of its kind; where the way has a second step, as a second version."""
    broken = _broken(sound, kinds, ways)
    steps = [
        broken.filter(pl.Series(kinds) == kind).with_columns(
            **_typed(sound, way[2].change), updated_at=pl.col("updated_at") + _EARLIER, version=pl.lit(2, pl.Int32)
        )
        for kind, way in enumerate(ways)
        if len(way) == 3
    ]
    return pl.concat([broken.with_columns(version=pl.lit(1, pl.Int32)), *steps]).sort(key, "version")


def _payments(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """Payments of the morning that broken refunds and disputes name, as often as needed."""
    early = rows.filter(pl.col("created_at").dt.hour() < 10).head(max(count, 1))
    early = early if early.height else rows.head(1)
    return early[np.arange(count) % early.height].select("transaction_id", "merchant_id", "currency")


def _sound(
    world: World, random: np.random.Generator, day: date, paid: pl.DataFrame, key: TokenKey
) -> list[tuple[str, str, pl.DataFrame, tuple[Breakage, ...]]]:
    """Good rows of each table, to be broken: table, its key, rows, ways."""
    numbers = np.arange(paid.height) + day.toordinal() * 10_000
    at = instants(day_start(day) + _NOON + np.arange(paid.height) * 1_000)
    known_at = at.to_physical().to_numpy()
    customers = people.customers(random, world.ids("cus_x", numbers, 11), known_at, known_at, key)
    methods = customers.methods.filter(pl.col("payment_method_id").str.ends_with("_1"))
    owned = devices.rows(random, world.ids("dev_x", numbers, 11), customers.ids, (at, at), key)
    times = {"created_at": at, "updated_at": at}
    tokens = customers.rows.select("customer_id", "customer_token")
    merchants = tokens.select(
        merchant_id=world.ids("mer_x", numbers, 11),
        **_filled(_MERCHANT),
    ).with_columns(**times)
    consents = tokens.select(pl.lit(None).alias("consent_id"), pl.all(), **_filled(_CONSENT)).with_columns(
        consent_id=world.ids("cns_x", numbers, 11), **times
    )
    subscriptions = tokens.with_columns(
        subscription_id=world.ids("sub_x", numbers, 11),
        merchant_id=paid["merchant_id"],
        **_filled(_SUBSCRIPTION),
        period_start_at=at,
        period_end_at=pl.Series(at).dt.offset_by("30d"),
        canceled_at=pl.lit(None, at.dtype),
        **times,
    )
    refunds = paid.with_columns(
        refund_id=world.ids("ref_x", numbers, 11),
        **_filled(_REFUND),
        **times,
    )
    disputes = paid.with_columns(
        dispute_id=world.ids("dsp_x", numbers, 11),
        **_filled(_DISPUTE),
        evidence_due_at=pl.Series(at).dt.offset_by("14d"),
        **times,
    )
    return [
        ("merchants", "merchant_id", merchants, breakages.MERCHANTS),
        ("customers", "customer_id", customers.rows, breakages.CUSTOMERS),
        ("payment_methods", "payment_method_id", methods, breakages.PAYMENT_METHODS),
        ("devices", "device_id", owned, breakages.DEVICES),
        ("consents", "consent_id", consents, breakages.CONSENTS),
        ("subscriptions", "subscription_id", subscriptions, breakages.SUBSCRIPTIONS),
        ("refunds", "refund_id", refunds, breakages.REFUNDS),
        ("disputes", "dispute_id", disputes, breakages.DISPUTES),
    ]


def _filled(values: _Values) -> dict[str, pl.Expr]:
    """The same values in every row; amounts are as wide as the source's."""
    return {name: pl.lit(value, pl.Int64 if name.endswith("_minor") else None) for name, value in values.items()}


def _typed(rows: pl.DataFrame, change: Mapping[str, pl.Expr]) -> dict[str, pl.Expr]:
    return {name: made.cast(rows.schema[name]) for name, made in change.items()}


def _broken(rows: pl.DataFrame, kinds: np.ndarray, ways: tuple[Breakage, ...]) -> pl.DataFrame:
    """Each row broken in the way of its kind; order kept."""
    parts = [
        rows.with_row_index("place").filter(pl.Series(kinds) == kind).with_columns(**_typed(rows, way[1]))
        for kind, way in enumerate(ways)
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


def _truth_of(table: str, rows: pl.DataFrame, key: str, rules: list[str], version: int = 1) -> pl.DataFrame:
    return rows.select(
        table=pl.lit(table),
        key=key,
        version=pl.lit(version, dtype=pl.Int32),
        rule=pl.Series(rules, dtype=pl.String),
        updated_at="updated_at",
    )
