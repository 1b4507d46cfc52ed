"""How far each consumer group is behind, asked from the broker.

Belongs here: committed offsets beside the ends of partitions. Does not: what a running worker tells of itself
(metrics.py), showing it (commands/stream.py).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payments_platform.streaming.positions import Partition

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_SECONDS = 10.0


@dataclass(frozen=True)
class GroupLag:
    """One partition of one group. ``committed`` is the next offset to read; ``lag`` the offsets up to the end."""

    group: str
    topic: str
    partition: int
    committed: int
    end: int

    @property
    def lag(self) -> int:
        """Offsets not committed yet; transaction markers count, for nobody can tell them from messages here."""
        return max(self.end - self.committed, 0)


def lags_of(client: "AdminClient", groups: Collection[str]) -> list[GroupLag]:
    """The partitions that the groups have committed, by group, topic and number. Raises KafkaException."""
    from confluent_kafka import ConsumerGroupTopicPartitions

    committed: dict[tuple[str, str, int], int] = {}
    for group in groups:
        request = [ConsumerGroupTopicPartitions(group)]
        answer = client.list_consumer_group_offsets(request, request_timeout=_SECONDS)[group].result()
        committed |= {(group, p.topic, p.partition): p.offset for p in answer.topic_partitions if p.offset >= 0}
    ends = ends_of(client, [(topic, number) for _, topic, number in committed])
    return [
        GroupLag(group, topic, number, offset, ends[topic, number])
        for (group, topic, number), offset in sorted(committed.items())
    ]


def ends_of(client: "AdminClient", partitions: Collection[Partition]) -> dict[Partition, int]:
    """The end of each partition, messages of open transactions included. Raises KafkaException."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import OffsetSpec

    if not partitions:
        return {}
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, number): latest for topic, number in set(partitions)}
    answers = client.list_offsets(asked, request_timeout=_SECONDS).items()
    return {(place.topic, place.partition): answer.result().offset for place, answer in answers}
