"""A heartbeat to a monitor of somebody else's: a service that tells when the requests stop.

Belongs here: one request. Does not: when. Any address that counts GET requests will do (healthchecks.io, Cronitor, …).
"""

from pydantic import SecretStr

from payments_platform.clients.messaging import SECONDS, ChannelAway, raise_for


def beat(url: SecretStr) -> None:
    """Send one heartbeat. Raises ChannelAway or ChannelRefused."""
    import requests

    try:
        answer = requests.get(url.get_secret_value(), timeout=SECONDS)
    except requests.RequestException as error:
        raise ChannelAway(f"the heartbeat's monitor does not answer: {type(error).__name__}") from None
    raise_for("the heartbeat's monitor", answer.status_code, answer.text, answer.headers)
