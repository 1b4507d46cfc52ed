"""From PostgreSQL to the star schema: what the source says, asked in its own SQL, is what each store holds.

Belongs here: the whole path on real servers, with defects planted. Does not: single rooms (unit/, contracts/), errors
(test_pipeline_errors.py), kills (faults/).
"""

import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from assets_tests.conftest import Stack
from assets_tests.integration.pipeline import Platform, days, fresh_source, identities, source_rows
from payments_platform.contracts.catalogue import of_zone
from payments_platform.vocabulary import DBT_ZONES

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    # dagster-dbt asks its context for the op in the old way. Exit: dagster-dbt 0.30.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated:DeprecationWarning"),
]
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 3)
TABLES = {
    "transactions": "transaction_id",
    "merchants": "merchant_id",
    "customers": "customer_id",
    "payment_methods": "payment_method_id",
}
# The card numbers that the simulator plants; card schemes publish them for tests.
PANS = (b"4111 1111 1111 1111", b"4111111111111111", b"5555555555554444")


@pytest.fixture(scope="module")
def platform(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Three small days, one row in twenty broken, built by the commands that a person types."""
    fresh_source(stack)
    made = Platform(stack, tmp_path_factory.mktemp("platform"))
    result = made.command(
        *("simulate", "--days", "3", "--per-day", "400", "--until", str(LAST), "--seed", "5", "--defects", "0.04")
    )
    assert result.exit_code == 0, result.output
    made.built(FIRST, LAST)
    return made


@pytest.fixture(scope="module")
def truth(platform: Platform) -> pl.DataFrame:
    """What the simulator broke, row by row."""
    (path,) = (platform.stack.home / "simulator").glob(f"defects-5-{FIRST}-{LAST}.parquet")
    return pl.read_parquet(path).with_columns(day=pl.col("updated_at").dt.date())


@pytest.mark.row("B1")
def test_each_day_of_raw_is_the_day_of_the_source(platform: Platform) -> None:
    """A row or a cent that raw lacks is missing from everything after it."""
    for table in TABLES:
        for day in days(FIRST, LAST):
            count = source_rows(
                platform.stack,
                f"SELECT count(*) FROM oltp.{table}_history WHERE updated_at >= %s::date AND updated_at < %s::date + 1",
                (day, day),
            )
            assert platform.rows(f"raw/{table}", day).height == count[0][0]
    for day in days(FIRST, LAST):
        sums = source_rows(
            platform.stack,
            "SELECT currency, sum(amount_minor)::bigint FROM oltp.transactions_history"
            " WHERE updated_at >= %s::date AND updated_at < %s::date + 1 GROUP BY 1",
            (day, day),
        )
        found = platform.rows("raw/transactions", day).group_by("currency").agg(pl.col("amount_minor").sum())
        assert dict(found.iter_rows()) == dict(sums)


@pytest.mark.row("B3")
def test_exactly_the_planted_rows_are_quarantined_each_under_its_rule(platform: Platform, truth: pl.DataFrame) -> None:
    """One bad row let through is a wrong report; one good row kept back is a payment that nobody sees."""
    broken = truth.filter(pl.col("rule").str.starts_with("R-"))
    assert broken["rule"].n_unique() > 15
    for table, key in TABLES.items():
        rows = [
            platform.rows(f"quarantine/{table}", day).select(pl.lit(day).alias("day"), key, "version", "reasons")
            for day in days(FIRST, LAST)
        ]
        found = sorted(pl.concat(rows).cast({"version": pl.Int32}).iter_rows())
        planted = broken.filter(table=table).select("day", "key", "version", "rule")
        assert found == sorted(planted.iter_rows())


@pytest.mark.row("B2")
def test_no_row_is_lost_between_raw_and_clean(platform: Platform) -> None:
    for clean in of_zone("clean"):
        for manifest in platform.lake.manifests(clean):
            raw = platform.rows(f"raw/{clean.table}", manifest.day).height
            kept = sum(output.rows for output in manifest.outputs.values())
            assert raw == kept + manifest.counts.get("superseded", 0)


LATEST = """
SELECT transaction_id, version, status, currency, amount_minor, captured_minor, refunded_minor, merchant_id,
       customer_token, op = 'd', created_at, updated_at
  FROM (SELECT *, row_number() OVER (PARTITION BY transaction_id ORDER BY version DESC) AS place
          FROM oltp.transactions_history h
         WHERE updated_at >= %s::date AND updated_at < %s::date + 1
           AND (transaction_id, version) NOT IN (SELECT * FROM unnest(%s::text[], %s::int[]))) versions
 WHERE place = 1
"""


def latest(platform: Platform, truth: pl.DataFrame, first: date, last: date) -> list[tuple[object, ...]]:
    """The last good version of each payment, by the source's own SQL and the list of planted defects alone."""
    bad = truth.filter(pl.col("rule").str.starts_with("R-") & (pl.col("table") == "transactions"))
    parameters = (first, last, bad["key"].to_list(), bad["version"].to_list())
    return sorted(source_rows(platform.stack, LATEST, parameters))


def facts(platform: Platform) -> list[tuple[object, ...]]:
    return sorted(
        platform.warehouse.query(
            "select transaction_id, version, status, currency, amount_minor, captured_minor, refunded_minor,"
            " merchant_id, customer_token, is_deleted, created_at, updated_at from marts.fact_transaction"
        ).iter_rows()
    )


@pytest.mark.row("B5")
def test_the_fact_table_has_each_good_payment_once_in_its_last_state(platform: Platform, truth: pl.DataFrame) -> None:
    """A payment twice is its money twice; an old state is a refund that never happened."""
    expected = latest(platform, truth, FIRST, LAST)
    assert len(expected) > 400
    assert facts(platform) == expected


@pytest.mark.row("B5")
def test_the_daily_sums_are_those_of_the_facts_at_the_rate_of_the_day_before(platform: Platform) -> None:
    """Dollars computed here a second time, with Python's decimals, from the source's own rates."""
    from decimal import ROUND_HALF_EVEN, Decimal

    rates = {
        (currency, str(day)): Decimal(rate)
        for currency, day, rate in source_rows(
            platform.stack, "SELECT currency, rate_date + 1, usd_rate::text FROM oltp.exchange_rates"
        )
    }
    exponents = dict(source_rows(platform.stack, "SELECT currency, exponent FROM oltp.currencies"))
    expected: dict[tuple[str, str], list[int]] = {}
    for _, _, _, currency, amount, captured, refunded, merchant, _, deleted, created, _ in facts(platform):
        if deleted:
            continue
        factor = rates[currency, f"{created:%Y-%m-%d}"] * 100 / 10 ** exponents[currency]
        usd = [
            int((Decimal(minor) * factor).quantize(Decimal(1), ROUND_HALF_EVEN))  # type: ignore[arg-type]
            for minor in (amount, captured, refunded)
        ]
        sums = expected.setdefault((merchant, f"{created:%Y-%m-%d}"), [0, 0, 0, 0])  # type: ignore[arg-type]
        sums[:] = [sums[0] + 1, *(old + new for old, new in zip(sums[1:], usd, strict=True))]
    found = platform.warehouse.query(
        "select merchant_id, created_date::varchar, transaction_count, gross_usd_minor, captured_usd_minor,"
        " refunded_usd_minor from aggregates.merchant_daily where transaction_count > 0"
    )
    assert {(row[0], row[1]): list(row[2:]) for row in found.iter_rows()} == expected


def bytes_and_values(platform: Platform) -> Iterator[tuple[str, bytes]]:
    """Every file of the lake as it lies there, and every value of lake and warehouse as text."""
    for path in sorted((platform.folder / "lake").rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()
            if path.suffix == ".parquet":
                yield path.name, pl.read_parquet(path).cast(pl.String, strict=False).write_csv().encode()
    for zone in ("landing", *DBT_ZONES):
        for table in of_zone(zone):
            yield table.name, platform.warehouse.read(table).cast(pl.String, strict=False).write_csv().encode()
    yield "warehouse.duckdb", (platform.folder / "warehouse.duckdb").read_bytes()


@pytest.mark.row("G1")
def test_no_card_number_and_no_identity_leaves_the_source(platform: Platform, truth: pl.DataFrame) -> None:
    """Both would have to be erased from every store, backup and export after."""
    people = sorted(identities(platform.stack))
    assert people
    assert truth.filter(rule="W-text-pan").height > 0
    planted = source_rows(
        platform.stack, "SELECT count(*) FROM oltp.transactions WHERE concat(description, metadata::text) ~ '4111|5555'"
    )
    assert planted[0][0] > 0
    for place, content in bytes_and_values(platform):
        assert not [pan for pan in PANS if pan in content], f"a card number in {place}"
        assert found_in(content, people) == [], f"an identity in {place}"


def found_in(content: bytes, texts: list[str]) -> list[str]:
    """Which of thousands of texts a file holds, in one pass; both read byte by byte."""
    as_bytes = [text.encode().decode("latin-1") for text in texts]
    found = pl.Series([content.decode("latin-1")]).str.extract_many(as_bytes).explode()
    return found.drop_nulls().unique().to_list()


@pytest.mark.row("G2")
def test_one_token_stands_for_one_customer_in_every_store(platform: Platform) -> None:
    """Were it minted anew anywhere, a person's rows could neither be joined nor found for erasure."""
    minted = {row[0] for row in source_rows(platform.stack, "SELECT customer_token FROM oltp.customers_history")}
    for query in (
        "select customer_token from landing.transactions",
        "select customer_token from marts.fact_transaction",
        "select customer_token from marts.dim_customer where customer_token is not null",
    ):
        tokens = set(platform.warehouse.query(query).to_series())
        assert tokens
        assert tokens <= minted
    unnamed = platform.warehouse.query(
        "select count(*) from marts.fact_transaction f join marts.dim_customer d using (customer_key)"
        " where d.customer_token is distinct from f.customer_token or d.is_inferred"
    )
    assert unnamed.item() == 0


MIDDLE = date(2026, 3, 2)


@pytest.mark.slow
@pytest.mark.row("B6")
def test_days_built_last_first_and_one_of_them_twice_end_as_if_built_once_in_order(
    platform: Platform, tmp_path: Path
) -> None:
    """A backfill of an old day must not depend on what was built when."""
    other = Platform(platform.stack, tmp_path)
    other.built(LAST, LAST, "--no-models")
    other.built(MIDDLE, MIDDLE, "--no-models")
    other.built(FIRST, MIDDLE)
    assert other.lake_digests() == platform.lake_digests()
    assert other.warehouse_digests() == platform.warehouse_digests()


@pytest.mark.slow
@pytest.mark.row("B6")
@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_any_range_and_any_repetition_end_the_same(platform: Platform, tmp_path: Path, seed: int) -> None:
    """Models are built in between too, so that each increment meets days older than what it has seen."""
    chance = random.Random(seed)
    other = Platform(platform.stack, tmp_path)
    wanted = days(FIRST, LAST)
    ranges = [(first, last) for first in wanted for last in wanted if first <= last]
    picked = [*chance.sample(ranges, 3), *chance.sample([(day, day) for day in wanted], 3)]
    for first, last in picked:
        size = str(chance.randint(1, 3))
        other.built(first, last, *chance.choice([(), ("--no-models",)]), PAYMENTS_DAYS_PER_RUN=size)
    other.built(chance.choice(wanted), LAST)
    assert other.lake_digests() == platform.lake_digests()
    assert other.warehouse_digests() == platform.warehouse_digests()
