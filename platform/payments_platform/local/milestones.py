"""What is done to the servers as they come to serve: the source gets its schema, change capture is set up.

Belongs here: after which servers each is done, once. Does not: migrating (oltp/), capture (streaming/capture).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from payments_platform.local.request import Request
from payments_platform.local.servers.connect import CONNECT
from payments_platform.local.servers.kafka import KAFKA
from payments_platform.local.servers.postgres import PRIMARY
from payments_platform.local.servers.workers import WORKERS
from payments_platform.local.service import Service


@dataclass
class Milestones:
    """One start. Capture is set up here alone: its guardian in the stack is told not to (servers/workers.py)."""

    request: Request
    wanted: Sequence[Service]
    _serve: set[str] = field(default_factory=set)

    def passed(self, service: Service) -> None:
        """Do what waited for this server."""
        self._serve.add(service.name)
        if service.name == PRIMARY.name:
            self._migrate()
        needed = {it.name for it in (PRIMARY, KAFKA, CONNECT) if it in self.wanted}
        # Without workers nobody reads the topics, and a slot that is not needed would hold back the source's log.
        if service.name in needed <= self._serve and any(worker in self.wanted for worker in WORKERS):
            self._capture()

    def _migrate(self) -> None:
        """Bring the source database to the newest schema, as its owner."""
        from payments_platform.oltp.migrate import migrate

        migrate(self.request.settings.postgres("primary", "owner"))

    def _capture(self) -> None:
        """Make topics, connector and slot. A gap or another life of the source is said and left to a person."""
        from payments_platform.streaming.capture.apply import apply
        from payments_platform.streaming.capture.build import capture_of
        from payments_platform.streaming.capture.control import CaptureGap, EpochDiffers

        try:
            apply(capture_of(self.request.settings, self.request.say))
        except (CaptureGap, EpochDiffers) as reason:
            self.request.say(f"change capture is not set up: {reason}")
