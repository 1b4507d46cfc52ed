"""Which rows of a file are good, and what is said about the others.

Belongs here: reading and judging without a database. Does not: what is written (integration/test_load_source.py).
"""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_platform.money import CURRENCIES, to_minor
from payments_platform.oltp.loading.judging import Judged, judge
from payments_platform.oltp.loading.reading import KNOWN, LoadRefused, digest, read

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GOOD = {
    "transaction_id": "t1",
    "created_at": "2026-01-31T12:00:00Z",
    "customer_id": "c1",
    "merchant_id": "m1",
    "currency": "EUR",
    "amount": "12.50",
}


def rows(*changed: dict[str, str | None]) -> pl.DataFrame:
    """Rows as the reader gives them: every known column as text, with a line."""
    filled = [
        {name: {**GOOD, "transaction_id": f"t{n}", **change}.get(name) for name in KNOWN}
        for n, change in enumerate(changed)
    ]
    return pl.DataFrame(filled, schema=dict.fromkeys(KNOWN, pl.String)).select(
        pl.int_range(2, pl.len() + 2).alias("line"), *KNOWN
    )


def judged(*changed: dict[str, str | None]) -> Judged:
    """The verdict on rows that differ from a good one as told."""
    return judge(rows(*changed), NOW)


@pytest.mark.parametrize(
    "change,reason",
    [
        ({"transaction_id": None}, "transaction_id is missing"),
        ({"merchant_id": None}, "merchant_id is missing"),
        ({"created_at": "2026-13-01"}, "created_at is no date and time"),
        ({"created_at": "1999-01-01"}, "created_at lies before 2010"),
        ({"created_at": "2027-01-01"}, "created_at or updated_at lies in the future"),
        ({"updated_at": "2026-01-30"}, "updated_at lies before created_at"),
        ({"currency": "XYZ"}, "currency is no ISO 4217 code in capitals"),
        ({"currency": "eur"}, "currency is no ISO 4217 code in capitals"),
        ({"amount": None}, "amount is missing"),
        ({"amount": "-1"}, "amount is no positive decimal like 12.50"),
        ({"amount": "1,50"}, "amount is no positive decimal like 12.50"),
        ({"amount": "1.505"}, "amount has more decimals than its currency"),
        ({"amount": "1.5", "currency": "JPY"}, "amount has more decimals than its currency"),
        ({"amount": "1.00001"}, "amount has more decimals than its currency"),
        ({"amount_minor": "12.5"}, "amount_minor is no positive integer"),
        ({"amount_minor": "1251"}, "amount and amount_minor disagree"),
        ({"amount": "999999999999"}, "amount is larger than any payment"),
        ({"status": "paid"}, "status is none of"),
        ({"country": "XX"}, "country is no ISO 3166-1 alpha-2 code"),
        ({"mcc": "54"}, "mcc is not four digits"),
        ({"description": "a\x00b"}, "a value holds a NUL character"),
        ({"device_id": "d" * 201}, "device_id is longer than 200 characters"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_reason(change: dict[str, str | None], reason: str) -> None:
    """Whoever sent the file mends it by line and reason, or not at all."""
    verdict = judged({}, change)
    assert verdict.good["line"].to_list() == [2]
    assert verdict.rejected["line"].to_list() == [3]
    assert verdict.rejected["reason"][0].startswith(reason)
    assert ";" not in verdict.rejected["reason"][0]


@pytest.mark.parametrize(
    "text,instant",
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31 12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31T12:30:05.25", datetime(2026, 1, 31, 12, 30, 5, 250_000, tzinfo=UTC)),
        ("2026-01-31T12:30:05.123456Z", datetime(2026, 1, 31, 12, 30, 5, 123_456, tzinfo=UTC)),
        ("2026-01-31 12:30:05+02:00", datetime(2026, 1, 31, 10, 30, 5, tzinfo=UTC)),
        ("2026-01-31T12:30:05-0130", datetime(2026, 1, 31, 14, 0, 5, tzinfo=UTC)),
        ("2026-01-31T12:30:05+02", datetime(2026, 1, 31, 10, 30, 5, tzinfo=UTC)),
        ("2026-01-31 12:30:05 UTC", datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_in_its_zone_and_utc_without_one(text: str, instant: datetime) -> None:
    """A payment an hour off lies in another day's partition."""
    assert judged({"created_at": text}).good["created_at"].to_list() == [instant]


@given(st.sampled_from(CURRENCIES), st.decimals(min_value=0, max_value=10**9, places=5, allow_nan=False))
def test_amounts_become_the_minor_units_of_their_currency_exactly(currency: str, amount: Decimal) -> None:
    """Money rounded while loading is money made up."""
    verdict = judged({"currency": currency, "amount": f"{amount:f}"})
    try:
        expected = to_minor(amount, currency)
    except ValueError:
        assert verdict.rejected["reason"].to_list() == ["amount has more decimals than its currency"]
    else:
        assert verdict.good["amount_minor"].to_list() == [expected]


def test_of_rows_with_one_id_the_first_good_one_is_kept() -> None:
    """Two payments under one id: the source would refuse the whole file for it."""
    verdict = judged({"transaction_id": "a", "amount": "-1"}, {"transaction_id": "a"}, {"transaction_id": "a"})
    assert verdict.good["line"].to_list() == [3]
    assert verdict.rejected.filter(line=4)["reason"].to_list() == ["transaction_id is on line 3 already"]


def test_no_row_is_lost_between_good_and_rejected() -> None:
    """A row that is in neither is a payment that nobody misses."""
    verdict = judged({}, {"amount": "x"}, {"transaction_id": None}, {"transaction_id": "t0"})
    assert sorted([*verdict.good["line"], *verdict.rejected["line"]]) == [2, 3, 4, 5]


def test_the_fraud_flag_does_not_pass() -> None:
    """A label among the features would make every model look perfect."""
    verdict = judged({"is_fraud": "True"})
    assert "is_fraud" not in verdict.good.columns
    assert verdict.frauds.to_list() == verdict.good["transaction_id"].to_list()
    assert judged({"is_fraud": "0"}).frauds.is_empty()


def columns(**changed: str | float | Decimal | datetime) -> pl.DataFrame:
    """A file of one good row with typed columns."""
    return pl.DataFrame({**{name: [value] for name, value in GOOD.items()}, **{k: [v] for k, v in changed.items()}})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_both_formats_read_alike(tmp_path: Path, suffix: str) -> None:
    """The format is the sender's choice, not a difference in the data."""
    path = tmp_path / f"payments.{suffix}"
    frame = columns(note="x", description="")
    frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    found, ignored = read(path)
    assert ignored == ("note",)
    assert found["description"].to_list() == [None]
    assert judge(found, NOW).good["amount_minor"].to_list() == [1250]
    assert found["line"].to_list() == ([2] if suffix == "csv" else [1])


def test_typed_parquet_columns_are_taken(tmp_path: Path) -> None:
    """Files written by other systems hold timestamps, decimals and floats."""
    path = tmp_path / "typed.parquet"
    created = datetime(2026, 1, 31, 12, tzinfo=UTC)
    columns(created_at=created, amount=Decimal("12.50"), amount_minor=1250).write_parquet(path)
    good = judge(read(path)[0], NOW).good
    assert good["created_at"].to_list() == [created]
    assert good["amount"].to_list() == ["12.5000"]
    columns(amount=12.1).write_parquet(path)
    assert judge(read(path)[0], NOW).good["amount_minor"].to_list() == [1210]


@pytest.mark.parametrize(
    "name,content,said",
    [
        ("none.csv", None, "There is no file"),
        ("a.xlsx", b"x", "give a file that ends in"),
        ("a.csv", b"transaction_id,amount\n1,2\n", "lacks the column created_at"),
        ("a.csv", b"transaction_id,created_at,customer_id,merchant_id,currency\n", "neither amount"),
        ("a.csv", b"", "cannot be read"),
        ("a.parquet", b"PAR1truncated", "cannot be read"),
    ],
)
def test_an_unusable_file_is_refused_whole(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    """One clear sentence instead of a traceback, and nothing written."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LoadRefused, match=said):
        read(path)


def test_a_file_is_named_by_its_content(tmp_path: Path) -> None:
    """The same rows under another name are the same load."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(b"same")
    assert digest(tmp_path / "a.csv") == digest(tmp_path / "b.csv")
