"""What the event log keeps of an error: our sentence and where it happened, never a library's quotation of a row."""

import traceback
from collections.abc import Iterator

import dagster as dg
import pytest

from payments_platform.defs._platform.failures import explained

MESSAGE = "duplicate key value\nDETAIL: Key (email)=(ada@example.com) already exists."


class DriverError(Exception):
    """As a database driver raises it: the rows are quoted below the first line."""


@explained
def op(_: object) -> Iterator[None]:
    """An op whose library quotes a person's row."""
    yield
    raise DriverError(MESSAGE)


@pytest.mark.row("G1")
def test_an_error_that_quotes_a_row_reaches_the_event_log_without_the_row() -> None:
    """The event log outlives an erasure."""
    with pytest.raises(dg.Failure) as raised:
        list(op(None))
    failure = raised.value
    shown = "".join(traceback.format_exception(failure)) + str(failure.metadata)
    assert "ada@example.com" not in shown
    assert "DriverError: duplicate key value" in str(failure.description)
    assert "in op" in str(failure.metadata["raised_at"].value)
