"""Contracts of the payments domain: transactions and payment methods, from raw to curated.

Belongs here: what these datasets are and which rules they obey. Does not: the code that splits, conforms or loads.
"""

from decimal import Decimal
from typing import Final

import narwhals as nw
import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Pii, Rule, Severity, pick
from payments_platform.contracts.lake_zones import CapturedTable, curated_columns
from payments_platform.contracts.rules import (
    amount_limit,
    amount_sign,
    clock_skew,
    country_known,
    currency_known,
    minor_units_per_e4,
    not_null,
    one_of,
    op_known,
    status_transition,
    time_order,
)

STATUSES: Final = ("pending", "processing", "succeeded", "failed", "refunded", "partially_refunded", "disputed")
# From a status to those that may follow it; staying in a status (a capture, a partial refund more) is legal too.
STATUS_TRANSITIONS: Final[dict[str, tuple[str, ...]]] = {
    "pending": ("processing", "succeeded", "failed"),
    "processing": ("succeeded", "failed"),
    "succeeded": ("refunded", "partially_refunded", "disputed"),
    "partially_refunded": ("refunded", "disputed"),
    "disputed": ("succeeded", "refunded"),
    "failed": (),
    "refunded": ("disputed",),
}
METHOD_TYPES: Final = ("card", "sepa_debit", "wallet", "bank_transfer")
CARD_BRANDS: Final = ("visa", "mastercard", "amex", "discover", "jcb", "unionpay", "diners")


def _amount_agrees() -> nw.Expr:
    """True where the legacy decimal has no more decimals than the currency and equals amount_minor."""
    amount = nw.col("amount")
    bounded = nw.when((amount < 10**14) & (amount > -(10**14))).then(amount).otherwise(nw.lit(-1))
    # 128 bits: the product of an absurd amount must not wrap round to the right one.
    minor_e4 = nw.col("amount_minor").cast(nw.Int128) * minor_units_per_e4().cast(nw.Int128)
    agrees = (bounded * 10_000).cast(nw.Int128) == minor_e4
    return amount.is_null() | nw.col("amount_minor").is_null() | agrees


_TRANSACTION_COLUMNS: Final = (
    c.TRANSACTION_ID,
    c.EPOCH,
    c.VERSION,
    c.OP,
    c.PREVIOUS_STATUS,
    Column("status", pl.String(), "State of the payment in this version.", "succeeded"),
    c.MERCHANT_ID,
    c.CUSTOMER_ID,
    c.CUSTOMER_TOKEN,
    c.PAYMENT_METHOD_ID,
    Column(
        "amount",
        pl.Decimal(20, 4),
        "Amount as the API sent it, in major units; compared with amount_minor, never used.",
        Decimal("12.5"),
        nullable=True,
        unit="major",
    ),
    c.AMOUNT_MINOR,
    Column("captured_minor", pl.Int64(), "Running total captured, in minor units.", 1250, unit="minor"),
    Column("refunded_minor", pl.Int64(), "Running total refunded, in minor units.", 0, unit="minor"),
    c.CURRENCY,
    Column("country_code", pl.String(), "Country of the payer, ISO 3166-1 alpha-2.", "FR", nullable=True),
    Column(
        "device_id", pl.String(), "Identifier of the payer's device.", "dev_sample", nullable=True, pii=Pii.PERSONAL
    ),
    Column("ip_address", pl.String(), "Address the payment came from.", "203.0.113.7", nullable=True, pii=Pii.PERSONAL),
    Column(
        "description",
        pl.String(),
        "Free text of the merchant, card numbers masked.",
        "Order 1",
        nullable=True,
        pii=Pii.FREE_TEXT,
    ),
    Column(
        "metadata",
        pl.String(),
        "JSON of the merchant, card numbers masked.",
        '{"order":"1"}',
        nullable=True,
        pii=Pii.FREE_TEXT,
    ),
    c.known("customer"),
    c.known("merchant"),
    c.known("payment_method"),
    c.known("device"),
    # As the source knew the device when it wrote the version: what is left of it once its identifier is gone.
    c.DEVICE_TYPE,
    c.OS_NAME,
    c.BROWSER_NAME,
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)

TRANSACTION_RULES: Final = (
    op_known(),
    not_null("R-reference-present", "merchant_id", "customer_id", "customer_token").of_deletes(),
    not_null("R-amount-present", "amount_minor", "captured_minor", "refunded_minor"),
    amount_sign(),
    amount_limit("amount_minor", "captured_minor", "refunded_minor"),
    Rule(
        "R-amount-decimals",
        Severity.ROW,
        "amount must fit the currency's decimals and equal amount_minor",
        _amount_agrees(),
    ).releasable(),
    not_null("R-currency-present", "currency"),
    currency_known(),
    country_known(),
    not_null("R-status-present", "status"),
    one_of("R-status-known", "status", STATUSES),
    status_transition(STATUS_TRANSITIONS),
    Rule(
        "R-captured-within-amount",
        Severity.ROW,
        "captured_minor must lie between 0 and amount_minor",
        (nw.col("captured_minor") >= 0)
        & ((nw.col("captured_minor") <= nw.col("amount_minor")) | (nw.col("amount_minor") < 0)),
    ).releasable(),
    Rule(
        "R-refund-within-captured",
        Severity.ROW,
        "refunded_minor must lie between 0 and captured_minor",
        (nw.col("refunded_minor") >= 0)
        & ((nw.col("refunded_minor") <= nw.col("captured_minor")) | (nw.col("captured_minor") < 0)),
    ).releasable(),
    time_order(),
    clock_skew(),
)

_AMOUNTS: Final = pick(_TRANSACTION_COLUMNS, "amount_minor captured_minor refunded_minor")
TRANSACTIONS: Final = CapturedTable(
    "transactions",
    entity="a transaction",
    domain="payments",
    columns=_TRANSACTION_COLUMNS,
    key="transaction_id",
    rules=TRANSACTION_RULES,
    sums=("amount_minor", "currency"),
    certain="created_at",
    fixed="merchant_id customer_id customer_token",
).lake_zones(
    (
        *pick(
            _TRANSACTION_COLUMNS,
            "transaction_id epoch version previous_status status merchant_id customer_token payment_method_id"
            " amount_minor captured_minor refunded_minor currency",
        ),
        *(c.in_usd(amount) for amount in _AMOUNTS),
        c.USD_RATE,
        c.USD_RATE_DATE,
        *pick(_TRANSACTION_COLUMNS, "country_code"),
        Column(
            "ip_network",
            pl.String(),
            "First 16 bits of an IPv4 address (48 of IPv6), the rest zero.",
            "203.0.0.0/16",
            nullable=True,
        ),
        Column("is_device_present", pl.Boolean(), "The payment named a device.", True),
        *pick(
            _TRANSACTION_COLUMNS,
            "device_type os_name browser_name"
            " is_customer_known is_merchant_known is_payment_method_known is_device_known",
        ),
        c.IS_DELETED,
        c.CREATED_AT,
        c.CREATED_DATE,
        c.UPDATED_AT,
    ),
    note="pseudonymous and in US dollars too",
)
RAW_TRANSACTIONS, CLEAN_TRANSACTIONS, QUARANTINE_TRANSACTIONS, CURATED_TRANSACTIONS = TRANSACTIONS.datasets

_PAYMENT_METHOD_COLUMNS: Final = (
    Column("payment_method_id", pl.String(), "Identifier of the payment method.", "pm_sample"),
    c.EPOCH,
    c.VERSION,
    c.OP,
    c.CUSTOMER_ID,
    Column("method_type", pl.String(), "Kind of payment method.", "card"),
    Column("card_brand", pl.String(), "Card scheme; null when it is no card.", "visa", nullable=True),
    Column("card_funding", pl.String(), "credit, debit or prepaid; null when it is no card.", "credit", nullable=True),
    Column("issuer_country_code", pl.String(), "Country of the issuer, ISO 3166-1 alpha-2.", "FR", nullable=True),
    Column(
        "payment_method_token",
        pl.String(),
        "Vault token that stands for the instrument.",
        "pmt_sample",
        pii=Pii.PSEUDONYM,
    ),
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)
PAYMENT_METHODS: Final = CapturedTable(
    "payment_methods",
    entity="a payment method",
    domain="payments",
    columns=_PAYMENT_METHOD_COLUMNS,
    key="payment_method_id",
    fixed="customer_id",
    rules=(
        op_known(),
        not_null("R-reference-present", "customer_id", "payment_method_token", "created_at"),
        not_null("R-method-present", "method_type"),
        one_of("R-method-known", "method_type", METHOD_TYPES),
        one_of("R-brand-known", "card_brand", CARD_BRANDS),
        one_of("R-funding-known", "card_funding", ("credit", "debit", "prepaid")),
        country_known("issuer_country_code"),
        time_order(),
        clock_skew(),
    ),
).lake_zones(
    curated_columns(
        _PAYMENT_METHOD_COLUMNS,
        "payment_method_id epoch version method_type card_brand card_funding issuer_country_code",
    ),
    note="without its token and owner",
)
RAW_PAYMENT_METHODS, CLEAN_PAYMENT_METHODS, QUARANTINE_PAYMENT_METHODS, CURATED_PAYMENT_METHODS = (
    PAYMENT_METHODS.datasets
)

DATASETS: Final = (*TRANSACTIONS.datasets, *PAYMENT_METHODS.datasets)
