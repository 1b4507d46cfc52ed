"""What every messaging client says when a message was not taken: come back later, or somebody must mend something.

Belongs here: the two errors and how HTTP answers fall into them. Does not: the clients (slack.py, pagerduty.py,
mail.py), what is done about it (operations/alerts/outbox.py).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from payments_platform.errors import ExplainedError

# Connecting, and waiting for each part of the answer. A look at all alerts has a minute; a channel may take a tenth.
SECONDS: Final = 5.0


class ChannelAway(ExplainedError):
    """The channel did not take the message and will later. ``retry_after`` is how long it asks to be left alone."""

    error_class = "transient"

    def __init__(self, text: str, retry_after: timedelta | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class ChannelRefused(ExplainedError):
    """The channel will not take this message, or nobody's with this address or key; the text is its reason."""


def raise_for(channel: str, status: int, said: str, headers: Mapping[str, str]) -> None:
    """Turn an HTTP answer into its error. 2xx returns; 408, 429 and 5xx are away; all else is refused."""
    if 200 <= status < 300:
        return
    text = f"{channel} answered {status}: {said.strip()[:200] or 'nothing'}"
    if status in {408, 425, 429} or status >= 500:
        raise ChannelAway(text, wait_of(headers))
    raise ChannelRefused(text)


def wait_of(headers: Mapping[str, str]) -> timedelta | None:
    """How long a ``Retry-After`` asks to wait, in seconds or as a date; None without one or with nonsense."""
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "").strip()
    if value.isdigit():
        return timedelta(seconds=int(value))
    try:
        return max(parsedate_to_datetime(value) - datetime.now(UTC), timedelta()) if value else None
    except (TypeError, ValueError):
        return None
