"""The processed payment event on the wire: frame to JSON and back, by its contract.

Belongs here: writing and reading values of analytics.transactions. Does not: Debezium's envelope (envelope.py).
"""

from typing import Final

import polars as pl
import polars.selectors as cs

from payments_platform.contracts.streams import EVENT_COLUMNS, EVENT_SCHEMA
from payments_platform.streaming.ndjson import ROW, read_objects

_TIME: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"
_TIMES: Final = [name for name, dtype in EVENT_SCHEMA.items() if isinstance(dtype, pl.Datetime)]
_DECIMALS: Final = [name for name, dtype in EVENT_SCHEMA.items() if isinstance(dtype, pl.Decimal)]
_INTEGERS: Final = [name for name, dtype in EVENT_SCHEMA.items() if dtype.is_integer()]


def _wire_type(name: str, dtype: pl.DataType) -> pl.DataType:
    """The type in JSON. The parser knows 64-bit integers; what does not fit a narrower column is refused afterwards."""
    if name in {*_TIMES, *_DECIMALS}:
        return pl.String()
    return pl.Int64() if name in _INTEGERS else dtype


_WIRE: Final = pl.Schema({name: _wire_type(name, dtype) for name, dtype in EVENT_SCHEMA.items()})
_REQUIRED: Final = [column.name for column in EVENT_COLUMNS if not column.nullable]
REFUSAL: Final = "refusal"


def encode(events: pl.DataFrame) -> pl.Series:
    """One JSON text a row, with exactly the fields of the contract, in its order."""
    return as_json(events.select(EVENT_SCHEMA.names()))


def as_json(rows: pl.DataFrame) -> pl.Series:
    """One JSON text a row: times as ISO 8601 in UTC with six decimals and a Z, decimals as text."""
    wire = rows.with_columns(cs.datetime().dt.to_string(_TIME), cs.decimal().cast(pl.String))
    return wire.select(pl.struct(pl.all()).struct.json_encode().alias("value")).to_series()


def decode(messages: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The events of a frame of messages, and the messages that are none, each with ``refusal``.

    Events keep the columns of the message beside their own (topic, partition, offset, timestamp, key). A tombstone is
    neither: it only makes room in a compacted topic. Together the two hold every other message once.
    """
    present = messages.filter(pl.col("value").is_not_null())
    rows, refused = read_objects(present["value"].to_list(), _WIRE)
    typed = rows.with_columns(
        pl.col(_TIMES).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC", strict=False),
        *(pl.col(name).cast(EVENT_SCHEMA[name], strict=False) for name in (*_INTEGERS, *_DECIMALS)),
    )
    lacks = pl.any_horizontal(pl.col(_REQUIRED).is_null())
    for row in typed.filter(lacks).select(ROW, *_REQUIRED).to_dicts():
        names = ", ".join(name for name, value in row.items() if value is None)
        refused[row[ROW]] = f"lacks or cannot read {names}"
    numbered = present.with_row_index(ROW)
    events = numbered.drop("value").join(typed.filter(~lacks), on=ROW, maintain_order="left").drop(ROW)
    reasons = pl.DataFrame(
        {ROW: list(refused), REFUSAL: list(refused.values())}, schema={ROW: pl.UInt32, REFUSAL: pl.String}
    )
    return events, numbered.join(reasons, on=ROW, maintain_order="left").drop(ROW)
