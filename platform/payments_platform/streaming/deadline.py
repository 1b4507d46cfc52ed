"""A call of a Kafka client that never returns ends its process: the supervisor starts it anew, from what was committed.

Belongs here: the stopwatch and the end. Does not: which calls are watched and for how long (transactions.py).
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_log = logging.getLogger(__name__)
_CODE: Final = 70  # "internal software error", as sysexits.h numbers it
End = Callable[[str], None]


def end_process(what: str) -> None:
    """Leave at once, as a kill would: an orderly end would wait for the same client.

    librdkafka's send_offsets_to_transaction can wait for ever, past its own timeout, when the group's coordinator was
    away: a known fault of version 2.16. Seen after a broker had been stopped for 20 s: the worker stood still, alive,
    without a word. Nothing else can end a call that stands still in a library, and a worker may be killed at any point.
    """
    _log.critical("%s. The worker ends itself; started again, it goes on from what was committed.", what)
    logging.shutdown()
    os._exit(_CODE)


@contextmanager
def within(seconds: float, what: str, end: End = end_process) -> Iterator[None]:
    """Call ``end`` when the block takes longer. It runs in a thread of its own, whatever the block does."""
    timer = threading.Timer(seconds, end, (f"{what} did not return within {seconds:.0f} s",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
