"""The report says of each day what became of its rows and which rule found what."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from assets_tests.fakes.storage import MemoryStorage
from payments_platform.batch.quality import quality_plot, quality_report
from payments_platform.contracts.operations import QUALITY_REPORT
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, QUARANTINE_TRANSACTIONS
from payments_platform.contracts.sample import sample
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.partitions import Lake

DAY = date(2025, 1, 1)


def manifests(days: int) -> list[Manifest]:
    lake = Lake(MemoryStorage())
    counts = {"superseded": 2, "rule:R-amount-sign": 1, "rule:R-currency-known": 1, "rule:R-op-known": 0}
    outputs = {
        CLEAN_TRANSACTIONS: sample(CLEAN_TRANSACTIONS, 7),
        QUARANTINE_TRANSACTIONS: sample(QUARANTINE_TRANSACTIONS, 1),
    }
    now = datetime(2025, 2, 1, tzinfo=UTC)
    return [
        lake.write(DAY + timedelta(days=at), outputs, counts=counts, code_version="1", now=now) for at in range(days)
    ]


@pytest.mark.row("B2")
def test_each_rule_has_its_count_and_the_table_its_fates() -> None:
    report = quality_report(manifests(2), DAY)
    assert report.schema == QUALITY_REPORT.schema
    found = report.filter(~pl.col("rule_id").str.starts_with("W-")).select(
        "rule_id", "row_count", "judged_count", "bad_ratio", "clean_count", "superseded_count"
    )
    assert found.rows() == [
        ("", 1, 10, 0.1, 7, 2),
        ("R-amount-sign", 1, 10, 0.1, None, None),
        ("R-currency-known", 1, 10, 0.1, None, None),
        ("R-op-known", 0, 10, 0.0, None, None),
    ]


def test_a_warning_about_the_day_says_what_it_compared_or_why_it_cannot() -> None:
    report = quality_report(manifests(2), DAY).filter(pl.col("rule_id").str.starts_with("W-"))
    assert report["rule_id"].to_list() == ["W-mix-as-usual", "W-nulls-as-usual", "W-rows-as-usual"]
    assert report.select("severity", "verdict", "row_count").unique().rows() == [("warn", "unknown", 0)]
    assert all(finding.startswith("no verdict: 0 passed days") for finding in report["findings"])


def test_a_day_without_manifest_has_an_empty_report() -> None:
    assert quality_report(manifests(1), DAY + timedelta(days=5)).equals(pl.DataFrame(schema=QUALITY_REPORT.schema))


def test_the_plot_is_a_picture_also_of_nothing() -> None:
    for days in (0, 1, 3):
        assert quality_plot(manifests(days)).startswith(b"\x89PNG")
