"""The store of the dead-man's switch: one file, because it must work when the database that it watches does not.

Belongs here: state and messages in one file that is replaced whole, and going on while that fails. Does not: many
writers; one watch has one file.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from payments_platform.operations.alerts.messages import Line, Message
from payments_platform.operations.alerts.outbox import Entry
from payments_platform.operations.alerts.state import Memory, from_json, to_json
from payments_platform.operations.alerts.store import KEPT

_Content = tuple[Memory, list[Entry]]
_TIMES: Final = ("created_at", "next_try_at", "ended_at")
# What a disk that is full or away raises, and content that this module did not write.
_FAILURES: Final = (OSError, ValueError, KeyError, TypeError, AttributeError)


class FileStore:
    """See ``Store``. What cannot be read raises: a watch that forgot what it told would tell it again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def alone(self) -> Iterator[bool]:
        yield True

    def memory(self) -> Memory:
        return self._read()[0]

    def keep(self, memory: Memory, messages: Sequence[Message], now: datetime) -> None:
        entries = [it for it in self._read()[1] if it.ended_at is None or now - it.ended_at < KEPT]
        known = {entry.message.number for entry in entries}
        added = [Entry(message, now, now) for message in messages if message.number not in known]
        self._write(memory, [*entries, *added])

    def waiting(self) -> Sequence[Entry]:
        return [entry for entry in self._read()[1] if entry.outcome == "waiting"]

    def tried(self, entry: Entry) -> None:
        memory, entries = self._read()
        self._write(memory, [entry if it.message.number == entry.message.number else it for it in entries])

    def recent(self, since: datetime) -> Sequence[Entry]:
        return [entry for entry in self._read()[1] if entry.created_at >= since]

    def _read(self) -> _Content:
        if not self._path.exists():
            return Memory(), []
        content: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return from_json(content["memory"]), [_entry(row) for row in content["entries"]]

    def _write(self, memory: Memory, entries: Sequence[Entry]) -> None:
        rows = [json.loads(json.dumps(asdict(entry), default=lambda moment: moment.isoformat())) for entry in entries]
        partial = self._path.with_name(f".{self._path.name}.partial")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"memory": to_json(memory), "entries": rows}))
            file.flush()
            os.fsync(file.fileno())  # or a loss of power leaves an empty file under the name
        partial.replace(self._path)


class EnduringStore(FileStore):
    """A file store that goes on without its file, for one process that must speak when nothing can be written.

    What it keeps stays in memory too; ``problem`` says why the file does not hold it, "" while it does. A file that
    cannot be read is not written over before somebody has removed it: it may name an incident that is open.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.problem = ""
        self._held: _Content | None = None
        self._is_unread = False

    def _read(self) -> _Content:
        if self._held is None:
            try:
                self._held = super()._read()
            except _FAILURES as error:
                self._held, self._is_unread, self.problem = (Memory(), []), True, _said(error)
        return self._held

    def _write(self, memory: Memory, entries: Sequence[Entry]) -> None:
        self._held = memory, list(entries)
        try:
            if self._is_unread:
                super()._read()
            super()._write(memory, entries)
        except _FAILURES as error:
            self.problem = _said(error)
        else:
            self.problem, self._is_unread = "", False


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _entry(content: dict[str, Any]) -> Entry:
    message = content["message"]
    lines = tuple(Line(**line) for line in message["lines"])
    times = {name: datetime.fromisoformat(content[name]) if content[name] else None for name in _TIMES}
    return Entry(**{**content, **times, "message": Message(**{**message, "lines": lines})})
