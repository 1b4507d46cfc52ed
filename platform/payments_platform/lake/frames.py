"""What the lake knows about the rows it writes: exact schema, number, sums per currency, order-free digest.

Belongs here: pure functions on frames. Does not: files and manifests.
"""

from dataclasses import dataclass
from typing import Final
from zlib import crc32

import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.lake.errors import SchemaMismatch

# Polars keeps its row hash stable within a release only, so a digest always travels with the name of its maker.
_MAKER: Final = f"polars-{pl.__version__}"


@dataclass(frozen=True)
class Facts:
    """Rows, sums in minor units by currency ("" for a null currency), digest."""

    rows: int
    sums: dict[str, int]
    digest: str


def conforming(frame: pl.LazyFrame, dataset: Dataset) -> pl.LazyFrame:
    """The frame in contract order. Raises SchemaMismatch naming missing and surplus columns and wrong types."""
    found, wanted = frame.collect_schema(), dataset.schema
    problems = [f"column {name} is missing" for name in wanted if name not in found]
    problems += [f"column {name} is not in the contract" for name in found if name not in wanted]
    problems += [
        f"column {name} is {found[name]}, not {wanted[name]}"
        for name in wanted
        if name in found and found[name] != wanted[name]
    ]
    if problems:
        raise SchemaMismatch(dataset.name, problems)
    return frame if found.names() == wanted.names() else frame.select(wanted.names())


def columns_mark(dataset: Dataset) -> str:
    """A short mark of the contract's columns and types: rows written under other columns have another digest."""
    named = ",".join(f"{name} {dtype}" for name, dtype in dataset.schema.items())
    return f"{crc32(named.encode()):08x}"


def digest_algorithm(dataset: Dataset) -> str:
    """What a digest of the dataset depends on beside its rows: the release that hashes, and the columns hashed."""
    return f"{_MAKER}:{columns_mark(dataset)}"


def digest_expression(dataset: Dataset) -> pl.Expr:
    """Sum, modulo 2**64, of the hashes of all rows over all columns in contract order: the order does not matter."""
    return pl.struct(*dataset.names).hash(seed=0).sum()


def hexadecimal(digest: int | None) -> str:
    """A digest as text of 16 digits; of no rows: zero."""
    return f"{digest or 0:016x}"


def facts(frame: pl.LazyFrame, dataset: Dataset) -> Facts:
    """Rows, sums and digest in one streaming pass, so that a day larger than memory has them too.

    Sums are taken in 128 bits: a single absurd amount from the source must not wrap a total that money is
    reconciled by.
    """
    plans = [frame.select(pl.len().alias("rows"), digest_expression(dataset).alias("digest"))]
    if dataset.sums:
        amount, currency = dataset.sums
        total = pl.col(amount).cast(pl.Int128).sum()
        plans.append(frame.group_by(pl.col(currency).fill_null("").alias("currency")).agg(total.alias("total")))
    collected = pl.collect_all(plans, engine="streaming")
    sums = dict(sorted(collected[1].iter_rows())) if dataset.sums else {}
    rows, digest = collected[0].row(0)
    return Facts(rows, sums, hexadecimal(digest))
