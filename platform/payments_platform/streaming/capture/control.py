"""What commands that change capture share: its places, its errors, the slot, the wait for a running connector.

Belongs here: the one description of what is controlled, making and dropping the slot. Does not: when (apply.py,
repair.py, epoch.py), looking (observe.py).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payments_platform.clients.connect import Connect
from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.contracts.streams import CAPTURED_TABLES, LARGEST_CHANGE
from payments_platform.errors import ExplainedError
from payments_platform.streaming.capture.connector import CONNECTOR, SLOT, Source, configuration
from payments_platform.streaming.capture.facts import SlotFacts
from payments_platform.streaming.capture.observe import slot_facts
from payments_platform.streaming.topics import ONE_BROKER, Durability

if TYPE_CHECKING:
    import psycopg

Say = Callable[[str], None]
# What Connect resolves when it starts the task; the value never leaves the worker.
PASSWORD_REFERENCE: Final = "${env:PAYMENTS_CAPTURE_PASSWORD}"  # noqa: S105  # a reference, no password


class CaptureGap(ExplainedError):
    """Changes were missed, and going on would hide it. The text names the command that closes the gap."""


class EpochDiffers(ExplainedError):
    """The connector captures under another epoch than the platform's; changing it needs a new snapshot."""


class ConfigurationRefused(ExplainedError):
    """Connect or the connector finds the configuration wrong; the text says what, option by option."""


def silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Capture:
    """The parts of one capture. ``source`` logs in as the capture role, ``history`` as a role that reads histories."""

    source: PostgresAddress
    history: PostgresAddress
    connect: Connect
    kafka: str
    epoch: int
    durability: Durability = ONE_BROKER
    largest_change: int = LARGEST_CHANGE
    password: str = PASSWORD_REFERENCE
    tables: tuple[str, ...] = CAPTURED_TABLES
    say: Say = silent

    def session(self) -> "AbstractContextManager[psycopg.Connection[tuple[object, ...]]]":
        """A session of the capture role; each statement is its own transaction."""
        return connect(self.source, autocommit=True, name="payments capture")

    def configuration(self) -> dict[str, str]:
        """The connector's configuration here."""
        place = self.source
        address = (place.host, place.port, place.database, place.user)
        source = Source(*address, self.password, self.epoch, self.largest_change)
        return configuration(source, self.tables)


def slot_of(session: "psycopg.Connection[tuple[object, ...]]") -> SlotFacts | None:
    """The slot, None when there is none."""
    return slot_facts(session)


def make_slot(session: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Make the slot, to be copied to replicas. Changes committed from now on wait in it.

    It waits for transactions that are open at this moment, so that none is seen in part.
    """
    session.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput', false, false, true)", (SLOT,))


def drop_slot(session: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Drop the slot if there is one, ending a reader that was killed and that the server has not noticed yet."""
    session.execute(
        "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = %s AND active",
        (SLOT,),
    )
    session.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (SLOT,)
    )


def stop(capture: Capture) -> None:
    """Stop the connector: its task ends after its last delivery, its stored position may be changed."""
    capture.connect.change_state(CONNECTOR, "stop")
    capture.connect.await_state(CONNECTOR, "STOPPED")


def run(capture: Capture) -> None:
    """Let the connector run, restart a failed task, and wait until it runs."""
    capture.connect.change_state(CONNECTOR, "resume")
    state = capture.connect.state(CONNECTOR)
    if state is not None and "FAILED" in (state.connector, *state.tasks):
        capture.connect.restart(CONNECTOR)
    capture.connect.await_state(CONNECTOR, "RUNNING")
