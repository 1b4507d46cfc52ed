"""The star schema against an oracle: random histories (late, unordered, repeated, deleted) in random loads.

Belongs here: worlds of random changes and what the models must make of them. Does not: hand-written cases (dbt's own
unit tests lie beside the models).
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.fakes.scd2_oracle import FIRST, LAST, Version, timeline, valid_at
from assets_tests.fakes.warehouse import WarehouseBox
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.sample import sample

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = [date(2025, 1, 1) + timedelta(days=n) for n in range(6)]
MERCHANTS, CUSTOMERS = dataset("landing/merchants"), dataset("landing/customers")
METHODS, TRANSACTIONS = dataset("landing/payment_methods"), dataset("landing/transactions")
STATUSES = {"merchants": ("active", "suspended", "closed"), "customers": ("active", "blocked", "closed")}
FACT_STATUSES = ("pending", "succeeded", "failed", "refunded", "disputed")

Rows = list[dict[str, object]]


@dataclass
class World:
    """What the lake holds at the end, and for each entity its versions."""

    seed: int
    content: dict[tuple[str, date], Rows] = field(default_factory=lambda: defaultdict(list))
    versions: dict[str, dict[str, list[Version]]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def moment(self) -> datetime:
        # Whole hours, so that equal times are common.
        return START + timedelta(hours=self.random.randrange(24 * len(DAYS)))

    def history(self, status: tuple[str, ...]) -> list[Version]:
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
        """Into the day it changed; now and then a later day repeats it."""
        self.content[table, at.date()].append(row)
        if self.random.random() < 0.1:
            self.content[table, self.random.choice(DAYS)].append(row)


def frame(table: Dataset, rows: Rows) -> pl.DataFrame:
    base = sample(table, 1).row(0, named=True)
    unique = {tuple(row[name] for name in ("id", "epoch", "version")): row for row in rows}
    key = table.primary_key[1]
    filled = [
        {**base, **{key if name == "id" else name: cell for name, cell in row.items()}} for row in unique.values()
    ]
    return pl.DataFrame(filled, schema=table.schema)


def make_world(seed: int, entities: int, payments: int) -> World:
    world = World(seed)
    for table, prefix in (("merchants", "m"), ("customers", "c")):
        for number in range(entities):
            name = f"{prefix}{number}"
            world.versions[table][name] = world.history(STATUSES[table])
            for state in world.versions[table][name]:
                world.put(table, _state(name, state), state.at)
    for number in range(entities // 4):
        for state in world.history(("card",)):
            row = _state(f"p{number}", state) | {"method_type": "card"}
            world.put("payment_methods", {k: v for k, v in row.items() if k != "status"}, state.at)
    for number in range(payments):
        created_at = world.moment()
        parties = {
            "merchant_id": f"m{world.random.randrange(entities + 5)}",
            "customer_token": f"c{world.random.randrange(entities + 5)}",
            "payment_method_id": world.random.choice([None, f"p{world.random.randrange(entities // 4 + 5)}"]),
            "created_at": created_at,
            "created_date": created_at.date(),
        }
        states = world.history(FACT_STATUSES)
        world.versions["transactions"][f"t{number}"] = states
        for state in states:
            amounts = {"amount_minor": 100 + state.version, "amount_usd_minor": 100 + state.version}
            world.put("transactions", _state(f"t{number}", state) | parties | amounts, state.at)
    return world


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


def land_something(box: WarehouseBox, world: World, *, final: bool) -> None:
    """Land days in random order; before the end only some, with some of their rows: later loads add and take away."""
    keys = [(table, day) for table in (MERCHANTS, CUSTOMERS, METHODS, TRANSACTIONS) for day in DAYS]
    world.random.shuffle(keys)
    for table, day in keys if final else keys[: len(keys) // 2]:
        rows = world.content[table.table, day]
        if not final:
            share = world.random.choice((0.0, 0.5, 0.9, 1.0))
            rows = [row for row in rows if world.random.random() < share]
        box.land(table, day, frame(table, rows))


def build_in_steps(tmp_path: Path, world: World, steps: int, *, compare_each: bool) -> WarehouseBox:
    """Load, build, load, build…; the models equal those of one build from nothing, at the end or after every step."""
    box = WarehouseBox(tmp_path)
    for step in range(steps):
        is_last = step == steps - 1
        land_something(box, world, final=is_last)
        if not (is_last or compare_each):
            box.dbt("run")
            continue
        box.dbt("build", "--exclude-resource-type", "unit_test")
        scratch = box.copy_to(tmp_path / f"scratch{step}")
        scratch.dbt("run", "--full-refresh")
        assert box.digests() == scratch.digests(), f"after step {step}"
    return box


def assert_equals_oracle(box: WarehouseBox, world: World, table: str, natural_key: str, dimension: str) -> None:
    members = box.warehouse.read(dataset(f"marts/{dimension}"))
    found = {
        str(name[0]): rows.sort("effective_from").select(
            "epoch", "version", "status", "is_deleted", "effective_from", "effective_to", "is_current"
        )
        for name, rows in members.filter(~pl.col("is_inferred") & pl.col(natural_key).is_not_null()).group_by(
            natural_key
        )
    }
    expected = {name: timeline(versions) for name, versions in world.versions[table].items() if versions}
    assert found.keys() == expected.keys()
    for name, intervals in expected.items():
        rows = [
            (i.state.epoch, i.state.version, i.state.status, i.state.is_deleted, i.start, i.end, i.end == LAST)
            for i in intervals
        ]
        assert found[name].rows() == rows, name


def assert_facts_join_the_valid_version(box: WarehouseBox, world: World) -> None:
    facts = box.warehouse.query(
        "select f.transaction_id, f.epoch, f.version, f.created_at, f.merchant_id, f.customer_token, "
        "m.merchant_id as m_id, m.epoch as m_epoch, m.version as m_version, "
        "c.customer_token as c_id, c.epoch as c_epoch, c.version as c_version "
        "from marts.fact_transaction f join marts.dim_merchant m using (merchant_key) "
        "join marts.dim_customer c using (customer_key)"
    )
    expected = {name for name, versions in world.versions["transactions"].items() if versions}
    assert set(facts["transaction_id"]) == expected
    assert facts.height == len(expected)
    for fact in facts.iter_rows(named=True):
        last = max(world.versions["transactions"][fact["transaction_id"]])
        assert (fact["epoch"], fact["version"]) == (last.epoch, last.version)
        for table, prefix, name in (("merchants", "m", "merchant_id"), ("customers", "c", "customer_token")):
            state = valid_at(world.versions[table].get(fact[name], ()), fact["created_at"])
            wanted = (fact[name], state.epoch, state.version) if state else (fact[name], None, None)
            assert (fact[f"{prefix}_id"], fact[f"{prefix}_epoch"], fact[f"{prefix}_version"]) == wanted


def check_world(tmp_path: Path, world: World, steps: int, *, compare_each: bool) -> None:
    box = build_in_steps(tmp_path, world, steps, compare_each=compare_each)
    assert_equals_oracle(box, world, "merchants", "merchant_id", "dim_merchant")
    assert_equals_oracle(box, world, "customers", "customer_token", "dim_customer")
    assert_facts_join_the_valid_version(box, world)
    fresh = WarehouseBox(tmp_path / "fresh")
    land_something(fresh, world, final=True)
    fresh.dbt("run")
    ignored = ("load_sequence",)
    models = {name: text for name, text in fresh.digests(exclude=ignored).items() if name.split("/")[0] in SHOWN}
    assert {name: text for name, text in box.digests(exclude=ignored).items() if name in models} == models


SHOWN = ("marts", "aggregates")


@pytest.mark.row("B5", "O3", "Y4")
@pytest.mark.row("B6")
def test_random_histories_in_random_loads_give_the_oracles_dimensions_and_facts(tmp_path: Path) -> None:
    """1 000 histories. Lost: reports would show a merchant as it never was, or count a payment twice."""
    check_world(tmp_path, make_world(seed=1, entities=500, payments=700), steps=3, compare_each=False)


@pytest.mark.row("O3", "Y4", "B5")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_more_random_histories_in_more_loads(tmp_path: Path, seed: int) -> None:
    check_world(tmp_path, make_world(seed=seed, entities=900, payments=2000), steps=6, compare_each=True)


@given(st.dictionaries(st.tuples(st.integers(1, 2), st.integers(1, 6)), st.integers(0, 9), max_size=8))
def test_the_oracle_has_no_gap_no_overlap_and_ends_with_the_highest_position(days: dict[tuple[int, int], int]) -> None:
    versions = [Version(*position, START + timedelta(days=day)) for position, day in days.items()]
    intervals = timeline(versions)
    assert bool(intervals) == bool(versions)
    if intervals:
        assert (intervals[0].start, intervals[-1].end) == (FIRST, LAST)
        assert intervals[-1].state == max(versions)
    for before, after in pairwise(intervals):
        assert before.start < before.end == after.start
