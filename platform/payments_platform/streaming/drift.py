"""Columns of a captured table that came, went or changed their type: told once, crashing nothing.

Belongs here: comparing what messages carry with what the contract names. Does not: refusing a message that cannot be
read (envelope.py), writing (processor.py).
"""

from collections.abc import Collection

import orjson
import polars as pl

from payments_platform.contracts.counters import Drift
from payments_platform.streaming.envelope import Shape
from payments_platform.streaming.outgoing import Outgoing
from payments_platform.vocabulary import OPS_METRICS

UNKNOWN, MISSING, RETYPED = "unknown column", "missing column", "type changed"


def drift_of(messages: pl.DataFrame, shape: Shape, ignored: Collection[str] = ()) -> frozenset[Drift]:
    """What the first and the last message of each partition show.

    A change of the table's columns is in every later message, so the ends of a batch show it; parsing each message for
    its names as well would cost as much as all other work. What each message is checked for says envelope.decode.
    """
    present = messages.filter(pl.col("value").is_not_null())
    ends = present.group_by("partition").agg(pl.col("value").first(), pl.col("value").last().alias("last"))
    found: set[Drift] = set()
    for value in {*ends["value"], *ends["last"]}:
        found |= _drift(value, shape, ignored)
    return frozenset(found)


def announcement(drift: Collection[Drift]) -> Outgoing:
    """A message on ops.metrics for each; the key is the column, so that a reader keeps the latest."""
    rows = [{"kind": "drift", "table": one.table, "column": one.column} for one in drift]
    values = [{**row, "what": one.what} for row, one in zip(rows, drift, strict=True)]
    return Outgoing(OPS_METRICS, 0, [orjson.dumps(row) for row in rows], [orjson.dumps(value) for value in values])


def _drift(value: bytes, shape: Shape, ignored: Collection[str]) -> set[Drift]:
    try:
        envelope = orjson.loads(value)
        row = envelope.get("after") or envelope.get("before")
        columns = dict(row)
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return set()  # no envelope at all: a dead letter, not a changed table
    names = dict.fromkeys(columns.keys() - shape.columns.keys() - set(ignored), UNKNOWN)
    names |= dict.fromkeys(shape.columns.keys() - columns.keys(), MISSING)
    names |= {
        name: RETYPED
        for name in shape.columns.keys() & columns.keys()
        if columns[name] is not None and isinstance(columns[name], int) != shape.columns[name].is_integer()
    }
    return {Drift(shape.table, name, what) for name, what in names.items()}
