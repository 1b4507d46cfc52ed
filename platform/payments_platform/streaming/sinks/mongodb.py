"""The MongoDB sink: payments' documents in transaction_logs.

Belongs here: talking to a collection. Does not: what an event changes in a document (documents/), the loop that feeds
it (handler.py).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from payments_platform.contracts.dead_letters import Fault
from payments_platform.contracts.stores import IMMUTABLE, STATE, TRANSACTION_LOG_INDEXES
from payments_platform.documents.transaction_logs import frame_of, payment_of, states_of, updates
from payments_platform.streaming.sinks.protocol import Span, StoreBusy, Wanted, refusals

if TYPE_CHECKING:
    from pymongo import UpdateOne
    from pymongo.collection import Collection

# A server's verdict on one document, which no repetition changes. Any other error of a write is of the server's state.
_REFUSED: Final = {
    2: (Fault.REFUSED_BY_STORE, "a value is not valid"),
    9: (Fault.REFUSED_BY_STORE, "the update is not valid"),
    14: (Fault.REFUSED_BY_STORE, "a value is of the wrong type"),
    22: (Fault.REFUSED_BY_STORE, "a value cannot be encoded"),
    28: (Fault.REFUSED_BY_STORE, "a field stands where the document has another"),
    121: (Fault.REFUSED_BY_STORE, "the collection's validator refuses the document"),
    10334: (Fault.OVERSIZE, "the document would be too large"),
    17280: (Fault.OVERSIZE, "an indexed value is too long"),
    17419: (Fault.OVERSIZE, "the document would be too large"),
}
# Another writer was in the middle of the same document or the server of an election: the next try finds it done.
_PASSING: Final = frozenset({6, 7, 11, 89, 91, 112, 189, 251, 262, 9001, 10107, 11000, 11600, 11602, 13435, 13436})
_IDS_AT_ONCE: Final = 1_000
# A server cuts its answers at 16 MiB. The emulator, asked for no number, sends all: more than a client takes.
_DOCUMENTS_AT_ONCE: Final = 1_000
Reason = tuple[Fault, str]


class MongoSink:
    """One collection, one document a payment."""

    name = "mongodb"

    def __init__(self, collection: "Collection[dict[str, Any]]") -> None:
        self._collection = collection
        # Ids under which a walk met a payment's second document: by the payment's own id alone none is found again.
        self._strays: dict[str, set[Any]] = {}

    def prepare(self) -> None:
        for index in TRANSACTION_LOG_INDEXES:
            days = index.expires_after
            expires: dict[str, Any] = {} if days is None else {"expireAfterSeconds": int(days.total_seconds())}
            self._collection.create_index(list(index.fields), name=index.name, **expires)

    def write(self, events: pl.DataFrame) -> pl.DataFrame:
        from pymongo import UpdateOne

        changes = [UpdateOne({"_id": key}, update, upsert=True) for key, update in updates(events)]
        return refusals(events, dict(sorted(self._write(changes, 0))))

    def read(self, wanted: Wanted) -> pl.DataFrame:
        return self._found(wanted).select(*IMMUTABLE, *STATE)

    def states(self, wanted: Wanted) -> pl.DataFrame:
        """Every state that the store has of transactions, one row each."""
        return states_of(self._found(wanted))

    def clear(self) -> None:
        self._collection.drop()
        self.prepare()

    def close(self) -> None:
        self._collection.database.client.close()

    def _write(self, changes: "Sequence[UpdateOne]", first: int) -> Iterator[tuple[int, Reason]]:
        """Write all, yielding place and reason of each that is refused.

        The driver itself refuses what it cannot encode, and the whole call with it: the batch is halved until the bad
        one stands alone. What was written on the way is written again, which changes nothing.
        """
        from bson.errors import BSONError
        from pymongo.errors import BulkWriteError, DocumentTooLarge

        if not changes:
            return
        try:
            self._collection.bulk_write(changes, ordered=False)
        except BulkWriteError as error:
            yield from _judged(error, first)
        except (BSONError, DocumentTooLarge, OverflowError, UnicodeError, ValueError) as error:
            if len(changes) == 1:
                fault = Fault.OVERSIZE if isinstance(error, DocumentTooLarge) else Fault.REFUSED_BY_STORE
                yield first, (fault, f"the driver cannot send it ({type(error).__name__})")
                return
            middle = len(changes) // 2
            yield from self._write(changes[:middle], first)
            yield from self._write(changes[middle:], first + middle)

    def _found(self, wanted: Wanted) -> pl.DataFrame:
        """Documents of payments, and the second ones that a foreign writer left under whatever id it liked.

        A walk over all spans meets every document once. Those asked by payment are found under the ids met before: a
        look by ``transaction_id`` would read the whole collection, which has no index of it.
        """
        if isinstance(wanted, Span):
            found = list(self._collection.find(_within(wanted), batch_size=_DOCUMENTS_AT_ONCE))
            for document in found:
                if document["_id"] != payment_of(document):
                    self._strays.setdefault(payment_of(document), set()).add(document["_id"])
            return frame_of(found)
        ids = [other for payment in wanted for other in (payment, *self._strays.get(payment, ()))]
        parts = [ids[place : place + _IDS_AT_ONCE] for place in range(0, len(ids), _IDS_AT_ONCE)]
        return frame_of(found for part in parts for found in self._collection.find({"_id": {"$in": part}}))


def _within(span: Span) -> dict[str, Any]:
    """Ids of a span. Ids that are no text lie in the first: a bound is for texts alone, and they pass its opposite."""
    if span.end is None:
        return {"_id": {"$gte": span.first}} if span.first is not None else {}
    return {"_id": {"$gte": span.first, "$lt": span.end} if span.first is not None else {"$not": {"$gte": span.end}}}


def _judged(error: Any, first: int) -> Iterator[tuple[int, Reason]]:  # noqa: ANN401 - pymongo, imported late
    """Place and reason of each refused update. Raises StoreBusy for what passes, the error itself for what does not."""
    failed = error.details.get("writeErrors", [])
    waiting = [it for it in failed if it["code"] not in _REFUSED]
    unknown = [it for it in waiting if it["code"] not in _PASSING]
    if unknown:
        raise error
    if waiting or error.details.get("writeConcernErrors"):
        raise StoreBusy(f"MongoDB put off {len(waiting)} of the updates of a batch; it is written again.") from error
    for it in failed:
        fault, because = _REFUSED[it["code"]]
        yield first + it["index"], (fault, f"MongoDB refuses it: {because} (code {it['code']})")
