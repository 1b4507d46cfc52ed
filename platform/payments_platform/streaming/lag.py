"""How far each consumer group is behind, asked from the broker.

Belongs here: committed offsets beside the ends of partitions. Does not: what a running worker tells of itself
(metrics.py), showing it (commands/stream.py).
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from payments_platform.clients import kafka
from payments_platform.streaming.positions import Partition

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient, OffsetSpec

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


def overdue_of(
    servers: str, lags: Collection[GroupLag], held: Mapping[str, timedelta], now: datetime
) -> list[GroupLag]:
    """The same, for each group in ``held`` up to the first message that it may still hold: one that came so lately.

    A sink that collects messages before it writes them has not fallen behind while it collects. Raises KafkaException.
    """
    from confluent_kafka.admin import OffsetSpec

    ends: dict[tuple[str, Partition], int] = {}
    for group, time in held.items():
        places = [(it.topic, it.partition) for it in lags if it.group == group]
        since = OffsetSpec.for_timestamp(int((now - time).timestamp() * 1000))
        offsets = _offsets(kafka.admin(servers), places, since)
        # Where nothing came since, there is no such message.
        ends |= {(group, place): offset for place, offset in offsets.items() if offset >= 0}
    return [replace(it, end=ends.get((it.group, (it.topic, it.partition)), it.end)) for it in lags]


def lags_of(servers: str, groups: Collection[str]) -> list[GroupLag]:
    """The partitions that the groups have committed, by group, topic and number. Raises KafkaException."""
    from confluent_kafka import TopicPartition

    client = kafka.admin(servers)
    topics = client.list_topics(timeout=_SECONDS).topics
    places = [TopicPartition(name, number) for name, topic in topics.items() for number in topic.partitions]
    found = {(group, *place): offset for group in groups for place, offset in _committed(servers, group, places)}
    ends = ends_of(client, [(topic, number) for _, topic, number in found])
    return [
        GroupLag(group, topic, number, offset, ends[topic, number])
        for (group, topic, number), offset in sorted(found.items())
    ]


def _committed(servers: str, group: str, places: "list[TopicPartition]") -> Iterator[tuple[Partition, int]]:
    """What a group has committed, asked as one of it that joins nothing.

    The admin client has a question of its own for this, which ends the whole process (librdkafka 2.16, segmentation
    fault) when the group's coordinator has just restarted.
    """
    with closing(kafka.consumer(servers, group)) as member:
        for place in member.committed(places, timeout=_SECONDS):
            if place.offset >= 0:
                yield (place.topic, place.partition), place.offset


def ends_of(client: "AdminClient", partitions: Collection[Partition]) -> dict[Partition, int]:
    """The end of each partition, messages of open transactions included. Raises KafkaException."""
    from confluent_kafka.admin import OffsetSpec

    return _offsets(client, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]


def _offsets(client: "AdminClient", partitions: Collection[Partition], spec: "OffsetSpec") -> dict[Partition, int]:
    from confluent_kafka import TopicPartition

    if not partitions:
        return {}
    asked = {TopicPartition(topic, number): spec for topic, number in set(partitions)}
    answers = client.list_offsets(asked, request_timeout=_SECONDS).items()
    return {(place.topic, place.partition): answer.result().offset for place, answer in answers}
