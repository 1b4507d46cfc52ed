"""The guardian at work: applies, looks every two seconds, restarts what failed, tells what is wrong.

Belongs here: the loop and its effects (heartbeat, restart, stop, gap on record, events, metrics, the state file). Does
not: judging (judge.py), deciding restarts (supervision.py), repairing: a person decides that.
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from payments_platform.clients.kafka import producer
from payments_platform.streaming.capture import snapshots
from payments_platform.streaming.capture.alerts import Alert, changes
from payments_platform.streaming.capture.apply import apply
from payments_platform.streaming.capture.connector import BEAT, BY_GUARDIAN, CONNECTOR
from payments_platform.streaming.capture.control import Capture, CaptureGap, EpochDiffers
from payments_platform.streaming.capture.delivery import send
from payments_platform.streaming.capture.facts import CaptureFacts, Finding
from payments_platform.streaming.capture.judge import GAP, judge
from payments_platform.streaming.capture.metrics import Metrics
from payments_platform.streaming.capture.observe import Places, observe
from payments_platform.streaming.capture.repair import gap_begins
from payments_platform.streaming.capture.supervision import Restarts, supervise
from payments_platform.streaming.capture.timeline import has_parted

LOOK_SECONDS: Final = 2.0
_PATIENCE: Final = 10.0

Observe = Callable[[Places, CaptureFacts | None], CaptureFacts]


@dataclass
class Guardian:
    """One guardian of one capture. Two at once do no harm: both restart and tell."""

    capture: Capture
    places: Places
    state_file: Path
    metrics: Metrics = field(default_factory=Metrics)
    facts: CaptureFacts | None = None
    restarts: Restarts = field(default_factory=Restarts)
    alerts: tuple[Alert, ...] = ()
    is_applied: bool = False
    untold: list[dict[str, Any]] = field(default_factory=list)

    def run(self, stop: threading.Event, seconds: float = LOOK_SECONDS) -> None:
        """Look until told to stop. Whatever a look meets, the next one comes."""
        while not stop.is_set():
            self.look()
            stop.wait(seconds)

    def look(self) -> list[Finding]:
        """One look and what follows from it; return what is wrong."""
        self._apply()
        self._try("beat", self._beat)
        self.facts = observe(self.places, self.facts)
        findings = judge(self.facts)
        self.restarts, restart = supervise(self.restarts, self.facts, findings)
        if restart:
            self.metrics.restarts.inc()
            self.capture.say(f"restarting {CONNECTOR}, attempt {self.restarts.attempts}")
            self._try("restart", lambda: self.capture.connect.restart(CONNECTOR))
        if self.facts.has_parted and self.facts.connector not in {None, "STOPPED"}:
            self._try("stop", self._stop_in_another_life)
        if any(finding.name == GAP for finding in findings) and not self._has_repair():
            # On record at once: a connector that goes on hides where the gap was, and even that there was one.
            self._try("gap", self._record_gap)
        self.alerts, events = changes(self.alerts, findings, self.facts.at)
        self.metrics.show(self.facts, findings)
        self._try("state", lambda: self._keep_state(findings))
        for event in events:
            self.capture.say(json.dumps(event))
        self.untold += events
        if self.untold and "kafka" not in self.facts.unreachable:
            self._try("events", self._tell)
        return findings

    def _apply(self) -> None:
        """Set capture up once the servers answer; what a person must decide is told by the findings."""
        if self.is_applied:
            return
        try:
            done = apply(self.capture)
        except (CaptureGap, EpochDiffers) as error:
            self.capture.say(str(error))
            self.is_applied = True
        except Exception as error:  # noqa: BLE001  # servers that start or are away: tried again at the next look
            self.capture.say(f"not applied yet: {error}")
        else:
            self.capture.say(f"applied: connector {done.connector}, {len(done.topics.created)} topics created")
            self.is_applied = True

    def _beat(self) -> None:
        with self.capture.session() as session:
            session.execute("SET statement_timeout = '2s'")
            session.execute(f"{BEAT}{BY_GUARDIAN}")

    def _stop_in_another_life(self) -> None:
        """Stop what would capture a new life under the old epoch. Asked again right before: it may be raised by now.

        Heartbeats of the new life would also move the search for rows that only the lost source had.
        """
        with self.capture.session() as session:
            if has_parted(session):
                self.capture.connect.change_state(CONNECTOR, "stop")

    def _has_repair(self) -> bool:
        return any(snapshot.reason == "repair" for snapshot in (self.facts.open_snapshots if self.facts else ()))

    def _record_gap(self) -> None:
        with self.capture.session() as session:
            snapshots.record(session, self.capture, "repair", self.capture.tables, gap_begins(self.capture))

    def _keep_state(self, findings: Sequence[Finding]) -> None:
        """What `status` and checks elsewhere read: the findings of the latest look, and when it was."""
        if self.facts is None:
            return
        content = {
            "at": self.facts.at.isoformat(),
            "findings": [{"name": f.name, "severity": f.severity, "text": f.text} for f in findings],
            "alerts": {alert.name: alert.since.isoformat() for alert in self.alerts},
        }
        partial = self.state_file.with_name(f".{self.state_file.name}.partial")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(self.state_file)

    def _tell(self) -> None:
        """Events are in the log already; while Kafka is away they wait, and go to their topic when it is back."""
        writer = producer(self.capture.kafka, more={"delivery.timeout.ms": int(_PATIENCE * 1000)})
        self.untold = send(writer, self.untold, _PATIENCE)
        if self.untold:
            self.capture.say(f"{len(self.untold)} events were not acknowledged by Kafka; they are sent again")

    def _try(self, what: str, act: Callable[[], None]) -> None:
        """Do a thing that a server may refuse: the next look does it again, and the findings tell who is away."""
        try:
            act()
        except Exception as error:  # noqa: BLE001  # see the docstring
            self.capture.say(f"{what}: {error}")
