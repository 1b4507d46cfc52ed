"""Which payment and version a message tells of, read from its bytes alone.

Belongs here: that reading, of changes and of events. Does not: decoding them whole (envelope.py, events.py).
"""

from typing import Final

import orjson

# The source's column is an integer of 32 bits; whatever else a message claims is no version of a payment.
_HIGHEST: Final = 2**31 - 1


def version_of(value: bytes) -> tuple[str, int] | None:
    """Payment and version of a change message or an event; a delete is one version after the row it removed.

    None for bytes that tell of none.
    """
    try:
        told = orjson.loads(value)
        row = told.get("after") or told.get("before") or told
        version = int(row["version"]) + (told.get("op") == "d" and "before" in told)
        return (str(row["transaction_id"]), version) if 0 < version <= _HIGHEST else None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
