"""The store of the dead-man's switch: one file, because it must work when the database that it watches does not.

Belongs here: state and messages in one file that is replaced whole. Does not: many writers; one watch has one file.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from payments_platform.operations.alerts.messages import Line, Message
from payments_platform.operations.alerts.outbox import Entry
from payments_platform.operations.alerts.state import Memory, from_json, to_json
from payments_platform.operations.alerts.store import KEPT

_TIMES = ("created_at", "next_try_at", "ended_at")


class FileStore:
    """See ``Store``. What cannot be read raises: a watch that forgot what it told would tell it again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def alone(self) -> Iterator[bool]:
        yield True

    def memory(self) -> Memory:
        content = self._read()
        return from_json(content["memory"]) if content else Memory()

    def keep(self, memory: Memory, messages: Sequence[Message], now: datetime) -> None:
        entries = [entry for entry in self._entries() if entry.ended_at is None or now - entry.ended_at < KEPT]
        known = {entry.message.number for entry in entries}
        added = [Entry(message, now, now) for message in messages if message.number not in known]
        self._write(memory, [*entries, *added])

    def waiting(self) -> Sequence[Entry]:
        return [entry for entry in self._entries() if entry.outcome == "waiting"]

    def tried(self, entry: Entry) -> None:
        entries = [entry if it.message.number == entry.message.number else it for it in self._entries()]
        self._write(self.memory(), entries)

    def recent(self, since: datetime) -> Sequence[Entry]:
        return [entry for entry in self._entries() if entry.created_at >= since]

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        content: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return content

    def _entries(self) -> list[Entry]:
        return [_entry(content) for content in self._read().get("entries", [])]

    def _write(self, memory: Memory, entries: Sequence[Entry]) -> None:
        rows = [json.loads(json.dumps(asdict(entry), default=lambda moment: moment.isoformat())) for entry in entries]
        partial = self._path.with_name(f".{self._path.name}.partial")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"memory": to_json(memory), "entries": rows}), encoding="utf-8")
        partial.replace(self._path)


def _entry(content: dict[str, Any]) -> Entry:
    message = content["message"]
    lines = tuple(Line(**line) for line in message["lines"])
    times = {name: datetime.fromisoformat(content[name]) if content[name] else None for name in _TIMES}
    return Entry(**{**content, **times, "message": Message(**{**message, "lines": lines})})
