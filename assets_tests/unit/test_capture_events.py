"""The guardian's events reach their topic or are kept: an alert that vanishes is one that nobody gets."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from confluent_kafka import KafkaError

from payments_platform.streaming.capture import watch
from payments_platform.streaming.capture.watch import Guardian
from payments_platform.vocabulary import OPS_METRICS

EVENTS = [{"name": name, "state": "open"} for name in ("capture_gap", "capture_stalled", "heartbeat_late")]


@dataclass
class FakeProducer:
    """A producer whose queue is empty after every flush, as the client's is once it has given messages up."""

    given_up: Collection[str] = ()
    unheard: Collection[str] = ()
    queue: list[tuple[str, Callable[..., None]]] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Callable[..., None]) -> None:
        assert topic == OPS_METRICS
        assert orjson.loads(key) == {"alert": orjson.loads(value)["name"]}
        self.queue.append((orjson.loads(value)["name"], on_delivery))

    def flush(self, seconds: float) -> int:
        for name, on_delivery in self.queue:
            if name in self.given_up:
                on_delivery(KafkaError(KafkaError._MSG_TIMED_OUT), None)
            elif name not in self.unheard:
                self.delivered.append(name)
                on_delivery(None, None)
        self.queue = []
        return len(self.unheard)


def guardian(said: list[str]) -> Guardian:
    capture = SimpleNamespace(kafka="none", say=said.append)
    return Guardian(cast("Any", capture), cast("Any", None), Path("state.json"), untold=list(EVENTS))


def test_events_that_kafka_gave_up_or_said_nothing_of_are_kept_and_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    first = FakeProducer(given_up={"capture_gap"}, unheard={"heartbeat_late"})
    second = FakeProducer()
    producers = iter([first, second])
    monkeypatch.setattr(watch, "producer", lambda *_, **__: next(producers))
    watching = guardian(said)
    watching._tell()
    assert first.delivered == ["capture_stalled"]
    assert watching.untold == [EVENTS[0], EVENTS[2]]
    assert said == ["2 events were not acknowledged by Kafka; they are sent again"]
    watching._tell()
    assert second.delivered == ["capture_gap", "heartbeat_late"]
    assert watching.untold == []
    assert len(said) == 1
