"""The change topics and the connector that writes them, as one external asset: looked at, never built here."""

import dagster as dg

from payments_platform.contracts.catalogue import extracted
from payments_platform.contracts.streams import CHANGE_TOPICS, CHANGES
from payments_platform.defs._platform.observed import external, readable
from payments_platform.defs._platform.streams import Position, Streams
from payments_platform.defs.oltp.tables import key_of_source
from payments_platform.vocabulary import topic

_CAPTURED = {spec.name for spec in CHANGE_TOPICS}


def position(streams: Streams) -> Position:
    """Where the change topics end, and how far the processor is behind."""
    ends = {name: end for spec in CHANGE_TOPICS for name, end in streams.ends(spec.name).items()}
    return Position(ends, streams.consumed("processor").lag)


changes = external(CHANGES, [key_of_source(raw) for raw in extracted() if topic(raw.table) in _CAPTURED])
changes_readable: dg.AssetChecksDefinition = readable(
    CHANGES, position, "The broker says where each change topic ends, and how far the processor is behind."
)
