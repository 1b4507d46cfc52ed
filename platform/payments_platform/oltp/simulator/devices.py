"""Which devices customers pay with: the one in the pocket, renewed twice a year, and of some a second one.

Belongs here: device rows, when they become known, and which device a payment names. Does not: an attacker's devices
(fraud.py), later changes of devices (changes.py).
"""

from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from payments_platform.oltp.simulator import people, profiles
from payments_platform.oltp.simulator.world import Stream, World, day_start, instants, weighted
from payments_platform.oltp.tokens import mint
from payments_platform.settings import TokenKey

_WEIGHTS: Final = np.array([device.weight for device in profiles.DEVICES], dtype=np.float64)
# Days after which a customer has a new device, and how customers are spread over those days.
_RENEWED_AFTER: Final = 180
_SPREAD: Final = 37
# One customer in five has a second device, one in ten another that never pays.
_SECOND_EVERY, _IDLE_EVERY = 5, 10
_SECOND_SHARE: Final = 0.4
# Payments that name a device which the source does not know: an app that reports before it registers.
_UNKNOWN_SHARE: Final = 0.002
_SECOND, _IDLE = "s", "i"


def at_start(world: World, customers: people.Customers, opened: date, key: TokenKey) -> pl.DataFrame:
    """The devices of the customers of the start, the dormant included."""
    random = world.random(Stream.DEVICES)
    owners = np.arange(len(customers.ids))
    first = device_ids(customers.ids, _generations(owners, opened.toordinal() - 1))
    second, idle = owners[::_SECOND_EVERY], owners[::_IDLE_EVERY]
    others = [_lasting_ids(customers.ids.gather(second), _SECOND), idle_ids(customers.ids.gather(idle))]
    ids, owner = pl.concat([first, *others]), np.concatenate((owners, second, idle))
    known_at = day_start(opened) + owner
    created = customers.rows["created_at"].gather(owner)
    return rows(random, ids, customers.ids.gather(owner), (created, instants(known_at)), key)


def renewed(world: World, customers: people.Customers, day: date, key: TokenKey) -> pl.DataFrame:
    """The devices with which regular customers begin to pay on the day. The dormant renew nothing."""
    owners = np.arange(world.customer_count)
    owners = owners[(owners * _SPREAD + day.toordinal()) % _RENEWED_AFTER == 0]
    ids = customers.ids.gather(owners)
    at = instants(day_start(day) + owners)
    random = world.random(Stream.DEVICES, day)
    return rows(random, device_ids(ids, _generations(owners, day.toordinal())), ids, (at, at), key)


def of_newcomers(world: World, arrivals: people.Customers, day: date, key: TokenKey) -> pl.DataFrame:
    """One device of each customer who arrives on the day."""
    random = world.random(Stream.ARRIVAL_DEVICES, day)
    ids = device_ids(arrivals.ids, np.zeros(len(arrivals.ids), dtype=np.int64))
    return rows(random, ids, arrivals.ids, (arrivals.rows["created_at"], arrivals.rows["updated_at"]), key)


def rows(
    random: np.random.Generator,
    ids: pl.Series,
    customer_ids: pl.Series,
    times: tuple[pl.Series, pl.Series],
    key: TokenKey,
) -> pl.DataFrame:
    """Device rows; ``times`` are created_at and updated_at."""
    kinds = weighted(random, _WEIGHTS, len(ids))
    return pl.DataFrame(
        {
            "device_id": ids,
            "customer_id": customer_ids,
            "device_token": pl.Series(mint(ids, key.key, "dvt"), dtype=pl.String),
            "device_type": people.words(tuple(device.device_type for device in profiles.DEVICES), kinds),
            "os_name": people.words(tuple(device.os_name for device in profiles.DEVICES), kinds),
            "browser_name": people.words(tuple(device.browser_name for device in profiles.DEVICES), kinds),
            "created_at": times[0],
            "updated_at": times[1],
        }
    )


def used(
    random: np.random.Generator, regular_count: int, payer: npt.NDArray[np.int64], ids: pl.Series, day: date
) -> pl.Series:
    """The device that each payment names. ``payer`` is the place of each payer, arrivals after the regulars."""
    count = len(payer)
    is_new = payer >= regular_count
    generation = np.where(is_new, 0, _generations(payer, day.toordinal()))
    has_second = ~is_new & (payer % _SECOND_EVERY == 0)
    kind = np.where(has_second & (random.random(count) < _SECOND_SHARE), 1, 0)
    kind[random.random(count) < _UNKNOWN_SHARE] = 2
    suffix = pl.Series(kind).replace_strict({1: "_" + _SECOND, 2: "_u"}, default=None, return_dtype=pl.String)
    first = pl.lit("_") + pl.Series(generation).cast(pl.String)
    return pl.select(pl.lit("dev_") + ids.str.slice(4) + pl.coalesce(suffix, first)).to_series()


def device_ids(customer_ids: pl.Series, generations: npt.NDArray[np.int64]) -> pl.Series:
    """The id of the device that a customer has in a generation."""
    number = pl.Series(generations).cast(pl.String)
    return pl.select(pl.lit("dev_") + customer_ids.str.slice(4) + "_" + number).to_series()


def idle_owners(count: int) -> npt.NDArray[np.int64]:
    """The places of the customers with a device that never pays, among the first ``count``."""
    return np.arange(0, count, _IDLE_EVERY)


def idle_ids(customer_ids: pl.Series) -> pl.Series:
    """The ids of the devices that never pay: the only ones that change, because a payment keeps what its device was."""
    return _lasting_ids(customer_ids, _IDLE)


def _lasting_ids(customer_ids: pl.Series, suffix: str) -> pl.Series:
    return pl.select(pl.lit("dev_") + customer_ids.str.slice(4) + f"_{suffix}").to_series()


def _generations(owners: npt.NDArray[np.int64], ordinal: int) -> npt.NDArray[np.int64]:
    generations: npt.NDArray[np.int64] = (owners * _SPREAD + ordinal) // _RENEWED_AFTER
    return generations
