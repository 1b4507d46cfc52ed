"""A person's own file, and files that come late: what was built keeps its rows, what is new is taken, tampering shows.

Belongs here: `payments load`, then `backfill`, then `query`. Does not: the verdict on single rows of a file.
"""

import json
from datetime import date
from pathlib import Path

import pytest

from assets_tests.conftest import Stack
from assets_tests.integration.pipeline import Platform, administrator

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    # dagster-dbt asks its context for the op in the old way. Exit: dagster-dbt 0.30.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated:DeprecationWarning"),
]
DAY = date(2026, 2, 1)
HEADER = "transaction_id,created_at,customer_id,merchant_id,currency,amount"
EARLY = ("t1,2026-02-01T10:00:00Z,c1,m1,EUR,12.50", "t2,2026-02-01T11:00:00Z,c1,m2,JPY,1250")
LATE = ("t3,2026-02-01T09:00:00Z,c2,m1,KWD,1.250",)


def load(platform: Platform, name: str, *lines: str) -> None:
    path = platform.folder / name
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    result = platform.command("load", str(path))
    assert result.exit_code == 0, result.output


def asked(platform: Platform, sql: str) -> object:
    """What a person gets who asks the warehouse."""
    result = platform.command("query", sql, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.slow
@pytest.mark.row("B6", "E2")
def test_a_late_file_is_added_and_rewritten_history_is_refused(empty_source: Stack, tmp_path: Path) -> None:
    """Late rows lost are lost money; a rewritten day taken in silence makes yesterday's report unrepeatable."""
    platform = Platform(empty_source, tmp_path)
    load(platform, "early.csv", *EARLY)
    platform.built(DAY, DAY, "--no-models")
    before = platform.rows("raw/transactions", DAY).sort("transaction_id")
    load(platform, "late.csv", *LATE)
    platform.built(DAY, DAY)
    after = platform.rows("raw/transactions", DAY).sort("transaction_id")
    assert after.head(2).equals(before)
    assert after["transaction_id"].to_list() == ["t1", "t2", "t3"]
    assert after["load_id"].n_unique() == 2
    sql = "SELECT transaction_id, amount_minor, merchant_id FROM marts.fact_transaction ORDER BY 1"
    expected = [("t1", 1250, "m1"), ("t2", 1250, "m2"), ("t3", 1250, "m1")]
    assert asked(platform, sql) == [
        {"transaction_id": key, "amount_minor": amount, "merchant_id": merchant} for key, amount, merchant in expected
    ]

    kept = platform.lake_digests(), platform.warehouse_digests()
    with administrator(empty_source) as connection:
        connection.execute("UPDATE oltp.transactions_history SET amount_minor = 999999 WHERE transaction_id = 't1'")
    refused = platform.backfill(DAY, DAY, "--no-models")
    assert refused.exit_code == 1
    assert "raw/transactions 2026-02-01: rows written by 'load-" in refused.output
    assert "The lake keeps what it had" in refused.output
    assert (platform.lake_digests(), platform.warehouse_digests()) == kept
    with administrator(empty_source) as connection:
        connection.execute("UPDATE oltp.transactions_history SET amount_minor = 1250 WHERE transaction_id = 't1'")
    platform.built(DAY, DAY, "--no-models")
    assert (platform.lake_digests(), platform.warehouse_digests()) == kept
