"""The search index of payments: its template, the day's index of a payment, the document of an event.

Belongs here: mapping, names, versions and lines of a bulk request, pure. Does not: a connection
(streaming/sinks/elasticsearch.py), which fields are kept and why (contracts/stores.py).
"""

from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl

from payments_platform.contracts.dataset import Column
from payments_platform.contracts.dead_letters import Fault
from payments_platform.contracts.stores import SEARCH_TRANSACTIONS, SEARCHED_TEXTS, STORE_RETENTION
from payments_platform.contracts.streams import EVENT_POSITION
from payments_platform.streaming.dead_letters import FAULT
from payments_platform.streaming.events import REFUSAL, as_json

ALIAS: Final = "transactions"
"""Where people search: every index of a day, without what the source deleted."""
PATTERN: Final = "transactions-*"
REFRESH: Final = "500ms"
_PREFIX: Final = "transactions-"
_DAY: Final = "%Y.%m.%d"
# A clock that runs ahead by less is a clock; a payment beyond would make an index of a day that nobody deletes in time.
_AHEAD: Final = timedelta(days=1)
# Elasticsearch refuses the whole request for one document with a longer or empty id.
_LONGEST_ID: Final = 512
# (epoch * 2**40 + version) * 4 + enrichment must stay below 2**63, what a version can hold.
_ENRICHMENTS: Final = 4
_EPOCH_UNIT: Final = 2**40 * _ENRICHMENTS
_EPOCHS: Final = 2**63 // _EPOCH_UNIT


def template(shards: int = 1, replicas: int = 0) -> dict[str, Any]:
    """The index template: an unknown field is refused, never guessed a type for, and each index joins the alias.

    A document marked deleted stays, or an older version that comes late would be new again: the alias hides it.
    """
    return {
        "index_patterns": [PATTERN],
        "priority": 200,
        "template": {
            "settings": {
                "refresh_interval": REFRESH,
                "number_of_shards": shards,
                "number_of_replicas": replicas,
                # Newest first is how people look: a search that wants ten stops after ten.
                "sort.field": "created_at",
                "sort.order": "desc",
            },
            "aliases": {ALIAS: {"filter": {"term": {"is_deleted": False}}}},
            "mappings": {
                "dynamic": "strict",
                "properties": {column.name: _mapping(column) for column in SEARCH_TRANSACTIONS.columns},
            },
        },
    }


def index_of(day: date) -> str:
    """The index of the payments created on a UTC day."""
    return f"{_PREFIX}{day:{_DAY}}"


def day_of_index(name: str) -> date | None:
    """The day of an index made by ``index_of``; None for any other."""
    try:
        return datetime.strptime(name, f"{_PREFIX}{_DAY}").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


def first_day(now: datetime) -> date:
    """The oldest day whose index is kept."""
    return (now - STORE_RETENTION).date()


def external_version() -> pl.Expr:
    """An event's position as one number, which Elasticsearch compares: the higher wins, whoever comes first."""
    epoch, version, enrichment = (pl.col(name).cast(pl.Int64) for name in EVENT_POSITION)
    return epoch * _EPOCH_UNIT + version * _ENRICHMENTS + enrichment


def placed(events: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The events with ``index``, ``version_number``, ``fault`` and ``refusal``: null, or why it has no place."""
    oldest = datetime.combine(first_day(now), datetime.min.time(), now.tzinfo)
    positions = (
        pl.col("epoch").is_between(0, _EPOCHS - 1)
        & (pl.col("version") >= 0)
        & pl.col("enrichment").is_between(0, _ENRICHMENTS - 1)
    )
    is_named = pl.col("transaction_id").str.len_bytes().is_between(1, _LONGEST_ID)
    refusal = (
        pl.when(~positions)
        .then(pl.lit("the position is beyond what a version can hold"))
        .when(~is_named)
        .then(pl.lit(f"transaction_id has no byte or more than {_LONGEST_ID}"))
        .when(pl.col("created_at") < oldest)
        .then(pl.lit(f"created_at lies before the {STORE_RETENTION.days} days that are kept"))
        .when(pl.col("created_at") > now + _AHEAD)
        .then(pl.lit("created_at lies more than a day ahead"))
    )
    return events.with_columns(
        pl.col("created_at").dt.strftime(f"{_PREFIX}{_DAY}").alias("index"),
        external_version().alias("version_number"),
        refusal.alias(REFUSAL),
    ).with_columns(
        pl.when(positions & is_named)
        .then(pl.lit(Fault.OUT_OF_RETENTION.value))
        .otherwise(pl.lit(Fault.TYPE.value))
        .alias(FAULT)
    )


def bulk_lines(placed_events: pl.DataFrame) -> list[bytes]:
    """The two lines of each event in a bulk request: where and under which version, and the document."""
    action = pl.struct(
        pl.struct(
            pl.col("index").alias("_index"),
            pl.col("transaction_id").alias("_id"),
            pl.col("version_number").alias("version"),
            pl.lit("external").alias("version_type"),
        ).alias("index")
    ).struct.json_encode()
    actions = placed_events.select(action).to_series()
    documents = as_json(placed_events.select(SEARCH_TRANSACTIONS.names))
    return [line.encode() for pair in zip(actions, documents, strict=True) for line in pair]


# Every other type is text: exact and sortable; a value too long to be a code is kept and not indexed.
_TYPES: Final = {pl.Datetime: "date", pl.Boolean: "boolean", pl.Int8: "byte", pl.Int32: "integer", pl.Int64: "long"}
_EXACT: Final = {"type": "keyword", "ignore_above": 1024}


def _mapping(column: Column) -> dict[str, Any]:
    if column.name in SEARCHED_TEXTS:
        return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
    kind = _TYPES.get(column.dtype.base_type())
    return {"type": kind} if kind else _EXACT
