"""The star schema against an oracle: random histories (late, unordered, repeated, deleted) in random loads.

Belongs here: worlds of random changes and what the models must make of them. Does not: hand-written cases (dbt's own
unit tests lie beside the models).
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.fakes.histories import FACT_STATUSES, START, World, land_something, make_world
from assets_tests.fakes.scd2_oracle import FIRST, LAST, Version, timeline, valid_at
from assets_tests.fakes.warehouse import SEQUENCES, WarehouseBox
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.relations import RELATIONS

KEYS = {"transactions": "transaction_id", "refunds": "refund_id", "disputes": "dispute_id"}
KEYS |= {"subscriptions": "subscription_id"}
DIMENSIONS: Mapping[str, tuple[str, str]] = {
    "merchants": ("dim_merchant", "merchant_id"),
    "customers": ("dim_customer", "customer_token"),
}


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


def assert_facts_join_the_valid_version(box: WarehouseBox, world: World, table: str) -> None:
    """One row a key, in its highest position, joined to what its merchant and customer were when it was made."""
    fact, key = f"fact_{table.removesuffix('s')}", KEYS[table]
    has_customer = "customer_key" in dataset(f"marts/{fact}").names
    parties = {name: DIMENSIONS[name] for name in ("merchants", "customers")[: 2 if has_customer else 1]}
    joins = " ".join(f"join marts.{dim} using ({dim.removeprefix('dim_')}_key)" for dim, _ in parties.values())
    shown = ", ".join(
        f"{dim}.{natural} as {dim}_id, {dim}.epoch as {dim}_epoch, {dim}.version as {dim}_version"
        for dim, natural in parties.values()
    )
    facts = box.warehouse.query(f"select f.*, {shown} from marts.{fact} as f {joins}")
    expected = {name for name, versions in world.versions[table].items() if versions}
    assert set(facts[key]) == expected
    assert facts.height == len(expected)
    for row in facts.iter_rows(named=True):
        last = max(world.versions[table][row[key]])
        assert (row["epoch"], row["version"], row["is_deleted"]) == (last.epoch, last.version, last.is_deleted)
        for kind, (dim, natural) in parties.items():
            state = valid_at(world.versions[kind].get(row[natural], ()), row["created_at"])
            wanted = (row[natural], state.epoch, state.version) if state else (row[natural], None, None)
            assert (row[f"{dim}_id"], row[f"{dim}_epoch"], row[f"{dim}_version"]) == wanted


def assert_disputes_reach_their_payments(box: WarehouseBox, world: World) -> None:
    """Lost: a model learns from payments whose fraud nobody told it of."""
    wanted: dict[str, tuple[int, int, bool]] = {}
    for name, versions in world.versions["disputes"].items():
        if versions and not max(versions).is_deleted:
            of = world.created["disputes"][name]
            count, amount, is_fraud = wanted.get(str(of["transaction_id"]), (0, 0, False))
            amount += 100 + max(versions).version
            wanted[str(of["transaction_id"])] = (count + 1, amount, is_fraud or of["reason_code"] == "fraudulent")
    for name, *found in box.warehouse.query(
        "select transaction_id, dispute_count, disputed_minor, is_fraud_disputed from marts.fact_transaction"
    ).rows():
        assert tuple(found) == wanted.get(name, (0, 0, False)), name


def assert_no_fact_is_lost_by_an_inner_join(box: WarehouseBox) -> None:
    """Every key of every fact leads to a member, the unknown one if need be."""
    for fact in FACT_STATUSES:
        table = f"fact_{fact.removesuffix('s')}"
        keys = {fk: to for (model, fk), to in RELATIONS.items() if model == table}
        joins = " ".join(f"join marts.{dim} as {fk} on {fk}.{key} = f.{fk}" for fk, (dim, key) in keys.items())
        counted = box.warehouse.query(f"select count(*) from marts.{table} as f {joins}").item()
        assert counted == box.warehouse.query(f"select count(*) from marts.{table}").item() > 0


def check_world(tmp_path: Path, world: World, steps: int, *, compare_each: bool) -> None:
    box = build_in_steps(tmp_path, world, steps, compare_each=compare_each)
    for table, (dimension, natural_key) in DIMENSIONS.items():
        assert_equals_oracle(box, world, table, natural_key, dimension)
    for table in KEYS:
        assert_facts_join_the_valid_version(box, world, table)
    assert_disputes_reach_their_payments(box, world)
    assert_no_fact_is_lost_by_an_inner_join(box)
    fresh = WarehouseBox(tmp_path / "fresh")
    land_something(fresh, world, final=True)
    fresh.dbt("run")
    models = {name: text for name, text in fresh.digests(exclude=SEQUENCES).items() if name.split("/")[0] in SHOWN}
    assert {name: text for name, text in box.digests(exclude=SEQUENCES).items() if name in models} == models


SHOWN = ("marts", "aggregates")


@pytest.mark.row("B5", "B6", "O3", "X12", "Y4")
def test_random_histories_in_random_loads_give_the_oracles_dimensions_and_facts(tmp_path: Path) -> None:
    """1 000 histories of merchants and customers, 1 200 of facts.

    Lost: reports would show a merchant as it never was, or count a payment twice.
    """
    check_world(tmp_path, make_world(seed=1, entities=500, payments=700), steps=3, compare_each=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.row("B5", "B6", "O3", "X12", "Y4")
@pytest.mark.parametrize("seed", range(2, 7))
def test_more_random_histories_in_more_loads(tmp_path: Path, seed: int) -> None:
    """Five times 2 000 histories of merchants and customers, compared with a rebuild after each of six steps."""
    check_world(tmp_path, make_world(seed=seed, entities=1000, payments=2000), steps=6, compare_each=True)


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
