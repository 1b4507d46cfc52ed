"""The guardian's events on their topic: what Kafka acknowledged is told, the rest is still to tell.

Belongs here: sending events and saying which are left. Does not: what an event says (alerts.py), when it is sent
(watch.py).
"""

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from payments_platform.vocabulary import OPS_METRICS

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer


def send(writer: "Producer", events: Sequence[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Send events, wait at most so long, and return those that were not acknowledged, in order.

    An empty queue says nothing: a message that was given up has left it too. Sent again, an event may come twice.
    """
    waiting = dict(enumerate(events))

    def delivered(number: int, error: "KafkaError | None", _: "Message") -> None:
        if error is None:
            waiting.pop(number, None)

    for number, event in enumerate(events):
        key, value = json.dumps({"alert": event["name"]}).encode(), json.dumps(event).encode()
        writer.produce(OPS_METRICS, value, key, on_delivery=partial(delivered, number))
    writer.flush(seconds)
    return list(waiting.values())
