"""A dead letter as people may see it: its name, and its message with personal values masked.

Belongs here: names of letters, masking by the contract of the topic. Does not: printing (commands/dlq.py).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from payments_platform.batch.repairs import shape
from payments_platform.contracts.catalogue import DATASETS
from payments_platform.contracts.dataset import Column, Pii
from payments_platform.contracts.rules import CHANGE_OPS
from payments_platform.contracts.streams import EVENT_COLUMNS
from payments_platform.errors import ExplainedError

_NAME: Final = re.compile(r"(?P<topic>[\w.-]+)/(?P<partition>\d+)/(?P<offset>\d+)@(?P<consumer>[\w-]+)")
# What the envelope says beside the row: numbers about the log, never about a person.
_OF_ENVELOPE: Final = ("ts_ms", "ts_us", "ts_ns", "lsn", "txId", "epoch")
# Longer values are cut: what is wrong stands near the beginning, or it is the length.
_SHOWN: Final = 400


class LetterUnknown(ExplainedError):
    """There is no such letter; the text says how letters are named."""


def name_of(row: Mapping[str, Any]) -> str:
    """The name of a letter: ``<topic>/<partition>/<offset>@<consumer>``, all of the refused message."""
    return f"{row['source_topic']}/{row['source_partition']}/{row['source_offset']}@{row['consumer']}"


def parts_of(name: str) -> dict[str, Any]:
    """The columns that a name stands for. Raises LetterUnknown for a text that is no name."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise LetterUnknown(f"{name!r} names no letter; write TOPIC/PARTITION/OFFSET@CONSUMER, as `payments dlq list`")
    return {
        "consumer": found["consumer"],
        "source_topic": found["topic"],
        "source_partition": int(found["partition"]),
        "source_offset": int(found["offset"]),
    }


def view(topic: str, content: bytes | None, *, reveal: bool = False) -> list[tuple[str, str]]:
    """Key or value of a message, field by field, in the order written.

    Unless revealed, only numbers, flags and listed codes of columns that are known and impersonal are shown; all else
    is its shape: a field may be wrong because a name stands in it. What is no JSON is one line, its shape too.
    """
    if content is None:
        return [("", "nothing (a tombstone, or too large to be kept)")]
    try:
        fields = list(_fields(orjson.loads(content)))
    except orjson.JSONDecodeError:
        text = content.decode("utf-8", "backslashreplace")
        return [("", _cut(text if reveal else shape(text)))]
    columns = _columns(topic)
    codes = {code for dataset in DATASETS.values() for listed in dataset.closed_lists.values() for code in listed}
    known = codes | {*CHANGE_OPS, "r", topic.partition(".")[2]}
    return [(path, _cut(_text(value) if reveal else _masked(path, value, columns, known))) for path, value in fields]


def _fields(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of a JSON value by their path. A list is one leaf, and so is an object in an object's column."""
    if isinstance(value, dict) and path.count(".") < 1:
        for name, inner in value.items():
            yield from _fields(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _columns(topic: str) -> dict[str, Column]:
    found = DATASETS.get(f"raw/{topic.partition('.')[2]}")
    columns = found.columns if found and topic.startswith("oltp.") else ()
    return {column.name: column for column in (*EVENT_COLUMNS, *columns)}


def _masked(path: str, value: object, columns: Mapping[str, Column], known: set[str]) -> str:
    name = path.rpartition(".")[2]
    column = columns.get(name)
    is_impersonal = name in _OF_ENVELOPE if column is None else column.pii is Pii.NONE
    is_plain = value is None or isinstance(value, bool) or (isinstance(value, int | float) and is_impersonal)
    return _text(value) if is_plain or (isinstance(value, str) and value in known) else shape(_text(value))


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"
