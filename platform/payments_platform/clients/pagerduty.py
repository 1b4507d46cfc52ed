"""PagerDuty: events to the Events API v2.

Belongs here: sending one event, what the answer means. Does not: what an event says (operations/alerts/messages.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from payments_platform.clients.messaging import SECONDS, ChannelAway, raise_for

EVENTS_URL: Final = "https://events.pagerduty.com/v2/enqueue"


@dataclass(frozen=True)
class PagerDuty:
    """One integration by its routing key."""

    routing_key: SecretStr
    url: str = EVENTS_URL

    def enqueue(self, event: Mapping[str, Any]) -> None:
        """Send one event. The same trigger twice is one incident: its key tells. Raises ChannelAway, ChannelRefused."""
        import requests

        try:
            answer = requests.post(self.url, json=dict(event), timeout=SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise ChannelAway(f"PagerDuty does not answer: {type(error).__name__}") from None
        raise_for("PagerDuty", answer.status_code, answer.text, answer.headers)
