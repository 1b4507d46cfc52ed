"""What a sink is: four verbs over one store.

Belongs here: the protocol, what is asked of a store, the error that says "later". Does not: any store, the worker that
feeds a sink (handler.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl

from payments_platform.contracts.dead_letters import Fault
from payments_platform.errors import ExplainedError
from payments_platform.operations.errors import ErrorClass
from payments_platform.streaming.dead_letters import FAULT
from payments_platform.streaming.events import REFUSAL

# What a refused event is named by; with the reason beside it, it is what ``write`` returns.
SOURCE_POSITION: Final = ("topic", "partition", "offset")


class StoreBusy(ExplainedError):
    """The store took part of a batch and will take the rest later: the whole batch is written again."""

    error_class: ErrorClass = "transient"


@dataclass(frozen=True)
class Span:
    """The transactions whose ids lie in ``[first, end)`` by their bytes; None is no bound."""

    first: str | None = None
    end: str | None = None

    def holds(self) -> pl.Expr:
        """True for the ids inside."""
        held = pl.lit(value=True)
        if self.first is not None:
            held &= pl.col("transaction_id") >= self.first
        if self.end is not None:
            held &= pl.col("transaction_id") < self.end
        return held


Wanted = Sequence[str] | Span


class Sink(Protocol):
    """One store. Whatever order, delay or repetition events come in, it ends in the same state."""

    name: str

    def prepare(self) -> None:
        """Make what the store needs to be written and asked well: indexes, templates. Repeating it changes nothing."""

    def write(self, events: pl.DataFrame) -> pl.DataFrame:
        """Put events (``EVENT_COLUMNS`` beside the columns of a message) into effect.

        Returns those that can never be, by ``SOURCE_POSITION`` with ``fault`` and ``refusal``; all others are in effect
        then. Raises what operations/errors.py calls transient when the store is away or busy: the same call later
        completes it.
        """

    def read(self, wanted: Wanted) -> pl.DataFrame:
        """What the store says of transactions now, deleted ones too: position and fields, one row for each finding."""

    def clear(self) -> None:
        """Remove everything, to be filled again. A worker that writes meanwhile does no harm."""

    def close(self) -> None:
        """Release the connection."""


def refusals(events: pl.DataFrame, reasons: Mapping[int, tuple[Fault, str]]) -> pl.DataFrame:
    """The events refused, by their places in the frame: source position, fault and reason."""
    faults = [fault.value for fault, _ in reasons.values()]
    texts = [text for _, text in reasons.values()]
    return events[list(reasons)].select(
        *SOURCE_POSITION, pl.Series(FAULT, faults, dtype=pl.String), pl.Series(REFUSAL, texts, dtype=pl.String)
    )
