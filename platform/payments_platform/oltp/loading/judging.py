"""Judges the rows of a file one by one: which can be loaded, and why not the others.

Belongs here: parsing of values and the reasons of refusal. Does not: formats (reading.py), what the source holds
already (writing.py). Pure: a frame in, two frames out; the present moment is an argument.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from payments_platform.contracts.payments import STATUSES
from payments_platform.contracts.rules import MAX_AMOUNT_MINOR
from payments_platform.money import COUNTRIES, CURRENCIES, EXPONENT, currencies_with

# Longer ids and larger amounts are other columns in the wrong place.
_LONGEST_ID: Final = 200
_FIRST_YEAR: Final = 2010
_TEXTS: Final = (*("transaction_id", "customer_id", "merchant_id", "payment_method_id", "device_id", "description"),)
_UTC_MICROS: Final = pl.Datetime("us", "UTC")
_TRUE, _FALSE = ("true", "t", "yes", "1", "1.0"), ("false", "f", "no", "0", "0.0")
_fraud: Final = pl.col("is_fraud").str.to_lowercase()
_PAID: Final = ("succeeded", "refunded", "partially_refunded", "disputed")


@dataclass(frozen=True)
class Judged:
    """Rows typed and complete, and rows refused: line, reason and the values as they came.

    ``frauds`` holds the ids of good payments that the file calls frauds: kept apart, so that the flag is no column of
    anything that is stored.
    """

    good: pl.DataFrame
    rejected: pl.DataFrame
    frauds: pl.Series


def judge(rows: pl.DataFrame, now: datetime) -> Judged:
    """Split the rows of a file; ``good + rejected == rows``. Each refused row lists all its reasons."""
    typed = _typed(rows.lazy())
    reasoned = typed.with_columns(reason=pl.concat_str(*_reasons(now), separator="; ", ignore_nulls=True)).collect()
    sound = reasoned.filter(pl.col("reason") == "")
    first = sound.group_by("transaction_id").agg(first_line=pl.col("line").min())
    sound = sound.join(first, on="transaction_id", how="left")
    twice = sound.filter(pl.col("line") != pl.col("first_line")).select(
        "line",
        reason=pl.concat_str(pl.lit("transaction_id is on line "), "first_line", pl.lit(" already")),
    )
    chosen = sound.filter(pl.col("line") == pl.col("first_line"))
    good, frauds = chosen.select(_LOADED), chosen.filter(_fraud.is_in(_TRUE))["transaction_id"]
    bad = pl.concat([reasoned.filter(pl.col("reason") != "").select("line", "reason"), twice.select("line", "reason")])
    return Judged(good, bad.join(rows, on="line").sort("line"), frauds)


def _typed(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Add the parsed value of each column under another name; what cannot be parsed is null there."""
    scale = _by_exponent()
    amount, whole, part = pl.col("amount"), pl.col("amount_whole"), pl.col("amount_part")
    return (
        rows.with_columns(
            created=_instant("created_at"),
            updated=_instant("updated_at"),
            amount_whole=amount.str.extract(r"^\+?(\d{1,15})(?:\.\d*)?$").cast(pl.Int64),
            amount_part=amount.str.extract(r"^\+?\d{1,15}\.?(\d*)$").str.strip_chars_end("0"),
            given_minor=pl.col("amount_minor").str.extract(r"^\+?(\d{1,16})(?:\.0*)?$").cast(pl.Int64),
            scale=scale,
        )
        .with_columns(part_e4=part.str.pad_end(4, "0").str.slice(0, 4).cast(pl.Int64, strict=False))
        .with_columns(
            has_too_many_decimals=(part.str.len_chars() > 4) | (pl.col("part_e4") % (10_000 // pl.col("scale")) != 0),
            amount_as_minor=pl.when(whole <= MAX_AMOUNT_MINOR // 10_000).then(
                whole * pl.col("scale") + pl.col("part_e4") // (10_000 // pl.col("scale")),
            ),
        )
        .with_columns(minor=pl.coalesce("given_minor", "amount_as_minor"))
    )


def _reasons(now: datetime) -> list[pl.Expr]:
    """One expression per reason: its text where it applies, else null."""
    col = pl.col
    last = now + timedelta(days=1)
    checks: list[tuple[pl.Expr, str]] = [
        (col(name).is_null(), f"{name} is missing")
        for name in ("transaction_id", "created_at", "customer_id", "merchant_id", "currency")
    ]
    checks += [
        (col(name).str.len_chars() > _LONGEST_ID, f"{name} is longer than {_LONGEST_ID} characters")
        for name in _TEXTS[:5]
    ]
    checks += [
        (
            pl.any_horizontal(col(name).str.contains("\x00", literal=True) for name in _TEXTS),
            "a value holds a NUL character",
        ),
        (col("created_at").is_not_null() & col("created").is_null(), "created_at is no date and time"),
        (col("updated_at").is_not_null() & col("updated").is_null(), "updated_at is no date and time"),
        (col("created").dt.year() < _FIRST_YEAR, f"created_at lies before {_FIRST_YEAR}"),
        ((col("created") > last) | (col("updated") > last), "created_at or updated_at lies in the future"),
        (col("updated") < col("created"), "updated_at lies before created_at"),
        (~col("currency").is_in(CURRENCIES), "currency is no ISO 4217 code in capitals"),
        (col("amount").is_null() & col("amount_minor").is_null(), "amount is missing"),
        (col("amount").is_not_null() & col("amount_whole").is_null(), "amount is no positive decimal like 12.50"),
        (col("amount_minor").is_not_null() & col("given_minor").is_null(), "amount_minor is no positive integer"),
        (
            col("amount_whole").is_not_null() & col("has_too_many_decimals"),
            "amount has more decimals than its currency",
        ),
        (
            (col("minor") > MAX_AMOUNT_MINOR) | (col("amount_whole") > MAX_AMOUNT_MINOR // 10_000),
            "amount is larger than any payment",
        ),
        (
            ~col("has_too_many_decimals") & (col("given_minor") != col("amount_as_minor")),
            "amount and amount_minor disagree",
        ),
        (~col("status").is_in(STATUSES), f"status is none of {', '.join(STATUSES)}"),
        (~col("country").is_in(COUNTRIES), "country is no ISO 3166-1 alpha-2 code"),
        (~col("mcc").str.contains(r"^\d{4}$"), "mcc is not four digits"),
        (~_fraud.is_in((*_TRUE, *_FALSE)), "is_fraud is neither true nor false"),
    ]
    return [pl.when(applies.fill_null(value=False)).then(pl.lit(text)) for applies, text in checks]


def _by_exponent() -> pl.Expr:
    """Minor units per major unit of the row's currency; null for an unknown currency."""
    exponents = sorted(set(EXPONENT.values()))
    return pl.coalesce(
        pl.when(pl.col("currency").is_in(currencies_with(exponent))).then(pl.lit(10**exponent, dtype=pl.Int64))
        for exponent in exponents
    )


def _instant(name: str) -> pl.Expr:
    """Text like 2026-01-31, 2026-01-31 12:00:00, …T12:00:00.5Z, …+02:00 as an instant; without a zone it is UTC."""
    text = pl.col(name).str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00:00")
    text = text.str.replace(r"^(\d{4}-\d{2}-\d{2}) +", "${1}T").str.replace(r"^(.{16})($|Z|[+-])", "${1}:00${2}")
    text = text.str.replace(r" ?(Z|UTC)$", "+00:00").str.replace(r"([+-]\d{2})$", "${1}:00", literal=False)
    text = text.str.replace(r"([+-]\d{2})(\d{2})$", "${1}:${2}")
    zoned = pl.when(text.str.contains(r"T.*[+-]\d{2}:\d{2}$")).then(text).otherwise(text + "+00:00")
    return zoned.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False).cast(_UTC_MICROS)


_status: Final = pl.col("status").fill_null("succeeded")
_minor: Final = pl.col("minor")
_LOADED: Final = (
    pl.col("line"),
    pl.col("transaction_id"),
    pl.col("merchant_id"),
    pl.col("customer_id"),
    pl.col("payment_method_id"),
    pl.concat_str(
        (_minor // pl.col("scale")).cast(pl.String),
        (_minor % pl.col("scale") * (10_000 // pl.col("scale"))).cast(pl.String).str.zfill(4),
        separator=".",
    ).alias("amount"),
    _minor.alias("amount_minor"),
    pl.when(_status.is_in(_PAID)).then(_minor).otherwise(pl.lit(0, dtype=pl.Int64)).alias("captured_minor"),
    # How much of a partly refunded payment went back, the file cannot say.
    pl.when(_status == "refunded").then(_minor).otherwise(pl.lit(0, dtype=pl.Int64)).alias("refunded_minor"),
    pl.col("currency"),
    _status.alias("status"),
    pl.col("country").alias("country_code"),
    pl.col("device_id"),
    pl.col("description"),
    pl.col("created").alias("created_at"),
    pl.coalesce("updated", "created").alias("updated_at"),
    pl.col("mcc"),
)
