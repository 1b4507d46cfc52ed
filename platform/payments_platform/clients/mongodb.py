"""MongoDB: one way to connect.

Belongs here: the client's options, and why. Does not: which server (settings), collections (documents/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import SecretStr
    from pymongo import MongoClient

_CONNECT_MS = 5_000
_ANSWER_MS = 30_000


def connect(uri: SecretStr, *, name: str = "payments") -> MongoClient[dict[str, Any]]:
    """A client whose times are UTC and whose writes a majority has. Connects at first use; raises PyMongoError then."""
    from pymongo import MongoClient

    return MongoClient(
        uri.get_secret_value(),
        appname=name,
        tz_aware=True,
        serverSelectionTimeoutMS=_CONNECT_MS,
        socketTimeoutMS=_ANSWER_MS,
        # A write that one server alone has is lost with it.
        w="majority",
        # Our writes are idempotent and retried by the worker; the emulator does not know the server's own retry.
        retryWrites=False,
    )
