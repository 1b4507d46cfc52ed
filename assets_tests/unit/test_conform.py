"""Conforming: exact dollars, the right rate, nothing left that points at a person."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments_platform.batch.conform import (
    conform,
    ip_network,
    missing_usd,
    needs_rates,
)
from payments_platform.batch.rates import rates_in_force
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.dataset import Dataset, Pii
from payments_platform.contracts.merchants import CLEAN_MERCHANTS, CURATED_MERCHANTS
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, CURATED_TRANSACTIONS
from payments_platform.contracts.reference import CLEAN_EXCHANGE_RATES
from payments_platform.contracts.sample import sample
from payments_platform.money import EXPONENT, to_usd_minor

DAY = date(2025, 1, 10)
NOON = datetime(2025, 1, 10, 12, tzinfo=UTC)


def rates(*rows: tuple[str, date, Decimal]) -> pl.LazyFrame:
    cells = [(currency, day, rate, None) for currency, day, rate in rows]
    return pl.LazyFrame(cells, schema=CLEAN_EXCHANGE_RATES.schema, orient="row")


def payments(*rows: tuple[str, int, datetime]) -> pl.LazyFrame:
    frame = sample(CLEAN_TRANSACTIONS, len(rows))
    return frame.with_columns(
        currency=pl.Series([row[0] for row in rows]),
        amount_minor=pl.Series([row[1] for row in rows], dtype=pl.Int64),
        created_at=pl.Series([row[2] for row in rows], dtype=CLEAN_TRANSACTIONS.schema["created_at"]),
    ).lazy()


@pytest.mark.row("B5")
@settings(max_examples=100)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["EUR", "JPY", "KWD", "CLF", "USD"]),
            st.integers(-(2**63), 2**63 - 1) | st.integers(-1000, 1000),
            st.decimals("0.000000001", "999999999", places=9) | st.sampled_from([Decimal("0.5"), Decimal("0.05")]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_dollars_equal_the_scalar_reference_or_are_null_beyond_64_bits(rows: list[tuple[str, int, Decimal]]) -> None:
    """A wrapped or float-rounded amount would be wrong money in every report."""
    for currency, amount, rate in rows:
        series = rates((currency, DAY - timedelta(days=1), rate))
        found = conform(payments((currency, amount, NOON)), CURATED_TRANSACTIONS, DAY, series).collect()
        expected = to_usd_minor(amount, currency, rate)
        fits = -(2**63) <= expected < 2**63
        assert found["amount_usd_minor"].to_list() == [expected if fits else None]
        assert found["usd_rate"].to_list() == [rate]


@pytest.mark.parametrize("amount, cents", [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2), (-5, -2)])
def test_halves_go_to_the_even_cent(amount: int, cents: int) -> None:
    series = rates(("EUR", DAY - timedelta(days=1), Decimal("0.5")))
    found = conform(payments(("EUR", amount, NOON)), CURATED_TRANSACTIONS, DAY, series).collect()
    assert found["amount_usd_minor"].to_list() == [cents]


def test_the_rate_is_the_last_one_before_the_payments_own_day() -> None:
    series = rates(
        ("EUR", date(2025, 1, 3), Decimal("1.1")),
        ("EUR", date(2025, 1, 7), Decimal("1.2")),
        ("EUR", DAY, Decimal("9.9")),
        ("JPY", date(2025, 1, 9), Decimal("0.0064")),
    )
    midnight = datetime(2025, 1, 10, tzinfo=UTC)
    rows = payments(
        ("EUR", 100, NOON),
        ("EUR", 100, midnight),
        ("EUR", 100, midnight - timedelta(days=3)),
        ("EUR", 100, midnight - timedelta(days=2)),
        ("EUR", 100, midnight - timedelta(days=7)),
        ("JPY", 1000, NOON),
        ("GBP", 100, NOON),
    )
    found = conform(rows, CURATED_TRANSACTIONS, DAY, series).collect().sort("transaction_id")
    assert found["usd_rate"].to_list() == [
        Decimal("1.2"),
        Decimal("1.2"),
        Decimal("1.1"),
        Decimal("1.2"),
        None,
        Decimal("0.0064"),
        None,
    ]
    assert found["usd_rate_date"].to_list()[0] == date(2025, 1, 7)
    assert found["amount_usd_minor"].to_list() == [120, 120, 110, 120, None, 640, None]
    assert missing_usd(found.lazy()).collect().row(0, named=True) == {"without_usd_rate": 2, "usd_out_of_range": 0}


@pytest.mark.row("E3")
def test_without_any_rate_all_rows_stay_without_dollars() -> None:
    found = conform(payments(("EUR", 100, NOON)), CURATED_TRANSACTIONS, DAY, rates()).collect()
    assert found.schema == CURATED_TRANSACTIONS.schema
    assert found["amount_usd_minor"].to_list() == [None]
    assert rates_in_force(rates(), DAY).is_empty()


def test_a_dollar_result_beyond_64_bits_is_counted_not_wrapped() -> None:
    series = rates(("KWD", DAY - timedelta(days=1), Decimal(900_000_000)))
    counted = missing_usd(conform(payments(("KWD", 2**62, NOON)), CURATED_TRANSACTIONS, DAY, series)).collect()
    assert counted.row(0, named=True) == {"without_usd_rate": 0, "usd_out_of_range": 1}


def test_every_currency_has_a_divisor() -> None:
    series = rates(*((code, date(2025, 1, 9), Decimal(1)) for code in EXPONENT))
    assert set(rates_in_force(series, DAY).filter(pl.col("created_date") == DAY)["currency"]) == set(EXPONENT)


@pytest.mark.row("O6")
@pytest.mark.parametrize(
    "address, network",
    [
        ("203.0.113.7", "203.0.0.0/16"),
        ("2001:DB8:aa:1::5", "2001:db8:aa::/48"),
        ("2001:db8::5", "2001:db8::/48"),
        ("2001:db8:aa::", "2001:db8:aa::/48"),
        ("fe80::1", "fe80::/48"),
        ("::1", "::/48"),
        ("::ffff:203.0.113.7", "::/48"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("not an address", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_reduced_to_its_network(address: str | None, network: str | None) -> None:
    frame = pl.LazyFrame({"ip": [address]}, schema={"ip": pl.String})
    reduced = nw.from_native(frame).select(ip_network("ip").alias("n")).to_native().collect()
    assert reduced["n"].to_list() == [network]


@pytest.mark.row("O6")
@pytest.mark.parametrize("curated", of_zone("curated"), ids=lambda curated: curated.table)
def test_curated_frames_have_their_contract_and_no_personal_column(curated: Dataset) -> None:
    series = rates(("EUR", date(2024, 12, 31), Decimal("1.04"))) if needs_rates(curated) else None
    frame = conform(sample(dataset(f"clean/{curated.table}")).lazy(), curated, date(2025, 1, 1), series).collect()
    assert frame.schema == curated.schema
    assert frame.height == 4
    assert {column.pii for column in curated.columns} <= {Pii.NONE, Pii.PSEUDONYM}
    assert {"customer_id", "device_id"}.isdisjoint(curated.names)


@pytest.mark.row("Y4")
def test_a_delete_is_marked() -> None:
    clean = sample(CLEAN_MERCHANTS, 2).with_columns(op=pl.Series(["u", "d"])).lazy()
    assert conform(clean, CURATED_MERCHANTS, DAY).collect()["is_deleted"].to_list() == [False, True]
