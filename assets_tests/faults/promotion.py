"""Losing the source for good: a replica that stopped receiving, a primary that dies, the replica promoted in its place.

Belongs here: the misfortune, and the steps of docs/guides/change-capture.md. Does not: what must hold after them.
"""

from assets_tests.faults.stream_layer import SpeedLayer, until_true
from assets_tests.faults.stream_run import kill_nine
from payments_platform.local import sites


def cut_off_the_replica(layer: SpeedLayer) -> None:
    """All that is committed until now is on the replica, and nothing of what follows."""
    with layer.statements("primary") as run:
        ((until,),) = run("SELECT pg_current_wal_lsn()::text")
    with layer.statements("replica") as run:
        until_true(lambda: run(f"SELECT pg_last_wal_replay_lsn() >= '{until}'") == [(True,)], "the replica is behind")
        run("ALTER SYSTEM SET primary_conninfo = ''")
        run("SELECT pg_reload_conf()")
        until_true(lambda: run("SELECT pid FROM pg_stat_wal_receiver") == [], "the replica still receives")
        # Read again by a server that has no use for it, and by the copies that are made of its folder.
        run("ALTER SYSTEM RESET primary_conninfo")


def lose_the_primary(layer: SpeedLayer) -> None:
    """Its folder is gone and its processes are killed, so that what restarts it finds nothing."""
    data = layer.home.data
    pid = sites.supervisor_of(layer.site).states()["primary"].pid
    (data / "primary").rename(data / "primary.lost")
    kill_nine(pid)


def promote_in_its_place(layer: SpeedLayer) -> None:
    """The steps of the guide up to `payments up --no-workers`."""
    with layer.statements("replica") as run:
        assert run("SELECT pg_promote(wait => true, wait_seconds => 60)") == [(True,)]
    layer.down()
    (layer.home.data / "replica").rename(layer.home.data / "primary")
    layer.up(workers=False)
