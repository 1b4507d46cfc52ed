"""Debezium's change envelope, read strictly: a typed row for each change, and a reason for each message that is none.

Belongs here: what a change message is, and the row that it stands for. Does not: joining and routing (enrich.py,
route.py), columns that came or went (drift.py), the processed event (events.py).
"""

from dataclasses import dataclass, field
from typing import Final

import orjson
import polars as pl

from payments_platform.contracts.columns import UTC_MICROS
from payments_platform.contracts.dead_letters import Fault
from payments_platform.streaming.dead_letters import FAULT
from payments_platform.streaming.events import REFUSAL
from payments_platform.streaming.ndjson import NO_OBJECT, ROW, read_objects

PLACEHOLDER: Final = "__debezium_unavailable_value"
"""What stands for a value that was too large to log and did not change. Written to a store it would replace it."""
_TIME: Final = "%Y-%m-%dT%H:%M:%S%.fZ"
_OPS: Final = ("c", "u", "d", "r")
_SOURCE: Final = pl.Struct({"ts_us": pl.Int64(), "snapshot": pl.String()})
_BEFORE: Final = "before_"
_UNREADABLE, _WRONG_KEY, _UNNAMED = "is_unreadable", "has_wrong_key", "unnamed_column"
# Names that the envelope itself has, so that finding one in a message does not show that the row has it.
_OF_ENVELOPE: Final = frozenset({"name", "version", "schema", "table", "op", "epoch", "source"})


@dataclass(frozen=True)
class Shape:
    """The row of a captured table as its change messages carry it. ``previous`` is what each change says of before."""

    table: str
    key: str
    columns: pl.Schema
    required: tuple[str, ...]
    previous: tuple[str, ...] = ("version",)
    wire: pl.Schema = field(init=False)
    whole: pl.Schema = field(init=False)

    def __post_init__(self) -> None:
        row = pl.Struct({name: _on_the_wire(dtype) for name, dtype in self.columns.items()})
        before = pl.Struct({name: _on_the_wire(self.columns[name]) for name in self.previous})
        envelope = {"op": pl.String(), "epoch": pl.String(), "source": _SOURCE, "after": row}
        # The whole of before is read for the few messages that need it: it costs half as much again.
        object.__setattr__(self, "wire", pl.Schema({**envelope, "before": before}))
        object.__setattr__(self, "whole", pl.Schema({**envelope, "before": row}))


def _on_the_wire(dtype: pl.DataType) -> pl.DataType:
    """Times and decimals are text, integers have 64 bits; what does not fit a narrower column is refused later."""
    return pl.Int64() if dtype.is_integer() else pl.String()


@dataclass(frozen=True)
class Decoded:
    """Together ``changes`` and ``refused`` hold every message once, tombstones aside. Both keep the order given.

    ``changes``: columns of the message without its value, of the shape, and ``op``, ``epoch``, ``is_deleted``,
    ``is_snapshot``, ``committed_at``, ``before_<previous>``. A delete is the row as it was, one version later
    and changed at its commit.
    ``refused``: columns of the message, ``fault`` and ``refusal``.
    """

    changes: pl.DataFrame
    refused: pl.DataFrame


def decode(messages: pl.DataFrame, shape: Shape) -> Decoded:
    """Read change messages. Of each is checked: one JSON object, op, epoch, types of all columns, required ones, key.

    Null is taken for what the source may hold, a column that the message does not name is not: renamed or dropped at
    the source, its values would be lost without a word. One that the shape lacks is ignored here, told by drift.py.
    """
    present = messages.filter(pl.col("value").is_not_null()).with_row_index(ROW)
    rows, unread = _read(present["value"].to_list(), shape)
    keys = present["key"] if rows.height == present.height else present["key"].gather(rows[ROW])
    typed = _typed(rows, shape, keys).with_columns(_unnamed(rows, present["value"], shape))
    judged = typed.with_columns(_fault(shape))
    bad = judged.filter(pl.col(FAULT).is_not_null())
    good = (judged if bad.is_empty() else judged.filter(pl.col(FAULT).is_null())).drop(
        FAULT, REFUSAL, _UNREADABLE, _WRONG_KEY, _UNNAMED
    )
    whole = present.drop("value")
    if good.height == present.height:
        changes = pl.concat([whole.drop(ROW), good.drop(ROW)], how="horizontal")
    else:
        changes = whole.join(good, on=ROW, maintain_order="left").drop(ROW)
    return Decoded(changes, present.join(_refusals(bad, unread), on=ROW, maintain_order="left").drop(ROW))


def _read(values: list[bytes], shape: Shape) -> tuple[pl.DataFrame, dict[int, str]]:
    """The envelopes, flat: the row that the message is about, and what it was before."""
    parsed, unread = read_objects(values, shape.wire)
    rows = _flat(parsed, shape)
    needs_all = (pl.col("op") == "d") | pl.any_horizontal(pl.col(_texts(shape)) == PLACEHOLDER)
    few = rows.filter(needs_all)[ROW].to_list()
    if not few:
        return rows, unread
    again, unfit = read_objects([values[row] for row in few], shape.whole)
    again = again.with_columns(pl.Series(ROW, few, dtype=pl.UInt32).gather(again[ROW]))
    unread |= {few[row]: reason for row, reason in unfit.items()}
    others = rows.filter(~pl.col(ROW).is_in(few))
    return pl.concat([others, _flat(_filled(again, shape), shape)]).sort(ROW), unread


def _flat(parsed: pl.DataFrame, shape: Shape) -> pl.DataFrame:
    before = [pl.col("before").struct.field(name).alias(_BEFORE + name) for name in shape.previous]
    return parsed.select(ROW, "op", "epoch", pl.col("source").struct.unnest(), pl.col("after").struct.unnest(), *before)


def _filled(parsed: pl.DataFrame, shape: Shape) -> pl.DataFrame:
    """The row of a delete is what it was, one version later; a value that was not sent again is what it was."""
    after, before = pl.col("after").struct, pl.col("before").struct
    fields = []
    for name, dtype in shape.columns.items():
        was, kept = before.field(name), after.field(name)
        if dtype == pl.String:
            kept = pl.when((kept == PLACEHOLDER) & was.is_not_null()).then(was).otherwise(kept)
        is_delete = pl.col("op") == "d"
        fields.append(pl.when(is_delete).then(was + 1 if name == "version" else was).otherwise(kept).alias(name))
    return parsed.with_columns(pl.struct(fields).alias("after"))


def _texts(shape: Shape) -> list[str]:
    return [name for name, dtype in shape.columns.items() if dtype == pl.String and name != shape.key]


def _typed(rows: pl.DataFrame, shape: Shape, keys: pl.Series) -> pl.DataFrame:
    """Columns by their contract; of a row with one that cannot be read, ``unreadable`` is true."""
    converted = {
        name: pl.col(name).str.to_datetime(_TIME, time_unit="us", time_zone="UTC", strict=False)
        if isinstance(dtype, pl.Datetime)
        else pl.col(name).cast(dtype, strict=False)
        for name, dtype in shape.columns.items()
        if dtype not in (pl.String(), pl.Int64())
    }
    typed = rows.with_columns(
        **converted,
        epoch=pl.col("epoch").cast(pl.Int32, strict=False),
        is_deleted=pl.col("op") == "d",
        is_snapshot=pl.col("op") == "r",
        committed_at=pl.when(pl.col("op") != "r").then(pl.col("ts_us")).cast(UTC_MICROS),
    ).drop("ts_us", "snapshot")
    if "updated_at" in shape.columns:
        # The row of a delete is dated by the version before it; the delete was when it was committed.
        deleted_at = pl.coalesce("committed_at", "updated_at")
        typed = typed.with_columns(pl.when("is_deleted").then(deleted_at).otherwise("updated_at").alias("updated_at"))
    lost = [typed[name].is_null() & rows[name].is_not_null() for name in converted]
    wrong_key = _other_keys(keys, typed[shape.key], shape.key)
    return typed.with_columns(pl.any_horizontal(lost).alias(_UNREADABLE), wrong_key.alias(_WRONG_KEY))


def _other_keys(keys: pl.Series, ids: pl.Series, name: str) -> pl.Series:
    """Whether the message's key is not the id alone. Text that JSON writes in more than one way is parsed."""
    expected = pl.select(pl.format(f'{{{{"{name}":"{{}}"}}}}', ids)).to_series()
    wrong = (keys != expected.cast(pl.Binary)).fill_null(value=True)
    for row in wrong.arg_true():
        wrong[row] = _object_of(keys[row]) != {name: ids[row]}
    return wrong


def _unnamed(rows: pl.DataFrame, values: pl.Series, shape: Shape) -> pl.Series:
    """Of each row the first column that its message does not name; null when it names all.

    Only where a column is null can it be missing, and there its name is looked for: inside a text of JSON, a name with
    its quotes cannot stand. That costs a fiftieth of reading the message.
    """
    found = pl.Series(_UNNAMED, [None] * rows.height, dtype=pl.String)
    for name in shape.columns:
        nulls = rows[name].is_null().arg_true()
        if nulls.is_empty():
            continue
        texts = values.gather(rows[ROW].gather(nulls))
        if name in _OF_ENVELOPE:
            named = pl.Series([_names(text, name) for text in texts], dtype=pl.Boolean)
        else:
            named = texts.bin.contains(f'"{name}":'.encode())
        found[nulls.filter(~named)] = name
    return found


def _names(value: bytes, column: str) -> bool:
    envelope = orjson.loads(value)
    return column in (envelope.get("after") or envelope.get("before") or {})


def _object_of(key: bytes | None) -> object:
    try:
        return orjson.loads(key or b"")
    except orjson.JSONDecodeError:
        return None


def _fault(shape: Shape) -> list[pl.Expr]:
    """The first thing that is wrong with a row, as class and words; null when nothing is."""
    unsent = pl.any_horizontal(pl.col(_texts(shape)) == PLACEHOLDER)
    checks: tuple[tuple[pl.Expr, Fault, str | pl.Expr], ...] = (
        (~pl.col("op").is_in(_OPS).fill_null(value=False), Fault.ENVELOPE, "op is none of c, u, d, r"),
        (~(pl.col("epoch") >= 1).fill_null(value=False), Fault.EPOCH, "no epoch, which is an integer from 1"),
        (pl.col(_UNREADABLE), Fault.TYPE, "a time or a number cannot be read"),
        (
            pl.col(_UNNAMED).is_not_null(),
            Fault.TYPE,
            pl.format("no column {}: renamed or dropped at the source", _UNNAMED),
        ),
        (pl.any_horizontal(pl.col(shape.required).is_null()), Fault.TYPE, f"lacks one of {', '.join(shape.required)}"),
        (unsent.fill_null(value=False), Fault.ENVELOPE, "a value was not sent, and before does not have it"),
        (pl.col(_WRONG_KEY), Fault.KEY, f"the key is not the row's {shape.key} alone"),
    )
    fault, words = pl.lit(None, pl.String), pl.lit(None, pl.String)
    for wrong, name, text in reversed(checks):
        fault = pl.when(wrong).then(pl.lit(name.value)).otherwise(fault)
        words = pl.when(wrong).then(pl.lit(text) if isinstance(text, str) else text).otherwise(words)
    return [fault.alias(FAULT), words.alias(REFUSAL)]


def _refusals(bad: pl.DataFrame, unread: dict[int, str]) -> pl.DataFrame:
    known = bad.select(ROW, FAULT, REFUSAL)
    faults = [Fault.NOT_JSON if reason in NO_OBJECT else Fault.TYPE for reason in unread.values()]
    unparsed = pl.DataFrame(
        {ROW: list(unread), FAULT: [fault.value for fault in faults], REFUSAL: list(unread.values())},
        schema=known.schema,
    )
    return pl.concat([known, unparsed])
