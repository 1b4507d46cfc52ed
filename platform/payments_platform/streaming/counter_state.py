"""Open counters on the wire: totals for ops.metrics, and what a restart needs in state.counters.

Belongs here: writing and reading both. Does not: counting (counters.py), when it is done (processor.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import polars as pl

from payments_platform.contracts.counters import COUNTER_KEY, COUNTERS
from payments_platform.streaming.counters import Clock
from payments_platform.streaming.outgoing import Outgoing
from payments_platform.vocabulary import OPS_METRICS, STATE_COUNTERS

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
# A minute's counters are kept in pieces, by the last character of the merchant: one message for each counter would
# double what is written, one for all of them would outgrow the largest message.
KEY: Final = ("partition", *COUNTER_KEY)
_PIECE: Final = ("partition", "counted", "minute_at", "piece")


@dataclass(frozen=True)
class Checkpoint:
    """What is known of counting one partition: everything below ``offset`` is in the counters that were written."""

    offset: int
    clock: Clock


@dataclass(frozen=True)
class Restored:
    """Counters and checkpoints as ``state.counters`` has them."""

    counters: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=COUNTERS))
    checkpoints: Mapping[int, Checkpoint] = field(default_factory=dict)


def totals(counters: pl.DataFrame) -> Outgoing:
    """A message for each counter with its total so far: read twice it says the same."""
    names = ("kind", "minute_at", "currency", "merchant_id", "status", "counted", "partition")
    text = counters.with_columns(
        pl.lit("counter").alias("kind"),
        pl.col("minute_at").dt.to_string(_TIME),
        pl.col("amount_minor").cast(pl.String),
    )
    wire = text.select(
        pl.struct(names).struct.json_encode().alias("key"),
        pl.struct(*names, "changes", "amount_minor").struct.json_encode().alias("value"),
    )
    return Outgoing(OPS_METRICS, 0, wire["key"].to_list(), wire["value"].to_list())


def state(counters: pl.DataFrame, touched: pl.DataFrame, checkpoints: Mapping[int, Checkpoint]) -> list[Outgoing]:
    """The pieces that hold a ``touched`` counter, whole; a piece without an open counter is deleted."""
    pieces = _pieced(touched).select(_PIECE).unique()
    still_open = _pieced(counters).join(pieces, on=_PIECE, how="semi")
    open_pieces = still_open.partition_by(_PIECE, as_dict=True)
    messages: dict[int, list[tuple[str, str | None]]] = {partition: [] for partition in checkpoints}
    for piece in pieces.iter_rows():
        partition, counted, minute, name = piece
        key = _json({"counted": counted, "minute_at": minute.strftime(_TIME), "piece": name})
        rows = open_pieces.get(piece)
        messages[partition].append((key, None if rows is None else _columns(rows)))
    for partition, checkpoint in checkpoints.items():
        messages[partition].append((_json({"checkpoint": partition}), _checkpoint(checkpoint)))
    return [
        Outgoing(STATE_COUNTERS, partition, [key for key, _ in pairs], [value for _, value in pairs])
        for partition, pairs in messages.items()
    ]


def restore(messages: Iterable[tuple[int, bytes, bytes | None]]) -> Restored:
    """Read state back from (partition, key, value), the latest of a key last, as a compacted topic delivers it."""
    latest = {(partition, key): value for partition, key, value in messages}
    frames, checkpoints = [pl.DataFrame(schema=COUNTERS)], {}
    for (partition, raw_key), value in latest.items():
        if value is None:
            continue
        key, stored = orjson.loads(raw_key), orjson.loads(value)
        if "checkpoint" in key:
            clock = Clock(datetime.fromisoformat(stored["event_at"]), datetime.fromisoformat(stored["arrived_at"]))
            checkpoints[partition] = Checkpoint(stored["offset"], clock)
        else:
            frames.append(_rows(partition, key, stored))
    return Restored(pl.concat(frames), checkpoints)


def _pieced(counters: pl.DataFrame) -> pl.DataFrame:
    return counters.with_columns(pl.col("merchant_id").fill_null("").str.tail(1).alias("piece"))


def _columns(rows: pl.DataFrame) -> str:
    columns = rows.select("currency", "merchant_id", "status", "changes", pl.col("amount_minor").cast(pl.String))
    return _json(columns.to_dict(as_series=False))


def _rows(partition: int, key: Mapping[str, Any], stored: Mapping[str, Any]) -> pl.DataFrame:
    texts = {name: pl.String() for name in ("currency", "merchant_id", "status", "amount_minor")}
    rows = pl.DataFrame(stored, schema={**texts, "changes": pl.Int64()})
    return rows.with_columns(
        pl.lit(partition, pl.Int32).alias("partition"),
        pl.lit(key["counted"]).alias("counted"),
        pl.lit(datetime.strptime(key["minute_at"], _TIME).replace(tzinfo=UTC), COUNTERS["minute_at"]).alias(
            "minute_at"
        ),
        pl.col("amount_minor").cast(pl.Int128),
    ).select(COUNTERS.names())


def _checkpoint(checkpoint: Checkpoint) -> str:
    clock = checkpoint.clock
    return _json(
        {
            "offset": checkpoint.offset,
            "event_at": clock.event_at.isoformat(),
            "arrived_at": clock.arrived_at.isoformat(),
        }
    )


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
