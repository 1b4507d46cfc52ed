"""Many JSON objects to one frame, strictly: a record that does not fit is named, and the others are read.

Belongs here: parsing bytes by a schema. Does not: what the fields mean (envelope.py, events.py).
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

ROW: Final = "row_number"
# What is said of bytes that are no JSON object; any other reason is about a field of one.
NO_OBJECT: Final = ("not one JSON object", "not a JSON object", "not valid JSON")
_NOT_ONE, _NOT_AN_OBJECT, _NOT_JSON = NO_OBJECT


def read_objects(values: Sequence[bytes], schema: pl.Schema) -> tuple[pl.DataFrame, dict[int, str]]:
    """The objects as rows, with ``row_number`` (place in ``values``), and the reason for each that is none.

    A field that is absent is null, one that the schema lacks is ignored, one of another type makes the record unfit.
    The good path parses all at once; around a bad record the batch is halved until the bad one stands alone.
    """
    frames: list[pl.DataFrame] = []
    refused: dict[int, str] = {}
    waiting = [(0, len(values))]
    while waiting:
        first, end = waiting.pop()
        if first == end:
            continue
        parsed = _parse(values[first:end], schema)
        if isinstance(parsed, pl.DataFrame):
            frames.append(parsed.with_row_index(ROW, first))
        elif end - first == 1:
            refused[first] = parsed
        else:
            middle = (first + end) // 2
            waiting += [(middle, end), (first, middle)]
    empty = pl.DataFrame(schema={ROW: pl.UInt32, **schema})
    return pl.concat([empty, *frames]), refused


def _parse(values: Sequence[bytes], schema: pl.Schema) -> pl.DataFrame | str:
    """The rows, or what the parser said. Line ends inside an object are white space between its parts."""
    lines = b"\n".join(values)
    if lines.count(b"\n") >= len(values):
        lines = b"\n".join(value.replace(b"\n", b" ") for value in values)
    try:
        frame = pl.read_ndjson(lines, schema=schema)
    except pl.exceptions.ComputeError as error:
        # The parser quotes the text it stopped at, which may be a person's: only the kind of fault is kept.
        return _fault(str(error))
    if frame.height != len(values):
        return _NOT_ONE
    return frame


def _fault(message: str) -> str:
    if message.startswith("cannot parse"):
        return f"a field is not of its type: expected {message.rsplit(' as ', 1)[-1]}"
    if "expected to contain JSON object" in message:
        return _NOT_AN_OBJECT
    return _NOT_JSON
