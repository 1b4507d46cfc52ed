"""A day's payments by two ways: the stream's rows in the lake beside the day's extraction, version by version.

Belongs here: which rows of the stream are of a day, what differs, sums. Does not: stores (comparison by `payments
verify`), the check's verdict (defs/).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import polars as pl

from payments_platform.contracts.operations import STREAM_RECONCILIATION
from payments_platform.contracts.rules import DELETE_OP
from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake.segments import segments
from payments_platform.lake.storage import Storage
from payments_platform.streaming.comparison import KIND, differences
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

KEY: Final = ("transaction_id", "epoch", "version")
# What both ways carry of a version. A snapshot's row says nothing of the version before, so previous_status is not one.
COMPARED: Final = (
    "status", "amount_minor", "captured_minor", "refunded_minor", "currency", "merchant_id", "customer_token",
    "created_at", "updated_at",
)  # fmt: skip
# Clocks of the source and of the broker may differ by this much; a message is never written long before its version.
_SKEW: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Reconciled:
    """What differs, with the columns of its dataset, and both ways' rows and sums."""

    rows: pl.DataFrame
    counts: dict[str, int]


def stream_versions(storage: Storage, day: date) -> pl.LazyFrame:
    """The versions of a day that the stream brought, each once: partial and full are one version.

    A version may be in the path of any later day: it is filed by when Kafka got it, and a load or a repair brings old
    days long after. So every segment that is not older than the day is searched. Deletes are all there, of any day:
    on the stream a delete has the time of its commit, and at the source the one that a load stated.
    """
    first = datetime.combine(day, time(), UTC)
    files = [it.file for it in segments(storage, ANALYTICS_TRANSACTIONS) if it.last_appended_at >= first - _SKEW]
    of_day = (pl.col("updated_at") >= first) & (pl.col("updated_at") < first + timedelta(days=1))
    rows = storage.scan(files, RAW_TRANSACTIONS_STREAM.schema).filter(of_day | (pl.col("op") == DELETE_OP))
    rows = rows.select(*KEY, "op", "enrichment", *COMPARED)
    return rows.sort("enrichment").unique(KEY, keep="last").drop("enrichment")


def reconciled(extracted: pl.LazyFrame, streamed: pl.LazyFrame, day: date) -> Reconciled:
    """Compare a day by its versions. What the extraction has is the truth: it was read in one snapshot, and counted."""
    truth, found = _timeless(extracted), _timeless(streamed)
    is_delete = pl.col("op") == DELETE_OP
    deletes = found.filter(is_delete).join(truth, on=list(KEY), how="semi")
    truth, found = truth.drop("op"), pl.concat([found.filter(~is_delete), deletes]).drop("op")
    sides = pl.concat([truth, found]).unique(KEY, keep="first", maintain_order=True)
    rows = differences(truth, found, KEY).join(sides, on=list(KEY), how="left", maintain_order="left")
    counts = {"extracted": truth.height, "streamed": found.height, "differences": rows.height}
    for side, frame in (("extracted", truth), ("streamed", found)):
        total = pl.col("amount_minor").cast(pl.Int128).sum()
        sums = frame.group_by("currency").agg(total).sort("currency")
        counts |= {f"{side}_minor:{currency}": int(amount or 0) for currency, amount in sums.iter_rows()}
    named = rows.with_columns(partition_date=pl.lit(day)).select(STREAM_RECONCILIATION.names)
    return Reconciled(named.cast(STREAM_RECONCILIATION.schema), counts)


def _timeless(rows: pl.LazyFrame) -> pl.DataFrame:
    """Rows to compare; of a delete without its time, which the two ways know differently."""
    time_of_delete = pl.when(pl.col("op") != DELETE_OP).then("updated_at").alias("updated_at")
    return rows.select(*KEY, "op", *COMPARED).with_columns(time_of_delete).collect()


def findings(result: pl.DataFrame) -> list[str]:
    """The differences by kind, and the ids of some of each: enough to look at, never more than a person reads."""
    texts = []
    for (kind,), rows in sorted(result.group_by(KIND)):
        ids = ", ".join(f"{row['transaction_id']} v{row['version']}" for row in rows.head(10).iter_rows(named=True))
        texts.append(f"{rows.height} {kind}: {ids}{', …' if rows.height > 10 else ''}")
    return texts
