"""Writes judged rows into the source in one transaction, through the real triggers.

Belongs here: what is there already, new customers and merchants, rates, the inserts. Does not: reading and judging.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.oltp import rates
from payments_platform.oltp.loading.disputing import Frauds, days_of, open_disputes
from payments_platform.oltp.simulator import writer
from payments_platform.oltp.tokens import mint
from payments_platform.settings import TokenKey

if TYPE_CHECKING:
    from payments_platform.oltp.simulator.writer import Session

_CHUNK_ROWS: Final = 100_000
# A payment is converted with the last rate before its day, so the series begins a week earlier.
_RATE_REACH: Final = timedelta(days=7)
# Miscellaneous retail: the category of a merchant that the file gives none for.
_ANY_MCC: Final = "5999"
_COMPARED: Final = (
    *("merchant_id", "customer_id", "payment_method_id", "amount_minor", "currency", "country_code", "device_id"),
    *("description", "created_at"),
)
_NOT_COLUMNS: Final = ("line", "mcc")


@dataclass(frozen=True)
class Loaded:
    """What a load wrote: rows, those that were there already, and the refused ones (line, reason)."""

    inserted: int
    skipped: int
    customers: int
    merchants: int
    disputes: int
    disputes_to_come: int
    first_day: date | None
    last_day: date | None
    refused: pl.DataFrame


NOTHING: Final = Loaded(0, 0, 0, 0, 0, 0, None, None, pl.DataFrame(schema={"line": pl.Int64, "reason": pl.String}))


@dataclass(frozen=True)
class Load:
    """Where a load goes and how it is known: its id is on every row it writes."""

    address: PostgresAddress
    key: TokenKey
    load_id: str
    country_code: str
    progress: Callable[[int], None]


def write(good: pl.DataFrame, frauds: Frauds, load: Load) -> Loaded:
    """Insert the rows that the source lacks and dispute the frauds; all of it or, when anything fails, nothing.

    A row that is there with the same content is skipped, with another content refused. Event time of every row is its
    updated_at, so that extracting those days again finds it.
    """
    with connect(load.address, name="load") as session:
        _make_partitions(session, good, frauds)
    with connect(load.address, name="load") as session:
        writer.begin(session, load.load_id)
        rates.write(session, _rates(good), load.load_id)
        retired = _retired(session, good)
        open_rows = good.join(retired, on="line", how="anti")
        merchants, customers = _new_merchants(session, open_rows, load), _new_customers(session, open_rows, load)
        writer.insert(session, "merchants", merchants)
        writer.insert(session, "customers", customers)
        session.execute(_STAGING)
        chunks = [_insert(session, chunk, load) for chunk in open_rows.iter_slices(_CHUNK_ROWS)]
        conflicts = pl.concat([chunk.refused for chunk in chunks])
        disputed = open_disputes(session, open_rows.join(conflicts, on="line", how="anti"), frauds)
    refused = pl.concat([retired, conflicts])
    days = [day for chunk in chunks for day in (chunk.first_day, chunk.last_day) if day is not None]
    days += [moment.date() for moment in disputed.days]
    return Loaded(
        sum(chunk.inserted for chunk in chunks),
        sum(chunk.skipped for chunk in chunks),
        customers.height,
        merchants.height,
        disputed.count,
        disputed.to_come,
        min(days, default=None),
        max(days, default=None),
        refused,
    )


@dataclass(frozen=True)
class _Chunk:
    inserted: int
    skipped: int
    first_day: date | None
    last_day: date | None
    refused: pl.DataFrame


def _span(rows: pl.DataFrame) -> tuple[date | None, date | None]:
    """The first day on which a row was created and the last on which one changed."""
    first, last = rows.select(pl.col("created_at").min().dt.date(), pl.col("updated_at").max().dt.date()).row(0)
    return first, last


def _make_partitions(session: "Session", good: pl.DataFrame, frauds: Frauds) -> None:
    """Months and days that the rows and their disputes fall on, and no others: files may jump over years."""
    changed = pl.concat([good["created_at"], good["updated_at"]]).dt.date()
    days = pl.concat([changed, days_of(good, frauds)]).unique().sort()
    frame = days.to_frame("day").with_columns(
        run=(pl.col("day").diff() > pl.duration(days=1)).fill_null(value=False).cum_sum()
    )
    for first, last in (
        frame.group_by("run")
        .agg(first="day", last="day")
        .select(pl.col("first").list.min(), pl.col("last").list.max())
        .iter_rows()
    ):
        session.execute("SELECT oltp.ensure_partitions(%s, %s)", (first, last))


def _rates(good: pl.DataFrame) -> pl.DataFrame:
    first, last = good.select(pl.col("created_at").min().dt.date(), last=pl.col("created_at").max().dt.date()).row(0)
    return rates.series(first - _RATE_REACH, last, tuple(good["currency"].unique().sort()))


def _ids_there(session: "Session", sql: str, ids: pl.Series) -> pl.Series:
    found = session.execute(sql, (ids.to_list(),)).fetchall()
    return pl.Series("id", [str(row[0]) for row in found], dtype=pl.String)


def _retired(session: "Session", good: pl.DataFrame) -> pl.DataFrame:
    """Rows that name a deleted merchant or customer: their ids are never used again."""
    refused = []
    for table, key in (("merchants", "merchant_id"), ("customers", "customer_id")):
        sql = f"SELECT key FROM oltp.retired_keys WHERE table_name = '{table}' AND key = ANY(%s)"
        gone = _ids_there(session, sql, good[key].unique())
        refused.append(
            good.filter(pl.col(key).is_in(gone)).select("line", reason=pl.lit(f"{key} belonged to a deleted one"))
        )
    return pl.concat(refused).unique("line", keep="first")


def _new_merchants(session: "Session", rows: pl.DataFrame, load: Load) -> pl.DataFrame:
    there = _ids_there(
        session, "SELECT merchant_id FROM oltp.merchants WHERE merchant_id = ANY(%s)", rows["merchant_id"].unique()
    )
    return (
        rows.filter(~pl.col("merchant_id").is_in(there))
        .sort("created_at", "line")
        .group_by("merchant_id", maintain_order=True)
        .agg(
            name=pl.col("merchant_id").first(),
            mcc=pl.col("mcc").drop_nulls().first().fill_null(_ANY_MCC),
            country_code=pl.col("country_code").drop_nulls().first().fill_null(load.country_code),
            currency=pl.col("currency").first(),
            status=pl.lit("active"),
            created_at=pl.col("created_at").first(),
            updated_at=pl.col("created_at").first(),
        )
    )


def _new_customers(session: "Session", rows: pl.DataFrame, load: Load) -> pl.DataFrame:
    there = _ids_there(
        session, "SELECT customer_id FROM oltp.customers WHERE customer_id = ANY(%s)", rows["customer_id"].unique()
    )
    found = (
        rows.filter(~pl.col("customer_id").is_in(there))
        .sort("created_at", "line")
        .group_by("customer_id", maintain_order=True)
        .agg(
            token_key_id=pl.lit(load.key.key_id),
            country_code=pl.col("country_code").drop_nulls().first(),
            segment=pl.lit("consumer"),
            status=pl.lit("active"),
            created_at=pl.col("created_at").first(),
            updated_at=pl.col("created_at").first(),
        )
    )
    return found.with_columns(customer_token=pl.Series(mint(found["customer_id"], load.key.key), dtype=pl.String))


_STAGING: Final = (
    "CREATE TEMP TABLE candidates ON COMMIT DROP AS SELECT 0::bigint AS line, transaction_id, merchant_id, customer_id,"
    " payment_method_id, amount, amount_minor, captured_minor, refunded_minor, currency, status, country_code,"
    " device_id, description, created_at, updated_at FROM oltp.transactions WITH NO DATA"
)
_SAME: Final = " AND ".join(f"t.{name} IS NOT DISTINCT FROM i.{name}" for name in _COMPARED)
# Status and time are compared while the payment is as it was loaded; later it has moved on, and that is no conflict.
_KNOWN: Final = (
    "SELECT i.line, CASE WHEN t.transaction_id IS NULL THEN 'gone'"
    f" WHEN {_SAME} AND (t.version > 1 OR (t.status = i.status AND t.updated_at = i.updated_at)) THEN 'same'"
    " ELSE 'other' END FROM candidates i JOIN oltp.transaction_keys k ON k.transaction_id = i.transaction_id"
    " LEFT JOIN oltp.transactions t ON t.transaction_id = k.transaction_id AND t.created_at = k.created_at"
)
_REASONS: Final = {
    "gone": "transaction_id belonged to a deleted transaction",
    "other": "transaction_id is in the source already, with other values",
}


def _insert(session: "Session", chunk: pl.DataFrame, load: Load) -> _Chunk:
    columns = [name for name in chunk.columns if name != "mcc"]
    session.execute("TRUNCATE candidates")
    writer.copy(session, "candidates", chunk.select(columns))
    known = pl.DataFrame(
        session.execute(_KNOWN).fetchall(), schema={"line": pl.Int64, "found": pl.String}, orient="row"
    )
    if known.height:
        session.execute("DELETE FROM candidates WHERE line = ANY(%s)", (known["line"].to_list(),))
    stored = [name for name in columns if name not in _NOT_COLUMNS]
    values = ", ".join(f"i.{name}" for name in stored)
    session.execute(
        f"INSERT INTO oltp.transactions ({', '.join(stored)}, customer_token) SELECT {values}, c.customer_token"
        " FROM candidates i LEFT JOIN oltp.customers c ON c.customer_id = i.customer_id",
    )
    load.progress(chunk.height)
    new = chunk.join(known, on="line", how="anti")
    refused = known.filter(pl.col("found") != "same").select(
        "line", reason=pl.col("found").replace_strict(_REASONS, return_dtype=pl.String)
    )
    return _Chunk(
        new.height,
        known.filter(pl.col("found") == "same").height,
        *_span(new),
        refused,
    )
