"""The shape of the asset graph: where it begins and ends, and that money can be followed from source to table.

Belongs here: who depends on whom. Does not: what an asset is like (test_policy).
"""

import dagster as dg
import pytest

from payments_platform.contracts.catalogue import of_zone
from payments_platform.definitions import defs
from payments_platform.vocabulary import ZONES

GRAPH = defs.resolve_asset_graph()
KEYS = GRAPH.get_all_asset_keys()
SOURCES = sorted(key.to_user_string() for key in KEYS if key.path[0] == "oltp")

# Whatever else has no upstream reads nothing, or reads behind Dagster's back.
ROOTS = {*SOURCES, "marts/dim_date"}
# Whatever else has no downstream is work that nobody uses.
LEAVES = {f"quarantine/{clean.table}" for clean in of_zone("clean")} | {"operations/phase_times"}
# Zones in the order the data walks; quarantine hangs beside clean. The report of a run comes last.
ORDER: list[str] = [zone for zone in ZONES if zone not in {"quarantine", "operations"}]


def upstream(key: str) -> set[str]:
    """Everything that an asset is made from, however far back."""
    seen, waiting = set[dg.AssetKey](), [dg.AssetKey(key.split("/"))]
    while waiting:
        parents = GRAPH.get(waiting.pop()).parent_keys - seen
        seen |= parents
        waiting += parents
    return {parent.to_user_string() for parent in seen}


@pytest.mark.row("C7")
def test_the_graph_begins_and_ends_where_it_should() -> None:
    assert {key.to_user_string() for key in KEYS if not GRAPH.get(key).parent_keys} == ROOTS
    assert {key.to_user_string() for key in KEYS if not GRAPH.get(key).child_keys} == LEAVES


@pytest.mark.row("C7")
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_table_reaches_the_warehouse(source: str) -> None:
    """A break in the graph is a table that is rebuilt before what it reads."""
    landed = [key.to_user_string() for key in KEYS if key.path[0] == "landing"]
    assert [table for table in landed if source in upstream(table)]


@pytest.mark.row("C7")
@pytest.mark.parametrize("table", ["transactions", "merchants", "customers", "payment_methods", "exchange_rates"])
def test_what_a_payment_is_made_of_reaches_every_aggregate(table: str) -> None:
    aggregates = [key.to_user_string() for key in KEYS if key.path[0] == "aggregates"]
    assert aggregates
    assert [name for name in aggregates if f"oltp/{table}" not in upstream(name)] == []


@pytest.mark.row("C7")
@pytest.mark.parametrize("table", ["transactions", "merchants", "customers", "payment_methods"])
def test_a_table_can_be_followed_through_every_zone(table: str) -> None:
    seen = upstream("marts/fact_transaction")
    walked = ("oltp", "raw", "clean", "curated", "landing")
    assert {f"{zone}/{table}" for zone in walked} | {f"staging/stg_{table}"} <= seen


@pytest.mark.row("C7")
def test_data_walks_one_way() -> None:
    """A zone that reads a later one can never be rebuilt from the one before."""
    pairs = [(parent.path[0], key.path[0]) for key in KEYS for parent in GRAPH.get(key).parent_keys]
    backwards = {
        (parent, child)
        for parent, child in pairs
        if {parent, child} <= set(ORDER) and ORDER.index(parent) > ORDER.index(child)
    }
    assert backwards == set()


def test_nothing_reads_what_was_refused() -> None:
    """Rows in quarantine are wrong until a person says otherwise."""
    assert [key for key in KEYS if any(parent.path[0] == "quarantine" for parent in GRAPH.get(key).parent_keys)] == []


def test_landing_reads_curated_alone() -> None:
    """What may live seven years is decided in curated: a shorter way would carry more into the warehouse."""
    parents = {parent.path[0] for key in KEYS if key.path[0] == "landing" for parent in GRAPH.get(key).parent_keys}
    assert parents == {"curated"}
