"""Rows written by hand, one mistake each, and good ones that look like mistakes: what the rules are held to.

Belongs here: literals. Does not: anything drawn, sampled from a contract or simulated, which would share its errors. A
row is a table's plain row with the cells named here; of a bad one the rule that it breaks is named first.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

Cells = dict[str, Any]
NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_HASH: Final = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
PAYER: Final = f"tok_{_HASH}"
DEVICE: Final = f"dvt_{_HASH}"
_VERSION: Final[Cells] = {"epoch": 1, "version": 1, "op": "c", "created_at": NOON, "updated_at": NOON, "load_id": None}
_PAYER: Final[Cells] = {"customer_id": "cus_1", "customer_token": PAYER, "is_customer_known": True}

PLAIN: Final[dict[str, Cells]] = {
    "transactions": _VERSION
    | _PAYER
    | {"transaction_id": "txn", "previous_status": None, "status": "succeeded", "merchant_id": "mer_1"}
    | {"payment_method_id": "pm_1", "amount": Decimal("10.00"), "amount_minor": 1000, "captured_minor": 1000}
    | {"refunded_minor": 0, "currency": "EUR", "country_code": "FR", "device_id": "dev_1", "ip_address": "192.0.2.1"}
    | {"description": "Order 1", "metadata": "{}", "is_merchant_known": True, "is_payment_method_known": True}
    | {"is_device_known": True, "device_type": "mobile", "os_name": "ios", "browser_name": "safari"},
    "merchants": _VERSION
    | {
        "merchant_id": "mer",
        "name": "Shop",
        "mcc": "5411",
        "country_code": "FR",
        "currency": "EUR",
        "status": "active",
    },
    "customers": _VERSION
    | {"customer_id": "cus", "customer_token": PAYER, "token_key_id": "k1", "country_code": "FR"}
    | {"segment": "consumer", "status": "active"},
    "payment_methods": _VERSION
    | {"payment_method_id": "pm", "customer_id": "cus_1", "method_type": "card", "card_brand": "visa"}
    | {"card_funding": "credit", "issuer_country_code": "FR", "payment_method_token": "pmt_1"},
    "devices": _VERSION
    | {"device_id": "dev", "customer_id": "cus_1", "device_token": DEVICE, "device_type": "mobile"}
    | {"os_name": "ios", "browser_name": "safari", "is_customer_known": True},
    "refunds": _VERSION
    | {"refund_id": "ref", "previous_status": None, "status": "succeeded", "transaction_id": "txn_1"}
    | {
        "merchant_id": "mer_1",
        "amount_minor": 500,
        "currency": "EUR",
        "reason_code": None,
        "is_transaction_known": True,
    },
    "disputes": _VERSION
    | {"dispute_id": "dsp", "previous_status": None, "status": "needs_response", "transaction_id": "txn_1"}
    | {"merchant_id": "mer_1", "amount_minor": 500, "currency": "EUR", "reason_code": "fraudulent"}
    | {"evidence_due_at": None, "is_transaction_known": True},
    "subscriptions": _VERSION
    | _PAYER
    | {"subscription_id": "sub", "previous_status": None, "status": "active", "merchant_id": "mer_1"}
    | {"plan_code": "standard", "billing_interval": "month", "amount_minor": 900, "currency": "EUR"}
    | {"period_start_at": NOON, "period_end_at": NOON + timedelta(days=31), "canceled_at": None}
    | {"is_merchant_known": True},
    "consents": _VERSION | _PAYER | {"consent_id": "cns", "purpose": "marketing", "is_granted": True, "channel": "web"},
    "exchange_rates": {"currency": "EUR", "rate_date": date(2026, 2, 28), "usd_rate": Decimal("1.04"), "load_id": None},
}
_OF_CAPTURED: Final[list[tuple[str, Cells]]] = [
    ("R-op-known", {"op": "t"}),
    ("R-op-known", {"op": "C"}),
    ("R-time-order", {"created_at": NOON + timedelta(microseconds=1)}),
    ("R-time-order", {"created_at": NOON + timedelta(hours=14)}),
    ("R-clock-skew", {"created_at": datetime(2028, 3, 1, 12, tzinfo=UTC)}),
    ("R-clock-skew", {"created_at": datetime(1970, 1, 1, tzinfo=UTC)}),
]
_NO_COUNTRY: Final = ("fr", "UK", "XX", "FRA", "", " FR", "F", "Fr", "EU", "75")
_NO_CURRENCY: Final = ("eur", "XAU", "EURO", "", " EUR", "EUR ", "€", "XXX", "BTC", "Eur")
_NO_TOKEN: Final = ("cus_1", PAYER.upper(), PAYER[:-1], PAYER + "0", "tok_" + "g" * 64, " " + PAYER)


def _each(rule: str, column: str, values: tuple[Any, ...], **more: object) -> list[tuple[str, Cells]]:
    return [(rule, {column: value, **more}) for value in values]


BAD: Final[dict[str, list[tuple[str, Cells]]]] = {
    "transactions": [
        *_OF_CAPTURED,
        *((("R-reference-present", {name: None})) for name in ("merchant_id", "customer_id", "customer_token")),
        *((("R-amount-present", {name: None})) for name in ("amount_minor", "captured_minor", "refunded_minor")),
        *_each("R-amount-sign", "amount_minor", (-1, -(10**15), -1000), amount=None, captured_minor=0),
        *_each("R-amount-limit", "amount_minor", (10**15 + 1, 2**63 - 1), amount=None),
        *_each("R-amount-decimals", "amount", tuple(map(Decimal, ("10.001", "10.0001", "9.99", "-10", "1000")))),
        ("R-amount-decimals", {"currency": "JPY"}),
        ("R-amount-decimals", {"currency": "JPY", "amount": Decimal("1000.5")}),
        ("R-amount-decimals", {"currency": "KWD"}),
        ("R-amount-decimals", {"currency": "KWD", "amount": Decimal("1.0001")}),
        ("R-amount-decimals", {"currency": "KRW", "amount": Decimal("10.00")}),
        ("R-amount-decimals", {"amount": Decimal("9999999999999999.9999")}),
        ("R-currency-present", {"currency": None, "amount": None}),
        ("R-currency-present", {"currency": None, "amount": None, "status": "failed", "captured_minor": 0}),
        *_each("R-currency-known", "currency", _NO_CURRENCY, amount=None),
        *_each("R-country-known", "country_code", _NO_COUNTRY),
        ("R-status-present", {"status": None}),
        ("R-status-present", {"status": None, "previous_status": "pending"}),
        *_each("R-status-known", "status", ("SUCCEEDED", "paid", "", "succeeded ", "cancelled", "Failed")),
        ("R-status-transition", {"previous_status": "failed", "status": "succeeded"}),
        ("R-status-transition", {"previous_status": "refunded", "status": "succeeded"}),
        ("R-status-transition", {"previous_status": "pending", "status": "refunded"}),
        ("R-status-transition", {"previous_status": "succeeded", "status": "pending"}),
        ("R-status-transition", {"previous_status": "succeeded", "status": "failed"}),
        *_each("R-captured-within-amount", "captured_minor", (1001, -1, 10**15)),
        *_each("R-refund-within-captured", "refunded_minor", (1001, -1, 10**15)),
        ("R-refund-within-captured", {"captured_minor": 0, "refunded_minor": 1}),
    ],
    "merchants": [
        *_OF_CAPTURED,
        *((("R-merchant-present", {name: None})) for name in ("name", "mcc", "country_code", "currency", "status")),
        *_each("R-mcc-format", "mcc", ("54", "54111", "541a", "", " 5411", "٥٤١١", "5411\n", "5 41")),
        *_each("R-country-known", "country_code", _NO_COUNTRY),
        *_each("R-currency-known", "currency", _NO_CURRENCY),
        *_each("R-status-known", "status", ("asleep", "Active", "")),
    ],
    "customers": [
        *_OF_CAPTURED,
        *((("R-customer-present", {name: None})) for name in ("customer_token", "token_key_id", "segment", "status")),
        *_each("R-token-format", "customer_token", _NO_TOKEN),
        *_each("R-country-known", "country_code", _NO_COUNTRY),
        *_each("R-segment-known", "segment", ("gold", "VIP", "")),
        *_each("R-status-known", "status", ("asleep", "suspended", "")),
    ],
    "payment_methods": [
        *_OF_CAPTURED,
        *((("R-reference-present", {name: None})) for name in ("customer_id", "payment_method_token")),
        ("R-method-present", {"method_type": None}),
        ("R-method-present", {"method_type": None, "card_brand": None, "card_funding": None}),
        *_each("R-method-known", "method_type", ("cheque", "Card", "")),
        *_each("R-brand-known", "card_brand", ("acme", "VISA", "master card")),
        *_each("R-funding-known", "card_funding", ("charge", "CREDIT")),
        *_each("R-country-known", "issuer_country_code", _NO_COUNTRY),
    ],
    "devices": [
        *_OF_CAPTURED,
        *((("R-reference-present", {name: None})) for name in ("customer_id", "device_token")),
        *_each("R-token-format", "device_token", (PAYER, DEVICE.upper(), "dvt_1", DEVICE + "0")),
        ("R-device-present", {"device_type": None}),
        ("R-device-present", {"device_type": None, "os_name": None}),
        *_each("R-device-known", "device_type", ("fridge", "Mobile", "")),
    ],
    "refunds": [
        *_OF_CAPTURED,
        *((("R-reference-present", {name: None})) for name in ("transaction_id", "merchant_id")),
        ("R-amount-present", {"amount_minor": None}),
        ("R-amount-present", {"amount_minor": None, "status": "pending"}),
        *_each("R-amount-positive", "amount_minor", (0, -1, -(10**15))),
        *_each("R-amount-limit", "amount_minor", (10**15 + 1, 2**63 - 1)),
        ("R-currency-present", {"currency": None}),
        ("R-currency-present", {"currency": None, "status": "failed"}),
        *_each("R-currency-known", "currency", _NO_CURRENCY),
        *_each("R-reason-known", "reason_code", ("bored", "DUPLICATE", "")),
        ("R-status-present", {"status": None}),
        ("R-status-present", {"status": None, "previous_status": "pending"}),
        *_each("R-status-known", "status", ("done", "refunded", "cancelled")),
        ("R-status-transition", {"previous_status": "failed", "status": "succeeded"}),
        ("R-status-transition", {"previous_status": "succeeded", "status": "pending"}),
        ("R-status-transition", {"previous_status": "canceled", "status": "succeeded"}),
    ],
    "disputes": [
        *_OF_CAPTURED,
        *((("R-reference-present", {name: None})) for name in ("transaction_id", "merchant_id")),
        ("R-amount-present", {"amount_minor": None}),
        ("R-amount-present", {"amount_minor": None, "status": "lost"}),
        *_each("R-amount-positive", "amount_minor", (0, -1)),
        *_each("R-amount-limit", "amount_minor", (10**15 + 1, 2**63 - 1)),
        ("R-currency-present", {"currency": None}),
        ("R-currency-present", {"currency": None, "status": "won"}),
        *_each("R-currency-known", "currency", _NO_CURRENCY),
        *_each("R-reason-known", "reason_code", ("angry", "Fraudulent", "")),
        ("R-reason-present", {"reason_code": None}),
        ("R-reason-present", {"reason_code": None, "status": "won"}),
        ("R-status-present", {"status": None}),
        ("R-status-present", {"status": None, "previous_status": "won"}),
        *_each("R-status-known", "status", ("open", "WON", "")),
        ("R-status-transition", {"previous_status": "won", "status": "lost"}),
        ("R-status-transition", {"previous_status": "lost", "status": "needs_response"}),
    ],
    "subscriptions": [
        *_OF_CAPTURED,
        *((("R-reference-present", {name: None})) for name in ("merchant_id", "customer_id", "customer_token")),
        *_each("R-token-format", "customer_token", _NO_TOKEN),
        *((("R-plan-present", {name: None})) for name in ("plan_code", "billing_interval")),
        *_each("R-interval-known", "billing_interval", ("day", "Month", "")),
        ("R-amount-present", {"amount_minor": None}),
        ("R-amount-present", {"amount_minor": None, "status": "trialing"}),
        *_each("R-amount-sign", "amount_minor", (-1, -(10**15))),
        *_each("R-amount-limit", "amount_minor", (10**15 + 1, 2**63 - 1)),
        ("R-currency-present", {"currency": None}),
        ("R-currency-present", {"currency": None, "amount_minor": 0}),
        *_each("R-currency-known", "currency", _NO_CURRENCY),
        ("R-status-present", {"status": None}),
        ("R-status-present", {"status": None, "previous_status": "active"}),
        *_each("R-status-known", "status", ("paused", "Active", "cancelled")),
        ("R-status-transition", {"previous_status": "canceled", "status": "active"}),
        ("R-status-transition", {"previous_status": "trialing", "status": "unpaid"}),
        *((("R-period-present", {name: None})) for name in ("period_start_at", "period_end_at")),
        ("R-period-order", {"period_end_at": NOON - timedelta(microseconds=1)}),
        ("R-period-order", {"period_start_at": NOON + timedelta(days=32)}),
        ("R-cancel-time", {"canceled_at": NOON}),
        ("R-cancel-time", {"status": "canceled"}),
    ],
    "consents": [
        *_OF_CAPTURED,
        *((("R-reference-present", {name: None})) for name in ("customer_id", "customer_token")),
        *_each("R-token-format", "customer_token", _NO_TOKEN),
        *((("R-consent-present", {name: None})) for name in ("purpose", "is_granted", "channel")),
        *_each("R-purpose-known", "purpose", ("spying", "Marketing", "")),
        *_each("R-channel-known", "channel", ("phone", "WEB", "")),
    ],
    "exchange_rates": [
        *_each("R-currency-known", "currency", _NO_CURRENCY),
        ("R-rate-present", {"usd_rate": None}),
        ("R-rate-present", {"usd_rate": None, "currency": "JPY"}),
        *_each("R-rate-positive", "usd_rate", (Decimal(0), Decimal(-1), Decimal("-0.000000001"))),
    ],
}
# Good rows that a warning counts.
WARNED: Final[dict[str, list[tuple[str, Cells]]]] = {
    "transactions": [
        (
            f"R-{entity.replace('_', '-')}-reference",
            {f"is_{entity}_known": False, "amount_minor": amount, "amount": None},
        )
        for entity in ("customer", "merchant", "payment_method", "device")
        for amount in (1000, 2000)
    ],
    "devices": [("R-customer-reference", {"is_customer_known": False, "os_name": name}) for name in ("ios", None)],
    "refunds": [("R-transaction-reference", {"is_transaction_known": False, "amount_minor": n}) for n in (1, 2)],
    "disputes": [("R-transaction-reference", {"is_transaction_known": False, "amount_minor": n}) for n in (1, 2)],
    "subscriptions": [
        (f"R-{entity}-reference", {f"is_{entity}_known": False, "amount_minor": n})
        for entity in ("customer", "merchant")
        for n in (1, 2)
    ],
    "consents": [("R-customer-reference", {"is_customer_known": False, "is_granted": it}) for it in (True, False)],
}
_AMOUNTS: Final = (
    ("EUR", "0", 0), ("EUR", "0.01", 1), ("EUR", "-0.00", 0), ("EUR", "0.1000", 10), ("EUR", "10000000000000", 10**15),
    ("USD", "99.99", 9999), ("USD", "1E+2", 10000), ("GBP", "1234.5", 123450), ("CHF", "0.05", 5), ("INR", "1.10", 110),
    ("JPY", "1000", 1000), ("JPY", "1000.0000", 1000), ("JPY", "1", 1), ("JPY", "0", 0), ("KRW", "50000", 50000),
    ("CLP", "990", 990), ("ISK", "12", 12), ("VND", "1000000", 1000000), ("XOF", "655", 655), ("UGX", "500", 500),
    ("KWD", "1.234", 1234), ("KWD", "0.001", 1), ("KWD", "1.2340", 1234), ("BHD", "12.5", 12500), ("TND", "7", 7000),
    ("OMR", "0.100", 100), ("JOD", "3.005", 3005), ("IQD", "1.5", 1500), ("LYD", "2.020", 2020),
    ("CLF", "1.0001", 10001), ("UYW", "0.0001", 1),
    ("MRU", "1.2", 120), ("MGA", "5.55", 555), ("XAF", "100", 100), ("HUF", "1.50", 150),
)  # fmt: skip
_STEPS: Final = (
    (None, "pending"), (None, "processing"), (None, "succeeded"), (None, "failed"), (None, "disputed"),
    ("pending", "pending"), ("pending", "processing"), ("pending", "succeeded"), ("pending", "failed"),
    ("processing", "succeeded"), ("processing", "failed"), ("succeeded", "succeeded"), ("succeeded", "refunded"),
    ("succeeded", "partially_refunded"), ("succeeded", "disputed"), ("partially_refunded", "refunded"),
    ("partially_refunded", "partially_refunded"), ("partially_refunded", "disputed"), ("disputed", "succeeded"),
    ("disputed", "refunded"), ("refunded", "disputed"), ("failed", "failed"), ("authorised", "succeeded"),
)  # fmt: skip
_TIMES: Final = (
    (datetime(2024, 2, 29, tzinfo=UTC), NOON), (datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), NOON),
    (datetime(2000, 2, 29, 12, tzinfo=UTC), NOON), (datetime(2000, 1, 1, tzinfo=UTC), NOON),
    (datetime(2025, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), NOON), (datetime(2026, 1, 1, tzinfo=UTC), NOON),
    (NOON - timedelta(microseconds=1), NOON), (NOON, NOON), (NOON - timedelta(days=500), NOON),
    (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
    (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC)),
    (datetime(2025, 3, 30, 1, 30, tzinfo=UTC), NOON), (datetime(2025, 10, 26, 1, 30, tzinfo=UTC), NOON),
    (datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC), NOON), (datetime(2019, 7, 1, tzinfo=UTC), NOON),
)  # fmt: skip
_COUNTRIES: Final = "GB GR AX BL MF SX CW BQ SS TL PS AQ UM HM BV TF IO VA NU GS JE GG IM EH TW HK".split()
_TEXTS: Final = (
    "", " ", "Order 79927398713", "Order 1234567890123452", "9999999999999995", "29/02/2024", "注文 12345", "طلب ١٢٣",
    "Ünïcödé — “quoted”", "🧾 42", "'; DROP TABLE transactions; --", "a,b;c\td\ne", '"', "\\N", "NULL", "null", "NaN",
    "-0", "1e309", "=1+1", "ORDER\u00a0100", "\u200b", "R-amount-sign", "x" * 5000,
)  # fmt: skip
GOOD: Final[dict[str, list[Cells]]] = {
    "transactions": [
        *(
            {"currency": currency, "amount": Decimal(amount), "amount_minor": minor, "captured_minor": minor}
            for currency, amount, minor in _AMOUNTS
        ),
        *({"previous_status": before, "status": after} for before, after in _STEPS),
        *({"created_at": created, "updated_at": updated} for created, updated in _TIMES),
        *({"country_code": country} for country in _COUNTRIES),
        *({"description": text} for text in _TEXTS),
        *({"transaction_id": text} for text in ("4111111111111111", "TXN", "txn/1", "a,b", "é", "txn 1", "0")),
        *({name: None} for name in ("payment_method_id", "amount", "country_code", "device_id", "ip_address")),
        *({name: None} for name in ("description", "metadata", "device_type", "os_name", "is_customer_known")),
        *({"amount": None, "amount_minor": 1000, "captured_minor": value} for value in (0, 1, 999)),
        *({"refunded_minor": value} for value in (0, 1, 999, 1000)),
        *({"op": "u", "version": version} for version in (2, 3, 2**31 - 1)),
        *({"ip_address": text} for text in ("::1", "2001:db8::1", "not an address")),
        *({"metadata": text} for text in ("[]", '{"order": "1234567890123452"}', "not json")),
        {"op": "d", "status": None, "amount_minor": -1, "currency": "ZZZ", "country_code": "QQ"},
    ],
    "merchants": [
        *({"mcc": code} for code in ("0000", "0742", "9999", "5999")),
        *({"name": text} for text in ("", "7", "Crème & Fils", "株式会社", "O'Neil's", "null", "x" * 300)),
        *({"country_code": country} for country in ("GB", "PS", "TW")),
        *({"currency": currency} for currency in ("JPY", "KWD", "XOF", "CLF")),
        *({"status": status} for status in ("active", "suspended", "closed")),
        {"op": "d", "name": None, "mcc": "54"},
    ],
    "customers": [
        {"country_code": None},
        {"customer_token": "tok_" + "0" * 64},
        {"customer_token": "tok_" + "f" * 64},
        *({"segment": segment} for segment in ("consumer", "business", "vip")),
        *({"status": status} for status in ("active", "blocked", "closed")),
        {"op": "d", "segment": "gold", "status": None},
    ],
    "payment_methods": [
        *({"method_type": kind} for kind in ("card", "sepa_debit", "wallet", "bank_transfer")),
        *({"card_brand": brand} for brand in ("visa", "mastercard", "amex", "discover", "jcb", "unionpay", "diners")),
        *({"card_funding": funding} for funding in ("credit", "debit", "prepaid")),
        {"method_type": "wallet", "card_brand": None, "card_funding": None, "issuer_country_code": None},
        {"op": "d", "method_type": None, "payment_method_token": None},
    ],
    "devices": [
        *({"device_type": kind} for kind in ("mobile", "tablet", "desktop", "terminal")),
        {"os_name": None, "browser_name": None},
        {"is_customer_known": None},
    ],
    "refunds": [
        *({"amount_minor": amount} for amount in (1, 10**15)),
        *({"reason_code": reason} for reason in ("requested_by_customer", "duplicate", "fraudulent", None)),
        *(
            {"previous_status": "pending", "status": status}
            for status in ("succeeded", "failed", "canceled", "pending")
        ),
        {"previous_status": "succeeded", "status": "failed"},
    ],
    "disputes": [
        *({"amount_minor": amount} for amount in (1, 10**15)),
        *({"evidence_due_at": at} for at in (NOON, NOON - timedelta(days=9), datetime(2028, 2, 29, tzinfo=UTC))),
        *({"previous_status": "needs_response", "status": status} for status in ("under_review", "won", "lost")),
        {"previous_status": "under_review", "status": "needs_response"},
    ],
    "subscriptions": [
        {"amount_minor": 0},
        {"period_start_at": NOON, "period_end_at": NOON},
        {"period_start_at": datetime(2024, 2, 29, tzinfo=UTC)},
        {"status": "canceled", "canceled_at": NOON, "previous_status": "unpaid"},
        *({"billing_interval": interval} for interval in ("week", "month", "year")),
        *({"previous_status": "past_due", "status": status} for status in ("active", "unpaid")),
        *({"plan_code": text} for text in ("", "Größe XL", "4111111111111112")),
    ],
    "consents": [
        *({"purpose": purpose} for purpose in ("marketing", "analytics", "profiling", "data_sale")),
        *({"channel": channel} for channel in ("web", "app", "support", "import")),
        {"is_granted": False},
        {"op": "d", "is_granted": None, "purpose": None},
    ],
    "exchange_rates": [
        *({"currency": currency} for currency in ("JPY", "KWD", "CLF", "USD")),
        *({"usd_rate": Decimal(rate)} for rate in ("0.000000001", "999999999.999999999", "1")),
        {"rate_date": date(2024, 2, 29)},
    ],
}
