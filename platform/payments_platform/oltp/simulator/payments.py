"""The payments of one day: who pays whom, how much, from where, and every later version.

Belongs here: rows of transactions and of their changes. Does not: lives (lifecycle.py), which payments are frauds
(fraud.py), defects, writing.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from payments_platform.contracts.payments import STATUSES
from payments_platform.oltp import rates
from payments_platform.oltp.simulator import devices, fraud, lifecycle, people, profiles, seasons
from payments_platform.oltp.simulator.reversals import Reversals, reversals
from payments_platform.oltp.simulator.world import Stream, World, instants, weighted

_CENTS: Final = 10_000_000
_ARRIVAL_SHARE: Final = 0.02
_PURGED_SHARE: Final = 0.01
_MEDIANS: Final = np.array([trade.median_usd_minor for trade in profiles.TRADES], dtype=np.float64)
_LEVELS: Final = np.array([rates.level(currency) for currency in profiles.CURRENCIES], dtype=np.float64)
_SCALES: Final = np.array([10**exponent for exponent in profiles.EXPONENTS], dtype=np.int64)


@dataclass(frozen=True)
class Crowd:
    """Everyone who takes part: merchants, regular customers, and how popular each is."""

    merchants: people.People
    trades: np.ndarray
    customers: people.Customers
    merchant_weights: np.ndarray
    customer_weights: np.ndarray


@dataclass(frozen=True)
class DayOfPayments:
    """First and later versions of a day's payments, and what goes with them.

    ``rows`` holds the first version of each payment, in the order of time; ``changes`` holds transaction_id,
    created_at, version (2, 3, …), updated_at, status, captured_minor and refunded_minor of the later ones; ``deletes``
    the key and instant of those that a nightly purge removes; ``frauds`` transaction_id, pattern and is_disputed of
    those that nobody consented to: the truth, which is written nowhere.
    """

    rows: pl.DataFrame
    changes: pl.DataFrame
    deletes: pl.DataFrame
    reversals: Reversals
    frauds: pl.DataFrame


def crowd(world: World, merchants: people.People, trades: np.ndarray, customers: people.Customers) -> Crowd:
    """Give everyone a popularity: Zipf, so few merchants take most payments. The dormant get none."""
    return Crowd(
        merchants,
        trades,
        customers,
        1.0 / (np.arange(world.merchant_count) + 3.0),
        1.0 / (np.arange(world.customer_count) + 20.0) ** 0.8,
    )


def pay(world: World, everyone: Crowd, arrivals: people.Customers, day: date) -> DayOfPayments:
    """All payments that begin on the day, with everything that will happen to them."""
    random = world.random(Stream.PAYMENTS, day)
    count = seasons.payments_on(day, world.per_day)
    frauds = fraud.plan(world, day, count)
    created, places = _in_time(seasons.times(random, day, count - len(frauds.at)), frauds.at)
    merchant = weighted(random, everyone.merchant_weights, count)
    payer = _payers(random, everyone, len(arrivals.ids), count)
    merchant[places], payer[places] = frauds.merchant, frauds.payer
    currency, minor = _money(random, everyone, arrivals, merchant, payer)
    minor[places] = _of_cents(frauds.cents, currency[places])
    is_late = frauds.pattern == fraud.COLLUSION
    fates = lifecycle.Fates(places, frauds.is_refused, frauds.is_disputed, is_late)
    told = lifecycle.tell(world.random(Stream.LIFECYCLE, day), created, minor, fates)
    ids = world.ids("txn_", np.arange(count) + day.toordinal() * 10_000_000, 14)
    rows = pl.DataFrame(
        {
            "transaction_id": ids,
            "merchant_id": everyone.merchants.ids.gather(merchant),
            **_payer_columns(random, everyone, arrivals, payer, day),
            "amount": decimal_text(minor, currency),
            "amount_minor": minor,
            "captured_minor": told.captured,
            "refunded_minor": np.zeros(count, dtype=np.int64),
            "currency": people.words(profiles.CURRENCIES, currency),
            "status": people.words(STATUSES, told.status),
            **_traces(random, count),
            "created_at": instants(created),
            "updated_at": instants(created),
        }
    )
    rows = _by_attackers(world, day, rows, frauds, places)
    changes = _changes(rows, told.steps)
    truth = _truth(ids, frauds, places)
    purged = _purged(random, rows, changes)
    return DayOfPayments(rows, changes, purged, reversals(world, day, rows, changes, truth["transaction_id"]), truth)


def _in_time(ordinary: np.ndarray, frauds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All instants in the order of time, and the places of the frauds among them."""
    created = np.concatenate((ordinary, frauds))
    order = np.argsort(created, kind="stable")
    places = np.empty(len(created), dtype=np.int64)
    places[order] = np.arange(len(created))
    return created[order], places[len(ordinary) :]


def _of_cents(cents: np.ndarray, currency: np.ndarray) -> np.ndarray:
    """US cents as a round amount of about that value, in minor units."""
    exact = cents * _CENTS / _LEVELS[currency] * _SCALES[currency]
    digits = 10.0 ** np.maximum(np.floor(np.log10(np.maximum(exact, 1.0))) - 1, 0.0)
    minor: np.ndarray = np.maximum(np.rint(np.rint(exact / digits) * digits).astype(np.int64), 1)
    return minor


def _by_attackers(world: World, day: date, rows: pl.DataFrame, frauds: fraud.Plan, places: np.ndarray) -> pl.DataFrame:
    """The rows of frauds with the attacker's device, network and country, where there is one."""
    found = pl.DataFrame(
        {
            "place": places,
            "device": fraud.device_ids(world, day, frauds.device),
            "number": frauds.device,
            "host": frauds.host,
            "country": people.place_codes(np.maximum(frauds.place, 0)),
            "abroad": frauds.place,
        }
    ).select(
        pl.col("place").cast(pl.UInt32),
        device=pl.when(pl.col("number") >= 0).then("device"),
        address=pl.when(pl.col("host") >= 0).then(pl.lit(profiles.NETWORKS[1]) + pl.col("host").cast(pl.String)),
        country=pl.when(pl.col("abroad") >= 0).then("country"),
    )
    joined = rows.with_row_index("place").join(found, on="place", how="left", maintain_order="left")
    return joined.with_columns(
        device_id=pl.coalesce("device", "device_id"),
        ip_address=pl.coalesce("address", "ip_address"),
        country_code=pl.coalesce("country", "country_code"),
    ).select(rows.columns)


def _truth(ids: pl.Series, frauds: fraud.Plan, places: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "transaction_id": ids.gather(places),
            "pattern": people.words(fraud.PATTERNS, frauds.pattern),
            "is_disputed": frauds.is_disputed,
        }
    )


def _purged(random: np.random.Generator, rows: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """A few refused payments that a nightly purge removes, as test payments are."""
    refused = rows.filter(status="failed").join(changes, on="transaction_id", how="anti")
    chosen = refused.filter(pl.Series(random.random(refused.height) < _PURGED_SHARE))
    at = pl.col("created_at").dt.truncate("1d") + pl.duration(days=1, hours=3)
    return chosen.select("transaction_id", key="transaction_id", at=at)


def part_of(told: DayOfPayments, first: int, count: int) -> DayOfPayments:
    """``count`` payments of a day from the given one on, with all that goes with them."""
    rows = told.rows.slice(first, count)
    if rows.height == told.rows.height:
        return told
    ids, back = rows.select("transaction_id"), told.reversals

    def of_part(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.join(ids, on="transaction_id", how="semi")

    return DayOfPayments(
        rows,
        of_part(told.changes),
        of_part(told.deletes),
        Reversals(
            *(of_part(frame) for frame in (back.refunds, back.disputes, back.refund_deletes, back.dispute_deletes))
        ),
        of_part(told.frauds),
    )


def decimal_text(minor: np.ndarray, currency: np.ndarray) -> pl.Series:
    """Minor units as the decimal that the API would send, by the currency's exponent."""
    scale = _SCALES[currency]
    whole, part = pl.Series(minor // scale), pl.Series(minor % scale * (10_000 // scale))
    return pl.select(pl.concat_str(whole.cast(pl.String), part.cast(pl.String).str.zfill(4), separator=".")).to_series()


def _payers(random: np.random.Generator, everyone: Crowd, arrivals: int, count: int) -> np.ndarray:
    """Places in the list of regular customers followed by the day's arrivals."""
    payer = weighted(random, everyone.customer_weights, count)
    is_new = random.random(count) < _ARRIVAL_SHARE
    payer[is_new] = len(everyone.customers.ids) + random.integers(0, arrivals, int(is_new.sum()))
    return payer


def _money(
    random: np.random.Generator,
    everyone: Crowd,
    arrivals: people.Customers,
    merchant: np.ndarray,
    payer: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Currency and amount in minor units: the merchant's currency mostly, the payer's sometimes."""
    count = len(merchant)
    of_place = np.array(profiles.CURRENCY_OF_PLACE)
    places = np.concatenate((everyone.customers.places, arrivals.places))[payer]
    currency = np.where(random.random(count) < 0.85, of_place[everyone.merchants.places[merchant]], of_place[places])
    usd_cents = _MEDIANS[everyone.trades[merchant]] * np.exp(random.standard_normal(count) * 0.8)
    minor = np.rint(usd_cents * _CENTS / _LEVELS[currency] * _SCALES[currency]).astype(np.int64)
    return currency, np.maximum(minor, 1)


def _payer_columns(
    random: np.random.Generator, everyone: Crowd, arrivals: people.Customers, payer: np.ndarray, day: date
) -> dict[str, pl.Series]:
    regular = everyone.customers
    ids = pl.concat([regular.ids, arrivals.ids]).gather(payer)
    places = np.concatenate((regular.places, arrivals.places))[payer]
    number = np.where(payer >= len(regular.ids), payer - len(regular.ids), payer)
    second = people.has_second_method(number) & (random.random(len(payer)) < 0.3)
    return {
        "customer_id": ids,
        "customer_token": pl.concat([regular.tokens, arrivals.tokens]).gather(payer),
        "payment_method_id": people.method_ids(ids, people.words(("1", "2"), second.astype(np.int64))),
        "country_code": people.place_codes(places),
        "device_id": devices.used(random, len(regular.ids), payer, ids, day),
    }


def _traces(random: np.random.Generator, count: int) -> dict[str, pl.Series]:
    """Address, text and metadata. The texts hold an order number and nothing about a person."""
    order = pl.Series(random.integers(100_000, 1_000_000, count)).cast(pl.String)
    host = pl.Series(random.integers(1, 255, count)).cast(pl.String)
    v4 = pl.lit("") + people.words(profiles.NETWORKS, random.integers(0, 3, count)) + host
    v6 = pl.lit("2001:db8::") + host
    is_v6 = pl.Series(random.random(count) < 0.1)
    channel = people.words(("web", "app", "pos"), random.integers(0, 3, count))
    return pl.select(
        ip_address=pl.when(is_v6).then(v6).otherwise(v4),
        description=pl.lit("Order ") + order,
        metadata=pl.lit('{"order": "') + order + '", "channel": "' + channel + '"}',
    ).to_dict()


def _changes(rows: pl.DataFrame, steps: tuple[lifecycle.Step, ...]) -> pl.DataFrame:
    """Later versions as one frame; the n-th step of a payment is its version n + 1."""
    places = np.concatenate([step.rows for step in steps])
    frame = rows.select("transaction_id", "created_at")[places].with_columns(
        updated_at=instants(np.concatenate([step.at for step in steps])),
        status=people.words(STATUSES, np.concatenate([step.status for step in steps])),
        captured_minor=pl.Series(np.concatenate([step.captured for step in steps])),
        refunded_minor=pl.Series(np.concatenate([step.refunded for step in steps])),
    )
    return frame.with_columns(version=pl.int_range(2, pl.len() + 2).over("transaction_id").cast(pl.Int32))
