"""The ways to break each rule that a row from the source can break, one way a rule, table by table.

Belongs here: which column gets which value. Does not: which rows are broken (defects.py), the rules (contracts/).
A rule that another rule would hide is broken alone: an unknown currency, say, carries no decimal amount to disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from payments_platform.contracts.rules import MAX_AMOUNT_MINOR, TEXT_EMAIL, TEXT_IBAN, TEXT_PAN, TEXT_PHONE

# Warnings: the row is good; its card number is masked before it reaches the lake, other personal data are counted.
WARNED: Final = (TEXT_PAN.id, TEXT_EMAIL.id, TEXT_PHONE.id, TEXT_IBAN.id)
_NULL: Final = pl.lit(None)
_NULL_TEXT: Final = pl.lit(None, dtype=pl.String)
_EARLIER: Final = timedelta(hours=1)
_AHEAD: Final = {"created_at": pl.col("created_at") + timedelta(days=2)}
_EARLY: Final = {"updated_at": pl.col("created_at") - _EARLIER}


@dataclass(frozen=True)
class Step:
    """A second version, an hour after the first, that breaks the rule which the first kept."""

    change: Mapping[str, pl.Expr]


# The rule, what is changed in the row, and the second version of a rule about two.
Breakage = tuple[str, Mapping[str, pl.Expr]] | tuple[str, Mapping[str, pl.Expr], Step]
TRANSACTIONS: Final[tuple[Breakage, ...]] = (
    ("R-reference-present", {"merchant_id": _NULL_TEXT}),
    ("R-amount-present", {"amount_minor": _NULL}),
    (
        "R-amount-sign",
        {"amount_minor": -pl.col("amount_minor"), "amount": "-" + pl.col("amount"), "captured_minor": pl.lit(0)},
    ),
    ("R-amount-limit", {"amount_minor": pl.lit(MAX_AMOUNT_MINOR + 1), "amount": _NULL_TEXT}),
    ("R-amount-decimals", {"amount": pl.col("amount").str.slice(0, pl.col("amount").str.len_chars() - 1) + "7"}),
    ("R-currency-present", {"currency": _NULL_TEXT, "amount": _NULL_TEXT}),
    ("R-currency-known", {"currency": pl.lit("ZZZ"), "amount": _NULL_TEXT}),
    ("R-country-known", {"country_code": pl.lit("QQ")}),
    ("R-status-present", {"status": _NULL_TEXT}),
    ("R-status-known", {"status": pl.lit("authorised")}),
    ("R-status-transition", {"status": pl.lit("failed"), "captured_minor": pl.lit(0)}),
    ("R-captured-within-amount", {"captured_minor": pl.col("amount_minor") + 1}),
    ("R-refund-within-captured", {"refunded_minor": pl.col("captured_minor") + 1}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
    # Numbers that card schemes publish for tests.
    (TEXT_PAN.id, {"description": pl.lit("Paid with 4111 1111 1111 1111")}),
    (TEXT_PAN.id, {"metadata": pl.lit('{"note": "card 5555555555554444"}')}),
    (TEXT_EMAIL.id, {"description": pl.lit("Deliver to someone@example.com")}),
    (TEXT_PHONE.id, {"description": pl.lit("Call +44 20 7946 0958 before noon")}),
    # The account that registries print as their example.
    (TEXT_IBAN.id, {"metadata": pl.lit('{"note": "pay back to GB29 NWBK 6016 1331 9268 19"}')}),
)
MERCHANTS: Final[tuple[Breakage, ...]] = (
    ("R-merchant-present", {"name": _NULL_TEXT}),
    ("R-mcc-format", {"mcc": pl.lit("54")}),
    ("R-country-known", {"country_code": pl.lit("QQ")}),
    ("R-currency-known", {"currency": pl.lit("ZZZ")}),
    ("R-status-known", {"status": pl.lit("asleep")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)
CUSTOMERS: Final[tuple[Breakage, ...]] = (
    ("R-customer-present", {"segment": _NULL_TEXT}),
    ("R-token-format", {"customer_token": "untokenised-" + pl.col("customer_id")}),
    ("R-country-known", {"country_code": pl.lit("QQ")}),
    ("R-segment-known", {"segment": pl.lit("gold")}),
    ("R-status-known", {"status": pl.lit("asleep")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)
PAYMENT_METHODS: Final[tuple[Breakage, ...]] = (
    ("R-reference-present", {"payment_method_token": _NULL_TEXT}),
    ("R-method-present", {"method_type": _NULL_TEXT}),
    ("R-method-known", {"method_type": pl.lit("cheque")}),
    ("R-brand-known", {"card_brand": pl.lit("acme")}),
    ("R-funding-known", {"card_funding": pl.lit("charge")}),
    ("R-country-known", {"issuer_country_code": pl.lit("QQ")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)
DEVICES: Final[tuple[Breakage, ...]] = (
    ("R-reference-present", {"customer_id": _NULL_TEXT}),
    ("R-token-format", {"device_token": "untokenised-" + pl.col("device_id")}),
    ("R-device-present", {"device_type": _NULL_TEXT}),
    ("R-device-known", {"device_type": pl.lit("fridge")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)
CONSENTS: Final[tuple[Breakage, ...]] = (
    ("R-reference-present", {"customer_id": _NULL_TEXT}),
    ("R-token-format", {"customer_token": "untokenised-" + pl.col("customer_id")}),
    ("R-consent-present", {"is_granted": _NULL}),
    ("R-purpose-known", {"purpose": pl.lit("resale")}),
    ("R-channel-known", {"channel": pl.lit("pigeon")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)
SUBSCRIPTIONS: Final[tuple[Breakage, ...]] = (
    ("R-reference-present", {"merchant_id": _NULL_TEXT}),
    ("R-token-format", {"customer_token": "untokenised-" + pl.col("customer_id")}),
    ("R-plan-present", {"plan_code": _NULL_TEXT}),
    ("R-interval-known", {"billing_interval": pl.lit("fortnight")}),
    ("R-amount-present", {"amount_minor": _NULL}),
    ("R-amount-sign", {"amount_minor": -pl.col("amount_minor")}),
    ("R-amount-limit", {"amount_minor": pl.lit(MAX_AMOUNT_MINOR + 1)}),
    ("R-currency-present", {"currency": _NULL_TEXT}),
    ("R-currency-known", {"currency": pl.lit("ZZZ")}),
    ("R-status-present", {"status": _NULL_TEXT}),
    ("R-status-known", {"status": pl.lit("asleep")}),
    (
        "R-status-transition",
        {"status": pl.lit("canceled"), "canceled_at": pl.col("updated_at")},
        Step({"status": pl.lit("active"), "canceled_at": _NULL}),
    ),
    ("R-period-present", {"period_end_at": _NULL}),
    ("R-period-order", {"period_end_at": pl.col("period_start_at") - _EARLIER}),
    ("R-cancel-time", {"canceled_at": pl.col("updated_at")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)
_MONEY_BACK: Final[tuple[Breakage, ...]] = (
    ("R-reference-present", {"merchant_id": _NULL_TEXT}),
    ("R-amount-present", {"amount_minor": _NULL}),
    ("R-amount-positive", {"amount_minor": pl.lit(0)}),
    ("R-amount-limit", {"amount_minor": pl.lit(MAX_AMOUNT_MINOR + 1)}),
    ("R-currency-present", {"currency": _NULL_TEXT}),
    ("R-currency-known", {"currency": pl.lit("ZZZ")}),
    ("R-reason-known", {"reason_code": pl.lit("regret")}),
    ("R-status-present", {"status": _NULL_TEXT}),
    ("R-status-known", {"status": pl.lit("asleep")}),
    ("R-time-order", _EARLY),
    ("R-clock-skew", _AHEAD),
)
REFUNDS: Final[tuple[Breakage, ...]] = (
    *_MONEY_BACK,
    ("R-status-transition", {"status": pl.lit("canceled")}, Step({"status": pl.lit("succeeded")})),
)
DISPUTES: Final[tuple[Breakage, ...]] = (
    *_MONEY_BACK,
    ("R-reason-present", {"reason_code": _NULL_TEXT}),
    ("R-status-transition", {"status": pl.lit("lost")}, Step({"status": pl.lit("under_review")})),
)

# Rules that no source can break: the history trigger writes op itself.
UNBREAKABLE: Final = {"R-op-known": "the source's own trigger writes op, and knows three values"}
