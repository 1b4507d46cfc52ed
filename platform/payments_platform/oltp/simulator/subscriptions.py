"""Subscriptions: who begins one, and what becomes of it, version by version.

Belongs here: plans, lives, rows. Does not: the payments of a subscription, which look like any other.
A cohort's life depends on the world and the day it began alone: how far it is told never changes what was told before.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from payments_platform.contracts.subscriptions import SUBSCRIPTION_TRANSITIONS
from payments_platform.oltp import rates
from payments_platform.oltp.simulator import people, profiles
from payments_platform.oltp.simulator.payments import Crowd
from payments_platform.oltp.simulator.world import DAY_MICROS, Stream, World, day_start, instants, weighted
from payments_platform.vocabulary import days_between

_Ints = npt.NDArray[np.int64]
_STATUSES: Final = tuple(SUBSCRIPTION_TRANSITIONS)
_TRIALING, _ACTIVE, _PAST_DUE, _UNPAID, _CANCELED = (
    _STATUSES.index(name) for name in ("trialing", "active", "past_due", "unpaid", "canceled")
)
_PLANS: Final = (("basic", 900), ("standard", 1_900), ("pro", 4_900), ("team", 19_900))
_INTERVALS: Final = (("week", 7), ("month", 30), ("year", 365))
_INTERVAL_WEIGHTS: Final = np.array([5.0, 80.0, 15.0])
_PLAN_WEIGHTS: Final = np.array([45.0, 35.0, 15.0, 5.0])
_TRIAL: Final = 14 * DAY_MICROS
_TRIAL_SHARE: Final = 0.3
_CENTS: Final = 10_000_000


@dataclass
class _Lives:
    """A cohort while its life is told; ``told`` holds places, instants and states of each version."""

    at: _Ints
    status: _Ints
    start: _Ints
    end: _Ints
    told: list[tuple[_Ints, ...]] = field(default_factory=list)

    def note(self, places: _Ints) -> None:
        self.told.append((places, *(values[places] for values in (self.at, self.status, self.start, self.end))))


def versions(world: World, everyone: Crowd, opened: date, end: datetime) -> pl.DataFrame:
    """All versions up to ``end`` of the subscriptions of the start and of each day after it, in the order of time."""
    until = end.date() + timedelta(days=1)
    cohorts = [_stock(world, everyone, opened, end)]
    cohorts += [_cohort(world, everyone, day, end) for day in days_between(opened, until)]
    return pl.concat(cohorts).sort("updated_at", "subscription_id")


def _stock(world: World, everyone: Crowd, opened: date, end: datetime) -> pl.DataFrame:
    """Those who subscribed before the source was opened; the dormant have canceled."""
    random = world.random(Stream.SUBSCRIPTIONS)
    live = world.customer_count // 10
    owners = np.concatenate(
        (
            random.choice(world.customer_count, live, replace=False),
            world.customer_count + np.arange(world.dormant_count),
        )
    )
    known_at = day_start(opened) + np.arange(len(owners))
    length = _lengths(random, len(owners))
    start = known_at - (random.random(len(owners)) * length).astype(np.int64)
    status = np.where(np.arange(len(owners)) < live, _ACTIVE, _CANCELED)
    lives = _Lives(known_at, status, start, start + length)
    ids = world.ids("sub_", np.arange(len(owners)), 8)
    created = everyone.customers.rows["created_at"].gather(owners)
    return _rows(world, random, lives, (ids, created, length, owners), everyone, end)


def _cohort(world: World, everyone: Crowd, day: date, end: datetime) -> pl.DataFrame:
    """Those who subscribe on the day."""
    random = world.random(Stream.SUBSCRIPTIONS, day)
    count = max(1, world.per_day // 500)
    owners = random.integers(0, world.customer_count, count)
    at = np.sort(day_start(day) + random.integers(DAY_MICROS // 24, DAY_MICROS - 1, count))
    length = _lengths(random, count)
    on_trial = random.random(count) < _TRIAL_SHARE
    status = np.where(on_trial, _TRIALING, _ACTIVE)
    # A copy: the life moves on, created_at stays.
    lives = _Lives(at.copy(), status, at.copy(), at + np.where(on_trial, _TRIAL, length))
    ids = world.ids("sub_", np.arange(count) + day.toordinal() * 1_000_000, 14)
    return _rows(world, random, lives, (ids, instants(at), length, owners), everyone, end)


def _lengths(random: np.random.Generator, count: int) -> _Ints:
    days = np.array([days for _, days in _INTERVALS], dtype=np.int64)
    lengths: _Ints = days[weighted(random, _INTERVAL_WEIGHTS, count)] * DAY_MICROS
    return lengths


def _tell(random: np.random.Generator, lives: _Lives, length: _Ints, end: int) -> None:
    """Go on until every subscription has ended or gone past ``end``.

    Each round draws for all, so that a longer telling begins with the same words.
    """
    lives.note(np.arange(len(lives.at)))
    while True:
        chance, share = random.random(len(lives.at)), random.random(len(lives.at))
        going = (lives.status != _CANCELED) & (lives.at <= end)
        if not going.any():
            return
        before = lives.status.copy()
        for status, step in ((_TRIALING, _bill), (_ACTIVE, _bill), (_PAST_DUE, _remind), (_UNPAID, _give_up)):
            step(lives, np.flatnonzero(going & (before == status)), chance, share, length)
        lives.note(np.flatnonzero(going))


def _bill(lives: _Lives, places: _Ints, chance: np.ndarray, share: np.ndarray, length: _Ints) -> None:
    """At the end of the period: paid, or not; or canceled before."""
    paid, due = places[chance[places] < 0.9], places[(chance[places] >= 0.9) & (chance[places] < 0.94)]
    leaving = places[chance[places] >= 0.94]
    lives.at[leaving] += 1 + (share[leaving] * (lives.end[leaving] - lives.at[leaving] - 1)).astype(np.int64)
    lives.status[leaving] = _CANCELED
    lives.at[due] = lives.end[due]
    lives.status[due] = _PAST_DUE
    lives.at[paid] = lives.end[paid]
    _begin_period(lives, paid, length)


def _begin_period(lives: _Lives, places: _Ints, length: _Ints) -> None:
    lives.status[places] = _ACTIVE
    lives.start[places] = lives.end[places]
    lives.end[places] += length[places]


def _remind(lives: _Lives, places: _Ints, chance: np.ndarray, share: np.ndarray, length: _Ints) -> None:
    """Paid within days, or not at all."""
    paid, unpaid = places[chance[places] < 0.7], places[chance[places] >= 0.7]
    lives.at[paid] += 1 + (share[paid] * 5 * DAY_MICROS).astype(np.int64)
    _begin_period(lives, paid, length)
    lives.at[unpaid] += 6 * DAY_MICROS
    lives.status[unpaid] = np.where(chance[unpaid] < 0.9, _UNPAID, _CANCELED)


def _give_up(lives: _Lives, places: _Ints, chance: np.ndarray, share: np.ndarray, length: _Ints) -> None:
    """Three in ten pay in the end, and their period begins then."""
    lives.at[places] += ((10 + 10 * share[places]) * DAY_MICROS).astype(np.int64)
    back = places[chance[places] < 0.3]
    lives.end[back] = lives.at[back]
    _begin_period(lives, back, length)
    lives.status[places[chance[places] >= 0.3]] = _CANCELED


def _rows(
    world: World,
    random: np.random.Generator,
    lives: _Lives,
    known: tuple[pl.Series, pl.Series, _Ints, _Ints],
    everyone: Crowd,
    end: datetime,
) -> pl.DataFrame:
    """All versions up to ``end``; ``known`` are ids, created_at, lengths of the period, and places of the owners."""
    ids, created, length, owners = known
    count, merchants, customers = len(owners), everyone.merchants, everyone.customers
    merchant, plan = random.integers(0, world.merchant_count, count), weighted(random, _PLAN_WEIGHTS, count)
    currency = np.array(profiles.CURRENCY_OF_PLACE)[merchants.places[merchant]]
    fixed = pl.DataFrame(
        {
            "subscription_id": ids,
            "merchant_id": merchants.ids.gather(merchant),
            "customer_id": customers.ids.gather(owners),
            "customer_token": customers.tokens.gather(owners),
            "plan_code": people.words(tuple(name for name, _ in _PLANS), plan),
            "billing_interval": _interval_names(length),
            "amount_minor": _amounts(plan, currency),
            "currency": people.words(profiles.CURRENCIES, currency),
            "created_at": created,
        }
    )
    _tell(random, lives, length, int(end.timestamp() * 1e6))
    places, at, status, start, stop = (np.concatenate(column) for column in zip(*lives.told, strict=True))
    told = fixed[places].with_columns(
        status=people.words(_STATUSES, status),
        period_start_at=instants(start),
        period_end_at=instants(stop),
        updated_at=instants(at),
    )
    is_canceled = pl.col("status") == _STATUSES[_CANCELED]
    return told.with_columns(
        canceled_at=pl.when(is_canceled).then("updated_at"),
        version=pl.int_range(1, pl.len() + 1).over("subscription_id").cast(pl.Int32),
    ).filter(pl.col("updated_at") <= end)


def _interval_names(length: _Ints) -> pl.Series:
    names = {days * DAY_MICROS: name for name, days in _INTERVALS}
    return pl.Series(length).replace_strict(names, return_dtype=pl.String)


def _amounts(plan: _Ints, currency: _Ints) -> _Ints:
    cents = np.array([cents for _, cents in _PLANS], dtype=np.int64)[plan]
    levels = np.array([rates.level(name) for name in profiles.CURRENCIES], dtype=np.float64)[currency]
    scales = np.array([10**exponent for exponent in profiles.EXPONENTS], dtype=np.int64)[currency]
    amounts: _Ints = np.maximum(np.rint(cents * _CENTS / levels * scales).astype(np.int64), 1)
    return amounts
