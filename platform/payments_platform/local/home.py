"""The home folder of one local stack: its layout, its marker, its secrets, and removing what lies in it.

Belongs here: paths, files that every server shares, deletion. Does not: what a server writes (servers/), starting
anything (stack), reading addresses back (settings).
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payments_platform.local.failures import StackError
from payments_platform.settings import POSTGRES_USERS

MARKER = "payments-home.json"
# Where the home lies in a checkout unless PAYMENTS_HOME says otherwise.
DEFAULT_NAME = ".local"
FOLDERS = ("config", "data", "run", "logs", "cache", "lake", "warehouse", "dagster", "simulator", "loads")
# What `reset` keeps: downloads, so that the next `up` works offline.
_KEPT_BY_RESET = ("cache",)
# Characters that would change the meaning of a line in a server's configuration file.
_FORBIDDEN = "\"';#%\n\r\\"


@dataclass(frozen=True)
class Secrets:
    """Passwords made at the first ``up``. They never change afterwards: the servers' data holds them."""

    passwords: Mapping[str, str]


@dataclass(frozen=True)
class Home:
    """Everything that one stack owns lies below ``root``; nothing outside is ever written or removed."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def downloads(self) -> Path:
        """Where downloads lie unless homes share another folder."""
        return self.root / "cache"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def marker(self) -> Path:
        return self.root / MARKER

    def log_of(self, name: str) -> Path:
        """Return the log file of one server."""
        return self.logs / f"{name}.log"

    def exists(self) -> bool:
        """Say whether ``up`` made this folder."""
        return self.marker.is_file()

    def accept(self) -> None:
        """Raise unless this folder is, or may become, a home."""
        if any(character in str(self.root) for character in _FORBIDDEN):
            raise StackError(
                f"The home {self.root} has a quote, a backslash, ';', '#' or '%' in its path.",
                "set PAYMENTS_HOME to another folder",
            )
        if not self.exists():
            self._refuse_foreign()

    def create(self) -> None:
        """Make the folders, private to this user, and mark them as a home. Refuses a folder that holds other things."""
        self.accept()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not self.exists():
                note = {"what": "home of a local payments stack", "created_at": datetime.now(UTC).isoformat()}
                write_private(self.marker, json.dumps(note))
            for name in FOLDERS:
                (self.root / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StackError(
                f"Cannot write the home {self.root}: {error.strerror}.", "set PAYMENTS_HOME to a folder of your own"
            ) from None

    def _refuse_foreign(self) -> None:
        """Everything in a home is deleted by ``reset``: somebody's documents must never get into one.

        Our own folders are accepted in the default place, where `make setup` or dbt may have written first.
        """
        if not self.root.exists():
            return
        ours = {f".{MARKER}.partial", *((*FOLDERS, "bootstrap") if self.root.name == DEFAULT_NAME else ())}
        foreign = sorted({entry.name for entry in self.root.iterdir()} - ours)
        if foreign:
            raise StackError(
                f"{self.root} is not a home of this platform and holds other things ({foreign[0]}, …).",
                "set PAYMENTS_HOME to a new or empty folder",
            )

    def secrets(self) -> Secrets:
        """Return the passwords; the first call makes them."""
        path = self.config / "secrets.json"
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        passwords = dict(kept.get("passwords", {}))
        for user in ("postgres", "replication", "supervisor", *POSTGRES_USERS.values()):
            passwords.setdefault(user, secrets.token_urlsafe(24))
        token_key = kept.get("token_key") or {"id": f"local-{secrets.token_hex(4)}", "key": secrets.token_hex(32)}
        wanted = {**kept, "passwords": passwords, "token_key": token_key}
        if wanted != kept:
            write_private(path, json.dumps(wanted, indent=2))
        return Secrets(passwords=passwords)

    def services(self) -> dict[str, dict[str, Any]]:
        """Return the addresses that the last ``up`` chose, by service; empty before the first one."""
        path = self.config / "stack.json"
        if not path.exists():
            return {}
        services: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["services"]
        return services

    def save_services(self, services: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the addresses for settings and scripts."""
        write_private(self.config / "stack.json", json.dumps({"services": services}, indent=2))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one command at a time change this stack; a second one waits."""
        # `reset` leaves a home without this folder; `down` and `clean` must still work there.
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(self.run / "stack.lock"):
            yield

    def require(self) -> None:
        """Raise unless ``up`` made this folder: nothing is removed on a guess."""
        if not self.exists():
            raise StackError(f"{self.root} is not a home of this platform ({MARKER} is missing).", "payments up")

    def remove(self, *, downloads: bool) -> dict[str, int]:
        """Delete the data (with ``downloads``, everything); return the bytes freed by folder. The stack must be down.

        Only folders that this platform makes are touched, and only in a folder that carries its marker.
        """
        self.require()
        freed = {}
        for name in FOLDERS:
            if downloads or name not in _KEPT_BY_RESET:
                freed[name] = size_of(self.root / name)
                _delete(self.root / name)
        if downloads:
            self.marker.unlink()
            if not any(self.root.iterdir()):
                self.root.rmdir()
        return freed


def write_private(path: Path, text: str) -> bool:
    """Replace a file atomically, readable by this user only; return whether its content changed."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    partial = path.with_name(f".{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return True


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; the system releases it when the process ends, however it ends."""
    import fcntl

    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def size_of(path: Path) -> int:
    """Return the bytes that the files below ``path`` occupy; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        return 0
    return sum(_sizes(path))


def _sizes(folder: Path) -> Iterable[int]:
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield (Path(where) / name).lstat().st_blocks * 512


def _delete(path: Path) -> None:
    """Remove a folder of the home. A link is unlinked, never followed: its target lies outside."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
