"""Dead letters: why a consumer may refuse a message, whose it is to mend, and the ends that a letter comes to.

Belongs here: the closed lists of faults and states, the dataset of letters. Does not: headers on the wire
(streaming/dead_letters.py), deciding that a message is refused (the consumer).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset
from payments_platform.contracts.due import NotDue
from payments_platform.contracts.rules import one_of
from payments_platform.vocabulary import Team


class Fault(StrEnum):
    """Why a message was refused; the ``class`` header of its dead letter."""

    NOT_JSON = "not-json"
    ENVELOPE = "envelope"
    TYPE = "type"
    KEY = "key"
    EPOCH = "epoch"
    TRANSITION = "transition"
    OVERSIZE = "oversize"
    OUT_OF_RETENTION = "out-of-retention"
    REFUSED_BY_STORE = "refused-by-store"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class FaultKind:
    """What a fault means, which team mends it, and how. Replayed before it is mended, a letter comes back."""

    meaning: str
    owner: Team
    remedy: str


FAULTS: Final[Mapping[Fault, FaultKind]] = {
    Fault.NOT_JSON: FaultKind(
        "The value is not one JSON object.",
        "payments-data",
        "Find who wrote to the topic. Discard it, or replay it with its right value.",
    ),
    Fault.ENVELOPE: FaultKind(
        "JSON, but no change as the connector writes it: op, source, before or after is missing or contradicts.",
        "payments-data",
        "Compare the connector's configuration with the one in code, apply it, then replay.",
    ),
    Fault.TYPE: FaultKind(
        "A field is not of its type, or one that must be there is not: the source's columns changed.",
        "payments-data",
        "Bring the contract and the source together again, restart the worker, then replay.",
    ),
    Fault.KEY: FaultKind(
        "The key is not the primary key alone, or names another row than the value.",
        "payments-data",
        "Find who wrote to the topic; discard it when it was not the connector.",
    ),
    Fault.EPOCH: FaultKind(
        "The change does not say under which epoch it was captured.",
        "payments-data",
        "Apply the connector's configuration, which sets the epoch; replay with the epoch in the value.",
    ),
    Fault.TRANSITION: FaultKind(
        "The payment went from a status to one that cannot follow it.",
        "payments-data",
        "Correct the payment at the source, which writes a version of its own; discard this one with the reason.",
    ),
    Fault.OVERSIZE: FaultKind(
        "What would be written is larger than a message or a document may be.",
        "payments-data",
        "Shorten the payload at the source and discard this one, or raise the topic's limit and replay.",
    ),
    Fault.OUT_OF_RETENTION: FaultKind(
        "The event is older than the store keeps events, or more than a day ahead.",
        "data-platform",
        "Discard it: the store would remove it at once. When many come, look for a clock that is wrong.",
    ),
    Fault.REFUSED_BY_STORE: FaultKind(
        "The store took its neighbours and refused this one.",
        "data-platform",
        "Read the reason, mend the mapping or the index, then replay.",
    ),
    Fault.UNKNOWN: FaultKind(
        "The letter says nothing about itself: it was not written by a worker of this platform.",
        "data-platform",
        "Find who wrote to the topic, and discard it.",
    ),
}


class LetterState(StrEnum):
    """Where a letter stands. All but the first two are ends."""

    OPEN = "open"
    PARKED = "parked"
    REPLAYED = "replayed"
    REPAIRED = "repaired"
    DISCARDED = "discarded"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


STATE_MEANINGS: Final[Mapping[LetterState, str]] = {
    LetterState.OPEN: "Somebody has to decide.",
    LetterState.PARKED: "Open, and behind an older open letter of the same key, which has to be decided first.",
    LetterState.REPLAYED: "Written to its topic again, as it was.",
    LetterState.REPAIRED: "Written to its topic again, with a value that a person gave.",
    LetterState.DISCARDED: "Given up by a person, with the reason.",
    LetterState.SUPERSEDED: "A newer message of its key stands in its compacted topic; written again, it would win.",
    LetterState.EXPIRED: "Nobody decided while the topic kept it.",
}
ENDS: Final = tuple(state for state in LetterState if state not in {LetterState.OPEN, LetterState.PARKED})

# A letter is one refusal by one consumer of one message: written twice by a killed worker, it is the same letter. The
# time is the message's: a topic that was made again begins at offset 0 with other messages.
LETTER_ID: Final = ("consumer", "source_topic", "source_partition", "source_offset", "source_at")

_AT = datetime(2025, 1, 1, 12, tzinfo=UTC)
DEAD_LETTERS: Final = Dataset(
    key=("operations", "dead_letters"),
    grain="One row per message that a consumer refused, with its class, owner, attempts and state; never its value.",
    domain="platform",
    columns=(
        Column("consumer", pl.String(), "Worker that refused the message.", "processor"),
        Column("source_topic", pl.String(), "Topic of the message.", "oltp.transactions"),
        Column("source_partition", pl.Int32(), "Partition of the message.", 0),
        Column("source_offset", pl.Int64(), "Offset of the message.", 17),
        Column("source_at", pl.Datetime("ms", "UTC"), "Kafka's timestamp of the message, UTC.", _AT),
        Column("fault", pl.String(), "Class of the refusal.", Fault.NOT_JSON.value),
        Column("owner", pl.String(), "Team whose it is to mend.", "payments-data"),
        Column("refusal", pl.String(), "Why, in the consumer's words.", "not valid JSON"),
        Column("attempts", pl.Int32(), "How often the message was refused, replays included.", 1),
        Column("failed_at", c.UTC_MICROS, "When it was refused, UTC.", _AT),
        Column("state", pl.String(), "Where it stands: open, parked, or its end.", LetterState.OPEN.value),
        Column("ended_at", c.UTC_MICROS, "When it came to its end, UTC.", None, nullable=True),
        Column("ended_by", pl.String(), "Account that ended it.", None, nullable=True),
        Column("end_reason", pl.String(), "Why it was ended so.", None, nullable=True),
    ),
    primary_key=LETTER_ID,
    rules=(
        one_of("R-fault-known", "fault", tuple(fault.value for fault in Fault)),
        one_of("R-letter-state-known", "state", tuple(state.value for state in LetterState)),
    ),
    is_daily=False,
    due=NotDue("a message is refused whenever one is bad; how many wait is watched by their number"),
)

DATASETS: Final = (DEAD_LETTERS,)
