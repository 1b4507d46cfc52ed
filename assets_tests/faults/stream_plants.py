"""Faults planted on purpose in real topics and stores, one of each kind, so that the checker itself is checked.

Belongs here: spoiling a topic, MongoDB, Elasticsearch and the lake; each says which payment has which fault. Does not:
looking for them. The workers are stopped before: they would carry a plant further, or heal it.
"""

from collections.abc import Mapping
from typing import Final

import orjson
import polars as pl
from confluent_kafka import TopicPartition

from assets_tests.faults.stream_topics import read_topic
from payments_platform.clients import elasticsearch as elasticsearch_client
from payments_platform.clients import kafka
from payments_platform.clients import mongodb as mongodb_client
from payments_platform.documents.transaction_logs import COLLECTION
from payments_platform.lake import segments
from payments_platform.lake.storage import LocalStorage
from payments_platform.search.transactions import PATTERN
from payments_platform.settings import Settings
from payments_platform.streaming.sinks.jobs import DATABASE
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

# Kind of fault → the payment that has it.
Planted = Mapping[str, str]
NEVER: Final = "txn_never_committed"
_SECONDS: Final = 30.0


def in_topic(settings: Settings, topic: str) -> Planted:
    """Delete the oldest message of a partition, and write three that are wrong behind the newest."""
    servers = settings.kafka_servers()
    messages = read_topic(servers, topic).filter(pl.col("value").is_not_null())
    oldest = messages.row(0, named=True)
    client = kafka.admin(servers)
    place = TopicPartition(topic, oldest["partition"], oldest["offset"] + 1)
    for done in client.delete_records([place]).values():
        done.result(_SECONDS)
    copied, changed, model = messages.tail(3).iter_rows(named=True)
    invented = {"value": model["value"].replace(_id(model).encode(), NEVER.encode()), "key": b'{"transaction_id":"x"}'}
    wrong = changed["value"].replace(b'"amount_minor":', b'"amount_minor":9')
    writer = kafka.producer(servers)
    for row in (copied, {**changed, "value": wrong}, {**model, **invented}):
        writer.produce(topic, row["value"], row["key"], partition=row["partition"])
    assert writer.flush(_SECONDS) == 0
    return {"missing": _id(oldest), "duplicate": _id(copied), "changed": _id(changed), "phantom": NEVER}


def _id(message: Mapping[str, bytes]) -> str:
    found = orjson.loads(message["value"])
    return str((found.get("after") or found.get("before") or found)["transaction_id"])


def in_mongodb(settings: Settings) -> Planted:
    """A document's id is its payment's, so a second copy can only stand under an id that is no payment's."""
    with mongodb_client.connect(settings.mongodb_uri()) as client:
        collection = client[DATABASE][COLLECTION]
        missing, changed, copied, model = collection.find().sort("_id", 1).limit(4)
        collection.delete_one({"_id": missing["_id"]})
        collection.update_one({"_id": changed["_id"]}, {"$set": {"current.status": "pending"}})
        collection.insert_one({**copied, "_id": f"{copied['_id']} again"})
        collection.insert_one({**model, "_id": NEVER, "transaction_id": NEVER})
    ids = [str(document["_id"]) for document in (missing, changed, copied)]
    return {**dict(zip(("missing", "changed", "duplicate"), ids, strict=True)), "phantom": NEVER}


def in_elasticsearch(settings: Settings) -> Planted:
    """A second copy stands in the index of another day, as a wrong date would bring it."""
    with elasticsearch_client.connect(settings.elasticsearch_url()) as client:
        found = client.search(index=PATTERN, size=4, sort=[{"transaction_id": "asc"}])["hits"]["hits"]
        missing, changed, copied, model = found
        client.delete(index=missing["_index"], id=missing["_id"])
        spoiled = {**changed["_source"], "amount_minor": 999_999}
        client.index(index=changed["_index"], id=changed["_id"], document=spoiled)
        client.index(index=f"{PATTERN.rstrip('*')}2026.01.01", id=copied["_id"], document=copied["_source"])
        client.index(index=model["_index"], id=NEVER, document={**model["_source"], "transaction_id": NEVER})
        client.indices.refresh(index=PATTERN)
    ids = [str(hit["_source"]["transaction_id"]) for hit in (missing, changed, copied)]
    return {**dict(zip(("missing", "changed", "duplicate"), ids, strict=True)), "phantom": NEVER}


def in_lake(settings: Settings) -> Planted:
    """The file of one segment is written again with a row less, one changed, one twice and one invented."""
    storage = LocalStorage(settings.lake_root)
    segment = max(segments.segments(storage, ANALYTICS_TRANSACTIONS), key=lambda it: it.rows)
    path = settings.lake_root / segment.file
    rows = pl.read_parquet(path, hive_partitioning=False)
    # Payments of one version: a later one in another segment would hide nothing, but name others too.
    single = rows.filter(pl.len().over("transaction_id") == 1)
    missing, changed, copied, model = single.head(4)["transaction_id"]
    is_of = pl.col("transaction_id")
    spoiled = rows.filter(is_of != missing).with_columns(
        pl.when(is_of == changed).then(pl.lit(999_999)).otherwise("amount_minor").alias("amount_minor")
    )
    invented = rows.filter(is_of == model).with_columns(transaction_id=pl.lit(NEVER))
    pl.concat([spoiled, rows.filter(is_of == copied), invented]).write_parquet(path, compression="snappy")
    return {"missing": missing, "changed": changed, "duplicate": copied, "phantom": NEVER}
