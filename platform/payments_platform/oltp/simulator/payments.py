"""The payments of one day: who pays whom, how much, from where, and every later version.

Belongs here: rows of transactions and of their changes. Does not: lives (lifecycle.py), defects, writing.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from payments_platform.contracts.payments import STATUSES
from payments_platform.oltp import rates
from payments_platform.oltp.simulator import lifecycle, people, profiles, seasons
from payments_platform.oltp.simulator.world import Stream, World, instants, weighted

_CENTS: Final = 10_000_000
_ARRIVAL_SHARE: Final = 0.02
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
    """First and later versions of a day's payments.

    ``rows`` holds the first version of each payment, in the order of time; ``changes`` holds transaction_id,
    created_at, version (2, 3, …), updated_at, status, captured_minor and refunded_minor of the later ones.
    """

    rows: pl.DataFrame
    changes: pl.DataFrame


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
    created = seasons.times(random, day, count)
    merchant = weighted(random, everyone.merchant_weights, count)
    payer = _payers(random, everyone, len(arrivals.ids), count)
    currency, minor = _money(random, everyone, arrivals, merchant, payer)
    told = lifecycle.tell(world.random(Stream.LIFECYCLE, day), created, minor)
    ids = world.ids("txn_", np.arange(count) + day.toordinal() * 10_000_000, 14)
    rows = pl.DataFrame(
        {
            "transaction_id": ids,
            "merchant_id": everyone.merchants.ids.gather(merchant),
            **_payer_columns(random, everyone, arrivals, payer),
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
    return DayOfPayments(rows, _changes(rows, told.steps))


def part_of(told: DayOfPayments, first: int, count: int) -> DayOfPayments:
    """``count`` payments of a day from the given one on, with their changes."""
    rows = told.rows.slice(first, count)
    return DayOfPayments(rows, told.changes.join(rows.select("transaction_id"), on="transaction_id", how="semi"))


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
    random: np.random.Generator, everyone: Crowd, arrivals: people.Customers, payer: np.ndarray
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
        "device_id": pl.select(
            pl.lit("dev_") + ids.str.slice(4) + people.words(("a", "b"), (random.random(len(payer)) < 0.2).astype(int))
        ).to_series(),
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
