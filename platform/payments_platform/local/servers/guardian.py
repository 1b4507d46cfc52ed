"""The guardian: stops a stack when the process that it was started for is gone, however that ended.

Belongs here: waiting and ending the supervisor that started us. Does not: cleaning the home. Run by the supervisor as
`python -m payments_platform.local.servers.guardian PID STARTED`.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from payments_platform.local.service import Program, Site


@dataclass(frozen=True)
class Guardian:
    """Test runs that are killed would otherwise leave servers behind that nobody looks for."""

    pid: int
    name: str = "guardian"
    port: int | None = None
    after: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()

    def address(self, site: Site) -> Mapping[str, object]:
        del site
        return {}

    def prepare(self, site: Site) -> bool:
        del site
        return False

    def program(self, site: Site) -> Program:
        del site
        started = str(psutil.Process(self.pid).create_time())
        return Program((sys.executable, "-m", __name__, str(self.pid), started))

    def check(self, site: Site) -> None:
        """Its process is all there is to see, and the supervisor watches that."""

    def complete(self, site: Site) -> None:
        """Nothing is left to do once it runs."""

    def heal(self, site: Site) -> None:
        """It leaves nothing behind."""


def watch(pid: int, started: float) -> None:
    """Wait until that very process is gone (numbers are used again), then end our supervisor and all it runs."""
    while _lives(pid, started):
        time.sleep(1)
    os.kill(os.getppid(), signal.SIGTERM)


def _lives(pid: int, started: float) -> bool:
    """A process that ended and that nobody collected yet counts as gone."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]))
