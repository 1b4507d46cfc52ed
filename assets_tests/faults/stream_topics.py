"""Reading whole topics, and judging them by the history that PostgreSQL kept: the checker of the fault runs.

Belongs here: lost, doubled, disordered, changed and invented messages of change topics and of analytics.transactions.
Does not: the stores, which `payments verify` compares; making faults (stream_campaign.py).
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.rules import DELETE_OP
from payments_platform.contracts.streams import FULL, TopicSpec
from payments_platform.streaming import events
from payments_platform.streaming.capture.connector import EXCLUDED_COLUMNS
from payments_platform.streaming.comparison import KIND, WHAT, differences
from payments_platform.streaming.messages import frame_of
from payments_platform.streaming.ndjson import ROW, read_objects
from payments_platform.streaming.reading import read_whole

DISORDER: Final = "disorder"
UNREADABLE: Final = "unreadable"
SNAPSHOT: Final = "is_snapshot"
# Card numbers are masked behind the change topics, and times and decimals have the connector's own form in them: those
# are compared in analytics.transactions.
_TYPES: Final = (pl.String, pl.Int32, pl.Int64, pl.Boolean)
_NOT_OF_THE_ROW: Final = {"epoch", "op", "previous_status", "load_id"}
_MASKED: Final = {"description", "metadata"}
_OF_THE_DEVICE: Final = {"device_type", "os_name", "browser_name"}

# On the stream a delete is dated by its commit, whatever a bulk load stated in the history; any other date is a change.
_IS_DELETE: Final = pl.col("op") == DELETE_OP
_IS_BY_COMMIT: Final = (pl.col("updated_at") == pl.col("committed_at")).fill_null(value=True)
_DATED: Final = pl.when(_IS_DELETE).then(None).otherwise("updated_at").alias("updated_at")
_SENT_DATED: Final = pl.when(_IS_DELETE & _IS_BY_COMMIT).then(None).otherwise("updated_at").alias("updated_at")


def read_topic(servers: str, topic: str) -> pl.DataFrame:
    """Every message that a reader of committed messages gets, up to the end as it is now."""
    return frame_of(read_whole(servers, [topic])).sort("partition", "offset")


def row_fields(table: Dataset) -> list[str]:
    """The fields of a row that the source itself has, and neither its trigger nor a reference check."""
    skipped = {*table.primary_key, *_NOT_OF_THE_ROW, *(_OF_THE_DEVICE if table.table == "transactions" else ())}
    return [name for name in table.names if name not in skipped and not name.endswith("_known")]


def _as_sent(table: Dataset) -> list[str]:
    """Those that a change message shows just as the history does."""
    excluded = {name.split(".")[1] for name in EXCLUDED_COLUMNS if name.startswith(f"{table.table}.")}
    comparable = [name for name in row_fields(table) if isinstance(table.schema[name], _TYPES)]
    return [name for name in comparable if name not in _MASKED | excluded]


def changes(messages: pl.DataFrame, table: Dataset) -> pl.DataFrame:
    """The change events of a change topic, one row a message that is no tombstone: op, epoch and the row's own fields.

    A delete is shown as the history shows it: the row as it was, one version on. What cannot be read is UNREADABLE.
    """
    present = messages.filter(pl.col("value").is_not_null())
    row = pl.Struct({name: table.schema[name] for name in (*table.primary_key, *_as_sent(table))})
    shape = pl.Schema({"op": pl.String(), "epoch": pl.String(), "before": row, "after": row})
    rows, refused = read_objects(present["value"].to_list(), shape)
    is_delete = pl.col("op") == "d"
    image = pl.when(is_delete).then("before").otherwise("after").alias("image")
    placed = present.with_row_index(ROW).drop("value", "key").join(rows, on=ROW, how="left")
    unnested = placed.with_columns(image).drop("before", "after").unnest("image")
    return unnested.with_columns(
        pl.col("version") + is_delete.cast(pl.Int32).fill_null(0),
        (pl.col("op") == "r").fill_null(value=False).alias(SNAPSHOT),
        (pl.col(ROW).is_in(list(refused)) | pl.col(table.primary_key[0]).is_null()).alias(UNREADABLE),
    )


def judge_changes(history: pl.DataFrame, found: pl.DataFrame, table: Dataset, spec: TopicSpec) -> pl.DataFrame:
    """What a change topic has otherwise than the history. A compacted one need only have the latest of each row."""
    entity, key = table.primary_key[0], list(table.primary_key)
    truth = history.select(*key, *_as_sent(table))
    readable = found.filter(~pl.col(UNREADABLE))
    judged = _judged(truth, readable, key, [*key, "epoch", SNAPSHOT])
    if spec.cleanup == "compact":
        latest = truth.group_by(entity).agg(pl.col("version").max())
        judged = _without(judged, judged.join(latest, on=key, how="anti"))
    judged = _forgiving(judged, snapshot_reads(found, table))
    place = pl.format("partition {} offset {}", "partition", "offset").alias(WHAT)
    unreadable = found.filter(UNREADABLE).select(pl.lit(UNREADABLE).alias(KIND), place)
    return pl.concat([judged, unreadable], how="diagonal")


def snapshot_reads(found: pl.DataFrame, table: Dataset) -> pl.DataFrame:
    """The highest version of each row that a snapshot read: it stands for the versions before it."""
    read = found.filter(pl.col(SNAPSHOT) & ~pl.col(UNREADABLE))
    return read.group_by(table.primary_key[0]).agg(pl.col("version").max().alias("read"))


def judge_events(history: pl.DataFrame, messages: pl.DataFrame, reads: pl.DataFrame) -> pl.DataFrame:
    """What analytics.transactions has otherwise than the history, and versions of which no full event came.

    ``reads`` are those of a snapshot of the table, if there was one.
    """
    table = dataset("raw/transactions")
    key = list(table.primary_key)
    found, refused = events.decode(messages)
    found = found.with_columns(_SENT_DATED)
    truth = history.with_columns(_DATED).select(*key, *row_fields(table))
    judged = _judged(truth, found, key, [*key, "epoch", "enrichment"])
    full = found.filter(pl.col("enrichment") == FULL).select(key).unique()
    partial = found.select(key).unique().join(full, on=key, how="anti")
    unfinished = partial.select(pl.lit("missing").alias(KIND), *key, pl.lit("the full event").alias(WHAT))
    unreadable = refused.select(pl.lit(UNREADABLE).alias(KIND), pl.col(events.REFUSAL).alias(WHAT))
    return pl.concat([_forgiving(judged, reads), unfinished, unreadable], how="diagonal")


def _judged(truth: pl.DataFrame, found: pl.DataFrame, key: list[str], position: Sequence[str]) -> pl.DataFrame:
    """Differences by version, messages of one position that came twice, and versions that came in another order.

    One message that came twice is not also two contents, and order is that in which versions were first seen.
    """
    entity = key[0]
    contents = found.unique(truth.columns, keep="first", maintain_order=True)
    twice = found.group_by(position).len().filter(pl.col("len") > 1)
    doubled = twice.select(pl.lit("duplicate").alias(KIND), *key, pl.lit("the same position").alias(WHAT))
    firsts = found.unique(key, keep="first", maintain_order=True)
    step = pl.col("version").diff().over(entity, order_by=["partition", "offset"]).alias("step")
    homes = pl.col("partition").n_unique().over(entity).alias("homes")
    late = firsts.with_columns(step, homes).filter((pl.col("step") < 0) | (pl.col("homes") > 1))
    disordered = late.select(pl.lit(DISORDER).alias(KIND), *key, pl.lit("not in its order").alias(WHAT))
    return pl.concat([differences(truth, contents, key), doubled, disordered])


def _forgiving(judged: pl.DataFrame, reads: pl.DataFrame) -> pl.DataFrame:
    early = judged.join(reads, on=reads.columns[0]).filter(pl.col("version") <= pl.col("read"))
    return _without(judged, early)


def _without(judged: pl.DataFrame, forgiven: pl.DataFrame) -> pl.DataFrame:
    """The judged rows but those forgiven for being missing; nothing else is ever forgiven."""
    columns = judged.columns
    return judged.join(forgiven.filter(pl.col(KIND) == "missing").select(columns), on=columns, how="anti")
