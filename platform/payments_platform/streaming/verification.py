"""Every store beside PostgreSQL: which payments are missing, changed, doubled or invented, and where.

Belongs here: what each store owes, walking through the payments in ranges, looking again at what was in flight. Does
not: comparing two frames (comparison.py), asking PostgreSQL (truth.py), asking a store (sinks/, the readers given).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

import polars as pl

from payments_platform.contracts.rules import DELETE_OP
from payments_platform.contracts.stores import STORE_RETENTION
from payments_platform.streaming.comparison import KIND, WHAT, differences
from payments_platform.streaming.sinks.protocol import Span, Wanted
from payments_platform.streaming.truth import latest

STORE: Final = "store"
VERSION: Final = pl.Schema({"transaction_id": pl.String(), "version": pl.Int32()})
_ID: Final = "transaction_id"
# What every store shows of a version. BSON's times have milliseconds, so all are compared by those.
_FACTS: Final = (
    "status", "amount_minor", "captured_minor", "refunded_minor", "currency", "merchant_id", "customer_token",
    "is_deleted", "created_at", "updated_at",
)  # fmt: skip
# Stores keep milliseconds. A delete is dated by its commit on the stream, by what a bulk load states in the history.
_TIMES: Final = (
    pl.col("created_at").dt.truncate("1ms"),
    pl.when("is_deleted").then(None).otherwise(pl.col("updated_at").dt.truncate("1ms")).alias("updated_at"),
)
# A payment that only a lost source had, taken back by `payments capture raise-epoch`: PostgreSQL has no version 0.
_IS_TAKEN_BACK: Final = pl.col("is_deleted") & (pl.col("version") == 0)
_LOOK_AGAIN_SECONDS: Final = 1.0
_IDS_AT_ONCE: Final = 5_000


class Source(Protocol):
    """PostgreSQL, as verification asks it. ``since``: only payments that changed from then on are asked for."""

    since: datetime | None

    def spans(self) -> Iterator[Span]:
        """Ranges of ids that together hold all, each of a bounded number of payments."""

    def versions(self, wanted: Wanted) -> pl.DataFrame:
        """Every committed version of payments (columns of raw/transactions)."""


@dataclass(frozen=True)
class View:
    """One store under one grain: the latest version of each payment, or each version.

    ``rows`` gives what the store has, with the position and the facts, and of versions with ``committed_at``.
    ``is_owed`` is true for the versions of PostgreSQL that the store must still have. ``refused`` are versions (payment
    and version) that stand as dead letters of this store's consumer or of one before it: they are not owed here.
    """

    name: str
    has_versions: bool
    rows: Callable[[Wanted], pl.DataFrame]
    is_owed: pl.Expr
    refused: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=VERSION))

    def differences(self, committed: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
        """What differs, named by kind, payment and version."""
        held_back = self.refused.join(found, on=[*VERSION], how="anti")
        truth = committed.join(held_back, on=[*VERSION], how="anti")
        if self.has_versions:
            known, owed, shown = truth, owed_versions(truth, found), settled_versions(found)
        else:
            known = owed = latest(truth, _ID)
            shown = found
        key, told = ([_ID, "version"], []) if self.has_versions else ([_ID], ["version"])
        fields = [*told, *_FACTS]
        owed = owed.filter(self.is_owed)
        shown = shown.filter(~_IS_TAKEN_BACK.fill_null(value=False))
        # What is no longer owed and still there is neither missing nor invented.
        kept = known.join(owed, on=key, how="anti").join(shown, on=key, how="semi")
        wanted = pl.concat([owed, kept]).select(*key, *fields)
        return differences(wanted.with_columns(_TIMES), shown.with_columns(_TIMES), key)


def settled_versions(found: pl.DataFrame) -> pl.DataFrame:
    """One row for each version that a store shows, two or more where it has it twice.

    A version is there partial and full, and once more in each snapshot: that is no duplicate. Twice as the stream
    brought it, it is. What a life before a failover had beyond the first version of the next life did not survive.
    """
    lives = found.group_by(_ID, "epoch").agg(pl.col("version").min().alias("first")).sort("epoch", descending=True)
    void = lives.select(_ID, "epoch", pl.col("first").shift().cum_min().over(_ID).alias("void_from"))
    lasting = found.join(void, on=[_ID, "epoch"]).filter(
        pl.col("void_from").is_null() | (pl.col("version") < pl.col("void_from"))
    )
    by_version = [_ID, "version"]
    best = lasting.filter(pl.col("epoch") == pl.col("epoch").max().over(by_version))
    full = best.filter(pl.col("enrichment") == pl.col("enrichment").max().over(by_version))
    is_streamed = pl.col("committed_at").is_not_null()
    streamed = full.filter(is_streamed)
    read = full.filter(~is_streamed).unique(by_version).join(streamed, on=by_version, how="anti")
    return pl.concat([streamed, read]).drop("void_from")


def owed_versions(truth: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """The versions that a store with versions must have: all, but those before a snapshot read the payment.

    A snapshot says how a payment stands, not how it came there.
    """
    read = found.filter(pl.col("committed_at").is_null()).group_by(_ID).agg(pl.col("version").min().alias("read_at"))
    known = truth.join(read, on=_ID, how="left")
    return known.filter(pl.col("version") >= pl.col("read_at").fill_null(0)).drop("read_at")


def verify(
    source: Source, views: Sequence[View], settle_seconds: float, progress: Callable[[Span], None]
) -> pl.DataFrame:
    """Every difference: store, kind, payment, version and the names of differing fields; empty when all agree.

    Memory is bounded by the payments of a range. What is in flight differs for a moment: it is looked at again, until
    it agrees or ``settle_seconds`` are over. These begin when all that came during the first look has been looked at.
    """
    found = [pl.DataFrame(schema=FOUND)]
    for span in source.spans():
        found += _compared(source, views, span)
        progress(span)
    differing = pl.concat(found)
    until: float | None = None
    while settle_seconds and not differing.is_empty() and (until is None or time.monotonic() < until):
        time.sleep(_LOOK_AGAIN_SECONDS)
        differing = pl.concat([pl.DataFrame(schema=FOUND), *_looked_at_again(source, views, differing)])
        until = until or time.monotonic() + settle_seconds
    return differing.sort(STORE, KIND, _ID, "version")


FOUND: Final = pl.Schema(
    {STORE: pl.String(), KIND: pl.String(), _ID: pl.String(), "version": pl.Int32(), WHAT: pl.String()}
)


def _looked_at_again(source: Source, views: Sequence[View], differing: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for view in views:
        ids = differing.filter(pl.col(STORE) == view.name)[_ID].unique().sort()
        for part in (ids[place : place + _IDS_AT_ONCE] for place in range(0, len(ids), _IDS_AT_ONCE)):
            yield from _compared(source, [view], part.to_list())


def _compared(source: Source, views: Sequence[View], wanted: Wanted) -> Iterator[pl.DataFrame]:
    truth = source.versions(wanted).with_columns(is_deleted=pl.col("op") == DELETE_OP)
    asked = pl.lit(value=True)
    if source.since is not None:
        asked = pl.col(_ID).is_in(truth[_ID].unique().to_list()) | (pl.col("updated_at") >= source.since)
    for view in views:
        found = view.rows(wanted).filter(asked)
        different = view.differences(truth, found).with_columns(pl.lit(view.name).alias(STORE))
        if "version" not in different.columns:
            different = different.with_columns(pl.lit(None, dtype=pl.Int32).alias("version"))
        yield different.select(FOUND.names()).cast(FOUND)


def kept_since(now: datetime) -> pl.Expr:
    """True for payments that the stores still keep, and may keep already."""
    return pl.col("created_at").is_between(now - STORE_RETENTION, now)


def appended_since(first: datetime | None) -> pl.Expr:
    """True for versions written since the oldest message that is still there; None when none was removed yet."""
    return pl.lit(value=True) if first is None else pl.col("updated_at") >= first
