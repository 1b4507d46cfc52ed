"""What is asked of `payments up`.

Belongs here: the request and what follows from it alone. Does not: doing it (stack).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from payments_platform.local.home import Home
from payments_platform.settings import Environment, Settings

Say = Callable[[str], None]


def _silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Request:
    """What is asked of ``up``: for which home, which servers, and how it talks.

    ``streams`` adds the servers of the speed layer, ``workers`` the programs between them; ``only`` names some of all
    of these. Homes may share ``downloads``.
    """

    home: Home
    project: Path
    downloads: Path | None = None
    ui: bool = True
    streams: bool = False
    workers: bool = False
    only: tuple[str, ...] = ()
    environment: Environment = "local"
    any_ports: bool = False
    stop_with: int | None = None
    say: Say = _silent

    @property
    def cache(self) -> Path:
        """Where the files of the Java servers lie."""
        return self.downloads or self.home.downloads

    @property
    def settings(self) -> Settings:
        """The settings of this very home, whatever the variables say."""
        return Settings(home=self.home.root, environment=self.environment)
