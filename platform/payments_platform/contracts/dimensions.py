"""Contracts of the dimensions: who, what, when, where and with what a payment was made.

Belongs here: columns, keys and rules of each dimension; every one has an unknown member (-1). Does not: facts
(facts.py), SQL (dbt/models/marts).
"""

from datetime import date
from typing import Final

import narwhals as nw
import polars as pl

from payments_platform.contracts import star_columns as star
from payments_platform.contracts.columns import BROWSER_NAME, CUSTOMER_TOKEN, DEVICE_TYPE, OS_NAME, UTC_MICROS
from payments_platform.contracts.consents import CONSENT_CHANNELS, CONSENT_PURPOSES
from payments_platform.contracts.customers import CUSTOMER_SEGMENTS, CUSTOMER_STATUSES
from payments_platform.contracts.dataset import Column, Dataset, Rule, Severity, firm, pick
from payments_platform.contracts.devices import DEVICE_TYPES
from payments_platform.contracts.landing import (
    LANDING_CONSENTS,
    LANDING_CUSTOMERS,
    LANDING_MERCHANTS,
    LANDING_PAYMENT_METHODS,
)
from payments_platform.contracts.merchants import MERCHANT_STATUSES
from payments_platform.contracts.payments import CARD_BRANDS, METHOD_TYPES
from payments_platform.contracts.rules import one_of

DAY_PARTS: Final = ("night", "morning", "afternoon", "evening")

_INTERVAL: Final = (
    Column("effective_from", UTC_MICROS, "First moment of the version; 0001-01-01 for the first.", star.FIRST_MOMENT),
    Column(
        "effective_to", UTC_MICROS, "First moment after the version; 9999-12-31 for the current one.", star.LAST_MOMENT
    ),
    Column("is_current", pl.Boolean(), "The last version known.", True),
)
_INTERVAL_ORDER = Rule(
    "R-interval-order",
    Severity.PARTITION,
    "effective_from must be before effective_to",
    nw.col("effective_from") < nw.col("effective_to"),
)

DIM_MERCHANT: Final = Dataset(
    key=("marts", "dim_merchant"),
    grain="One row per version of a merchant, plus inferred members and the unknown one (-1).",
    domain="merchants",
    columns=(
        star.version_key("merchant_key", "version of a merchant"),
        *star.attributes(
            LANDING_MERCHANTS, "merchant_id epoch version name mcc country_code currency status created_at"
        ),
        *_INTERVAL,
        *star.MEMBER,
    ),
    primary_key=("merchant_key",),
    rules=(one_of("R-status-known", "status", MERCHANT_STATUSES), _INTERVAL_ORDER),
    is_daily=False,
)
DIM_CUSTOMER: Final = Dataset(
    key=("marts", "dim_customer"),
    grain="One row per version of a customer, plus inferred members and the unknown one (-1).",
    domain="customers",
    columns=(
        star.version_key("customer_key", "version of a customer"),
        *star.attributes(LANDING_CUSTOMERS, "customer_token epoch version country_code segment status created_at"),
        *_INTERVAL,
        *star.MEMBER,
    ),
    primary_key=("customer_key",),
    rules=(
        one_of("R-segment-known", "segment", CUSTOMER_SEGMENTS),
        one_of("R-status-known", "status", CUSTOMER_STATUSES),
        _INTERVAL_ORDER,
    ),
    is_daily=False,
)
CUSTOMER_CONSENT: Final = Dataset(
    key=("marts", "customer_consent"),
    grain="One row per customer and purpose on which the customer has decided, as the decision stands now.",
    domain="customers",
    columns=(
        CUSTOMER_TOKEN,
        *firm(pick(LANDING_CONSENTS.columns, "purpose"), "purpose"),
        Column(
            "is_granted",
            pl.Boolean(),
            "The customer allows it; of several standing decisions the most restrictive counts.",
            True,
        ),
        Column("is_opt_out", pl.Boolean(), "The sale of the customer's data is forbidden (CCPA opt-out).", False),
        *firm(pick(LANDING_CONSENTS.columns, "channel"), "channel"),
        Column(
            "decided_at",
            UTC_MICROS,
            "When the decision that counts was made, UTC.",
            LANDING_CONSENTS.column("updated_at").example,
        ),
        star.SEQUENCE,
    ),
    primary_key=("customer_token", "purpose"),
    rules=(
        one_of("R-purpose-known", "purpose", CONSENT_PURPOSES),
        one_of("R-channel-known", "channel", CONSENT_CHANNELS),
    ),
    is_daily=False,
)
DIM_PAYMENT_METHOD: Final = Dataset(
    key=("marts", "dim_payment_method"),
    grain="One row per payment method in its last state, plus inferred members and the unknown one (-1).",
    domain="payments",
    columns=(
        Column("payment_method_key", pl.Int64(), "Key of the payment method: hash of its identifier; -1 unknown.", 1),
        *star.attributes(
            LANDING_PAYMENT_METHODS,
            "payment_method_id epoch version method_type card_brand card_funding issuer_country_code"
            " created_at updated_at",
        ),
        *star.MEMBER,
    ),
    primary_key=("payment_method_key",),
    rules=(
        one_of("R-method-known", "method_type", METHOD_TYPES),
        one_of("R-brand-known", "card_brand", CARD_BRANDS),
    ),
    is_daily=False,
)
DIM_DEVICE: Final = Dataset(
    key=("marts", "dim_device"),
    grain="One row per kind of device (device_type, os_name, browser_name), plus one inferred member for devices that"
    " the source did not know and the unknown one (-1) for payments that named none. No device is identified.",
    domain="customers",
    columns=(
        Column("device_key", pl.Int64(), "Key of the kind of device: hash of its three attributes; -1 none named.", 1),
        *(column.loose() for column in (DEVICE_TYPE, OS_NAME, BROWSER_NAME)),
        star.IS_INFERRED,
    ),
    primary_key=("device_key",),
    rules=(one_of("R-device-known", "device_type", DEVICE_TYPES),),
    is_daily=False,
)
DIM_GEOGRAPHY: Final = Dataset(
    key=("marts", "dim_geography"),
    grain="One row per country of ISO 3166-1, plus inferred members for other codes that a payment names and the"
    " unknown one (-1).",
    domain="reference",
    columns=(
        Column("geography_key", pl.Int64(), "Key of the country: hash of its code; -1 unknown.", 1),
        Column("country_code", pl.String(), "ISO 3166-1 alpha-2 code.", "FR", nullable=True),
        Column("country_alpha_3", pl.String(), "ISO 3166-1 alpha-3 code.", "FRA", nullable=True),
        Column("country_name", pl.String(), "Name of the country, in English.", "France", nullable=True),
        Column("region_name", pl.String(), "Region (continent) by the UN's M49.", "Europe", nullable=True),
        Column("subregion_name", pl.String(), "Sub-region by the UN's M49.", "Western Europe", nullable=True),
        star.IS_INFERRED,
    ),
    primary_key=("geography_key",),
    is_daily=False,
)


def _number(name: str, description: str, example: int) -> Column:
    return Column(name, pl.Int32(), description, example, nullable=True)


DIM_DATE: Final = Dataset(
    key=("marts", "dim_date"),
    grain="One row per UTC day from 2015 to 2035, plus the unknown one (-1).",
    domain="reference",
    columns=(
        Column("date_key", pl.Int32(), "The day as the number YYYYMMDD; -1 unknown.", 20250101),
        Column("calendar_date", pl.Date(), "The day.", date(2025, 1, 1), nullable=True),
        _number("year_number", "Year.", 2025),
        _number("quarter_number", "Quarter of the year, 1 to 4.", 1),
        _number("month_number", "Month of the year, 1 to 12.", 1),
        _number("day_of_month", "Day of the month, 1 to 31.", 1),
        _number("day_of_year", "Day of the year, 1 to 366.", 1),
        _number("day_of_week", "ISO day of the week: 1 Monday to 7 Sunday.", 3),
        _number("iso_year_number", "ISO 8601 year, to which the ISO week belongs.", 2025),
        _number("iso_week_number", "ISO 8601 week, 1 to 53.", 1),
        Column("is_weekend", pl.Boolean(), "Saturday or Sunday.", False, nullable=True),
    ),
    primary_key=("date_key",),
    is_daily=False,
)
DIM_TIME: Final = Dataset(
    key=("marts", "dim_time"),
    grain="One row per minute of the UTC day, plus the unknown one (-1).",
    domain="reference",
    columns=(
        Column("time_key", pl.Int32(), "The minute as the number HHMM; -1 unknown.", 1200),
        Column("time_of_day", pl.String(), "The minute as HH:MM.", "12:00", nullable=True),
        _number("hour_of_day", "Hour, 0 to 23.", 12),
        _number("minute_of_hour", "Minute, 0 to 59.", 0),
        _number("minute_of_day", "Minutes since midnight, 0 to 1439.", 720),
        Column(
            "day_part",
            pl.String(),
            "night from 00:00, morning from 06:00, afternoon from 12:00, evening from 18:00.",
            "afternoon",
            nullable=True,
        ),
        Column("is_business_hour", pl.Boolean(), "From 09:00 up to 18:00 UTC.", True, nullable=True),
    ),
    primary_key=("time_key",),
    rules=(one_of("R-day-part-known", "day_part", DAY_PARTS),),
    is_daily=False,
)

DATASETS: Final = (
    DIM_DATE,
    DIM_TIME,
    DIM_GEOGRAPHY,
    DIM_MERCHANT,
    DIM_CUSTOMER,
    CUSTOMER_CONSENT,
    DIM_PAYMENT_METHOD,
    DIM_DEVICE,
)
