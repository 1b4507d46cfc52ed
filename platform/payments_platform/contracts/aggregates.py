"""Contracts of the aggregates: sums over facts that dashboards and interfaces read.

Belongs here: their columns and keys, and how small a published group may be. Does not: facts (facts.py), SQL
(dbt/models/aggregates).
"""

from dataclasses import replace
from typing import Final

import narwhals as nw
import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts import star_columns as star
from payments_platform.contracts.customers import CUSTOMER_SEGMENTS
from payments_platform.contracts.dataset import Column, Dataset, Rule, Severity
from payments_platform.contracts.rules import one_of

# No published group of people may be smaller (k-anonymity); docs/adr/0026 says how that is reached.
SMALLEST_GROUP: Final = 5
# Segments of published groups beside those of customers: unknown ones, merged ones, and a day that is withheld.
UNKNOWN_SEGMENT, MERGED_SEGMENT, WITHHELD_DAY = "unknown", "merged", "withheld"
PUBLISHED_SEGMENTS: Final = (*CUSTOMER_SEGMENTS, UNKNOWN_SEGMENT, MERGED_SEGMENT, WITHHELD_DAY)

_PAYMENTS: Final = (
    star.count("transaction_count", "Payments that were not deleted."),
    star.count("succeeded_count", "Payments whose money came: succeeded, refunded in part or whole, or disputed."),
    star.count("failed_count", "Payments that failed."),
    star.count("open_count", "Payments pending or processing."),
    star.count("refunded_count", "Payments refunded in part or whole."),
    star.count("disputed_count", "Payments in dispute."),
    star.count("deleted_count", "Payments deleted at the source; in no other count or sum."),
    star.count("unrated_count", "Payments without a US dollar rate; in no sum."),
    star.usd("gross_usd_minor", "Amounts asked for, in US cents."),
    star.usd("captured_usd_minor", "Amounts captured, in US cents."),
    star.usd("refunded_usd_minor", "Amounts refunded, in US cents."),
    star.usd("net_usd_minor", "Captured less refunded, in US cents."),
)

MERCHANT_DAILY: Final = Dataset(
    key=("aggregates", "merchant_daily"),
    grain="One row per merchant and UTC day on which a payment to it was created. Holds no person: merchants are"
    " businesses, so a group may be as small as one payment.",
    domain="merchants",
    columns=(
        c.MERCHANT_ID,
        Column("created_date", pl.Date(), "UTC day the payments were created on.", c.SAMPLE_DAY),
        *_PAYMENTS,
        star.SEQUENCE,
    ),
    primary_key=("merchant_id", "created_date"),
    is_daily=False,
)
MERCHANT_MONTHLY: Final = Dataset(
    key=("aggregates", "merchant_monthly"),
    grain="One row per merchant and month in which a payment to it, a refund or a dispute was created. Holds no person,"
    " as its days.",
    domain="merchants",
    columns=(
        c.MERCHANT_ID,
        Column("month_date", pl.Date(), "First day of the UTC month.", c.SAMPLE_DAY),
        star.count("active_day_count", "Days with a payment that was not deleted."),
        *_PAYMENTS,
        star.count("refunds_made_count", "Refunds created in the month that succeeded, of payments of any month."),
        star.usd("refunds_made_usd_minor", "Their amounts, in US cents."),
        star.count("disputes_opened_count", "Disputes created in the month, of payments of any month."),
        star.usd("disputes_opened_usd_minor", "Their amounts, in US cents."),
        star.count("fraud_disputes_opened_count", "Those of them that name fraud."),
        star.count("disputes_lost_count", "Those of them that the merchant has lost so far."),
        star.SEQUENCE,
    ),
    primary_key=("merchant_id", "month_date"),
    is_daily=False,
)
CUSTOMER_SEGMENT_DAILY: Final = Dataset(
    key=("aggregates", "customer_segment_daily"),
    grain=f"One row per UTC day and published group of customer segments with at least {SMALLEST_GROUP} customers; one"
    f" row without figures ('{WITHHELD_DAY}') for a day with fewer.",
    domain="customers",
    columns=(
        Column("created_date", pl.Date(), "UTC day the payments were created on.", c.SAMPLE_DAY),
        Column(
            "segment",
            pl.String(),
            f"Segment of the customers at the end of the day; '{UNKNOWN_SEGMENT}' where the source has not shown them,"
            f" '{MERGED_SEGMENT}' for segments too small to be shown apart.",
            "consumer",
        ),
        replace(
            star.count("customer_count", "Distinct customers with a payment that was not deleted.").loose(),
            example=SMALLEST_GROUP,
        ),
        star.count("transaction_count", "Payments that were not deleted.").loose(),
        star.count("succeeded_count", "Payments whose money came.").loose(),
        star.count("failed_count", "Payments that failed.").loose(),
        star.usd("captured_usd_minor", "Amounts captured, in US cents.").loose(),
        star.usd("refunded_usd_minor", "Amounts refunded, in US cents.").loose(),
        star.usd("net_usd_minor", "Captured less refunded, in US cents.").loose(),
        replace(star.SEQUENCE, name="payment_sequence", description="Highest load of the day's payments."),
        replace(star.SEQUENCE, name="customer_sequence", description="Highest load of who paid; 0: none."),
        star.SEQUENCE,
    ),
    primary_key=("created_date", "segment"),
    rules=(
        one_of("R-segment-known", "segment", PUBLISHED_SEGMENTS),
        Rule(
            "R-k-anonymity",
            Severity.ROW,
            f"a published group must have at least {SMALLEST_GROUP} customers, or show no figure",
            nw.when(nw.col("customer_count").is_null())
            .then(
                nw.all_horizontal(
                    *(
                        nw.col(name).is_null()
                        for name in (
                            "transaction_count succeeded_count failed_count captured_usd_minor refunded_usd_minor"
                            " net_usd_minor"
                        ).split()
                    ),
                    ignore_nulls=False,
                )
            )
            .otherwise(nw.col("customer_count") >= SMALLEST_GROUP),
        ),
    ),
    is_daily=False,
)

DATASETS: Final = (MERCHANT_DAILY, MERCHANT_MONTHLY, CUSTOMER_SEGMENT_DAILY)
