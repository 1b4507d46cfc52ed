"""Days in ranges: good days go on, bad days are named, and neither order nor repetition changes a content.

Belongs here: the lake half of the graph over several days. Does not: one day (test_whole_day), servers (integration).
"""

from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets_tests.assets.conftest import Platform, checks_of, failures_of
from assets_tests.fakes.company import PAYMENTS_A_DAY, Company, days_from
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.defs.jobs import EVERYTHING, LAKE_TO_LANDING
from payments_platform.lake.paths import manifest_path

DAYS = days_from(SAMPLE_DAY, 3)
FIRST, MIDDLE, LAST = DAYS
CLEAN = dataset("clean/transactions")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Three good days, built in one run."""
    platform = Platform(tmp_path_factory.mktemp("undisturbed"))
    assert failures_of(platform.run(DAYS, Company(), LAKE_TO_LANDING)) == []
    return platform


@pytest.mark.row("C7")
def test_the_order_of_days_changes_no_content(undisturbed: Platform, platform: Platform) -> None:
    """A backfill runs days side by side; a content that depends on their order cannot be built again."""
    for day in (LAST, FIRST, MIDDLE):
        assert failures_of(platform.run([day], Company(), LAKE_TO_LANDING)) == []
    assert platform.digests(DAYS) == undisturbed.digests(DAYS)
    for landing in of_zone("landing"):
        digests = [
            it.box.warehouse.digest(landing.name.replace("/", "."), ["load_sequence"]) for it in (platform, undisturbed)
        ]
        assert digests[0] == digests[1]


@pytest.mark.row("C7", "B6", "Y3")
def test_a_range_built_again_is_the_same_and_touches_no_landed_row(undisturbed: Platform) -> None:
    """Else each repeated run would make the models compute all of its days again."""
    before, landed = undisturbed.digests(DAYS), undisturbed.box.warehouse.digest("landing.transactions")
    result = undisturbed.run(DAYS, Company(), LAKE_TO_LANDING)
    assert failures_of(result) == []
    assert undisturbed.digests(DAYS) == before
    assert undisturbed.box.warehouse.digest("landing.transactions") == landed


@pytest.mark.row("B2", "C7")
def test_one_bad_day_stops_itself_alone_and_is_named_at_the_end(undisturbed: Platform, platform: Platform) -> None:
    """One bad day in a backfill of a year must neither stop the year nor look like a success."""
    result = platform.run(DAYS, Company(bad=frozenset({MIDDLE})), LAKE_TO_LANDING)
    checks = checks_of(result)
    judged = checks["clean/transactions:rows_accounted_for"]
    assert (judged.passed, judged.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert platform.lake.days(CLEAN) == {FIRST: "passed", MIDDLE: "failed", LAST: "passed"}
    assert platform.landed() == {FIRST: PAYMENTS_A_DAY, LAST: PAYMENTS_A_DAY}
    assert platform.landed("merchants").keys() == set(DAYS)
    spoken = checks["operations/quality_report:days_passed"]
    assert (spoken.passed, spoken.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert MIDDLE.isoformat() in str(spoken.description)
    assert not {FIRST.isoformat(), LAST.isoformat()} & set(str(spoken.description).replace(":", "").split())
    assert not result.success

    # The source itself was mended: what the refusal to extract it again tells a person to do.
    platform.lake.storage.remove(manifest_path(dataset("raw/transactions"), MIDDLE))
    mended = platform.run([MIDDLE], Company(), LAKE_TO_LANDING)
    assert failures_of(mended) == []
    assert platform.digests(DAYS) == undisturbed.digests(DAYS)


@pytest.mark.row("B2")
def test_days_that_are_all_bad_land_nothing(platform: Platform) -> None:
    """With nothing good to go on with, the gate is an error and what reads the table does not start."""
    result = platform.run(DAYS, Company(bad=frozenset(DAYS)), LAKE_TO_LANDING)
    judged = checks_of(result)["clean/transactions:rows_accounted_for"]
    assert (judged.passed, judged.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert not result.success
    assert platform.lake.days(dataset("curated/transactions")) == {}
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    assert "landing/transactions" not in made


@pytest.mark.parametrize("days", [[MIDDLE], DAYS], ids=["alone", "in a range"])
def test_a_day_without_rows_is_a_day(days: list[date], tmp_path: Path) -> None:
    """Committed and passed: a missing partition would be waited for until somebody is woken."""
    platform = Platform(tmp_path)
    assert failures_of(platform.run(days, Company(empty=frozenset({MIDDLE})), LAKE_TO_LANDING)) == []
    manifest = platform.lake.manifest(dataset("curated/transactions"), MIDDLE)
    assert manifest is not None
    assert (manifest.verdict, manifest.rows) == ("passed", 0)
    assert platform.landed()[MIDDLE] == 0


def test_each_day_of_a_range_shows_its_own_rows(tmp_path: Path) -> None:
    """Dagster gives every day the range's total unless told otherwise; a trend drawn from that is flat and wrong."""
    platform = Platform(tmp_path)
    only_raw = dg.AssetSelection.assets("raw/transactions")
    result = platform.run(DAYS, Company(empty=frozenset({MIDDLE})), only_raw)
    events = result.asset_materializations_for_node("raw_transactions")
    rows = {event.partition: event.metadata["dagster/partition_row_count"].value for event in events}
    assert rows == {str(FIRST): PAYMENTS_A_DAY, str(MIDDLE): 0, str(LAST): PAYMENTS_A_DAY}


@pytest.mark.row("B1", "E3")
def test_a_day_whose_history_was_rewritten_stops_itself_alone(platform: Platform) -> None:
    """The lake keeps what it had; the other days of the range are built, and the run names the one that is not."""
    assert failures_of(platform.run(DAYS, Company(), LAKE_TO_LANDING)) == []
    before = platform.digests(DAYS)
    result = platform.run(DAYS, Company(bad=frozenset({MIDDLE})), LAKE_TO_LANDING)
    assert not result.success
    assert platform.lake.days(dataset("raw/transactions")) == {FIRST: "passed", MIDDLE: "failed", LAST: "passed"}
    spoken = checks_of(result)["operations/quality_report:days_passed"]
    assert MIDDLE.isoformat() in str(spoken.description)
    assert FIRST.isoformat() not in str(spoken.description)
    assert platform.digests(DAYS) == before


@pytest.mark.row("B2", "E3")
def test_a_damaged_day_is_left_out_of_a_range_and_failed(platform: Platform) -> None:
    """One truncated file must not keep the other days from being built, nor be read around in silence."""
    assert failures_of(platform.run(DAYS, Company(), LAKE_TO_LANDING)) == []
    raw = dataset("raw/transactions")
    manifest = platform.lake.manifest(raw, MIDDLE)
    assert manifest is not None
    file = Path(platform.lake.storage.location(manifest.main.files[0].path))
    file.write_bytes(file.read_bytes()[:-100])
    clean = dg.AssetSelection.assets("clean/transactions", "quarantine/transactions")
    platform.run(DAYS, Company(), clean)
    assert platform.lake.days(raw)[MIDDLE] == "failed"
    assert platform.lake.days(CLEAN) == dict.fromkeys(DAYS, "passed")


@pytest.mark.row("R1")
def test_days_that_were_missed_are_made_by_one_run_of_the_daily_job(platform: Platform) -> None:
    """What the daily job's sensor asks for after an outage: source to star schema, every day of it."""
    assert failures_of(platform.run(DAYS, Company(), EVERYTHING)) == []
    facts = platform.box.warehouse.query("select count(distinct created_date) as days from marts.fact_transaction")
    assert facts["days"].item() == len(DAYS)
    passed = platform.box.warehouse.load_times().filter(pl.col("is_passed"), dataset="marts/fact_transaction")
    assert sorted(passed["partition_date"]) == DAYS
