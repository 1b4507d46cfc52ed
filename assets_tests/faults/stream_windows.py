"""The verdict over the windows by which Dagster sees the stream, after its daemon was killed at any point of a tick.

Belongs here: whether each committed segment is in exactly one window, whether windows join, whether each was told of
once. Does not: rows (`payments verify` compares them), killing the daemon (stream_run.py), each point of a tick in turn
(assets/test_stream_windows.py).
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import polars as pl

from assets_tests.faults.stream_checker import Verdict
from assets_tests.faults.stream_topics import DISORDER
from payments_platform.clients.dagster import records_of
from payments_platform.defs._platform.window_events import DIGEST, KEY, WINDOW
from payments_platform.lake import segments
from payments_platform.lake.storage import LocalStorage, Storage
from payments_platform.settings import Settings
from payments_platform.streaming.comparison import KIND, WHAT
from payments_platform.streaming.windows import Window, windows
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

PLACE: Final = "windows in Dagster"
_PAUSE: Final = 5.0
# By page, so that no number of materializations is too large.
_AT_ONCE: Final = 1000

Told = tuple[str, str, str]
"""Hour, number and digest of a window's part, as Dagster has it on record."""


def settled(settings: Settings, seconds: float) -> Verdict:
    """The verdict once nothing is missing, or after so long: the daemon looks every ten seconds."""
    deadline = time.monotonic() + seconds
    while True:
        verdict = judged(LocalStorage(settings.lake_root), told(settings))
        if time.monotonic() > deadline or "missing" not in verdict.kinds:
            return verdict
        time.sleep(_PAUSE)


def told(settings: Settings) -> list[Told]:
    """Every materialization of a window that Dagster has on record."""
    found: list[Told] = []
    with records_of(settings) as instance:
        cursor = None
        while True:
            page = instance.fetch_materializations(KEY, limit=_AT_ONCE, cursor=cursor, ascending=True)
            events = [record.asset_materialization for record in page.records]
            found += [(it.partition or "", it.tags[WINDOW], it.tags[DIGEST]) for it in events if it and it.tags]
            if not page.has_more:
                return found
            cursor = page.cursor


def judged(storage: Storage, heard: Sequence[Told]) -> Verdict:
    """What is wrong with windows: segments in none or in two, windows that do not join or were not told of once."""
    # Windows first: a segment that is committed in between is missing, and none is taken for invented.
    known = list(windows(storage))
    committed = [it.path for it in segments.segments(storage, ANALYTICS_TRANSACTIONS)]
    held = [path for window in known for part in window.slices for path in part.segments]
    parts = [(part.hour, str(window.number), part.digest) for window in known for part in window.slices]
    faults = [
        *_against(committed, held, "segment {}"),
        *_against(parts, heard, "told of {}"),
        *((DISORDER, text) for text in _breaks(known)),
    ]
    frame = pl.DataFrame(faults, schema={KIND: pl.String, WHAT: pl.String}, orient="row")
    return Verdict(PLACE, len(committed), len(known), frame)


def _against(truth: Sequence[object], found: Iterable[object], form: str) -> Iterator[tuple[str, str]]:
    counts, wanted = Counter(found), set(truth)
    for each in truth:
        if not counts[each]:
            yield "missing", form.format(each)
    for each, times in counts.items():
        if each not in wanted:
            yield "phantom", form.format(each)
        elif times > 1:
            yield "duplicate", form.format(each)


def _breaks(known: Sequence[Window]) -> Iterator[str]:
    for place, window in enumerate(known, start=1):
        if window.number != place:
            yield f"window {window.number} is number {place}"
        yield from (f"window {window.number}: {text}" for text in window.breaks)
