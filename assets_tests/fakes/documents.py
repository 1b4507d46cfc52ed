"""A MongoDB collection in memory: what the sink uses of pymongo, with MongoDB's order of values.

Belongs here: upserts with $set and $max, finds by id, refusals on demand. Does not: any other operator.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError

Document = dict[str, Any]


class MemoryCollection:
    """Documents by ``_id``. ``refusing`` gives error codes by id; ``is_away`` makes every call fail."""

    def __init__(self) -> None:
        self.stored: dict[Any, Document] = {}
        self.indexes: dict[str, tuple[list[tuple[str, int]], dict[str, Any]]] = {}
        self.refusing: dict[str, int] = {}
        self.is_away = False

    def create_index(self, keys: list[tuple[str, int]], *, name: str, **options: Any) -> str:  # noqa: ANN401 - options of any type
        self._answer()
        self.indexes[name] = (keys, options)
        return name

    def drop(self) -> None:
        self._answer()
        self.stored.clear()
        self.indexes.clear()

    def bulk_write(self, changes: Sequence[UpdateOne], *, ordered: bool) -> None:
        self._answer()
        assert not ordered
        errors = []
        for place, change in enumerate(changes):
            assert list(change._filter) == ["_id"], "any other filter scans the collection"
            key, update = change._filter["_id"], change._doc
            assert isinstance(update, Mapping)
            if key in self.refusing:
                errors.append({"index": place, "code": self.refusing[key], "errmsg": "no"})
                continue
            _apply(self.stored.setdefault(key, {"_id": key}), update)
        if errors:
            raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": []})

    def find(self, wanted: Mapping[str, Any], batch_size: int = 0) -> Iterator[Document]:
        self._answer()
        test = wanted.get("_id", {})
        for key, document in sorted(self.stored.items(), key=lambda item: str(item[0])):
            if _passes(key, test):
                yield deepcopy(document)

    def insert_one(self, document: Document) -> None:
        self.stored[document["_id"]] = document

    def delete_one(self, wanted: Mapping[str, Any]) -> None:
        del self.stored[wanted["_id"]]

    def update_one(self, wanted: Mapping[str, Any], update: Mapping[str, Any]) -> None:
        _apply(self.stored[wanted["_id"]], update)

    def _answer(self) -> None:
        if self.is_away:
            raise AutoReconnect("connection refused")


def _passes(key: Any, test: Mapping[str, Any]) -> bool:  # noqa: ANN401 - an id of any type
    """Whether an id passes; a bound is for ids of its own type alone, and the others pass its opposite."""
    is_at_least = {name: isinstance(key, str) and key >= bound for name, bound in test.items() if name in _BOUNDS}
    return (
        ("$in" not in test or key in test["$in"])
        and is_at_least.get("$gte", True)
        and not ("$lt" in test and (is_at_least["$lt"] or not isinstance(key, str)))
        and not ("$not" in test and _passes(key, test["$not"]))
    )


_BOUNDS = ("$gte", "$lt")


def _apply(document: Document, update: Mapping[str, Any]) -> None:
    for operator, changes in update.items():
        for path, value in changes.items():
            *folders, name = path.split(".")
            place = document
            for folder in folders:
                place = place.setdefault(folder, {})
            new = _stored(value)
            if operator == "$set" or name not in place or _order(new) > _order(place[name]):
                place[name] = new


def _stored(value: Any) -> Any:  # noqa: ANN401 - a value of any type
    """As BSON keeps it: times to the millisecond."""
    match value:
        case datetime():
            return value.replace(microsecond=value.microsecond // 1000 * 1000)
        case dict():
            return {name: _stored(it) for name, it in value.items()}
        case _:
            return value


def _order(value: Any) -> tuple[int, Any]:  # noqa: ANN401 - a value of any type
    """MongoDB's order: null, numbers, texts, documents (field by field: type, name, value), booleans, times."""
    match value:
        case None:
            return (1, 0)
        case bool():
            return (8, value)
        case int() | float():
            return (2, value)
        case str():
            return (3, value.encode())
        case dict():
            return (4, tuple((_order(it)[0], name, _order(it)[1]) for name, it in value.items()))
        case datetime():
            return (9, value)
        case _:
            raise TypeError(f"the fake has no order for {type(value).__name__}")
