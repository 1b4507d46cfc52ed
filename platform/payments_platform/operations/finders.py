"""How each store is asked for payments by a reader: topics as they arrive, documents by id, search by id and by search.

Belongs here: one small question a store, given an open client. Does not: sampling and timing (delays.py).
"""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from payments_platform.operations.delays import Sample

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message
    from elasticsearch import Elasticsearch
    from pymongo.collection import Collection as Documents

_BATCH: Final = 2_000
_POLL_SECONDS: Final = 0.05


class TopicFinder:
    """Reads a topic from its end, and remembers whose key came by. ``consumer`` is given open and closed in the end."""

    def __init__(self, consumer: "Consumer", topic: str) -> None:
        """Begin to read; the end of each partition is known when it returns, so that nothing later is missed."""
        from confluent_kafka import TopicPartition

        self._consumer, self._over = consumer, threading.Event()
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, it), timeout=10)[1] for it in partitions]
        consumer.assign([TopicPartition(topic, it, end) for it, end in zip(partitions, ends, strict=True)])
        self._seen: set[str] = set()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __call__(self, samples: Sequence[Sample]) -> Collection[str]:
        return [sample.transaction_id for sample in samples if sample.transaction_id in self._seen]

    def close(self) -> None:
        """Stop reading."""
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._over.is_set():
            for message in self._consumer.consume(_BATCH, _POLL_SECONDS):
                if message.error() is None:
                    self._take(message)

    def _take(self, message: "Message") -> None:
        key = message.key()
        if key is not None:
            self._seen.add(orjson.loads(key)["transaction_id"])


def document_finder(collection: "Documents[dict[str, Any]]") -> Callable[[Sequence[Sample]], Collection[str]]:
    """Documents by ``_id``."""

    def found(samples: Sequence[Sample]) -> Collection[str]:
        ids = [sample.transaction_id for sample in samples]
        return [document["_id"] for document in collection.find({"_id": {"$in": ids}}, {"_id": 1})]

    return found


def indexed_finder(
    client: "Elasticsearch", index_of: Callable[[Sample], str]
) -> Callable[[Sequence[Sample]], Collection[str]]:
    """Documents of the search engine by id, which it answers from what it has not refreshed yet too."""

    def found(samples: Sequence[Sample]) -> Collection[str]:
        wanted = [{"_index": index_of(sample), "_id": sample.transaction_id, "_source": False} for sample in samples]
        return [it["_id"] for it in client.mget(docs=wanted)["docs"] if it.get("found")]

    return found


def search_finder(client: "Elasticsearch", alias: str) -> Callable[[Sequence[Sample]], Collection[str]]:
    """Documents by a search, as people find them: after a refresh."""

    def found(samples: Sequence[Sample]) -> Collection[str]:
        ids = [sample.transaction_id for sample in samples]
        answer = client.search(index=alias, query={"ids": {"values": ids}}, size=len(ids), source=False)
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    return found
