"""How merchants, customers, their payment methods, devices and consents change from day to day, and who leaves.

Belongs here: a day's updates and deletes of entities. Does not: arrivals (people.py), subscriptions, payments, writing.
Only the dormant leave: a payment whose merchant or customer is gone would look like a defect.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from payments_platform.oltp.simulator import consents, devices, people, profiles
from payments_platform.oltp.simulator.world import DAY_MICROS, Stream, World, day_start, instants, share_of

_MERCHANT_RATE: Final = 0.004
_CUSTOMER_RATE: Final = 0.001
_METHOD_RATE: Final = 0.001
_DEVICE_RATE: Final = 0.004
_CONSENT_RATE: Final = 0.005
# The dormant leave evenly over a year.
_YEAR: Final = 365


@dataclass(frozen=True)
class PeopleChanges:
    """Updates hold null where a value stays as it is."""

    merchants: pl.DataFrame
    customers: pl.DataFrame
    methods: pl.DataFrame
    devices: pl.DataFrame
    consents: pl.DataFrame
    leaving_merchants: pl.Series
    leaving_customers: pl.Series


def people_changes(world: World, decided: pl.DataFrame, day: date) -> PeopleChanges:
    """What changes on the day among those who were there from the start; ``decided`` are their consents."""
    random = world.random(Stream.CHANGES, day)
    return PeopleChanges(
        _merchants(world, random, day),
        _customers(world, random, day),
        _methods(world, random, day),
        _devices(world, random, day),
        _consents(world, random, decided, day),
        world.ids("mer_", _leaving(world.merchant_count, world.dormant_count, day), 6),
        world.ids("cus_", _leaving(world.customer_count, world.dormant_count, day), 8),
    )


def _leaving(active: int, dormant: int, day: date) -> npt.NDArray[np.int64]:
    numbers = np.arange(dormant)
    leaving: npt.NDArray[np.int64] = active + numbers[numbers * _YEAR // dormant % _YEAR == day.toordinal() % _YEAR]
    return leaving


def _moments(random: np.random.Generator, day: date, count: int) -> pl.Series:
    return instants(day_start(day) + random.integers(DAY_MICROS // 24, DAY_MICROS - 1, count))


def _merchants(world: World, random: np.random.Generator, day: date) -> pl.DataFrame:
    """Each changed merchant gets one of: another name, trade, country, status."""
    count = max(1, share_of(random, world.merchant_count, _MERCHANT_RATE))
    trades = random.integers(0, len(profiles.TRADES), count)
    places = random.integers(0, len(profiles.PLACES), count)
    kind = pl.Series(random.choice(4, count, p=(0.3, 0.3, 0.2, 0.2)))
    status = people.pick(random, (("active", 60), ("suspended", 40)), count)
    return pl.select(
        merchant_id=world.ids("mer_", random.choice(world.merchant_count, count, replace=False), 6),
        name=pl.when(kind == 0).then(people.shop_names(random, trades)),
        mcc=pl.when(kind == 1).then(people.words(tuple(trade.mcc for trade in profiles.TRADES), trades)),
        country_code=pl.when(kind == 2).then(people.place_codes(places)),
        status=pl.when(kind == 3).then(status),
        updated_at=_moments(random, day, count),
    )


def _customers(world: World, random: np.random.Generator, day: date) -> pl.DataFrame:
    """Each changed customer moves, or changes segment or status."""
    count = max(1, share_of(random, world.customer_count, _CUSTOMER_RATE))
    kind = pl.Series(random.choice(3, count, p=(0.4, 0.4, 0.2)))
    places = random.integers(0, len(profiles.PLACES), count)
    return pl.select(
        customer_id=world.ids("cus_", random.choice(world.customer_count, count, replace=False), 8),
        country_code=pl.when(kind == 0).then(people.place_codes(places)),
        segment=pl.when(kind == 1).then(people.pick(random, profiles.SEGMENTS, count)),
        status=pl.when(kind == 2).then(people.pick(random, (("active", 70), ("blocked", 30)), count)),
        updated_at=_moments(random, day, count),
    )


def _methods(world: World, random: np.random.Generator, day: date) -> pl.DataFrame:
    """A new token in the vault: the card expired and another came."""
    count = max(1, share_of(random, world.customer_count, _METHOD_RATE))
    owners = world.ids("cus_", random.choice(world.customer_count, count, replace=False), 8)
    token = pl.Series(random.integers(0, 2**63, count)).cast(pl.String).str.zfill(19)
    return pl.select(
        payment_method_id=people.method_ids(owners, pl.repeat("1", count, eager=True)),
        payment_method_token=pl.lit("pmt_") + token,
        updated_at=_moments(random, day, count),
    )


def _devices(world: World, random: np.random.Generator, day: date) -> pl.DataFrame:
    """Another browser on a device."""
    owners = devices.idle_owners(world.customer_count)
    owners = random.choice(owners, max(1, share_of(random, len(owners), _DEVICE_RATE)), replace=False)
    browsers = tuple(sorted({device.browser_name for device in profiles.DEVICES}))
    return pl.select(
        device_id=devices.idle_ids(world.ids("cus_", owners, 8)),
        browser_name=people.words(browsers, random.integers(0, len(browsers), len(owners))),
        updated_at=_moments(random, day, len(owners)),
    )


def _consents(world: World, random: np.random.Generator, decided: pl.DataFrame, day: date) -> pl.DataFrame:
    """Most of those who decide again withdraw what they allowed. The dormant, who may leave, do not."""
    lasting = decided.filter(pl.col("customer_id") < f"cus_{world.name}{world.customer_count:08}")
    count = min(lasting.height, max(1, share_of(random, lasting.height, _CONSENT_RATE)))
    chosen = random.choice(lasting.height, count, replace=False)
    return pl.select(
        consent_id=lasting["consent_id"].gather(chosen),
        is_granted=pl.Series(random.random(count) < 0.3),
        channel=people.pick(random, consents.CHANNELS, count),
        updated_at=_moments(random, day, count),
    )
