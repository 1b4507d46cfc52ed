"""From clean to curated: types, US dollars, and nothing that points at a person but the pseudonym.

Belongs here: one function a dataset, on lazy frames. Does not: which rows are good (validate.py), how a rate is
found (rates.py).
"""

from datetime import date
from typing import Any

import narwhals as nw
import polars as pl

from payments_platform.batch.rates import rates_in_force, usd_minor
from payments_platform.contracts.customers import CURATED_CUSTOMERS
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.merchants import CURATED_MERCHANTS
from payments_platform.contracts.payments import CURATED_PAYMENT_METHODS, CURATED_TRANSACTIONS

DELETED = "d"
# One pattern a form of address, with what is kept of it. IPv4: 16 bits. IPv6: 48 bits; a shortened address whose
# zeros begin within them keeps what stands before.
_NETWORKS = (
    (r"^([0-9]{1,3}\.[0-9]{1,3})\.[0-9]{1,3}\.[0-9]{1,3}$", "$1.0.0/16"),
    (r"^([0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]{1,4}):[0-9a-f:.]*$", "$1::/48"),
    (r"^([0-9a-f]{1,4}:[0-9a-f]{1,4})::[0-9a-f:.]*$", "$1::/48"),
    (r"^([0-9a-f]{0,4})::[0-9a-f:.]*$", "$1::/48"),
)


def curated_transactions(clean: pl.LazyFrame, rates: pl.LazyFrame, day: date) -> pl.LazyFrame:
    """Curated transactions of a day, in US dollars too.

    ``rates`` is the day's series of exchange rates. Each payment uses the last rate before its own day, whichever day
    changed it, so a refund a month later converts at the same rate. Without a rate the dollar columns are null and
    the row stays (``missing_usd`` counts them).
    """
    in_force = nw.from_native(rates_in_force(rates, day).lazy())
    conformed = (
        nw.from_native(clean)
        .with_columns(nw.col("created_at").dt.date().alias("created_date"))
        .join(in_force, on=["currency", "created_date"], how="left")
        .with_columns(
            usd_minor("amount_minor").alias("amount_usd_minor"),
            usd_minor("captured_minor").alias("captured_usd_minor"),
            usd_minor("refunded_minor").alias("refunded_usd_minor"),
            ip_network("ip_address").alias("ip_network"),
            (~nw.col("device_id").is_null()).alias("is_device_present"),
            (nw.col("op") == DELETED).alias("is_deleted"),
        )
    )
    return _of_contract(conformed, CURATED_TRANSACTIONS)


def curated_merchants(clean: pl.LazyFrame) -> pl.LazyFrame:
    """Curated versions of merchants."""
    return _with_deletes(clean, CURATED_MERCHANTS)


def curated_customers(clean: pl.LazyFrame) -> pl.LazyFrame:
    """Curated versions of customers: the token stays, the source's identifier does not."""
    return _with_deletes(clean, CURATED_CUSTOMERS)


def curated_payment_methods(clean: pl.LazyFrame) -> pl.LazyFrame:
    """Curated payment methods, without the vault token and the owner."""
    return _with_deletes(clean, CURATED_PAYMENT_METHODS)


def missing_usd(curated: pl.LazyFrame) -> pl.LazyFrame:
    """One row of counts: rows without a rate, and rows with one whose dollars do not fit 64 bits."""
    has_rate = pl.col("usd_rate").is_not_null()
    return curated.select(
        (~has_rate).cast(pl.Int64).sum().alias("without_usd_rate"),
        (has_rate & pl.col("amount_usd_minor").is_null()).cast(pl.Int64).sum().alias("usd_out_of_range"),
    )


def ip_network(column: str) -> nw.Expr:
    """The network of an address: enough for a country, too coarse for a person. Null for anything else."""
    address = nw.col(column).str.to_lowercase()
    nothing: Any = None
    network: nw.Expr = nw.lit(nothing, dtype=nw.String)
    for pattern, kept in reversed(_NETWORKS):
        network = nw.when(address.str.contains(pattern)).then(address.str.replace_all(pattern, kept)).otherwise(network)
    return network


def _with_deletes(clean: pl.LazyFrame, dataset: Dataset) -> pl.LazyFrame:
    conformed = nw.from_native(clean).with_columns((nw.col("op") == DELETED).alias("is_deleted"))
    return _of_contract(conformed, dataset)


def _of_contract(frame: nw.LazyFrame[Any], dataset: Dataset) -> pl.LazyFrame:
    selected: pl.LazyFrame = frame.select(dataset.names).to_native()
    return selected
