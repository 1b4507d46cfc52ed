"""What a server of the local stack is: the small interface that one file in servers/ fills.

Belongs here: the protocol and the values that pass through it. Does not: any server, the order of starting (stack).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from payments_platform.local.home import Home
from payments_platform.local.ports import HOST


@dataclass(frozen=True)
class Site:
    """What a server gets to know: its home, the ports of all servers, the passwords, the project it belongs to."""

    home: Home
    ports: Mapping[str, int]
    passwords: Mapping[str, str]
    project: Path
    downloads: Path
    environment: str = "local"
    host: str = HOST


@dataclass(frozen=True)
class Program:
    """One supervised process, run in the foreground."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 30


class NotReady(Exception):
    """The server does not answer yet; the text says what was seen."""


class Broken(NotReady):
    """The server answers, and waiting longer will not help; the text says what must be mended."""


class Service(Protocol):
    """One server. Every method may be called again at any time and must leave the same state."""

    @property
    def name(self) -> str:
        """The name in commands, logs and ``stack.json``."""

    @property
    def port(self) -> int | None:
        """The usual port, or None for a process that does not listen."""

    @property
    def after(self) -> tuple[str, ...]:
        """Names of the services that must be ready before this one is prepared; those not asked for do not count."""

    @property
    def bundles(self) -> tuple[str, ...]:
        """What must be fetched before it starts (downloads)."""

    def address(self, site: Site) -> Mapping[str, object]:
        """What ``stack.json`` and the status table say about where it is; no secret."""

    def prepare(self, site: Site) -> bool:
        """Write its configuration and data folder; return whether a running process must be restarted for it."""

    def program(self, site: Site) -> Program:
        """How it is started."""

    def check(self, site: Site) -> None:
        """Raise ``NotReady`` unless it serves its purpose now (not: unless its process exists)."""

    def complete(self, site: Site) -> None:
        """What can only be done once it runs, such as creating accounts."""

    def heal(self, site: Site) -> None:
        """Remove what a crash left behind and would stop a start; called when it does not run."""
