"""Payments' documents, as an external asset: written by the worker sink-mongodb, looked at here."""

from dataclasses import replace

import dagster as dg

from payments_platform.contracts.stores import TRANSACTION_LOGS
from payments_platform.contracts.streams import EVENTS
from payments_platform.defs._platform.observed import external, readable
from payments_platform.defs._platform.specs import key_of
from payments_platform.defs._platform.streams import Position, Streams, reading
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS


def position(streams: Streams) -> Position:
    """What the sink has written, how far it is behind, and how many documents there are."""
    return replace(reading(streams, "sink-mongodb", [ANALYTICS_TRANSACTIONS]), rows=streams.documents())


transaction_logs = external(TRANSACTION_LOGS, [key_of(EVENTS)])
transaction_logs_readable: dg.AssetChecksDefinition = readable(
    TRANSACTION_LOGS, position, "The store counts its documents, and the broker says how far the sink is behind."
)
