"""How an op meets an error: transient ones are retried with backoff, the others fail fast with a sentence.

Belongs here: the bridge from the error table (operations/errors.py) to Dagster's retries. Does not: the table itself.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from traceback import format_tb
from typing import Any

import dagster as dg

from payments_platform.errors import ExplainedError
from payments_platform.operations.errors import classify

RETRY = dg.RetryPolicy(max_retries=3, delay=1, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL)


def explained(op: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Wrap an op's generator: an error that a retry cannot heal becomes a Failure that is not retried.

    Without it Dagster would retry a corrupt file or a refused password as patiently as a network time-out.
    """

    @wraps(op)
    def run(context: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:  # noqa: ANN401 - the signature is the op's
        try:
            yield from op(context, *args, **kwargs)
        except Exception as error:
            error_class = classify(error)
            if error_class == "transient":
                raise
            told = {"error_class": error_class, "raised_at": dg.MetadataValue.md(_frames(error))}
            # Not "from error": the event log would keep a library's message whole, and it may quote rows.
            raise dg.Failure(_text(error), metadata=told, allow_retries=False) from None

    return run


def _frames(error: Exception) -> str:
    """Where it happened: the lines of code from the op down to the library, without a value."""
    return "\n".join(["```", *(line.rstrip() for line in format_tb(error.__traceback__)), "```"])


def _text(error: Exception) -> str:
    """What to show: our own errors whole; of a library's only the first line, the rest may quote rows."""
    if isinstance(error, ExplainedError):
        return str(error)
    if isinstance(error, dg.Failure) and error.description:
        return error.description
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
