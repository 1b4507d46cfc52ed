"""Searchable payments, as an external asset: written by the worker sink-elasticsearch, looked at here."""

from dataclasses import replace

import dagster as dg

from payments_platform.contracts.stores import SEARCH_TRANSACTIONS
from payments_platform.contracts.streams import EVENTS
from payments_platform.defs._platform.observed import external, readable
from payments_platform.defs._platform.specs import key_of
from payments_platform.defs._platform.streams import Position, Streams, reading
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS


def position(streams: Streams) -> Position:
    """What the sink has written, how far it is behind, and how many payments a search finds."""
    return replace(reading(streams, "sink-elasticsearch", [ANALYTICS_TRANSACTIONS]), rows=streams.searchable())


transactions = external(SEARCH_TRANSACTIONS, [key_of(EVENTS)])
transactions_readable: dg.AssetChecksDefinition = readable(
    SEARCH_TRANSACTIONS, position, "The engine counts what it finds, and the broker says how far the sink is behind."
)
