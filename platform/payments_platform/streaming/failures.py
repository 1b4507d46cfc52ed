"""How a worker's dealings with Kafka fail, and what each failure means for its batch.

Belongs here: these errors. Does not: which Kafka code is which (operations/errors.py), raising them.
"""

from typing import TYPE_CHECKING, Any

from payments_platform.errors import ExplainedError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError


class TransactionAborted(ExplainedError):
    """Nothing of the batch is in effect. It can be written again."""

    error_class = "transient"


class MessagesRefused(ExplainedError):
    """The broker will never take what was written. Nothing of the batch is in effect, and trying again is no use."""

    error_class = "permanent"


class WorkerFenced(ExplainedError):
    """The broker takes nothing more from this process: another has its slot, or what it did is not known."""

    error_class = "permanent"


def fenced(reason: "KafkaError") -> WorkerFenced:
    """The error for what ends a client for good."""
    return WorkerFenced(
        f"Kafka takes nothing more from this worker: {reason.str()} ({reason.name()}). Started again, it goes on from"
        " what was committed. When this comes again, another process runs with the same --slot: end one of the two."
    )


def explained(error: BaseException) -> BaseException:
    """The same error, or ``WorkerFenced`` where a client of Kafka says that it is at its end, by whatever call."""
    reason: Any = error.args[0] if error.args else None
    if not hasattr(reason, "fatal") or not (reason.fatal() or reason.name() in {"_FATAL", "_FENCED"}):
        return error
    return fenced(reason)
