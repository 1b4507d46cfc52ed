"""Topics as their specifications have them: created before anything writes, compared ever after.

Belongs here: creating, correcting settings, naming what a command must not change. Does not: the specifications
(contracts/streams.py), consuming or producing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payments_platform.contracts.streams import TopicSpec
from payments_platform.errors import ExplainedError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_SECONDS: Final = 30
_DAY_MS: Final = 86_400_000
# A reader that was away for less than this still finds the marker of each deleted key in a compacted topic.
_DELETES_KEPT_MS: Final = 7 * _DAY_MS
# A reader that is less behind than this sees every message of a compacted topic, not the latest of each key alone.
_ALL_KEPT_MS: Final = 3_600_000


class TopicsRefused(ExplainedError):
    """The broker refused to create or change a topic; the text is its reason."""


@dataclass(frozen=True)
class Durability:
    """How many brokers keep a message, and how many must have it before it counts as written."""

    replicas: int
    in_sync: int


ONE_BROKER: Final = Durability(1, 1)
THREE_BROKERS: Final = Durability(3, 2)


@dataclass(frozen=True)
class TopicsReport:
    """What ``ensure_topics`` did. ``differs`` needs a person: more partitions would move keys, replicas move data."""

    created: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


def settings_of(spec: TopicSpec, durability: Durability) -> dict[str, str]:
    """The settings of a topic that its specification decides; all others stay the broker's."""
    shared = {
        "cleanup.policy": spec.cleanup,
        "min.insync.replicas": str(durability.in_sync),
        "max.message.bytes": str(spec.largest_message),
    }
    if spec.retention is not None:
        kept = int(spec.retention.total_seconds() * 1000)
        # A segment is deleted whole: without a bound on its age a quiet topic would keep people's data for longer.
        return {**shared, "retention.ms": str(kept), "segment.ms": str(min(kept // 4, _DAY_MS))}
    return {
        **shared,
        "delete.retention.ms": str(_DELETES_KEPT_MS),
        "segment.ms": str(_DAY_MS),
        "min.compaction.lag.ms": str(_ALL_KEPT_MS),
        "max.compaction.lag.ms": str(7 * _DAY_MS),  # an erased row's old values go within a week
    }


def ensure_topics(client: "AdminClient", specs: Sequence[TopicSpec], durability: Durability) -> TopicsReport:
    """Create the topics that are missing and correct the settings of the others. Safe to repeat and to interrupt.

    Number of partitions and of replicas are never changed here: keys would move, and with them the order of a payment's
    changes. They are named instead. Raises TopicsRefused.
    """
    there = client.list_topics(timeout=_SECONDS).topics
    missing = [spec for spec in specs if spec.name not in there]
    present = [spec for spec in specs if spec.name in there]
    _create(client, missing, durability)
    corrected = _correct(client, present, durability)
    return TopicsReport(tuple(spec.name for spec in missing), corrected, topic_differences(client, present, durability))


def topic_differences(client: "AdminClient", specs: Sequence[TopicSpec], durability: Durability) -> tuple[str, ...]:
    """What of topics a person must decide: missing ones, and other numbers of partitions or replicas."""
    there = client.list_topics(timeout=_SECONDS).topics
    differs: list[str] = []
    for spec in specs:
        if spec.name not in there:
            differs.append(f"{spec.name} is missing")
            continue
        partitions = there[spec.name].partitions
        if len(partitions) != spec.partitions:
            differs.append(f"{spec.name} has {len(partitions)} partitions, not {spec.partitions}")
        replicas = min((len(partition.replicas) for partition in partitions.values()), default=0)
        if replicas < durability.replicas:
            differs.append(f"{spec.name} has {replicas} replicas, not {durability.replicas}")
    return tuple(differs)


def _create(client: "AdminClient", specs: Iterable[TopicSpec], durability: Durability) -> None:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    new = [
        NewTopic(spec.name, spec.partitions, durability.replicas, config=settings_of(spec, durability))
        for spec in specs
    ]
    if not new:
        return
    for name, made in client.create_topics(new, operation_timeout=_SECONDS).items():
        try:
            made.result(_SECONDS)
        except KafkaException as error:
            # Another command made it at the same moment: the next call compares it.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicsRefused(f"Kafka refuses to create topic {name}: {error.args[0].str()}") from None


def _correct(client: "AdminClient", specs: Sequence[TopicSpec], durability: Durability) -> tuple[str, ...]:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    if not specs:
        return ()
    wanted = {spec.name: settings_of(spec, durability) for spec in specs}
    asked = client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in wanted])
    changes = []
    for resource, answer in asked.items():
        found: Mapping[str, ConfigEntry] = answer.result(_SECONDS)
        wrong = {key: value for key, value in wanted[resource.name].items() if found[key].value != value}
        if wrong:
            entries = [
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in wrong.items()
            ]
            changes.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=entries))
    for resource, done in (client.incremental_alter_configs(changes) if changes else {}).items():
        try:
            done.result(_SECONDS)
        except KafkaException as error:
            raise TopicsRefused(f"Kafka refuses the settings of topic {resource.name}: {error.args[0].str()}") from None
    return tuple(sorted(resource.name for resource in changes))
