"""All that one simulated day adds to the source.

Belongs here: putting the day together. Does not: its parts (modules beside this one), writing (run.py).
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

from payments_platform.oltp.simulator import consents, defects, devices, fraud, people, seasons
from payments_platform.oltp.simulator.payments import Crowd, DayOfPayments, pay
from payments_platform.oltp.simulator.world import Stream, World
from payments_platform.settings import TokenKey


@dataclass(frozen=True)
class Truth:
    """What tests may know and the platform must find out: planted defects, and payments nobody consented to."""

    defects: pl.DataFrame
    frauds: pl.DataFrame


@dataclass(frozen=True)
class Day:
    """Who arrives with what, who pays, and what is broken."""

    arrivals: people.Customers
    devices: pl.DataFrame
    consents: pl.DataFrame
    payments: DayOfPayments
    broken: list[defects.Broken]
    truth: Truth

    @property
    def broken_reversals(self) -> list[defects.Broken]:
        """Broken rows that name payments of the day."""
        return [broken for broken in self.broken if broken.table in {"refunds", "disputes"}]

    @property
    def broken_people(self) -> list[defects.Broken]:
        """Broken rows that name no payment."""
        return [broken for broken in self.broken if broken.table not in {"refunds", "disputes"}]


def tell_day(world: World, everyone: Crowd, day: date, key: TokenKey) -> Day:
    """Make up one day. It depends on the world and the day alone."""
    arrivals = people.newcomers(world, day, key)
    sound = pay(world, everyone, arrivals, day)
    broken, planted = defects.break_others(world, day, sound.rows, key)
    payments, broken_payments = defects.break_payments(world, sound, day)
    attackers = fraud.plan(world, day, seasons.payments_on(day, world.per_day))
    owned = [
        devices.of_newcomers(world, arrivals, day, key),
        devices.renewed(world, everyone.customers, day, key),
        fraud.registered(world, everyone.customers, attackers, day, key),
    ]
    decided = consents.decisions(world.random(Stream.CONSENTS, day), arrivals)
    truth = Truth(pl.concat([broken_payments, planted]), payments.frauds)
    return Day(arrivals, pl.concat(owned), decided, payments, broken, truth)
