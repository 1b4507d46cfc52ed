"""Contracts of the facts: payments, what takes their money back, subscriptions, and what a score said of a payment.

Belongs here: columns, keys and rules of each fact. Does not: dimensions (dimensions.py), sums over facts
(aggregates.py), SQL (dbt/models/marts).
"""

from decimal import Decimal
from typing import Final

import narwhals as nw
import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts import star_columns as star
from payments_platform.contracts.dataset import Column, Dataset, Rule, Severity, firm, pick
from payments_platform.contracts.landing import (
    LANDING_DISPUTES,
    LANDING_REFUNDS,
    LANDING_SUBSCRIPTIONS,
    LANDING_TRANSACTIONS,
)
from payments_platform.contracts.payments import STATUSES
from payments_platform.contracts.reversals import DISPUTE_TRANSITIONS, REFUND_TRANSITIONS
from payments_platform.contracts.rules import one_of
from payments_platform.contracts.subscriptions import BILLING_INTERVALS, SUBSCRIPTION_TRANSITIONS

# What a scored payment may be told: below 0.3, up to 0.7, above.
DECISIONS: Final = ("approve", "challenge", "block")
RISK_LEVELS: Final = ("very_low", "low", "medium", "high", "very_high")
_SCORE: Final = pl.Decimal(9, 8)
# Values that a delete may lack in landing; in a fact it takes those of the last version that has them.
_VALUES: Final = (
    "status currency amount_minor captured_minor refunded_minor plan_code billing_interval"
    " period_start_at period_end_at"
)


def _of(landing: Dataset, names: str, *, also: str = "") -> tuple[Column, ...]:
    """Columns of a landing table as a fact has them."""
    return firm(pick(landing.columns, names), f"{_VALUES} {also}")


FACT_TRANSACTION: Final = Dataset(
    key=("marts", "fact_transaction"),
    grain="One row per transaction in its last known state.",
    domain="payments",
    columns=(
        *pick(LANDING_TRANSACTIONS.columns, "transaction_id"),
        star.date_key("created_date_key", "created_at"),
        star.time_key("created_time_key", "created_at"),
        star.version_key("merchant_key", "merchant's version valid at created_at"),
        star.version_key("customer_key", "customer's version valid at created_at"),
        Column("payment_method_key", pl.Int64(), "Key of the payment method; -1 when the payment names none.", 1),
        Column("geography_key", pl.Int64(), "Key of the payment's country; -1 when it names none.", 1),
        Column("device_key", pl.Int64(), "Key of the kind of device; -1 when the payment names no device.", 1),
        *_of(
            LANDING_TRANSACTIONS,
            "merchant_id customer_token payment_method_id epoch version status currency"
            " amount_minor captured_minor refunded_minor amount_usd_minor captured_usd_minor refunded_usd_minor"
            " usd_rate usd_rate_date country_code ip_network"
            " is_device_present is_customer_known is_merchant_known is_payment_method_known is_device_known",
        ),
        star.count("dispute_count", "Disputes of the payment, whatever became of them."),
        Column(
            "disputed_minor", pl.Int64(), "Amounts contested by them, in the currency's minor unit.", 0, unit="minor"
        ),
        Column("is_fraud_disputed", pl.Boolean(), "A dispute names fraud as its reason: the late label.", False),
        *pick(LANDING_TRANSACTIONS.columns, "is_deleted created_at created_date updated_at"),
        star.SEQUENCE,
    ),
    primary_key=("transaction_id",),
    rules=(one_of("R-status-known", "status", STATUSES),),
    sums=("amount_minor", "currency"),
    is_daily=False,
)


def _reversal(
    landing: Dataset, statuses: tuple[str, ...], *, certain: str = "", extra: tuple[Column, ...] = ()
) -> Dataset:
    """A fact about money that goes back to the payer: the same keys whether a merchant gives it or a bank takes it.

    ``certain`` names what a version always says beyond what both have.
    """
    thing = landing.table.removesuffix("s")
    return Dataset(
        key=("marts", f"fact_{thing}"),
        grain=f"One row per {thing} in its last known state.",
        domain="payments",
        columns=(
            *pick(landing.columns, f"{thing}_id transaction_id"),
            star.date_key("created_date_key", "created_at"),
            star.version_key("merchant_key", "merchant's version valid at created_at"),
            *_of(
                landing,
                "merchant_id epoch version status reason_code currency amount_minor amount_usd_minor usd_rate"
                " usd_rate_date is_transaction_known",
                also=certain,
            ),
            *extra,
            *pick(landing.columns, "is_deleted created_at created_date updated_at"),
            star.SEQUENCE,
        ),
        primary_key=(f"{thing}_id",),
        rules=(one_of("R-status-known", "status", statuses),),
        sums=("amount_minor", "currency"),
        is_daily=False,
    )


FACT_REFUND: Final = _reversal(LANDING_REFUNDS, tuple(REFUND_TRANSITIONS))
FACT_DISPUTE: Final = _reversal(
    LANDING_DISPUTES,
    tuple(DISPUTE_TRANSITIONS),
    certain="reason_code",
    extra=(
        *pick(LANDING_DISPUTES.columns, "evidence_due_at"),
        Column("is_fraud", pl.Boolean(), "The cardholder's bank names fraud as the reason.", True),
    ),
)
FACT_SUBSCRIPTION: Final = Dataset(
    key=("marts", "fact_subscription"),
    grain="One row per subscription in its last known state.",
    domain="subscriptions",
    columns=(
        *pick(LANDING_SUBSCRIPTIONS.columns, "subscription_id"),
        star.date_key("created_date_key", "created_at"),
        star.date_key("canceled_date_key", "canceled_at", when_null="while it runs"),
        star.date_key("period_end_date_key", "period_end_at"),
        star.version_key("merchant_key", "merchant's version valid at created_at"),
        star.version_key("customer_key", "customer's version valid at created_at"),
        *_of(
            LANDING_SUBSCRIPTIONS,
            "merchant_id customer_token epoch version status plan_code billing_interval currency amount_minor"
            " amount_usd_minor",
        ),
        Column(
            "monthly_usd_minor",
            pl.Int64(),
            "amount_usd_minor of a month: that of a week times 52/12, of a year divided by 12; half even. Recurring"
            " revenue (MRR) is its sum over subscriptions that are active or past_due and not deleted.",
            936,
            nullable=True,
            unit="minor",
        ),
        *_of(
            LANDING_SUBSCRIPTIONS,
            "usd_rate usd_rate_date period_start_at period_end_at canceled_at is_customer_known is_merchant_known"
            " is_deleted created_at created_date updated_at",
        ),
        star.SEQUENCE,
    ),
    primary_key=("subscription_id",),
    rules=(
        one_of("R-status-known", "status", tuple(SUBSCRIPTION_TRANSITIONS)),
        one_of("R-interval-known", "billing_interval", BILLING_INTERVALS),
    ),
    sums=("amount_minor", "currency"),
    is_daily=False,
)
FACT_FRAUD_DETECTION: Final = Dataset(
    key=("marts", "fact_fraud_detection"),
    grain="One row per scored payment. Empty until a scoring service writes fraud signals; its form is settled.",
    domain="payments",
    columns=(
        *pick(LANDING_TRANSACTIONS.columns, "transaction_id"),
        star.date_key("scored_date_key", "scored_at"),
        star.time_key("scored_time_key", "scored_at"),
        star.version_key("merchant_key", "merchant's version, that of the payment"),
        star.version_key("customer_key", "customer's version, that of the payment"),
        Column("geography_key", pl.Int64(), "Key of the country, that of the payment.", 1),
        Column("device_key", pl.Int64(), "Key of the kind of device, that of the payment.", 1),
        Column("fraud_score", _SCORE, "Probability of fraud by the model, 0 to 1.", Decimal("0.12345678")),
        Column("risk_level", pl.String(), "very_low, low, medium, high or very_high.", "low"),
        Column(
            "decision",
            pl.String(),
            "What the payment was told: approve below a score of 0.3, challenge up to 0.7, block above.",
            "approve",
        ),
        Column("model_version", pl.String(), "Version of the model in its registry.", "1"),
        Column("latency_seconds", pl.Decimal(9, 6), "From request to answer.", Decimal("0.045"), unit="seconds"),
        Column("scored_at", c.UTC_MICROS, "When the payment was scored, UTC.", c.CREATED_AT.example),
        star.SEQUENCE,
    ),
    primary_key=("transaction_id",),
    rules=(
        Rule(
            "R-score-range",
            Severity.ROW,
            "fraud_score must lie between 0 and 1",
            (nw.col("fraud_score") >= 0) & (nw.col("fraud_score") <= 1),
        ),
        one_of("R-risk-known", "risk_level", RISK_LEVELS),
        one_of("R-decision-known", "decision", DECISIONS),
    ),
    is_daily=False,
)

DATASETS: Final = (FACT_TRANSACTION, FACT_REFUND, FACT_DISPUTE, FACT_SUBSCRIPTION, FACT_FRAUD_DETECTION)
