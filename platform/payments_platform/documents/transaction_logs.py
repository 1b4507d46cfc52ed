"""The collection transaction_logs: how a processed event changes a payment's document, and how the document is read.

Belongs here: update documents and the served form, pure. Does not: a connection (streaming/sinks/mongodb.py), which
fields are kept and why (contracts/stores.py).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import polars as pl

from payments_platform.contracts.stores import IMMUTABLE, LIFECYCLE, STATE, TRANSACTION_LOGS

COLLECTION: Final = TRANSACTION_LOGS.table
_KEY: Final = "transaction_id"
# The key of a state names epoch and version; its enrichment comes first in it and decides between two of one version.
_OF_STATE: Final = LIFECYCLE[2:]

Update = dict[str, dict[str, Any]]


def updates(events: pl.DataFrame) -> Iterator[tuple[str, Update]]:
    """For each event the id of its document and what to do with it; to be upserted with a filter on ``_id`` alone.

    In any order and any number the same events give the same document: values that never change are set, and of all
    else the greatest is kept. MongoDB compares documents field by field in order, so the position, which comes first,
    decides. Were a field left out when it is null, the one after it would be compared with it: all are written.
    """
    for row in events.select(*dict.fromkeys((*IMMUTABLE, *STATE))).iter_rows(named=True):
        state = f"states.{row['epoch']}-{row['version']}"
        yield (
            row[_KEY],
            {
                "$set": {name: row[name] for name in IMMUTABLE if row[name] is not None},
                "$max": {
                    "current": {name: row[name] for name in STATE},
                    state: {name: row[name] for name in _OF_STATE},
                },
            },
        )


def served(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document as a reader gets it, by the contract: what it is now beside what it always was, states in order."""
    states = [_state(key, value) for key, value in document.get("states", {}).items()]
    return {
        **{name: document.get(name) for name in IMMUTABLE},
        _KEY: payment_of(document),
        **{name: document.get("current", {}).get(name) for name in STATE},
        "states": sorted(states, key=lambda state: (state["epoch"], state["version"])),
    }


def payment_of(document: Mapping[str, Any]) -> str:
    """The payment that a document is of; a foreign one that names none is called by its own id."""
    return str(document.get(_KEY) or document["_id"])


def frame_of(documents: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Documents as rows of the contract."""
    return pl.DataFrame([served(document) for document in documents], schema=TRANSACTION_LOGS.schema)


def states_of(served_rows: pl.DataFrame) -> pl.DataFrame:
    """The states of rows made by ``frame_of``, one row each, beside what the payment always was."""
    exploded = served_rows.select(*IMMUTABLE, "states").explode("states", empty_as_null=False)
    return exploded.unnest("states")


def _state(key: str, value: Mapping[str, Any]) -> dict[str, Any]:
    epoch, _, version = key.partition("-")
    return {"epoch": int(epoch), "version": int(version), **{name: value.get(name) for name in _OF_STATE}}
