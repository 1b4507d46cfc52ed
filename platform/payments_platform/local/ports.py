"""Choosing the ports of the local stack: the usual one if it is free, else the next free one.

Belongs here: finding out whether a port is taken, or about to be by another stack. Does not: remembering the choice
for the next time (home).
"""

import json
import os
import socket
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from payments_platform.local.home import file_lock

HOST = "127.0.0.1"
_TRIES = 200


def is_taken(port: int) -> bool:
    """Say whether something listens on the port, or the system refuses to give it."""
    if is_open(port):
        return True
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def is_open(port: int) -> bool:
    """Say whether something listens on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def choose(preferred: int, reserved: Collection[int] = ()) -> int:
    """Return ``preferred`` or the next port above it that is neither taken nor reserved; 0 asks for any free port."""
    if preferred == 0:
        return _any_free(reserved)
    for port in range(preferred, min(preferred + _TRIES, 65536)):
        if port not in reserved and not is_taken(port):
            return port
    return _any_free(reserved)


def _any_free(reserved: Collection[int]) -> int:
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in reserved:
            return port


@contextmanager
def claims() -> Iterator[set[int]]:
    """Yield the ports that other stacks chose and do not listen on yet; what the caller adds is claimed in turn.

    Two stacks that start at the same moment would choose the same free port. A claim ends with the process behind it.
    """
    ledger = Path(tempfile.gettempdir()) / f"payments-ports-{os.getuid()}.json"
    with file_lock(ledger.with_suffix(".lock")):
        try:
            claimed: dict[str, int] = json.loads(ledger.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            claimed = {}
        alive = {port: pid for port, pid in claimed.items() if pid != os.getpid() and psutil.pid_exists(pid)}
        theirs = {int(port) for port in alive}
        mine = set(theirs)
        yield mine
        added = {str(port): os.getpid() for port in mine - theirs}
        ledger.write_text(json.dumps(alive | added), encoding="ascii")
