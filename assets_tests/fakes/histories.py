"""A made-up company whose every table has a random history: late, out of order, repeated, deleted, restored.

Belongs here: what the lake holds of it at the end, by table and day, and how it gets into a warehouse. Does not: what
the models must make of it (the tests; scd2_oracle for dimensions).
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import polars as pl

from assets_tests.fakes.scd2_oracle import Version
from assets_tests.fakes.warehouse import WarehouseBox
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.sample import sample

START = datetime(2025, 1, 1, tzinfo=UTC)
STATUSES = {"merchants": ("active", "suspended", "closed"), "customers": ("active", "blocked", "closed")}
FACT_STATUSES = {
    "transactions": ("pending", "succeeded", "failed", "refunded", "disputed"),
    "refunds": ("pending", "succeeded", "failed"),
    "disputes": ("needs_response", "under_review", "won", "lost"),
    "subscriptions": ("trialing", "active", "past_due", "canceled"),
}
TABLES = of_zone("landing")

Rows = list[dict[str, object]]


def days_from(first: date, count: int) -> tuple[date, ...]:
    """``count`` days in a row."""
    return tuple(first + timedelta(days=n) for n in range(count))


@dataclass
class World:
    """What the lake holds at the end, and for each entity its versions."""

    seed: int
    days: Sequence[date] = days_from(START.date(), 6)
    content: dict[tuple[str, date], Rows] = field(default_factory=lambda: defaultdict(list))
    versions: dict[str, dict[str, list[Version]]] = field(default_factory=lambda: defaultdict(dict))
    created: dict[str, dict[str, dict[str, object]]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def moment(self) -> datetime:
        """Whole hours, so that equal times are common."""
        return START + timedelta(hours=self.random.randrange(24 * len(self.days)))

    def history(self, status: Sequence[str]) -> list[Version]:
        """Up to six versions: mostly in order of time, some set back, some at one time, perhaps deleted at the end."""
        count = self.random.randrange(7)
        times = sorted(self.moment() for _ in range(count))
        if self.random.random() < 0.4:
            self.random.shuffle(times)
        is_deleted = self.random.random() < 0.2
        restored_at = self.random.randrange(1, 12)
        return [
            Version(
                epoch=1 if n + 1 < restored_at else 2,
                version=n + 1,
                at=at,
                status=self.random.choice(status),
                is_deleted=is_deleted and n + 1 == count,
            )
            for n, at in enumerate(times)
        ]

    def put(self, table: str, row: dict[str, object], at: datetime) -> None:
        """Into the day it changed; now and then another day repeats it."""
        self.content[table, at.date()].append(row)
        if self.random.random() < 0.1:
            self.content[table, self.random.choice(self.days)].append(row)

    def tell(self, table: str, name: str, statuses: Sequence[str], given: Mapping[str, object]) -> None:
        """A whole history of one entity, each version with what ``given`` says and a segment and amount of its own."""
        self.versions[table][name] = states = self.history(statuses)
        self.created[table][name] = dict(given)
        for state in states:
            of_version = self._of_version(table, state)
            self.put(table, {**_state(name, state), **given, **of_version}, state.at)

    def _of_version(self, table: str, state: Version) -> dict[str, object]:
        if table == "customers":
            return {"segment": self.random.choice(("consumer", "business", "vip"))}
        if table == "consents":
            return {"is_granted": self.random.random() < 0.5}
        amount = 100 + state.version
        return {"amount_minor": amount, "amount_usd_minor": self.random.choice((None, amount))}


def make_world(seed: int, entities: int, payments: int, days: Sequence[date] | None = None) -> World:
    """A company of so many merchants and customers, so many payments, and a quarter as many of all that follows."""
    world = World(seed, days) if days else World(seed)
    for table, prefix in (("merchants", "m"), ("customers", "c")):
        for number in range(entities):
            world.tell(table, f"{prefix}{number}", STATUSES[table], {})
    for number in range(entities // 4):
        world.tell("payment_methods", f"p{number}", ("card",), {"method_type": "card"})
        world.tell("devices", f"d{number}", ("any",), _device(world))
        consent = {
            "customer_token": _somebody(world, "c", entities),
            "purpose": world.random.choice(("marketing", "data_sale")),
        }
        world.tell("consents", f"n{number}", ("any",), consent)
    for number in range(payments):
        parties = _parties(world, entities) | {
            "payment_method_id": world.random.choice([None, _somebody(world, "p", entities // 4)]),
            "country_code": world.random.choice((None, "FR", "US", "QQ")),
            "is_device_present": world.random.random() < 0.8,
        }
        world.tell("transactions", f"t{number}", FACT_STATUSES["transactions"], parties | _device(world))
    for number in range(payments // 4):
        for table in ("refunds", "disputes"):
            of = {
                "transaction_id": _somebody(world, "t", payments),
                "reason_code": world.random.choice(("fraudulent", "duplicate")),
            }
            world.tell(table, f"{table[0]}{number}", FACT_STATUSES[table], _parties(world, entities) | of)
        plan = {"billing_interval": world.random.choice(("week", "month", "year"))}
        world.tell("subscriptions", f"s{number}", FACT_STATUSES["subscriptions"], _parties(world, entities) | plan)
    return world


def _somebody(world: World, prefix: str, count: int) -> str:
    """One of the entities, or one of five that never show themselves."""
    return f"{prefix}{world.random.randrange(count + 5)}"


def _parties(world: World, entities: int) -> dict[str, object]:
    created_at = world.moment()
    return {
        "merchant_id": _somebody(world, "m", entities),
        "customer_token": _somebody(world, "c", entities),
        "created_at": created_at,
        "created_date": created_at.date(),
    }


def _device(world: World) -> dict[str, object]:
    kind = world.random.choice(("mobile", "desktop"))
    return {"device_type": kind, "os_name": world.random.choice((None, "", "ios")), "browser_name": None}


def _state(name: str, state: Version) -> dict[str, object]:
    return {
        "id": name,
        "epoch": state.epoch,
        "version": state.version,
        "status": state.status,
        "is_deleted": state.is_deleted,
        "created_at": START,
        "updated_at": state.at,
    }


def frame(table: Dataset, rows: Rows) -> pl.DataFrame:
    """Rows of a landing table, with the sample's values where a history says nothing."""
    base = sample(table, 1).row(0, named=True)
    unique = {tuple(row[name] for name in ("id", "epoch", "version")): row for row in rows}
    key = table.primary_key[1]
    named = [{key if name == "id" else name: cell for name, cell in row.items()} for row in unique.values()]
    filled = [base | {name: cell for name, cell in row.items() if name in base} for row in named]
    return pl.DataFrame(filled, schema=table.schema)


def land_something(box: WarehouseBox, world: World, *, final: bool) -> None:
    """Land days in random order; before the end only some, with some of their rows: later loads add and take away."""
    keys = [(table, day) for table in TABLES for day in world.days]
    world.random.shuffle(keys)
    for table, day in keys if final else keys[: len(keys) // 2]:
        rows = world.content[table.table, day]
        if not final:
            share = world.random.choice((0.0, 0.5, 0.9, 1.0))
            rows = [row for row in rows if world.random.random() < share]
        box.land(table, day, frame(table, rows))


def land_days(box: WarehouseBox, world: World, order: Sequence[tuple[str, date]]) -> None:
    """Land whole days of tables (by name) in the given order."""
    for table, day in order:
        landing = dataset(f"landing/{table}")
        box.land(landing, day, frame(landing, world.content[table, day]))
