"""Dagster's pages on the stack: the real definitions load, a killed page returns, a plain shell finds the instance."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from assets_tests.conftest import PROJECT
from payments_platform.local import stack as local_stack
from payments_platform.local import statuses
from payments_platform.local.home import Home
from payments_platform.local.ports import choose
from payments_platform.local.request import Request

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

LOCATIONS = """{ workspaceOrError { ... on Workspace {
  locationEntries { loadStatus locationOrLoadError { __typename } } } } }"""
LOADED = {"loadStatus": "LOADED", "locationOrLoadError": {"__typename": "RepositoryLocation"}}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A checkout with nothing but Dagster's two files, and a home in the default place."""
    folder = tmp_path / "a project"
    folder.mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder)
    yield folder
    local_stack.down(Home(folder / ".local"), lambda _: None)


def bring_up(project: Path, *, ui: bool) -> dict[str, statuses.ServiceStatus]:
    home = Home(project / ".local")
    request = Request(
        home, project, ui=ui, environment="test", any_ports=True, stop_with=os.getpid(), say=lambda _: None
    )
    return {it.name: it for it in local_stack.up(request)}


def eventually(holds: Callable[[], bool], seconds: float = 240) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.5)
    return False


def test_the_pages_serve_the_definitions_return_when_killed_and_leave_nothing_behind(project: Path) -> None:
    """Code servers that outlive their page would hold memory on every laptop."""
    before = bring_up(project, ui=True)
    assert all(it.ready for it in before.values())
    home = Home(project / ".local")

    def now(name: str) -> statuses.ServiceStatus:
        return next(it for it in statuses.status(home) if it.name == name)

    def is_back(name: str) -> bool:
        return now(name).ready and now(name).pid != before[name].pid

    for name in ("webserver", "code-server"):
        os.kill(before[name].pid, signal.SIGKILL)
        assert eventually(partial(is_back, name)), name
    assert eventually(lambda: now("webserver").ready and now("daemon").ready)
    family = [
        child
        for it in statuses.status(home)
        if it.pid
        for child in (psutil.Process(it.pid), *psutil.Process(it.pid).children(recursive=True))
    ]
    assert local_stack.down(home, lambda _: None)
    assert [it for it in family if it.is_running() and it.status() != psutil.STATUS_ZOMBIE] == []


def test_dagster_dev_works_in_a_plain_shell(project: Path) -> None:
    """The usual command of every Dagster developer, in the folder of the project, with no variable set."""
    bring_up(project, ui=False)
    port = choose(0)
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-w", "workspace.yaml", "-p", str(port)]
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    log = project / "dev.log"
    with log.open("wb") as output:
        developer = subprocess.Popen(command, cwd=project, env=plain, stdout=output, stderr=output)
    try:
        assert eventually(lambda: locations(port) == [LOADED]), log.read_text()
    finally:
        family = psutil.Process(developer.pid).children(recursive=True)
        developer.send_signal(signal.SIGINT)
        developer.wait(timeout=90)
        for process in psutil.wait_procs(family, timeout=30)[1]:
            process.kill()
    assert (project / ".env").stat().st_mode & 0o777 == 0o600
    assert not list(project.glob(".tmp_dagster_home_*")), "it used a temporary instance"


def locations(port: int) -> object:
    """Return what the web server says about its code locations, or None while it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        body = json.dumps({"query": LOCATIONS})
        connection.request("POST", "/graphql", body=body, headers={"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())["data"]["workspaceOrError"]["locationEntries"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()
