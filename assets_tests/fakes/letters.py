"""Dead letters and their ends as rows of the ledger's frames.

Belongs here: making them. Does not: letters as messages of a broker.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from payments_platform.contracts.dead_letters import LETTER_ID, LetterState
from payments_platform.streaming.dead_letter_ledger import STATE

AT = datetime(2026, 11, 25, 3, tzinfo=UTC)


def letter(offset: int, key: str | None = "a", **more: object) -> dict[str, Any]:
    """A letter of the processor about a message of oltp.transactions."""
    return {
        "consumer": "processor", "source_topic": "oltp.transactions", "source_partition": 0, "source_offset": offset,
        "source_at": AT, "fault": "type", "refusal": "amount", "attempt": 1,
        "failed_at": AT + timedelta(seconds=offset),
        "left_out_bytes": 0, "letter_topic": "oltp.transactions.dlq", "letter_partition": 0, "letter_offset": offset,
        "key": key.encode() if key else None, "value": b"{}",
    } | more  # fmt: skip


def end(of: dict[str, Any], state: LetterState, new_offset: int | None = None) -> dict[str, Any]:
    """The end of a letter."""
    return {
        **{name: of[name] for name in (*LETTER_ID, "fault", "refusal", "failed_at")}, STATE: state.value,
        "ended_at": AT, "ended_by": "operator", "end_reason": "mended", "attempts": 1,
        "new_partition": None if new_offset is None else 0, "new_offset": new_offset,
    }  # fmt: skip
