"""The three sink workers, put together from settings; each in a process of its own, so that each fails alone.

Belongs here: which client, which topic and which handler go together. Does not: the work (its handler), signals.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from payments_platform.clients import elasticsearch as elasticsearch_client
from payments_platform.clients import kafka
from payments_platform.clients import mongodb as mongodb_client
from payments_platform.documents.transaction_logs import COLLECTION
from payments_platform.lake.storage import LocalStorage
from payments_platform.settings import Settings
from payments_platform.streaming.handler import Handler
from payments_platform.streaming.positions import Partition
from payments_platform.streaming.sinks.elasticsearch import ElasticsearchSink
from payments_platform.streaming.sinks.handler import Refuse, SearchHandler, SinkHandler, to_dead_letters
from payments_platform.streaming.sinks.lake import Flush, LakeHandler
from payments_platform.streaming.sinks.mongodb import MongoSink
from payments_platform.streaming.source import KafkaSource
from payments_platform.streaming.workers import Job, Setting
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

DATABASE: Final = "payments"
MONGODB, ELASTICSEARCH, LAKE = "sink-mongodb", "sink-elasticsearch", "sink-lake"
_BROKER_SECONDS: Final = 10.0


def mongodb_sink(settings: Settings) -> MongoSink:
    """The sink over the document store of the settings. Connects at first use."""
    return MongoSink(mongodb_client.connect(settings.mongodb_uri())[DATABASE][COLLECTION])


def elasticsearch_sink(settings: Settings) -> ElasticsearchSink:
    """The sink over the search engine of the settings. Connects at first use."""
    return ElasticsearchSink(elasticsearch_client.connect(settings.elasticsearch_url()))


def mongodb(setting: Setting) -> Job:
    """The worker sink-mongodb."""
    sink = mongodb_sink(setting.settings)
    return _job(lambda _: SinkHandler(sink, _refuse(setting, MONGODB), setting.metrics))


def elasticsearch(setting: Setting) -> Job:
    """The worker sink-elasticsearch."""
    sink = elasticsearch_sink(setting.settings)
    return _job(lambda _: SearchHandler(sink, _refuse(setting, ELASTICSEARCH), setting.metrics))


def lake(setting: Setting) -> Job:
    """The worker sink-lake."""
    settings = setting.settings
    flush = Flush(settings.flush_records, timedelta(seconds=settings.flush_seconds))
    storage = LocalStorage(settings.lake_root)
    return _job(lambda source: LakeHandler(storage, _refuse(setting, LAKE), _kept(source), flush))


def _job(handler: Callable[[KafkaSource], Handler]) -> Job:
    return Job(topics=(ANALYTICS_TRANSACTIONS,), handler=handler)


def _refuse(setting: Setting, consumer: str) -> Refuse:
    return to_dead_letters(kafka.producer(setting.settings.kafka_servers()), consumer, setting.metrics)


def _kept(source: KafkaSource) -> Callable[[Partition], tuple[int, int]]:
    """Ask the broker for the first offset of a partition that it still has, and for the next that readers come to."""

    def kept(partition: Partition) -> tuple[int, int]:
        from confluent_kafka import TopicPartition

        low, high = source.consumer.get_watermark_offsets(TopicPartition(*partition), timeout=_BROKER_SECONDS)
        return int(low), int(high)

    return kept
