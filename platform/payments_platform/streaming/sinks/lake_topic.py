"""Whether a topic is still the one whose messages the lake holds.

Belongs here: the error when it is not, and the record that keeps saying so. Does not: segments (lake/segments.py),
asking a broker (jobs.py).
"""

import json
from contextlib import suppress
from typing import Final

from payments_platform.errors import ExplainedError
from payments_platform.lake.segments import STREAM_FOLDER
from payments_platform.lake.storage import Conflict, Storage
from payments_platform.operations.errors import ErrorClass
from payments_platform.streaming.positions import Partition

MADE_ANEW: Final = f"{STREAM_FOLDER}/_topic_made_anew.json"
"""Lies in the folder that a person moves away, and so ends with it."""
_WHAT_NOW: Final = (
    "The topic was made anew or lost messages: what stands on it now would be taken for what the lake has already, and"
    f" left out. Move the folder {STREAM_FOLDER} out of the lake, start sink-lake again, then: payments capture repair"
    " transactions. See: docs/guides/streams.md"
)


class TopicMadeAnew(ExplainedError):
    """Offsets of the topic do not mean what they meant in the lake. Trying again is no use.

    If the worker went on, it would leave out every message up to the lake's end without a word.
    """

    error_class: ErrorClass = "permanent"


def require_same_topic(storage: Storage, partition: Partition, end: int, high: int) -> None:
    """Raise TopicMadeAnew when a partition ends at ``high``, before the lake does, or once did.

    A new topic that has grown beyond the lake's end looks like the old one: what was seen stays on record.
    """
    if high < end:
        raise made_anew(storage, partition, f"the lake ends at offset {end}, the topic at {high}")
    if (said := storage.read(MADE_ANEW)) is not None:
        raise TopicMadeAnew(json.loads(said)["says"])


def made_anew(storage: Storage, partition: Partition, seen: str) -> TopicMadeAnew:
    """Put on record what was seen; return the error that says it."""
    error = TopicMadeAnew(f"{partition[0]}[{partition[1]}]: {seen}. {_WHAT_NOW}")
    with suppress(Conflict):
        storage.replace(MADE_ANEW, json.dumps({"says": str(error)}, indent=1).encode(), expected=None)
    return error
