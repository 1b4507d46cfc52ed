"""Workers as the supervisor starts them: told where to answer Prometheus, and told apart from another home's."""

from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from payments_platform.local.home import Home
from payments_platform.local.milestones import Milestones
from payments_platform.local.request import Request
from payments_platform.local.selection import services
from payments_platform.local.servers.workers import WORKERS, Worker, _follows
from payments_platform.local.service import NotReady, Site

PROCESSOR = next(worker for worker in WORKERS if worker.name == "processor")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    home = Home(tmp_path / "home")
    home.create()
    ports = {"platform": 1, **{worker.name: worker.port for worker in WORKERS}}
    return Site(home, ports, home.secrets().passwords, tmp_path, tmp_path)


def test_a_worker_finds_its_home_and_the_servers_that_variables_name(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that wrote to another stack than its own would mix two sets of payments."""
    monkeypatch.setenv("MONGODB_URI", "mongodb://elsewhere")
    monkeypatch.delenv("CONNECT_URL", raising=False)
    program = PROCESSOR.program(site)
    assert program.command[1:] == ("stream", "run", "processor", "--metrics-port", "9410")
    assert program.environment["PAYMENTS_HOME"] == str(site.home.root)
    assert program.environment["MONGODB_URI"] == "mongodb://elsewhere"
    assert "CONNECT_URL" not in program.environment
    assert (program.stop_signal, program.stop_seconds) == ("TERM", 30)


@pytest.mark.parametrize("words,ours", [
    (["/venv/bin/python", "/venv/bin/payments", "stream", "run", "processor", "--metrics-port", "1"], True),
    (["/venv/bin/payments", "stream", "run", "processor"], True),
    (["/venv/bin/python", "/venv/bin/payments", "stream", "run", "sink-lake"], False),
    (["grep", "payments stream run processor"], False),
    ([], False),
])  # fmt: skip
def test_only_this_very_command_counts_as_the_worker(words: list[str], ours: bool) -> None:
    """What is taken for a worker that was left behind is ended."""
    assert _follows(words, ("payments", *PROCESSOR.arguments)) == ours


def test_a_worker_is_ready_when_its_metrics_answer(site: Site) -> None:
    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Tests print nothing."""

    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        Thread(target=server.handle_request, daemon=True).start()
        worker = Worker("processor", ("stream", "run", "processor"), 0, ())
        here = Site(site.home, {"processor": server.server_address[1]}, {}, site.project, site.downloads)
        worker.check(here)
    with pytest.raises(NotReady):
        worker.check(here)


@pytest.mark.parametrize("worker", WORKERS, ids=lambda worker: worker.name)
def test_a_worker_alone_needs_no_server_but_those_it_names(site: Site, worker: Worker) -> None:
    """`payments up --only <worker>` leaves Dagster's server out: its address is no part of a worker."""
    alone = replace(site, ports={worker.name: worker.port})
    program = worker.program(alone)
    assert program.environment["PAYMENTS_HOME"] == str(site.home.root)
    assert "PAYMENTS_PLATFORM_DAGSTER_URL" not in program.environment
    assert "PAYMENTS_PLATFORM_DAGSTER_URL" in worker.program(site).environment
    chosen = services(ui=False, streams=True, workers=True, only=[worker.name])
    assert "platform" not in {it.name for it in chosen}
    # The guardian asks both servers of the source, and does not start without the address of one.
    assert worker.name != "capture" or {"primary", "replica"} <= {it.name for it in chosen}


@pytest.mark.parametrize("elsewhere", [set(), {"connect"}, {"kafka", "connect"}], ids=str)
def test_a_start_sets_capture_up_once_after_all_it_needs(
    site: Site, elsewhere: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice is a second round of questions to every server, and two that make one slot."""
    capture = next(worker for worker in WORKERS if worker.name == "capture")
    assert "--no-apply" in capture.program(site).command
    done: list[set[str]] = []
    served: set[str] = set()
    monkeypatch.setattr(Milestones, "_migrate", lambda _: None)
    monkeypatch.setattr(Milestones, "_capture", lambda _: done.append(set(served)))
    wanted = [it for it in services(ui=False, streams=True, workers=True) if it.name not in elsewhere]
    milestones = Milestones(Request(site.home, site.project), wanted)
    for service in sorted(wanted, key=lambda it: len(it.after)):
        served.add(service.name)
        milestones.passed(service)
    assert len(done) == 1
    assert done[0] >= {"primary", "kafka", "connect"} - elsewhere
