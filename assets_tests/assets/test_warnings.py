"""Warnings in the asset graph: they are seen beside the table, and nothing stops for them.

Belongs here: checks of severity WARN, from rows of one day to the report. Does not: when a warning fires
(unit/test_as_usual, unit/test_validate).
"""

import dagster as dg
import polars as pl
import pytest

from assets_tests.assets.conftest import DAY, checks_of, materialize
from assets_tests.fakes.source import FakeSource
from payments_platform.contracts.catalogue import of_zone
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.operations import QUALITY_REPORT
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, RAW_TRANSACTIONS
from payments_platform.contracts.sample import sample
from payments_platform.definitions import defs
from payments_platform.defs.clean.tables import clean_checks, clean_tables
from payments_platform.defs.operations.quality_report import report
from payments_platform.defs.raw.tables import raw_checks, raw_tables
from payments_platform.lake.partitions import Lake

GRAPH = defs.resolve_asset_graph()


@pytest.mark.row("B3", "C5")
def test_an_unknown_reference_is_a_warning_and_the_row_goes_on(lake: Lake) -> None:
    rows = sample(RAW_TRANSACTIONS, 3).with_columns(is_merchant_known=pl.Series([False, True, True]))
    assets = [*raw_tables, *raw_checks, *clean_tables, *clean_checks, report]
    result = materialize(assets, lake, source=FakeSource({RAW_TRANSACTIONS.name: rows}))
    assert result.success
    check = checks_of(result)["clean/transactions:references_known"]
    assert (check.passed, check.severity, check.description) == (
        False,
        dg.AssetCheckSeverity.WARN,
        f"{DAY}: R-merchant-reference: 1 rows",
    )
    assert checks_of(result)["clean/transactions:as_usual"].passed
    manifest = lake.manifest(CLEAN_TRANSACTIONS, SAMPLE_DAY)
    assert manifest is not None
    assert (manifest.verdict, manifest.rows) == ("passed", 3)
    told = lake.scan(QUALITY_REPORT, SAMPLE_DAY, allow_pending=True).collect()
    found = told.filter(pl.col("rule_id") == "R-merchant-reference").select("table_name", "severity", "row_count")
    assert ("transactions", "warn", 1) in found.rows()


@pytest.mark.row("C5")
def test_no_warning_blocks() -> None:
    """One that did would stop a good day for being a busy one."""
    names = {"references_known", "as_usual"}
    keys = [key for clean in of_zone("clean") for key in GRAPH.get(dg.AssetKey(list(clean.key))).check_keys]
    found = [key for key in keys if key.name in names]
    assert found
    assert not any(GRAPH.get(key).blocking for key in found)
