"""The day's payments in the stream beside the day's extraction: what differs is named, and fails the day.

Belongs here: the asset and its checks on a lake in memory. Does not: comparing frames as such (unit/test_comparison).
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from assets_tests.assets.conftest import NOW, checks_of, materialize
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.operations import STREAM_RECONCILIATION
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.sample import sample
from payments_platform.contracts.streams import EVENT_SCHEMA, RAW_TRANSACTIONS_STREAM
from payments_platform.defs._platform.specs import key_of
from payments_platform.defs.operations.stream_reconciliation import stream_reconciliation, stream_reconciliation_checks
from payments_platform.defs.raw.tables import raw_tables
from payments_platform.defs.raw.transactions_stream import transactions_stream
from payments_platform.lake import segments
from payments_platform.lake.partitions import Lake
from payments_platform.streaming.sinks.lake_files import written
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
CHECK = "operations/stream_reconciliation:reconciliation"
TRUTH = sample(RAW_TRANSACTIONS, 3)


def events(rows: pl.DataFrame, enrichment: int = 1) -> pl.DataFrame:
    """The rows as the processor emits them, with what else an event has from the sample."""
    more = sample(RAW_TRANSACTIONS_STREAM, rows.height).drop(set(rows.columns) & set(EVENT_SCHEMA))
    both = pl.concat([rows.select(set(rows.columns) & set(EVENT_SCHEMA)), more], how="horizontal")
    return both.with_columns(enrichment=pl.lit(enrichment, dtype=pl.Int8)).select(RAW_TRANSACTIONS_STREAM.names)


def streamed(lake: Lake, *parts: pl.DataFrame, at: datetime = NOON) -> None:
    """Commit segments that join, as the sink does."""
    start = 0
    for part in parts:
        offsets = pl.int_range(start, start + part.height, dtype=pl.Int64)
        rows = part.with_columns(topic_offset=offsets, appended_at=pl.lit(at, dtype=pl.Datetime("ms", "UTC")))
        span = (start, start + part.height)
        segments.commit(lake.storage, written(lake.storage, (ANALYTICS_TRANSACTIONS, 0), span, rows, at))
        start = span[1]


def run(lake: Lake, truth: pl.DataFrame = TRUTH) -> dg.ExecuteInProcessResult:
    """The sample day, extracted and passed, and then compared."""
    lake.write(SAMPLE_DAY, {RAW_TRANSACTIONS: truth}, code_version="test", now=NOW)
    lake.set_verdict(RAW_TRANSACTIONS, SAMPLE_DAY, "passed")
    assets = [*raw_tables, transactions_stream, stream_reconciliation, stream_reconciliation_checks]
    key = key_of(STREAM_RECONCILIATION)
    chosen = dg.AssetSelection.assets(key) | dg.AssetSelection.checks_for_assets(key)
    return materialize(assets, lake, selection=chosen)  # type: ignore[arg-type]


@pytest.mark.row("C6", "C5", "B3")
def test_a_day_that_both_ways_tell_alike_passes(lake: Lake) -> None:
    """Partial and full are one version, and a version that Kafka got on a later day is of its own day."""
    streamed(lake, events(TRUTH, enrichment=0), events(TRUTH), at=NOON + timedelta(days=3))
    result = run(lake)
    assert result.success
    assert checks_of(result)[CHECK].passed
    manifest = lake.manifest(STREAM_RECONCILIATION, SAMPLE_DAY)
    assert manifest
    assert manifest.rows == 0
    assert manifest.counts["extracted"] == manifest.counts["streamed"] == 3
    assert manifest.counts["extracted_minor:EUR"] == manifest.counts["streamed_minor:EUR"] == 3750


@pytest.mark.row("C6", "C5")
def test_what_differs_is_named_by_its_id_and_fails_the_day(lake: Lake) -> None:
    rows = events(TRUTH)
    changed = rows.with_columns(
        amount_minor=pl.when(pl.col("transaction_id") == "txn_sample_1").then(1).otherwise("amount_minor"),
        transaction_id=pl.col("transaction_id").str.replace("txn_sample_2", "txn_never"),
    )
    streamed(lake, changed)
    result = run(lake)
    assert not result.success
    said = str(checks_of(result)[CHECK].description)
    assert "1 changed: txn_sample_1 v1" in said
    assert "1 missing: txn_sample_2 v1" in said
    assert "1 phantom: txn_never v1" in said
    kept = lake.scan(STREAM_RECONCILIATION, SAMPLE_DAY, allow_pending=True).collect()
    assert kept.sort("kind").select("kind", "transaction_id", "what").rows() == [
        ("changed", "txn_sample_1", "amount_minor"),
        ("missing", "txn_sample_2", ""),
        ("phantom", "txn_never", ""),
    ]


@pytest.mark.row("C6")
def test_a_delete_is_found_whenever_the_stream_says_that_it_was(lake: Lake) -> None:
    """A load states the time of a delete at the source; the stream knows the time of its commit, days later."""
    truth = TRUTH.with_columns(op=pl.when(pl.col("transaction_id") == "txn_sample_1").then(pl.lit("d")).otherwise("op"))
    is_delete = pl.col("op") == "d"
    later = pl.when(is_delete).then(pl.col("updated_at") + timedelta(days=3)).otherwise("updated_at")
    streamed(lake, events(truth.with_columns(updated_at=later)))
    assert run(lake, truth).success


@pytest.mark.row("C6")
def test_a_day_without_a_stream_is_missing_and_not_equal(lake: Lake) -> None:
    """Nothing compared with nothing agrees: a sink that never ran must not look like a good day."""
    result = run(lake)
    assert not result.success
    assert "3 missing" in str(checks_of(result)[CHECK].description)
