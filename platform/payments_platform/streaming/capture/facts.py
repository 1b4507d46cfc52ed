"""What is seen of change capture at one moment, and what is said about it.

Belongs here: the values that pass between observing, judging and reporting. Does not: observing (observe.py), the
limits (judge.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Severity = Literal["warning", "critical"]


@dataclass(frozen=True)
class SlotFacts:
    """The replication slot. ``safe_bytes`` is what may still be written before the server gives its log up."""

    wal_status: str
    is_active: bool
    confirmed_lsn: int
    retained_bytes: int
    safe_bytes: int | None
    is_failover: bool = True

    @property
    def is_lost(self) -> bool:
        """Whether the server has removed log that the slot still needed."""
        return self.wal_status == "lost"


@dataclass(frozen=True)
class Ahead:
    """A place of the slot that the stored position has not reached since it was first seen."""

    since: datetime
    confirmed_lsn: int


@dataclass(frozen=True)
class Heartbeat:
    """A heartbeat that reached its topic: whose, when it was made and came, what it had seen as committed."""

    beat_by: int
    number: int
    beat_at: datetime
    arrived_at: datetime
    seen: str
    epoch: int


@dataclass(frozen=True)
class Pulse:
    """The latest heartbeat, and each pair between which a number is missing on the topic: a gap lies between them."""

    latest: Heartbeat
    gaps: tuple[tuple[Heartbeat, Heartbeat], ...] = ()

    def open_gap(self, repaired_at: datetime | None) -> Heartbeat | None:
        """The last heartbeat before the first gap that no repair has closed: one asked for after it had been seen."""
        still = (before for before, after in self.gaps if repaired_at is None or after.beat_at > repaired_at)
        return next(still, None)


@dataclass(frozen=True)
class Protection:
    """Whether each table is captured whole; each tuple names the tables that are not."""

    unpublished: tuple[str, ...] = ()
    keyless: tuple[str, ...] = ()
    not_full: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenSnapshot:
    """A snapshot that was asked for and that has not been delivered whole."""

    snapshot_id: str
    reason: str
    requested_at: datetime


@dataclass(frozen=True)
class CaptureFacts:
    """Everything that ``judge`` looks at. What could not be asked is None and named in ``unreachable``."""

    at: datetime
    unreachable: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 1
    connector_epoch: int | None = None
    connector: str | None = None
    tasks: tuple[str, ...] = ()
    trace: str = ""
    down_since: datetime | None = None
    slot: SlotFacts | None = None
    wal_lsn: int | None = None
    wal_bytes_per_second: float | None = None
    offset_lsn: int | None = None
    ahead: Ahead | None = None
    has_parted: bool = False
    heartbeat: Heartbeat | None = None
    before_gap: Heartbeat | None = None
    protection: Protection = field(default_factory=Protection)
    open_snapshots: tuple[OpenSnapshot, ...] = ()
    topics_differ: tuple[str, ...] = ()
    is_slot_copied: bool | None = None

    @property
    def runs(self) -> bool:
        """Whether the connector and its task run."""
        return self.connector == "RUNNING" and bool(self.tasks) and set(self.tasks) == {"RUNNING"}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its name is the alert's and the runbook's, its text what was seen and what to do."""

    name: str
    severity: Severity
    text: str
    details: Mapping[str, object] = field(default_factory=dict)
