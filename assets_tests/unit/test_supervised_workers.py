"""Workers as the supervisor starts them: told where to answer Prometheus, and told apart from another home's."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from payments_platform.local.home import Home
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
