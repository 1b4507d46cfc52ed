"""A million payments with planted defects: every one is found, under its rule, and no good row is kept back."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from assets_tests.conftest import Stack
from assets_tests.integration.pipeline import Platform

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]
DAY, ROWS = date(2026, 3, 1), 1_000_000
TABLES = {
    "transactions": "transaction_id",
    "merchants": "merchant_id",
    "customers": "customer_id",
    "payment_methods": "payment_method_id",
    "devices": "device_id",
    "refunds": "refund_id",
    "disputes": "dispute_id",
    "subscriptions": "subscription_id",
    "consents": "consent_id",
}


@pytest.mark.row("B3", "E3")
def test_of_a_million_payments_exactly_the_broken_ones_are_quarantined(empty_source: Stack, tmp_path: Path) -> None:
    """The share of defects that real sources have; a rule that is right on a hundred rows may still drop good ones."""
    platform = Platform(empty_source, tmp_path)
    arguments = ("--days", "1", "--per-day", str(ROWS), "--until", str(DAY), "--seed", "8", "--defects", "0.002")
    result = platform.command("simulate", *arguments)
    assert result.exit_code == 0, result.output
    platform.built(DAY, DAY, "--no-models")
    (path,) = (empty_source.home / "simulator").glob(f"defects-8-{DAY}-{DAY}.parquet")
    truth = pl.read_parquet(path).filter(pl.col("rule").str.starts_with("R-"))
    assert truth.height > ROWS * 0.001
    for table, key in TABLES.items():
        found = platform.rows(f"quarantine/{table}", DAY).select(key=key, version="version", rule="reasons")
        planted = truth.filter(table=table).select("key", "version", "rule")
        assert sorted(found.iter_rows()) == sorted(planted.iter_rows())
