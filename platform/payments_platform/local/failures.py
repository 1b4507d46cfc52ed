"""What a person reads when the local stack cannot do what was asked.

Belongs here: the error and how a log is quoted in it. Does not: detecting failures.
"""

from collections.abc import Sequence
from pathlib import Path

from payments_platform.errors import ExplainedError

LOG_LINES = 20


class StackError(ExplainedError):
    """The stack failed; the text ends with the log's last lines, its path and the next command to try."""

    def __init__(self, what: str, then: str, *, log: Path | None = None) -> None:
        parts = [what]
        if log is not None:
            parts += [f"Last lines of {log}:", *(f"  {line}" for line in last_lines(log)), f"Log: {log}"]
        parts.append(f"Next: {then}")
        super().__init__("\n".join(parts))


def last_lines(log: Path, count: int = LOG_LINES) -> Sequence[str]:
    """Return the last lines of a log without reading a large file whole."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 64 * 1024))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ["(no log was written)"]
    return lines[-count:] or ["(the log is empty)"]
