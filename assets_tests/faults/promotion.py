"""Losing the source for good: a replica that stopped receiving, a primary that dies, the replica promoted in its place.

Belongs here: the misfortune, and the steps of docs/guides/change-capture.md. Does not: what must hold after them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from assets_tests.faults.stream_layer import SpeedLayer
from assets_tests.faults.stream_run import kill_nine
from payments_platform.clients.postgres import connect
from payments_platform.local import sites
from payments_platform.local.servers.postgres import superuser
from payments_platform.local.service import Site

Statement = Callable[[str], list[tuple[Any, ...]]]
_SECONDS: Final = 120.0


def site_of(layer: SpeedLayer) -> Site:
    site = sites.known_site(layer.home)
    assert site is not None
    return site


@contextmanager
def at(layer: SpeedLayer, server: Literal["primary", "replica"]) -> Iterator[Statement]:
    """Statements at a server with full rights, each its own transaction."""
    with connect(superuser(site_of(layer), server, "payments"), autocommit=True, name="promotion") as session:

        def run(statement: str) -> list[tuple[Any, ...]]:
            done = session.execute(statement.encode())
            return done.fetchall() if done.description else []

        yield run


def cut_off_the_replica(layer: SpeedLayer) -> None:
    """All that is committed until now is on the replica, and nothing of what follows."""
    with at(layer, "primary") as run:
        ((until,),) = run("SELECT pg_current_wal_lsn()::text")
    with at(layer, "replica") as run:
        until_true(lambda: run(f"SELECT pg_last_wal_replay_lsn() >= '{until}'") == [(True,)], "the replica is behind")
        run("ALTER SYSTEM SET primary_conninfo = ''")
        run("SELECT pg_reload_conf()")
        until_true(lambda: run("SELECT pid FROM pg_stat_wal_receiver") == [], "the replica still receives")
        # Read again by a server that has no use for it, and by the copies that are made of its folder.
        run("ALTER SYSTEM RESET primary_conninfo")


def lose_the_primary(layer: SpeedLayer) -> None:
    """Its folder is gone and its processes are killed, so that what restarts it finds nothing."""
    data = layer.home.data
    pid = sites.supervisor_of(site_of(layer)).states()["primary"].pid
    (data / "primary").rename(data / "primary.lost")
    kill_nine(pid)


def promote_in_its_place(layer: SpeedLayer) -> None:
    """The steps of the guide up to `payments up --no-workers`."""
    with at(layer, "replica") as run:
        assert run("SELECT pg_promote(wait => true, wait_seconds => 60)") == [(True,)]
    layer.down()
    (layer.home.data / "replica").rename(layer.home.data / "primary")
    layer.up(workers=False)


def until_true(holds: Callable[[], bool], otherwise: str, seconds: float = _SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.3)
