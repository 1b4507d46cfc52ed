"""From clean to curated: types, US dollars, and nothing that points at a person but the pseudonym.

Belongs here: how each derived column of a curated dataset is made, on lazy frames. Does not: which columns a dataset
has (contracts/), which rows are good (validate.py), how a rate is found (rates.py).
"""

from datetime import date
from typing import Any, Final

import narwhals as nw
import polars as pl

from payments_platform.batch.rates import rates_in_force, usd_minor
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.rules import DELETE_OP

USD_SUFFIX: Final = "_usd_minor"
# One pattern a form of address, with what is kept of it. IPv4: 16 bits. IPv6: 48 bits; a shortened address whose
# zeros begin within them keeps what stands before.
_NETWORKS = (
    (r"^([0-9]{1,3}\.[0-9]{1,3})\.[0-9]{1,3}\.[0-9]{1,3}$", "$1.0.0/16"),
    (r"^([0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]{1,4}):[0-9a-f:.]*$", "$1::/48"),
    (r"^([0-9a-f]{1,4}:[0-9a-f]{1,4})::[0-9a-f:.]*$", "$1::/48"),
    (r"^([0-9a-f]{0,4})::[0-9a-f:.]*$", "$1::/48"),
)


def conform(clean: pl.LazyFrame, curated: Dataset, day: date, rates: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """A clean day as its curated dataset declares it: the contract's columns, each derived by its name.

    ``is_deleted`` comes from the change, ``created_date`` from the creation; ``*_usd_minor`` from the amount of that
    name at the last rate before the row's own day, whichever day changed it, so a refund a month later converts at
    the same rate. ``rates`` is the day's series, for datasets that ``needs_rates``. Without a rate the dollar columns
    are null and the row stays (``missing_usd`` counts them).
    """
    frame = nw.from_native(clean).with_columns((nw.col("op") == DELETE_OP).alias("is_deleted"))
    if "created_date" in curated.names:
        frame = frame.with_columns(nw.col("created_at").dt.date().alias("created_date"))
    if rates is not None:
        in_force = nw.from_native(rates_in_force(rates, day).lazy())
        amounts = [name for name in curated.names if name.endswith(USD_SUFFIX)]
        frame = frame.join(in_force, on=["currency", "created_date"], how="left").with_columns(
            usd_minor(name.replace(USD_SUFFIX, "_minor")).alias(name) for name in amounts
        )
    if "ip_network" in curated.names:
        frame = frame.with_columns(
            ip_network("ip_address").alias("ip_network"), (~nw.col("device_id").is_null()).alias("is_device_present")
        )
    conformed: pl.LazyFrame = frame.select(curated.names).to_native()
    return conformed


def needs_rates(curated: Dataset) -> bool:
    """Whether a curated dataset has amounts in US dollars."""
    return "usd_rate" in curated.names


def missing_usd(curated: pl.LazyFrame) -> pl.LazyFrame:
    """One row of counts: amounts without a rate, and those with one whose dollars do not fit 64 bits."""
    has_rate, has_amount = pl.col("usd_rate").is_not_null(), pl.col("amount_minor").is_not_null()
    return curated.select(
        (has_amount & ~has_rate).cast(pl.Int64).sum().alias("without_usd_rate"),
        (has_amount & has_rate & pl.col("amount_usd_minor").is_null()).cast(pl.Int64).sum().alias("usd_out_of_range"),
    )


def ip_network(column: str) -> nw.Expr:
    """The network of an address: enough for a country, too coarse for a person. Null for anything else."""
    address = nw.col(column).str.to_lowercase()
    nothing: Any = None
    network: nw.Expr = nw.lit(nothing, dtype=nw.String)
    for pattern, kept in reversed(_NETWORKS):
        network = nw.when(address.str.contains(pattern)).then(address.str.replace_all(pattern, kept)).otherwise(network)
    return network
