"""What takes money back after a payment: the refunds and disputes behind the later versions of a day's payments.

Belongs here: rows of refunds and disputes, version by version. Does not: when and how much (lifecycle.py), payments.
A refund succeeds at the instant at which the payment's running total grows; money that goes back because a dispute was
lost is no refund. The reason ``fraudulent`` is the only trace of a fraud in the source.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from payments_platform.contracts.reversals import DISPUTE_REASONS
from payments_platform.oltp.simulator import people
from payments_platform.oltp.simulator.world import Stream, World

_REFUND_REASONS: Final = (("requested_by_customer", 85), ("duplicate", 12), ("fraudulent", 3))
# Customers who call their own payment a fraud: rare, and never told apart from a real one.
_FRIENDLY_FRAUD: Final = 3
_REASONS: Final = tuple((reason, _FRIENDLY_FRAUD if reason == "fraudulent" else 14) for reason in DISPUTE_REASONS)
_PENDING_SHARE, _FAILED_SHARE = 0.4, 0.08
_EVIDENCE_DAYS: Final = 14
# Every night the failed attempts of some refunds, and disputes that banks opened by mistake, are removed.
_PURGED_REFUNDS, _PURGED_DISPUTES = 0.5, 0.1


@dataclass(frozen=True)
class Reversals:
    """All versions of a day's refunds and disputes, and the deletes of some: key and instant."""

    refunds: pl.DataFrame
    disputes: pl.DataFrame
    refund_deletes: pl.DataFrame
    dispute_deletes: pl.DataFrame


def reversals(world: World, day: date, rows: pl.DataFrame, changes: pl.DataFrame, frauds: pl.Series) -> Reversals:
    """Tell the refunds and disputes of a day's payments; ``frauds`` are the ids of those that nobody consented to."""
    random = world.random(Stream.REVERSALS, day)
    steps = _steps(rows, changes)
    grows = pl.col("refunded_minor") > pl.col("refunded_before")
    paid_back = steps.filter(grows & (pl.col("status_before") != "disputed"))
    refunds = _refunds(random, paid_back)
    disputes = _disputes(random, steps, frauds)
    return Reversals(
        refunds,
        disputes,
        _purged(random, refunds.filter(status="failed"), "refund_id", _PURGED_REFUNDS),
        _purged(random, disputes.filter(status="won"), "dispute_id", _PURGED_DISPUTES),
    )


def _steps(rows: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """Each later version of a payment with the state before, in the order of the payments."""
    columns = ["transaction_id", "version", "updated_at", "status", "captured_minor", "refunded_minor"]
    first = rows.join(changes.select("transaction_id").unique(), on="transaction_id", how="semi")
    states = pl.concat([first.with_columns(version=pl.lit(1, pl.Int32)).select(columns), changes.select(columns)])
    ordered = states.sort("transaction_id", "version")
    told = ordered.with_columns(
        status_before=pl.col("status").shift(1).over("transaction_id"),
        refunded_before=pl.col("refunded_minor").shift(1).over("transaction_id"),
        at_before=pl.col("updated_at").shift(1).over("transaction_id"),
        status_after=pl.col("status").shift(-1).over("transaction_id"),
        at_after=pl.col("updated_at").shift(-1).over("transaction_id"),
    )
    known = rows.select("transaction_id", "merchant_id", "currency")
    return told.filter(pl.col("version") > 1).join(known, on="transaction_id", how="left", maintain_order="left")


def _refunds(random: np.random.Generator, steps: pl.DataFrame) -> pl.DataFrame:
    """One refund for each step: of some pending first, of a few a failed attempt before."""
    count = steps.height
    told = steps.with_columns(
        refund_id=pl.lit("ref_") + pl.col("transaction_id").str.slice(4) + "_" + pl.col("version").cast(pl.String),
        amount_minor=pl.col("refunded_minor") - pl.col("refunded_before"),
        reason_code=people.pick(random, _REFUND_REASONS, count),
        is_pending=pl.Series(random.random(count) < _PENDING_SHARE),
        is_tried=pl.Series(random.random(count) < _FAILED_SHARE),
        wait=pl.Series(random.integers(5, 25, count)),
        done=pl.col("updated_at"),
    )
    begun = pl.col("done") - pl.duration(minutes=pl.col("wait"))
    tried = pl.col("done") - pl.duration(minutes=pl.col("wait") + 30)
    pending, failed = (
        told.filter("is_pending"),
        told.filter("is_tried").with_columns(refund_id=pl.col("refund_id") + "x"),
    )
    states = [
        _state(told.filter(~pl.col("is_pending")), "succeeded", 1, created=pl.col("done"), at=pl.col("done")),
        _state(pending, "pending", 1, created=begun, at=begun),
        _state(pending, "succeeded", 2, created=begun, at=pl.col("done")),
        _state(failed, "pending", 1, created=tried, at=tried),
        _state(failed, "failed", 2, created=tried, at=tried + pl.duration(minutes=3)),
    ]
    return pl.concat(states)


def _state(refunds: pl.DataFrame, status: str, version: int, created: pl.Expr, at: pl.Expr) -> pl.DataFrame:
    return refunds.select(
        *("refund_id", "transaction_id", "merchant_id", "amount_minor", "currency", "reason_code"),
        status=pl.lit(status),
        created_at=created,
        updated_at=at,
        version=pl.lit(version, pl.Int32),
    )


def _disputes(random: np.random.Generator, steps: pl.DataFrame, frauds: pl.Series) -> pl.DataFrame:
    """One dispute for each payment that becomes disputed: answered, then won or lost when the payment moves on."""
    opened = steps.filter(status="disputed")
    count = opened.height
    is_fraud = pl.col("transaction_id").is_in(frauds.to_list())
    told = opened.with_columns(
        reason_code=pl.when(is_fraud).then(pl.lit("fraudulent")).otherwise(people.pick(random, _REASONS, count)),
        share=pl.Series(0.2 + 0.6 * random.random(count)),
        opened_at=pl.col("updated_at"),
    )
    taken = (pl.col("at_after") - pl.col("opened_at")).dt.total_microseconds()
    review = pl.col("opened_at") + pl.duration(microseconds=(taken * pl.col("share")).cast(pl.Int64))
    outcome = pl.when(pl.col("status_after") == "succeeded").then(pl.lit("won")).otherwise(pl.lit("lost"))
    return pl.concat(
        _dispute_state(told, status, version, at)
        for version, status, at in (
            (1, pl.lit("needs_response"), pl.col("opened_at")),
            (2, pl.lit("under_review"), review),
            (3, outcome, pl.col("at_after")),
        )
    )


def _dispute_state(disputes: pl.DataFrame, status: pl.Expr, version: int, at: pl.Expr) -> pl.DataFrame:
    return disputes.select(
        *("transaction_id", "merchant_id", "currency", "reason_code"),
        dispute_id=pl.lit("dsp_") + pl.col("transaction_id").str.slice(4),
        amount_minor=pl.col("captured_minor") - pl.col("refunded_minor"),
        status=status,
        evidence_due_at=pl.col("opened_at") + pl.duration(days=_EVIDENCE_DAYS),
        created_at=pl.col("opened_at"),
        updated_at=at,
        version=pl.lit(version, pl.Int32),
    )


def _purged(random: np.random.Generator, last: pl.DataFrame, key: str, share: float) -> pl.DataFrame:
    """Some of the rows, removed at three in the morning of the day after their last version."""
    chosen = last.filter(pl.Series(random.random(last.height) < share))
    return chosen.select(
        "transaction_id", key=key, at=pl.col("updated_at").dt.truncate("1d") + pl.duration(days=1, hours=3)
    )
