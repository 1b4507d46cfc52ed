"""The shape of the asset graph: where it begins and ends, and that money can be followed from source to table.

Belongs here: who depends on whom. Does not: what an asset is like (test_policy).
"""

import dagster as dg
import pytest

from payments_platform.contracts.catalogue import of_zone
from payments_platform.definitions import defs
from payments_platform.defs._platform.specs import USED_BY
from payments_platform.vocabulary import ZONES

GRAPH = defs.resolve_asset_graph()
KEYS = GRAPH.get_all_asset_keys()
SOURCES = sorted(key.to_user_string() for key in KEYS if key.path[0] == "oltp")

# Whatever else has no upstream reads nothing, or reads behind Dagster's back.
# What people decide about quarantined rows comes from nowhere else; runs and ticks come from Dagster's own records.
ROOTS = {*SOURCES, "quarantine/repairs", "quarantine/reveals", "marts/dim_date", "marts/dim_time"} | {
    "operations/run_records",
    "operations/tick_records",
}
# Whatever else has no downstream is work that nobody uses. What the warehouse serves is read by a named consumer.
LEAVES = {f"quarantine/{clean.table}" for clean in of_zone("clean")} | {
    "operations/weekly_figures",
    "operations/service_levels",
    "quarantine/reveals",
    # Read by applications and people, not by an asset.
    "documents/transaction_logs",
    "search/transactions",
    "operations/dead_letters",
}
SERVED = {"marts/customer_consent", "marts/fact_subscription", "marts/fact_fraud_detection"}
AGGREGATES = {key.to_user_string() for key in KEYS if key.path[0] == "aggregates"}
# A source table that reaches no mart, and why. Empty is how it should stay.
OUTSIDE_THE_STAR: dict[str, str] = {}
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
    assert {key.to_user_string() for key in KEYS if not GRAPH.get(key).child_keys} == LEAVES | SERVED


@pytest.mark.parametrize("table", sorted(SERVED | AGGREGATES))
def test_what_the_warehouse_serves_has_a_consumer_by_name(table: str) -> None:
    """A table at the end of the graph without a reader is built every night for nobody."""
    assert GRAPH.get(dg.AssetKey(table.split("/"))).metadata[USED_BY]


def test_every_consumer_reads_something() -> None:
    """A consumer that the graph does not show is asked by nobody when a table changes."""
    named = {label for key in KEYS for label in str(GRAPH.get(key).metadata.get(USED_BY, "")).split(", ")} - {""}
    assert named == {
        "BI dashboards",
        "Merchant analytics API",
        "Customer 360",
        "Feature store and fraud model",
        "Monthly finance and compliance report",
    }


@pytest.mark.row("C7")
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_table_reaches_the_star_schema(source: str) -> None:
    """Captured, judged, landed and then read by nobody: such a table costs every night and answers no question."""
    marts = [key.to_user_string() for key in KEYS if key.path[0] == "marts"]
    assert bool([table for table in marts if source in upstream(table)]) != (source in OUTSIDE_THE_STAR)


@pytest.mark.row("C7")
@pytest.mark.parametrize("table", ["transactions", "merchants", "customers", "payment_methods", "exchange_rates"])
def test_what_a_payment_is_made_of_reaches_every_aggregate(table: str) -> None:
    assert AGGREGATES
    assert [name for name in AGGREGATES if f"oltp/{table}" not in upstream(name)] == []


@pytest.mark.row("C7")
@pytest.mark.parametrize(
    "table, mart",
    [
        *((table, "fact_transaction") for table in ("transactions", "merchants", "customers", "payment_methods")),
        *((table, "fact_transaction") for table in ("devices", "disputes")),
        ("refunds", "fact_refund"),
        ("subscriptions", "fact_subscription"),
        ("consents", "customer_consent"),
    ],
)
def test_a_table_can_be_followed_through_every_zone(table: str, mart: str) -> None:
    seen = upstream(f"marts/{mart}")
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
    decisions = dg.AssetKey(["quarantine", "repairs"])
    parents = {parent for key in KEYS for parent in GRAPH.get(key).parent_keys if parent.path[0] == "quarantine"}
    assert parents == {decisions}
    assert {key.path[0] for key in KEYS if decisions in GRAPH.get(key).parent_keys} == {"clean", "quarantine"}


def test_landing_reads_curated_alone() -> None:
    """What may live seven years is decided in curated: a shorter way would carry more into the warehouse."""
    parents = {parent.path[0] for key in KEYS if key.path[0] == "landing" for parent in GRAPH.get(key).parent_keys}
    assert parents == {"curated"}
