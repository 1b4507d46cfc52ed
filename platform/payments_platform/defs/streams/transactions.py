"""The processed topic, as an external asset: looked at, never built here."""

from dataclasses import replace

import dagster as dg

from payments_platform.contracts.streams import CHANGES, EVENTS
from payments_platform.defs._platform.observed import external, readable
from payments_platform.defs._platform.specs import key_of
from payments_platform.defs._platform.streams import Position, Streams
from payments_platform.defs.streams import changes
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS


def position(streams: Streams) -> Position:
    """Where the topic ends; its lag is what the processor has not processed."""
    return replace(changes.position(streams), positions=streams.ends(ANALYTICS_TRANSACTIONS))


events = external(EVENTS, [key_of(CHANGES)])
events_readable: dg.AssetChecksDefinition = readable(
    EVENTS, position, "The broker says where the topic ends, and how far the processor is behind."
)
