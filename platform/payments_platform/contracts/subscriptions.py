"""Contracts of the subscriptions domain, from raw to curated.

Belongs here: what a subscription is and which rules it obeys. Does not: the payments that it leads to (payments.py).
"""

from typing import Final

import narwhals as nw
import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Rule, Severity, pick
from payments_platform.contracts.lake_zones import CapturedTable
from payments_platform.contracts.rules import (
    amount_limit,
    amount_sign,
    clock_skew,
    currency_known,
    not_null,
    one_of,
    op_known,
    status_transition,
    time_order,
    token_form,
)

BILLING_INTERVALS: Final = ("week", "month", "year")
SUBSCRIPTION_TRANSITIONS: Final[dict[str, tuple[str, ...]]] = {
    "trialing": ("active", "past_due", "canceled"),
    "active": ("past_due", "canceled"),
    "past_due": ("active", "unpaid", "canceled"),
    "unpaid": ("active", "canceled"),
    "canceled": (),
}
CANCELED: Final = "canceled"

_COLUMNS: Final = (
    Column("subscription_id", pl.String(), "Identifier of the subscription.", "sub_sample"),
    c.EPOCH,
    c.VERSION,
    c.OP,
    c.PREVIOUS_STATUS,
    Column("status", pl.String(), "trialing, active, past_due, unpaid or canceled.", "active"),
    c.MERCHANT_ID,
    c.CUSTOMER_ID,
    c.CUSTOMER_TOKEN,
    Column("plan_code", pl.String(), "Plan that the customer chose, as the merchant names it.", "standard"),
    Column("billing_interval", pl.String(), "How often it is billed: week, month or year.", "month"),
    Column("amount_minor", pl.Int64(), "Amount billed each interval, in the currency's minor unit.", 900, unit="minor"),
    c.CURRENCY,
    Column("period_start_at", c.UTC_MICROS, "Begin of the period paid for, UTC.", c.CREATED_AT.example),
    Column("period_end_at", c.UTC_MICROS, "First moment after the period paid for, UTC.", c.CREATED_AT.example),
    Column("canceled_at", c.UTC_MICROS, "When it was canceled, UTC; null while it runs.", None, nullable=True),
    c.known("customer"),
    c.known("merchant"),
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)

SUBSCRIPTIONS: Final = CapturedTable(
    "subscriptions",
    entity="a subscription",
    domain="subscriptions",
    columns=_COLUMNS,
    key="subscription_id",
    fixed="merchant_id customer_id customer_token",
    rules=(
        op_known(),
        not_null("R-reference-present", "merchant_id", "customer_id", "customer_token", "created_at").of_deletes(),
        token_form("customer_token", "tok"),
        not_null("R-plan-present", "plan_code", "billing_interval"),
        one_of("R-interval-known", "billing_interval", BILLING_INTERVALS),
        not_null("R-amount-present", "amount_minor"),
        amount_sign(),
        amount_limit(),
        not_null("R-currency-present", "currency"),
        currency_known(),
        not_null("R-status-present", "status"),
        one_of("R-status-known", "status", tuple(SUBSCRIPTION_TRANSITIONS)),
        status_transition(SUBSCRIPTION_TRANSITIONS),
        not_null("R-period-present", "period_start_at", "period_end_at"),
        Rule(
            "R-period-order",
            Severity.ROW,
            "period_start_at must not be after period_end_at",
            nw.col("period_start_at") <= nw.col("period_end_at"),
        ).releasable(),
        Rule(
            "R-cancel-time",
            Severity.ROW,
            "canceled_at must have a value when, and only when, the status is canceled",
            (nw.col("status") == CANCELED) == ~nw.col("canceled_at").is_null(),
        ).releasable(),
        time_order(),
        clock_skew(),
    ),
    sums=("amount_minor", "currency"),
).lake_zones(
    (
        *pick(
            _COLUMNS,
            "subscription_id epoch version previous_status status merchant_id customer_token plan_code billing_interval"
            " amount_minor currency",
        ),
        c.in_usd(next(column for column in _COLUMNS if column.name == "amount_minor")),
        c.USD_RATE,
        c.USD_RATE_DATE,
        *pick(_COLUMNS, "period_start_at period_end_at canceled_at is_customer_known is_merchant_known"),
        c.IS_DELETED,
        c.CREATED_AT,
        c.CREATED_DATE,
        c.UPDATED_AT,
    ),
    note="pseudonymous and in US dollars too",
)

DATASETS: Final = SUBSCRIPTIONS.datasets
