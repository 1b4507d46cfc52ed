"""A whole day in one run, from the source's samples to the aggregates, with every gate on the way.

Belongs here: what only the whole graph shows. Does not: one asset alone, ranges of days (test_ranges).
"""

import pytest

from assets_tests.assets.conftest import Platform, checks_of, failures_of
from assets_tests.fakes.source import FakeSource
from payments_platform.contracts.catalogue import WATCHED, of_zone
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.operations import DATA_LOAD_TIMES, PHASE_TIMES
from payments_platform.definitions import defs
from payments_platform.defs.jobs import EVERYTHING
from payments_platform.operations.evidence import facts

GRAPH = defs.resolve_asset_graph()


def _rows(platform: Platform, zone: str) -> int:
    """Rows that the lake holds of the day in a zone, of datasets that are made by the day."""
    found = ((it, platform.lake.manifest(it, SAMPLE_DAY)) for it in of_zone(zone) if it.is_daily)
    return sum(manifest.outputs[it.name].rows for it, manifest in found if manifest)


@pytest.mark.row("C4", "C7", "B4", "B7", "X4", "X5")
def test_a_day_goes_from_the_source_to_the_aggregates_in_one_run(platform: Platform) -> None:
    """Every asset, every gate: what a laptop shows before any server exists; each is then known to be there."""
    result = platform.run([SAMPLE_DAY], FakeSource({}))
    checks = checks_of(result)
    assert {name for name, check in checks.items() if not check.passed} == set()
    assert failures_of(result) == []
    made = {event.asset_key for event in result.get_asset_materialization_events()}
    assert made == EVERYTHING.resolve(GRAPH)
    assert {f"{key.to_user_string()}:contract" for key in made if key} <= set(checks)
    count = platform.box.warehouse.query("select sum(transaction_count) as n from aggregates.merchant_daily")
    assert count["n"].item() == platform.landed()[SAMPLE_DAY]
    phases = dict(platform.lake.scan(PHASE_TIMES, SAMPLE_DAY).select("phase", "row_count").collect().iter_rows())
    written = {zone: _rows(platform, zone) for zone in ("raw", "clean", "quarantine", "curated")}
    assert (phases["extract"], phases["transform"]) == (written["raw"], written["curated"])
    assert phases["validate"] == written["clean"] + written["quarantine"]
    assert (phases["load"], phases["aggregates"]) == (written["curated"], None)
    watched = facts(WATCHED, {}, platform.lake, platform.box.warehouse.load_times(), [SAMPLE_DAY])
    built = {"/".join(key.path) for key in made if key}
    assert [it.dataset for it in watched if not it.landed and it.dataset in built] == []
    told = platform.lake.scan(DATA_LOAD_TIMES, SAMPLE_DAY).collect()
    assert set(told["dataset_name"]) == {it.dataset for it in watched} - {DATA_LOAD_TIMES.name}
    landed = set(told.drop_nulls("landed_at")["dataset_name"])
    assert landed >= {it.dataset for it in watched if it.dataset in built} - {DATA_LOAD_TIMES.name}
    kept = platform.box.warehouse.query("select distinct dataset from operations.data_load_times")["dataset"]
    assert set(kept) == landed
    columns = ", ".join(DATA_LOAD_TIMES.names)
    delays = platform.box.warehouse.query(f"select {columns} from operations.load_delays order by dataset_name")
    assert delays.equals(told.sort("dataset_name"))
