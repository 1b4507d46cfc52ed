"""Elasticsearch: one way to connect.

Belongs here: the client's options, and why. Does not: which server (settings), mappings and indices (search/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_ANSWER_SECONDS = 30


def connect(url: str) -> Elasticsearch:
    """A client that leaves retries to its caller, who knows what is safe to repeat. Connects at first use."""
    from elasticsearch import Elasticsearch

    return Elasticsearch(url, request_timeout=_ANSWER_SECONDS, max_retries=0, retry_on_timeout=False)
