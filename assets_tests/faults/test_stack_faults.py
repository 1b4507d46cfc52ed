"""The local stack under bad luck: killed servers, killed commands, foreign ports, stale files. Each must heal."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from assets_tests.conftest import DOWNLOADS, PROJECT
from payments_platform.clients.postgres import connect
from payments_platform.local import sites, statuses
from payments_platform.local import stack as local_stack
from payments_platform.local.failures import StackError
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.local.servers.postgres import superuser
from payments_platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]

PAYMENTS = str(Path(sys.executable).parent / "payments")


@dataclass
class Own:
    """A stack that one test may ill-treat."""

    request: Request
    said: list[str] = field(default_factory=list)

    @property
    def home(self) -> Home:
        return self.request.home

    def up(self) -> dict[str, statuses.ServiceStatus]:
        return {it.name: it for it in local_stack.up(replace(self.request, say=self.said.append))}

    def down(self) -> bool:
        return local_stack.down(self.home, self.said.append)

    def status(self) -> dict[str, statuses.ServiceStatus]:
        return {it.name: it for it in statuses.status(self.home)}

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PAYMENTS_HOME": str(self.home.root), "PAYMENTS_ENVIRONMENT": "test"}

    def works(self) -> bool:
        """Say whether a write on the primary arrives on the replica."""
        settings = Settings(home=self.home.root, environment="test")
        site = sites.known_site(self.home)
        assert site is not None
        with connect(superuser(site, "primary", "payments"), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS probe AS SELECT 0 AS value")
            connection.execute("GRANT SELECT ON probe TO payments_extract")
            row = connection.execute("UPDATE probe SET value = value + 1 RETURNING value").fetchone()
        return eventually(lambda: read_probe(settings) == row)


def read_probe(settings: Settings) -> object:
    with connect(settings.postgres("replica", "extract")) as connection:
        return connection.execute("SELECT value FROM probe").fetchone()


def eventually(holds: Callable[[], bool], seconds: float = 100) -> bool:
    """Wait until a condition holds; an exception counts as not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if holds():
                return True
        except Exception:  # noqa: BLE001, S110  # servers that restart answer with any error
            pass
        time.sleep(0.2)
    return False


def processes_below(home: Path) -> list[psutil.Process]:
    """Return every process whose command line names this home."""
    return [
        it for it in psutil.process_iter(["cmdline"]) if any(str(home) in word for word in it.info["cmdline"] or [])
    ]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    home = Home(tmp_path / "home")
    own = Own(Request(home, PROJECT, ui=False, environment="test", any_ports=True, stop_with=os.getpid()))
    yield own
    own.down()
    left = processes_below(home.root)
    for process in left:
        process.kill()
    assert left == [], "the stack left processes behind"


@pytest.mark.parametrize("server", ["primary", "replica", "platform"])
def test_a_killed_server_comes_back_by_itself(own: Own, server: str) -> None:
    before = own.up()[server].pid
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: own.status()[server].ready and own.status()[server].pid != before)
    assert own.works()


def test_java_servers_whose_supervisor_was_killed_are_ended_and_started_again(own: Own) -> None:
    """A broker that nobody watches holds its folder and its port; the next one would refuse to start for ever."""
    own.request = replace(own.request, streams=True, downloads=DOWNLOADS)
    before = own.up()
    os.kill(int((own.home.run / "supervisord.pid").read_text()), signal.SIGKILL)
    after = own.up()
    for name in ("kafka", "connect", "mongodb", "elasticsearch"):
        assert after[name].ready
        assert after[name].pid != before[name].pid
        assert after[name].address == before[name].address
    assert own.down()
    assert processes_below(own.home.root) == []


def test_up_after_the_supervisor_was_killed_takes_its_servers_over(own: Own) -> None:
    """Servers that nobody watches would hold the ports and the data folders for ever."""
    before = own.up()
    pid = int((own.home.run / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    after = own.up()
    assert after["primary"].pid != before["primary"].pid
    assert [it.address for it in after.values()] == [it.address for it in before.values()]
    assert own.works()


def test_down_after_the_supervisor_was_killed_stops_its_servers(own: Own) -> None:
    own.up()
    os.kill(int((own.home.run / "supervisord.pid").read_text()), signal.SIGKILL)
    own.down()
    assert processes_below(own.home.root) == []


@pytest.mark.parametrize("seconds", [0.4, 0.7, 1.0, 1.3, 1.6, 2.0, 2.5])
def test_an_interrupted_up_is_healed_by_the_next_one(own: Own, seconds: float) -> None:
    """Whatever the moment: half a data folder, half a copy, servers without accounts."""
    command = subprocess.Popen([PAYMENTS, "up", "--no-ui"], env=own.environment(), stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    command.kill()
    command.wait()
    assert all(it.ready for it in own.up().values())
    assert own.works()


def test_a_pid_file_that_names_a_strangers_process_does_not_stop_the_start(own: Own) -> None:
    """After a reboot the number in the file belongs to anybody; nobody else's process may be ended for it."""
    own.up()
    own.down()
    for name in ("primary", "replica", "platform"):
        (own.home.data / name / "postmaster.pid").write_text(f"{os.getpid()}\n{own.home.data / name}\n")
    (own.home.run / "supervisord.pid").write_text(f"{os.getpid()}\n")
    own.up()
    assert own.works()


def test_a_port_that_somebody_took_leads_to_another_one_and_says_so(own: Own) -> None:
    port = own.up()["primary"].address["port"]
    own.down()
    with socket.create_server(("127.0.0.1", int(str(port)))):
        now = own.up()["primary"].address["port"]
    assert now != port
    assert f"port {port} is taken: primary listens on {now}" in own.said
    assert own.works()


def test_a_replica_that_can_no_longer_catch_up_is_copied_again(own: Own) -> None:
    own.up()
    site = sites.known_site(own.home)
    assert site is not None
    supervisor = sites.supervisor_of(site)
    supervisor.stop(["replica"])
    with connect(superuser(site, "primary"), autocommit=True) as connection:
        connection.execute("SELECT pg_drop_replication_slot('replica')")
    own.up()
    assert own.works()


def test_a_server_that_cannot_start_shows_its_log_and_the_next_command(own: Own) -> None:
    own.up()
    own.down()
    (own.home.data / "platform" / "PG_VERSION").write_text("12\n")
    done = subprocess.run(
        [PAYMENTS, "up", "--no-ui"], env=own.environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "platform did not become ready" in done.stderr
    assert "PostgreSQL version 12" in done.stderr
    assert f"Log: {own.home.log_of('platform')}" in done.stderr
    assert "Next: payments" in done.stderr


def test_the_stack_ends_with_the_process_it_was_started_for(own: Own) -> None:
    """A killed test run must not leave servers behind."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as sleeper:
        own.request = replace(own.request, stop_with=sleeper.pid)
        own.up()
        sleeper.kill()
    assert eventually(lambda: processes_below(own.home.root) == [])


def test_two_commands_at_once_on_one_home_end_with_one_stack(own: Own) -> None:
    commands = [
        subprocess.Popen([PAYMENTS, "up", "--no-ui"], env=own.environment(), stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [command.wait(timeout=120) for command in commands] == [0, 0]
    postmasters = [it for it in processes_below(own.home.root) if "-D" in (it.info["cmdline"] or [])]
    assert len(postmasters) == 3


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can become somebody else")
def test_a_normal_user_starts_the_same_stack(own: Own) -> None:
    as_user = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    done = subprocess.run(
        [*as_user, PAYMENTS, "up", "--no-ui", "--format", "json"],
        env=own.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert all(it["ready"] for it in json.loads(done.stdout)["services"].values())
    stopped = subprocess.run([*as_user, PAYMENTS, "down"], env=own.environment(), check=False, timeout=120)
    assert stopped.returncode == 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="set PAYMENTS_HOME"):
        Home(tmp_path / "file" / "home").create()
