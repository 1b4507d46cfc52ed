"""Who takes part in live traffic: merchants and customers of its own, made by the application when first needed.

Belongs here: making and finding them. Does not: what they do (operations.py).
Bulk history and live traffic never touch each other's rows: a bulk load writes the past, and a version of the past
after one of the present would put a row's versions out of order.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from payments_platform.oltp.simulator import people, profiles
from payments_platform.oltp.simulator.world import weighted
from payments_platform.oltp.tokens import mint
from payments_platform.settings import TokenKey

if TYPE_CHECKING:
    import psycopg

    Session = psycopg.Connection[tuple[Any, ...]]

MERCHANTS: Final = 50
CUSTOMERS: Final = 500
_PLACES: Final = np.array([place.weight for place in profiles.PLACES], dtype=np.float64)
# Set by the source itself when the application writes.
_OF_SOURCE: Final = ("created_at", "updated_at")


@dataclass(frozen=True)
class Merchant:
    """Who is paid, in which currency, and how much as a rule (US cents)."""

    merchant_id: str
    currency: str
    median_usd_minor: int


@dataclass(frozen=True)
class Customer:
    """Who pays, with what, from where."""

    customer_id: str
    customer_token: str
    payment_method_id: str
    device_id: str
    country_code: str


@dataclass(frozen=True)
class Cast:
    """Everyone who takes part."""

    merchants: tuple[Merchant, ...]
    customers: tuple[Customer, ...]


def cast(session: "Session", seed: int, key: TokenKey) -> Cast:
    """The cast of a seed; those whom the source lacks are inserted. ``session`` is the application's, in autocommit."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
    trades = random.integers(0, len(profiles.TRADES), MERCHANTS)
    places = weighted(random, _PLACES, MERCHANTS)
    merchants = _merchants(seed, random, trades, places)
    ids = pl.Series([f"cus_live_{seed}_{number:05}" for number in range(CUSTOMERS)])
    zero = np.zeros(CUSTOMERS, dtype=np.int64)
    customers = people.customers(random, ids, zero, zero, key)
    devices = _devices(random, ids, key)
    with session.transaction():
        _insert(session, "merchants", merchants)
        _insert(session, "customers", customers.rows)
        _insert(session, "customer_identities", customers.identities)
        _insert(session, "payment_methods", customers.methods)
        _insert(session, "devices", devices)
    return Cast(
        tuple(
            Merchant(name, currency, profiles.TRADES[trade].median_usd_minor)
            for (name, currency), trade in zip(
                merchants.select("merchant_id", "currency").iter_rows(), trades, strict=True
            )
        ),
        tuple(
            Customer(name, token, f"pm_{name[4:]}_1", f"dev_{name[4:]}", country)
            for name, token, country in customers.rows.select(
                "customer_id", "customer_token", "country_code"
            ).iter_rows()
        ),
    )


def _merchants(
    seed: int, random: np.random.Generator, trades: "np.ndarray[Any, Any]", places: "np.ndarray[Any, Any]"
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "merchant_id": [f"mer_live_{seed}_{number:03}" for number in range(MERCHANTS)],
            "name": people.shop_names(random, trades),
            "mcc": people.words(tuple(trade.mcc for trade in profiles.TRADES), trades),
            "country_code": people.place_codes(places),
            "currency": people.words(profiles.CURRENCIES, np.array(profiles.CURRENCY_OF_PLACE)[places]),
            "status": pl.repeat("active", MERCHANTS, eager=True),
        }
    )


def _devices(random: np.random.Generator, customer_ids: pl.Series, key: TokenKey) -> pl.DataFrame:
    ids = pl.select(pl.lit("dev_") + customer_ids.str.slice(4)).to_series()
    kinds = random.integers(0, len(profiles.DEVICES), len(ids))
    return pl.DataFrame(
        {
            "device_id": ids,
            "customer_id": customer_ids,
            "device_token": pl.Series(mint(ids, key.key, "dvt"), dtype=pl.String),
            "device_type": people.words(tuple(device.device_type for device in profiles.DEVICES), kinds),
            "os_name": people.words(tuple(device.os_name for device in profiles.DEVICES), kinds),
            "browser_name": people.words(tuple(device.browser_name for device in profiles.DEVICES), kinds),
        }
    )


def _insert(session: "Session", table: str, rows: pl.DataFrame) -> None:
    """Insert the rows that are not there yet."""
    stored = rows.drop([name for name in _OF_SOURCE if name in rows.columns])
    values = ", ".join(["%s"] * stored.width)
    statement = f"INSERT INTO oltp.{table} ({', '.join(stored.columns)}) VALUES ({values}) ON CONFLICT DO NOTHING"
    session.cursor().executemany(statement, stored.rows())
