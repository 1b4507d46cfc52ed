"""Contracts of the payments domain: transactions and payment methods, from raw to curated.

Belongs here: what these datasets are and which rules they obey. Does not: the code that splits, conforms or loads.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Final

import narwhals as nw
import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset, Pii, Rule, Severity, loosened, pick
from payments_platform.contracts.rules import (
    CHANGE_OPS,
    country_known,
    currency_known,
    minor_units_per_e4,
    not_null,
    one_of,
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
# More than any payment, and little enough that the sums of a warehouse keep fitting 64 bits.
MAX_AMOUNT_MINOR: Final = 10**15
CARD_BRANDS: Final = ("visa", "mastercard", "amex", "discover", "jcb", "unionpay", "diners")
CUSTOMER_PSEUDONYM_FORM: Final = r"^tok_[0-9a-f]{64}$"
RAW_RETENTION, CLEAN_RETENTION, CURATED_RETENTION = timedelta(days=90), timedelta(days=365), timedelta(days=7 * 365 + 2)


def _transition_legal() -> nw.Expr:
    """True where previous_status → status is in STATUS_TRANSITIONS, unchanged, or the first version."""
    previous, status = nw.col("previous_status"), nw.col("status")
    legal = previous.is_null() | (previous == status)
    for before, after in STATUS_TRANSITIONS.items():
        legal = legal | ((previous == before) & status.is_in(list(after)))
    return legal | ~previous.is_in(list(STATUSES))


def _amount_agrees() -> nw.Expr:
    """True where the legacy decimal has no more decimals than the currency and equals amount_minor."""
    amount = nw.col("amount")
    bounded = nw.when((amount < 10**14) & (amount > -(10**14))).then(amount).otherwise(nw.lit(-1))
    # 128 bits: the product of an absurd amount must not wrap round to the right one.
    minor_e4 = nw.col("amount_minor").cast(nw.Int128) * minor_units_per_e4().cast(nw.Int128)
    agrees = (bounded * 10_000).cast(nw.Int128) == minor_e4
    return amount.is_null() | nw.col("amount_minor").is_null() | agrees


_TRANSACTION_COLUMNS: Final = (
    Column("transaction_id", pl.String(), "Identifier given by the payment API.", "txn_sample"),
    c.EPOCH,
    c.VERSION,
    c.OP,
    Column("previous_status", pl.String(), "Status of the version before; null for the first.", None, nullable=True),
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
    Column("amount_minor", pl.Int64(), "Amount asked for, in the currency's minor unit.", 1250, unit="minor"),
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
    Column(
        "is_customer_known", pl.Boolean(), "The customer existed when the version was written.", True, nullable=True
    ),
    Column(
        "is_merchant_known", pl.Boolean(), "The merchant existed when the version was written.", True, nullable=True
    ),
    Column(
        "is_payment_method_known",
        pl.Boolean(),
        "The payment method existed when the version was written.",
        True,
        nullable=True,
    ),
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)
_SOURCE_OWNED = "transaction_id epoch version op created_at updated_at"

TRANSACTION_RULES: Final = (
    one_of("R-op-known", "op", CHANGE_OPS),
    not_null("R-reference-present", "merchant_id", "customer_id", "customer_token"),
    not_null("R-amount-present", "amount_minor", "captured_minor", "refunded_minor"),
    Rule("R-amount-sign", Severity.ROW, "amount_minor must not be negative", nw.col("amount_minor") >= 0),
    Rule(
        "R-amount-limit",
        Severity.ROW,
        f"amount_minor must not exceed {MAX_AMOUNT_MINOR}: beyond, sums in the warehouse would overflow",
        nw.col("amount_minor") <= MAX_AMOUNT_MINOR,
    ),
    Rule(
        "R-amount-decimals",
        Severity.ROW,
        "amount must fit the currency's decimals and equal amount_minor",
        _amount_agrees(),
    ),
    not_null("R-currency-present", "currency"),
    currency_known(),
    country_known(),
    not_null("R-status-present", "status"),
    one_of("R-status-known", "status", STATUSES),
    Rule("R-status-transition", Severity.ROW, "the status must be reachable from the one before", _transition_legal()),
    Rule(
        "R-captured-within-amount",
        Severity.ROW,
        "captured_minor must lie between 0 and amount_minor",
        (nw.col("captured_minor") >= 0)
        & ((nw.col("captured_minor") <= nw.col("amount_minor")) | (nw.col("amount_minor") < 0)),
    ),
    Rule(
        "R-refund-within-captured",
        Severity.ROW,
        "refunded_minor must lie between 0 and captured_minor",
        (nw.col("refunded_minor") >= 0)
        & ((nw.col("refunded_minor") <= nw.col("captured_minor")) | (nw.col("captured_minor") < 0)),
    ),
    time_order(),
)

RAW_TRANSACTIONS = Dataset(
    key=("raw", "transactions"),
    grain="One row per version of a transaction written at the source on the day.",
    domain="payments",
    columns=loosened(_TRANSACTION_COLUMNS, keep=_SOURCE_OWNED),
    primary_key=("transaction_id", "version"),
    retention=RAW_RETENTION,
    sums=("amount_minor", "currency"),
)
CLEAN_TRANSACTIONS = Dataset(
    key=("clean", "transactions"),
    grain="One row per transaction changed on the day, in its last good state of that day.",
    domain="payments",
    columns=_TRANSACTION_COLUMNS,
    primary_key=("transaction_id",),
    rules=TRANSACTION_RULES,
    retention=CLEAN_RETENTION,
    sums=("amount_minor", "currency"),
)
QUARANTINE_TRANSACTIONS = Dataset(
    key=("quarantine", "transactions"),
    grain="One row per version of a transaction that broke a rule on the day.",
    domain="payments",
    columns=(*RAW_TRANSACTIONS.columns, c.REASONS),
    primary_key=("transaction_id", "version"),
    retention=RAW_RETENTION,
    sums=("amount_minor", "currency"),
)
CURATED_TRANSACTIONS = Dataset(
    key=("curated", "transactions"),
    grain="One row per transaction changed on the day, pseudonymous and in US dollars too.",
    domain="payments",
    columns=(
        *pick(
            _TRANSACTION_COLUMNS,
            "transaction_id epoch version previous_status status merchant_id customer_token payment_method_id"
            " amount_minor captured_minor refunded_minor currency",
        ),
        Column(
            "amount_usd_minor",
            pl.Int64(),
            "amount_minor in US cents at usd_rate, half even.",
            1300,
            nullable=True,
            unit="minor",
        ),
        Column(
            "captured_usd_minor",
            pl.Int64(),
            "captured_minor in US cents at usd_rate, half even.",
            1300,
            nullable=True,
            unit="minor",
        ),
        Column(
            "refunded_usd_minor",
            pl.Int64(),
            "refunded_minor in US cents at usd_rate, half even.",
            0,
            nullable=True,
            unit="minor",
        ),
        Column(
            "usd_rate",
            c.RATE,
            "US dollars per major unit used; null when no rate was known.",
            Decimal("1.04"),
            nullable=True,
        ),
        Column(
            "usd_rate_date",
            pl.Date(),
            "Day of the rate used: the last one before the payment's day.",
            c.SAMPLE_DAY,
            nullable=True,
        ),
        *pick(_TRANSACTION_COLUMNS, "country_code"),
        Column(
            "ip_network",
            pl.String(),
            "First 16 bits of an IPv4 address (48 of IPv6), the rest zero.",
            "203.0.0.0/16",
            nullable=True,
        ),
        Column("is_device_present", pl.Boolean(), "The payment named a device.", True),
        *pick(_TRANSACTION_COLUMNS, "is_customer_known is_merchant_known is_payment_method_known"),
        c.IS_DELETED,
        c.CREATED_AT,
        Column("created_date", pl.Date(), "UTC day of created_at.", c.SAMPLE_DAY),
        c.UPDATED_AT,
    ),
    primary_key=("transaction_id",),
    retention=CURATED_RETENTION,
    sums=("amount_minor", "currency"),
)

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
RAW_PAYMENT_METHODS = Dataset(
    key=("raw", "payment_methods"),
    grain="One row per version of a payment method written at the source on the day.",
    domain="payments",
    columns=loosened(_PAYMENT_METHOD_COLUMNS, keep="payment_method_id epoch version op updated_at"),
    primary_key=("payment_method_id", "version"),
    retention=RAW_RETENTION,
)
CLEAN_PAYMENT_METHODS = Dataset(
    key=("clean", "payment_methods"),
    grain="One row per payment method changed on the day, in its last good state of that day.",
    domain="payments",
    columns=_PAYMENT_METHOD_COLUMNS,
    primary_key=("payment_method_id",),
    rules=(
        one_of("R-op-known", "op", CHANGE_OPS),
        not_null("R-reference-present", "customer_id", "payment_method_token", "created_at"),
        not_null("R-method-present", "method_type"),
        one_of("R-method-known", "method_type", METHOD_TYPES),
        one_of("R-brand-known", "card_brand", CARD_BRANDS),
        one_of("R-funding-known", "card_funding", ("credit", "debit", "prepaid")),
        country_known("issuer_country_code"),
        time_order(),
    ),
    retention=CLEAN_RETENTION,
)
QUARANTINE_PAYMENT_METHODS = Dataset(
    key=("quarantine", "payment_methods"),
    grain="One row per version of a payment method that broke a rule on the day.",
    domain="payments",
    columns=(*RAW_PAYMENT_METHODS.columns, c.REASONS),
    primary_key=("payment_method_id", "version"),
    retention=RAW_RETENTION,
)
CURATED_PAYMENT_METHODS = Dataset(
    key=("curated", "payment_methods"),
    grain="One row per payment method changed on the day, without its token and owner.",
    domain="payments",
    columns=(
        *pick(
            _PAYMENT_METHOD_COLUMNS,
            "payment_method_id epoch version method_type card_brand card_funding issuer_country_code",
        ),
        c.IS_DELETED,
        c.CREATED_AT,
        c.UPDATED_AT,
    ),
    primary_key=("payment_method_id",),
    retention=CURATED_RETENTION,
)

DATASETS: Final = (
    RAW_TRANSACTIONS,
    CLEAN_TRANSACTIONS,
    QUARANTINE_TRANSACTIONS,
    CURATED_TRANSACTIONS,
    RAW_PAYMENT_METHODS,
    CLEAN_PAYMENT_METHODS,
    QUARANTINE_PAYMENT_METHODS,
    CURATED_PAYMENT_METHODS,
)
