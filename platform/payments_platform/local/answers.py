"""Asking a server over HTTP whether it serves.

Belongs here: one question, and NotReady for every way in which there is no answer. Does not: what an answer must say
(servers/).
"""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from payments_platform.local.service import NotReady

OK = http.client.OK


def ask(url: str, who: str, *, body: str | None = None, seconds: float = 5) -> tuple[int, bytes]:
    """Status and content of what it answers. Raises ``NotReady`` naming ``who`` when nobody answers."""
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port, timeout=seconds)
    try:
        connection.request("GET" if body is None else "POST", place.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{who} does not answer ({error})") from None
    finally:
        connection.close()


def ask_json(url: str, who: str, *, body: str | None = None, seconds: float = 5) -> dict[str, Any]:
    """What it answers, as JSON, whatever the status. Raises ``NotReady`` when nobody answers or it is no object."""
    status, content = ask(url, who, body=body, seconds=seconds)
    try:
        answer: dict[str, Any] = dict(json.loads(content))
    except (ValueError, TypeError):
        raise NotReady(f"{who} answers {status} and no JSON object") from None
    return answer
