"""What a simulation leaves in the source: the same rows for the same seed, each version once, whatever was run before.

Belongs here: the simulator against the real database. Does not: what it makes up (unit/test_simulate.py).
"""

import hashlib
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from assets_tests.conftest import Stack, empty
from payments_platform.clients.postgres import connect
from payments_platform.oltp.simulator import run
from payments_platform.oltp.simulator.run import SimulationRefused, Target, Written, simulate
from payments_platform.oltp.simulator.world import World

pytestmark = pytest.mark.integration
# On one of these days dormant merchants and customers leave.
FIRST, MIDDLE, LAST = date(2026, 2, 24), date(2026, 2, 26), date(2026, 3, 1)
WORLD = World(seed=11, per_day=400, defect_rate=0.05)
KEYS = {
    "merchants": "merchant_id",
    "customers": "customer_id",
    "payment_methods": "payment_method_id",
    "transactions": "transaction_id",
    "devices": "device_id",
    "refunds": "refund_id",
    "disputes": "dispute_id",
    "subscriptions": "subscription_id",
    "consents": "consent_id",
}
TABLES = tuple(KEYS)


def written(stack: Stack, folder: Path, first: date = FIRST, until: date = LAST, world: World = WORLD) -> Written:
    """Run the simulator as the command does."""
    address = stack.settings.postgres("primary", "loader")
    return simulate(
        world, first, Target(address, stack.settings.token_key(), until, lambda _done, _total: None, folder)
    )


def history(stack: Stack, table: str) -> pl.DataFrame:
    """All versions of a table but the load that wrote them."""
    with connect(stack.settings.postgres("primary", "extract"), name="tests") as session:
        cursor = session.execute(f"SELECT to_jsonb(h) - 'load_id' AS version FROM oltp.{table}_history h".encode())
        return pl.DataFrame({"version": sorted(str(row[0]) for row in cursor.fetchall())})


def digest(stack: Stack) -> str:
    """One digest over the histories of all tables, order-free."""
    found = hashlib.sha256()
    for table in TABLES:
        found.update("\n".join(history(stack, table)["version"]).encode())
    return found.hexdigest()


@pytest.fixture(scope="module")
def simulated(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stack, Written]:
    """A source that holds WORLD, once for this module."""
    empty(stack)
    return stack, written(stack, tmp_path_factory.mktemp("truth"))


def one(stack: Stack, query: str) -> tuple[object, ...]:
    """The one row of a query."""
    with connect(stack.settings.postgres("primary", "extract"), name="tests") as session:
        row = session.execute(query.encode()).fetchone()
    assert row is not None
    return row


def test_days_that_are_there_are_not_written_again(simulated: tuple[Stack, Written], tmp_path: Path) -> None:
    """A second copy of a day is twice its money."""
    stack, first = simulated
    before = digest(stack)
    again = written(stack, tmp_path)
    assert (again.transactions, again.versions, again.skipped_days) == (0, 0, first.days)
    assert again.defects == first.defects
    assert digest(stack) == before


def test_days_before_the_first_are_refused(simulated: tuple[Stack, Written], tmp_path: Path) -> None:
    """Its merchants and customers did not exist yet."""
    with pytest.raises(SimulationRefused, match=str(FIRST)):
        written(simulated[0], tmp_path, first=date(2026, 2, 1))


def test_every_version_lies_within_the_days_and_in_its_order(simulated: tuple[Stack, Written]) -> None:
    """A version of tomorrow, or one out of order, would break every table that follows versions."""
    stack, found = simulated
    for table, key in KEYS.items():
        low, high, disordered = one(
            stack,
            "SELECT min(updated_at), max(updated_at), count(*) FILTER (WHERE updated_at <= before OR version <> place)"
            f" FROM (SELECT *, lag(updated_at) OVER w AS before, row_number() OVER w AS place FROM oltp.{table}_history"
            f" WINDOW w AS (PARTITION BY {key} ORDER BY version)) versions",
        )
        assert f"{FIRST}" <= f"{low}" <= f"{high}" < "2026-03-02"
        assert disordered == 0
    versions, unknown = one(
        stack,
        "SELECT count(*), count(*) FILTER"
        " (WHERE NOT is_customer_known OR NOT is_merchant_known OR NOT is_payment_method_known)"
        " FROM oltp.transactions_history",
    )
    assert (versions, unknown) == (found.versions, 0)
    assert one(stack, "SELECT sum(row_count) FROM oltp.default_partition_rows()") == (0,)


@pytest.mark.parametrize("table", TABLES)
def test_every_table_gets_creates_updates_and_deletes(simulated: tuple[Stack, Written], table: str) -> None:
    """Tables without history to keep prove nothing. Disputes end weeks later; few refunds fail and are removed."""
    stack, found = simulated
    query = f"SELECT array_agg(DISTINCT op ORDER BY op), count(*) FROM oltp.{table}_history"
    ops, versions = one(stack, query)
    assert ops == {"disputes": ["c"], "refunds": ["c", "u"]}.get(table, ["c", "d", "u"])
    assert versions == found.tables[table]


@pytest.mark.row("B3")
def test_the_truth_lists_versions_that_are_there(simulated: tuple[Stack, Written]) -> None:
    """The file is what quarantine is compared with: a row that never reached the source would look lost."""
    stack, found = simulated
    truth = pl.read_parquet(found.truth)
    assert truth.height == found.defects > 50
    there = history(stack, "transactions")["version"]
    for key, version in truth.filter(table="transactions").select("key", "version").iter_rows():
        assert any(f"'{key}'" in row and f"'version': {version}," in row for row in there)


def test_rates_cover_the_days_and_four_hundred_before(simulated: tuple[Stack, Written]) -> None:
    """A payment without a rate has no amount in dollars."""
    low, high, holes = one(
        simulated[0],
        "SELECT min(rate_date), max(rate_date),"
        " count(*) - count(DISTINCT currency) * (max(rate_date) - min(rate_date) + 1)"
        " FROM oltp.exchange_rates",
    )
    assert (low, high, holes) == (date(2025, 1, 20), LAST, 0)


def test_two_worlds_live_side_by_side(simulated: tuple[Stack, Written], tmp_path: Path) -> None:
    """Another seed adds a company; it never touches the rows of the first."""
    stack, first = simulated
    other = written(stack, tmp_path, world=World(seed=12, per_day=400, defect_rate=0.05))
    total = one(stack, "SELECT count(*) FROM oltp.transactions_history WHERE version = 1")
    assert total == (first.transactions + other.transactions,)


@pytest.mark.row("C7")
def test_the_same_seed_leaves_the_same_source(
    empty_source: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the parts, and also when days were written in two runs: what the first left open goes on."""
    written(empty_source, tmp_path)
    at_once = digest(empty_source)
    empty(empty_source)
    monkeypatch.setattr(run, "PART_ROWS", 150)
    written(empty_source, tmp_path, until=MIDDLE)
    assert digest(empty_source) != at_once
    written(empty_source, tmp_path)
    assert digest(empty_source) == at_once
