"""Merchants, customers, their payment methods and identities: who is there at the start and who arrives each day.

Belongs here: the rows of the entities. Does not: their later changes (changes.py), payments, writing.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from payments_platform.oltp.simulator import profiles
from payments_platform.oltp.simulator.world import DAY_MICROS, Stream, World, day_start, instants, weighted
from payments_platform.oltp.tokens import mint
from payments_platform.settings import TokenKey

_PLACE_WEIGHTS: Final = np.array([place.weight for place in profiles.PLACES], dtype=np.float64)
_FIRST_CREATED: Final = day_start(date(2018, 1, 1))
_CREATED_SPAN: Final = 6 * 365 * DAY_MICROS
# One customer in four has a second payment method.
_SECOND_METHOD_EVERY: Final = 4


@dataclass(frozen=True)
class People:
    """Merchants or customers, as columns that payments are drawn from, and as rows to write."""

    ids: pl.Series
    places: npt.NDArray[np.int64]
    rows: pl.DataFrame


@dataclass(frozen=True)
class Customers(People):
    """Customers also bring their pseudonyms, identities and payment methods."""

    tokens: pl.Series
    identities: pl.DataFrame
    methods: pl.DataFrame


def words(values: tuple[str, ...], picks: npt.NDArray[np.int64]) -> pl.Series:
    """The word of each pick."""
    return pl.Series(values, dtype=pl.String).gather(picks)


def pick(random: np.random.Generator, choices: tuple[tuple[str, int], ...], count: int) -> pl.Series:
    """Words drawn with their weights."""
    weights = np.array([weight for _, weight in choices], dtype=np.float64)
    return words(tuple(word for word, _ in choices), weighted(random, weights, count))


def place_codes(places: npt.NDArray[np.int64]) -> pl.Series:
    """The country code of each place."""
    return words(tuple(place.country_code for place in profiles.PLACES), places)


def merchants(world: World, opened: date) -> tuple[People, npt.NDArray[np.int64]]:
    """All merchants, dormant ones last, and the trade of each; the source learns of them on the day ``opened``."""
    count = world.merchant_count + world.dormant_count
    random = world.random(Stream.MERCHANTS)
    places = weighted(random, _PLACE_WEIGHTS, count)
    trades = random.integers(0, len(profiles.TRADES), count)
    known_at = day_start(opened) + np.arange(count, dtype=np.int64)
    ids = world.ids("mer_", np.arange(count), 6)
    rows = pl.DataFrame(
        {
            "merchant_id": ids,
            "name": shop_names(random, trades),
            "mcc": words(tuple(trade.mcc for trade in profiles.TRADES), trades),
            "country_code": place_codes(places),
            "currency": words(profiles.CURRENCIES, np.array(profiles.CURRENCY_OF_PLACE)[places]),
            "status": pl.repeat("active", count, eager=True),
            "created_at": instants(_created(random, known_at)),
            "updated_at": instants(known_at),
        }
    )
    return People(ids, places, rows), trades


def shop_names(random: np.random.Generator, trades: npt.NDArray[np.int64]) -> pl.Series:
    """Two words and a number: no real shop."""
    count = len(trades)
    kinds = tuple(word for trade in profiles.TRADES for word in trade.words)
    first = words(profiles.SHOP_WORDS, random.integers(0, len(profiles.SHOP_WORDS), count))
    second = words(kinds, trades * 2 + random.integers(0, 2, count))
    number = pl.Series(random.integers(1, 1_000, count)).cast(pl.String)
    return pl.select(pl.concat_str(first, second, number, separator=" ")).to_series()


def regulars(world: World, opened: date, key: TokenKey) -> Customers:
    """The customers of the start, dormant ones last."""
    count = world.customer_count + world.dormant_count
    random = world.random(Stream.CUSTOMERS)
    known_at = day_start(opened) + np.arange(count, dtype=np.int64)
    return customers(random, world.ids("cus_", np.arange(count), 8), known_at, _created(random, known_at), key)


def newcomers(world: World, day: date, key: TokenKey) -> Customers:
    """The customers who arrive on the day, at its first moment."""
    count = world.newcomer_count
    random = world.random(Stream.ARRIVALS, day)
    known_at = day_start(day) + np.arange(count, dtype=np.int64)
    ids = world.ids("cus_", np.arange(count) + day.toordinal() * 1_000_000, 14)
    return customers(random, ids, known_at, known_at, key)


def _created(random: np.random.Generator, known_at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """When they joined the company: years before, but never after the source knows them."""
    return np.minimum(_FIRST_CREATED + (random.random(len(known_at)) * _CREATED_SPAN).astype(np.int64), known_at)


def customers(
    random: np.random.Generator,
    ids: pl.Series,
    known_at: npt.NDArray[np.int64],
    created: npt.NDArray[np.int64],
    key: TokenKey,
) -> Customers:
    """Customers with the given ids and instants (microseconds since 1970), and all that belongs to them."""
    count = len(ids)
    places = weighted(random, _PLACE_WEIGHTS, count)
    tokens = pl.Series(mint(ids, key.key), dtype=pl.String)
    rows = pl.DataFrame(
        {
            "customer_id": ids,
            "customer_token": tokens,
            "token_key_id": pl.repeat(key.key_id, count, eager=True),
            "country_code": place_codes(places),
            "segment": pick(random, profiles.SEGMENTS, count),
            "status": pl.repeat("active", count, eager=True),
            "created_at": instants(created),
            "updated_at": instants(known_at),
        }
    )
    identities = _identities(random, ids)
    return Customers(ids, places, rows, tokens, identities, _methods(random, ids, places, created, known_at))


def _identities(random: np.random.Generator, ids: pl.Series) -> pl.DataFrame:
    count = len(ids)
    first = words(profiles.FIRST_NAMES, random.integers(0, len(profiles.FIRST_NAMES), count))
    last = words(profiles.LAST_NAMES, random.integers(0, len(profiles.LAST_NAMES), count))
    number = pl.Series(random.integers(1, 200, count)).cast(pl.String)
    street = words(profiles.STREETS, random.integers(0, len(profiles.STREETS), count))
    phone = pl.Series(random.integers(0, 100, count)).cast(pl.String).str.zfill(2)
    born = pl.Series(random.integers(-14_000, 13_000, count).astype(np.int32)).cast(pl.Date)
    return pl.DataFrame({"customer_id": ids}).with_columns(
        full_name=pl.concat_str(first, last, separator=" "),
        email=pl.lit("") + ids + "@example.com",
        # 555-01xx is kept free of subscribers for fiction.
        phone=pl.lit("+1 202 555 01") + phone,
        address=pl.concat_str(number, street, separator=" "),
        birth_date=born,
    )


def has_second_method(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether the customer at each place of the list has two payment methods."""
    has_second: npt.NDArray[np.bool_] = numbers % _SECOND_METHOD_EVERY == 0
    return has_second


def _methods(
    random: np.random.Generator,
    ids: pl.Series,
    places: npt.NDArray[np.int64],
    created: npt.NDArray[np.int64],
    known_at: npt.NDArray[np.int64],
) -> pl.DataFrame:
    owners = np.arange(len(ids))
    second = owners[has_second_method(owners)]
    owner = np.concatenate((owners, second))
    suffix = pl.Series(np.concatenate((np.full(len(owners), 1), np.full(len(second), 2)))).cast(pl.String)
    count = len(owner)
    owner_ids = ids.gather(owner)
    kind = pick(random, profiles.METHODS, count)
    token = pl.Series(random.integers(0, 2**63, count)).cast(pl.String).str.zfill(19)
    is_card = kind == "card"
    frame = pl.DataFrame({"customer_id": owner_ids, "method_type": kind})
    return frame.select(
        payment_method_id=method_ids(owner_ids, suffix),
        customer_id="customer_id",
        method_type="method_type",
        card_brand=pl.when(is_card).then(pick(random, profiles.BRANDS, count)),
        card_funding=pl.when(is_card).then(pick(random, profiles.FUNDINGS, count)),
        issuer_country_code=pl.when(is_card).then(place_codes(places[owner])),
        payment_method_token=pl.lit("pmt_") + token,
        created_at=instants(created[owner]),
        updated_at=instants(known_at[owner]),
    )


def method_ids(customer_ids: pl.Series, suffix: pl.Series) -> pl.Series:
    """The id of a customer's first or second payment method."""
    return pl.select(pl.lit("pm_") + customer_ids.str.slice(4) + "_" + suffix).to_series()
