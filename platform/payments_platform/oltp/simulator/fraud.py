"""Payments that nobody consented to: who, when, how much, with which device. Not here: their disputes (reversals.py).

Nothing in a payment tells; days later most are disputed as ``fraudulent``, and the truth is in a file for tests.
Card testing: a burst of small amounts, many cards, few devices, most refused. Account takeover: a new device abroad
empties one account within an hour. Collusion: a ring of customers pays one merchant round amounts, taken back late.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from payments_platform.oltp.simulator import devices, people, profiles
from payments_platform.oltp.simulator.world import DAY_MICROS, Stream, World, day_start, instants, share_of
from payments_platform.settings import TokenKey

_Ints = npt.NDArray[np.int64]
CARD_TESTING, ACCOUNT_TAKEOVER, COLLUSION = 0, 1, 2
PATTERNS: Final = ("card_testing", "account_takeover", "merchant_collusion")
_SHARES: Final = np.array([0.45, 0.7, 1.0])
_SECOND, _HOUR = 1_000_000, 3_600_000_000
_BURST, _TAKEN, _RING = 25, 4, 12
_REFUSED: Final = (0.65, 0.1, 0.0)
_DISPUTED: Final = (0.7, 0.95, 0.8)
# Devices of attackers register minutes before they pay, or never.
_REGISTERED_SHARE: Final = 0.6
_LEAD: Final = 5 * 60 * _SECOND
_ROUND_MAJOR: Final = np.array([50, 100, 100, 200, 500])


@dataclass(frozen=True)
class Plan:
    """A day's frauds, one entry a payment. ``cents`` are US cents; ``device`` numbers those of the day's attackers.

    ``device`` is -1 where the payer's own device pays; ``place`` is -1 where the payer is at home.
    """

    pattern: _Ints
    at: _Ints
    merchant: _Ints
    payer: _Ints
    cents: _Ints
    device: _Ints
    place: _Ints
    host: _Ints
    is_refused: npt.NDArray[np.bool_]
    is_disputed: npt.NDArray[np.bool_]


def plan(world: World, day: date, count: int) -> Plan:
    """The frauds among ``count`` payments of a day: merchants and payers are places among those who take part."""
    random = world.random(Stream.FRAUD, day)
    pattern = np.sort(np.searchsorted(_SHARES, random.random(share_of(random, count, world.fraud_rate)), side="right"))
    group = np.zeros(len(pattern), dtype=np.int64)
    for kind, size in ((CARD_TESTING, _BURST), (ACCOUNT_TAKEOVER, _TAKEN), (COLLUSION, _RING)):
        places = np.flatnonzero(pattern == kind)
        group[places] = kind * 1_000_000 + np.arange(len(places)) // size
    _, group = np.unique(group, return_inverse=True)
    return _act(world, random, day, pattern, group)


def _act(world: World, random: np.random.Generator, day: date, pattern: _Ints, group: _Ints) -> Plan:
    count, groups = len(pattern), int(group.max(initial=-1)) + 1
    is_test, is_taken, is_ring = (pattern == kind for kind in (CARD_TESTING, ACCOUNT_TAKEOVER, COLLUSION))
    span = np.select([is_test, is_taken], [_BURST * 8 * _SECOND, _HOUR - _LEAD], 12 * _HOUR)
    start = day_start(day) + random.integers(_HOUR, DAY_MICROS - 13 * _HOUR, groups)
    ring = _ring(world, random, groups)
    victim = random.integers(0, world.customer_count, groups)
    merchant = np.select(
        [is_test, is_ring],
        [random.integers(0, world.merchant_count, groups)[group], ring.merchant[group]],
        random.integers(0, world.merchant_count, count),
    )
    payer = np.select([is_taken, is_ring], [victim[group], ring.payers(group, random)], _anyone(world, random, count))
    cents = np.select(
        [is_test, is_taken],
        [random.integers(40, 260, count), random.integers(25_000, 120_000, count)],
        random.choice(_ROUND_MAJOR, count) * 100,
    )
    # A burst comes from two devices and one network; a takeover from one.
    device = np.where(is_ring, -1, group * 2 + np.where(is_test, np.arange(count) % 2, 0))
    abroad = random.integers(0, len(profiles.PLACES), groups)
    chance = random.random((2, count))
    refused = chance[0] < np.array(_REFUSED)[pattern]
    return Plan(
        pattern,
        start[group] + (random.random(count) * span).astype(np.int64),
        merchant,
        payer,
        cents,
        device,
        np.where(is_taken, abroad[group], -1),
        np.where(is_ring, -1, random.integers(1, 255, groups)[group]),
        refused,
        ~refused & (chance[1] < np.array(_DISPUTED)[pattern]),
    )


@dataclass(frozen=True)
class _Ring:
    """For each group: the merchant of its ring, and the first of the ring's customers, who come one after another."""

    merchant: _Ints
    first: _Ints

    def payers(self, group: _Ints, random: np.random.Generator) -> _Ints:
        payers: _Ints = self.first[group] + random.integers(0, _RING, len(group))
        return payers


def _ring(world: World, random: np.random.Generator, groups: int) -> _Ring:
    """The same few rings every day: small merchants, each with its customers."""
    count = max(2, world.merchant_count // 200)
    fixed = world.random(Stream.RINGS)
    merchants = world.merchant_count // 2 + fixed.integers(0, world.merchant_count // 2, count)
    firsts = fixed.integers(0, world.customer_count - _RING, count)
    of_group = random.integers(0, count, groups)
    return _Ring(merchants[of_group], firsts[of_group])


def _anyone(world: World, random: np.random.Generator, count: int) -> _Ints:
    return random.integers(0, world.customer_count, count)


def device_ids(world: World, day: date, numbers: _Ints) -> pl.Series:
    """The ids of the attackers' devices of a day."""
    return world.ids("dev_", numbers + day.toordinal() * 100_000, 12)


def registered(world: World, customers: people.Customers, found: Plan, day: date, key: TokenKey) -> pl.DataFrame:
    """Rows of the attackers' devices that register, on the account of the first customer whom they pay for."""
    numbers, places = np.unique(found.device, return_index=True)
    random = world.random(Stream.FRAUD, day)
    chosen = (numbers >= 0) & (random.random(len(numbers)) < _REGISTERED_SHARE)
    numbers = numbers[chosen]
    first = np.array([found.at[found.device == number].min() for number in numbers], dtype=np.int64)
    at = instants(first - _LEAD)
    owners = customers.ids.gather(found.payer[places[chosen]])
    return devices.rows(random, device_ids(world, day, numbers), owners, (at, at), key)
