"""Contracts of what takes money back after a payment: refunds and disputes (chargebacks), from raw to curated.

Belongs here: what these datasets are and which rules they obey. Does not: the payment's own running
totals (payments.py). A dispute whose reason is ``fraudulent`` is where the truth about a fraud first shows, days later.
"""

from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Rule, pick
from payments_platform.contracts.lake_zones import CapturedTable
from payments_platform.contracts.rules import (
    amount_limit,
    amount_positive,
    clock_skew,
    currency_known,
    not_null,
    one_of,
    op_known,
    status_transition,
    time_order,
)

REFUND_REASONS: Final = ("requested_by_customer", "duplicate", "fraudulent")
REFUND_TRANSITIONS: Final[dict[str, tuple[str, ...]]] = {
    "pending": ("succeeded", "failed", "canceled"),
    # A bank may send the money back days after it took it.
    "succeeded": ("failed",),
    "failed": (),
    "canceled": (),
}
DISPUTE_REASONS: Final = (
    "fraudulent",
    "unrecognized",
    "duplicate",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "credit_not_processed",
    "general",
)
DISPUTE_TRANSITIONS: Final[dict[str, tuple[str, ...]]] = {
    "needs_response": ("under_review", "won", "lost"),
    "under_review": ("needs_response", "won", "lost"),
    "won": (),
    "lost": (),
}

_SHARED: Final = (
    c.EPOCH,
    c.VERSION,
    c.OP,
    c.PREVIOUS_STATUS,
)
_MONEY: Final = (c.TRANSACTION_ID, c.MERCHANT_ID)
_REFUND_COLUMNS: Final = (
    Column("refund_id", pl.String(), "Identifier of the refund.", "ref_sample"),
    *_SHARED,
    Column("status", pl.String(), "pending, succeeded, failed or canceled.", "succeeded"),
    *_MONEY,
    Column("amount_minor", pl.Int64(), "Amount given back, in the currency's minor unit.", 250, unit="minor"),
    c.CURRENCY,
    Column("reason_code", pl.String(), "Why the merchant gave the money back.", "requested_by_customer", nullable=True),
    c.known("transaction"),
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)
_DISPUTE_COLUMNS: Final = (
    Column("dispute_id", pl.String(), "Identifier of the dispute.", "dsp_sample"),
    *_SHARED,
    Column("status", pl.String(), "needs_response, under_review, won or lost (by the merchant).", "needs_response"),
    *_MONEY,
    Column("amount_minor", pl.Int64(), "Amount contested, in the currency's minor unit.", 1250, unit="minor"),
    c.CURRENCY,
    Column("reason_code", pl.String(), "Why the cardholder's bank contests the payment.", "fraudulent"),
    Column(
        "evidence_due_at",
        c.UTC_MICROS,
        "Until when the merchant may answer, UTC.",
        None,
        nullable=True,
    ),
    c.known("transaction"),
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)


def _money_rules(transitions: dict[str, tuple[str, ...]], reasons: tuple[str, ...]) -> tuple[Rule, ...]:
    """What refunds and disputes have in common: who, how much, in which currency, from which status to which."""
    return (
        op_known(),
        not_null("R-reference-present", "transaction_id", "merchant_id", "created_at").of_deletes(),
        not_null("R-amount-present", "amount_minor"),
        amount_positive(),
        amount_limit(),
        not_null("R-currency-present", "currency"),
        currency_known(),
        one_of("R-reason-known", "reason_code", reasons),
        not_null("R-status-present", "status"),
        one_of("R-status-known", "status", tuple(transitions)),
        status_transition(transitions),
        time_order(),
        clock_skew(),
    )


def _curated(columns: tuple[Column, ...], names: str) -> tuple[Column, ...]:
    """What lives seven years: the columns named, and the amount in US dollars."""
    return (
        *pick(columns, names),
        c.in_usd(next(column for column in columns if column.name == "amount_minor")),
        c.USD_RATE,
        c.USD_RATE_DATE,
        *pick(columns, "is_transaction_known"),
        c.IS_DELETED,
        c.CREATED_AT,
        c.CREATED_DATE,
        c.UPDATED_AT,
    )


REFUNDS: Final = CapturedTable(
    "refunds",
    entity="a refund",
    domain="payments",
    columns=_REFUND_COLUMNS,
    key="refund_id",
    fixed="transaction_id merchant_id",
    rules=_money_rules(REFUND_TRANSITIONS, REFUND_REASONS),
    sums=("amount_minor", "currency"),
).lake_zones(
    _curated(
        _REFUND_COLUMNS,
        "refund_id epoch version previous_status status transaction_id merchant_id amount_minor currency reason_code",
    ),
    note="in US dollars too",
)
DISPUTES: Final = CapturedTable(
    "disputes",
    entity="a dispute",
    domain="payments",
    columns=_DISPUTE_COLUMNS,
    key="dispute_id",
    fixed="transaction_id merchant_id",
    rules=(
        *_money_rules(DISPUTE_TRANSITIONS, DISPUTE_REASONS),
        not_null("R-reason-present", "reason_code"),
    ),
    sums=("amount_minor", "currency"),
).lake_zones(
    _curated(
        _DISPUTE_COLUMNS,
        "dispute_id epoch version previous_status status transaction_id merchant_id amount_minor currency reason_code"
        " evidence_due_at",
    ),
    note="in US dollars too",
)

DATASETS: Final = (*REFUNDS.datasets, *DISPUTES.datasets)
