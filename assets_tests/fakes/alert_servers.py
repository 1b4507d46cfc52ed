"""Slack, PagerDuty and a mail server on this machine: they enforce the published limits and fail on demand.

Belongs here: what the real services answer to what a client may get wrong. Does not: any client. Limits:
docs.slack.dev/reference/block-kit/blocks, developer.pagerduty.com/docs/send-alert-event.
"""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Mood = Literal["well", "limited", "broken", "slow", "revoked"]
RETRY_AFTER = 17


@dataclass
class Service:
    """What a server was told and when, and the moods of its next answers; after them it is well."""

    taken: list[dict[str, Any]] = field(default_factory=list)
    came: list[datetime] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    moods: list[Mood] = field(default_factory=list)
    url: str = ""
    port: int = 0

    def mood(self) -> Mood:
        return self.moods.pop(0) if self.moods else "well"

    def take(self, told: dict[str, Any]) -> None:
        self.came.append(datetime.now(UTC))
        self.taken.append(told)


def slack_problem(payload: dict[str, Any]) -> str:
    """What Slack would refuse a message for, "" when it would not."""
    blocks = payload.get("blocks", [])
    if isinstance(blocks, str):
        blocks = json.loads(blocks)
    if not payload.get("text") and not blocks:
        return "no_text"
    if len(payload.get("text", "")) > 40_000:
        return "msg_too_long"
    if len(blocks) > 50:
        return "invalid_blocks"
    for block in blocks:
        text = (block.get("text") or {}).get("text", "")
        limit = {"header": 150, "section": 3000}.get(block["type"])
        kind = {"header": "plain_text", "section": "mrkdwn"}.get(block["type"])
        if limit is None or not 1 <= len(text) <= limit or block["text"]["type"] != kind:
            return "invalid_blocks"
    return ""


def pagerduty_problem(event: dict[str, Any]) -> str:
    """What the Events API would refuse an event for, "" when it would not."""
    is_trigger, payload = event.get("event_action") == "trigger", event.get("payload", {})
    problems = {
        "'routing_key' is invalid": len(event.get("routing_key", "")) != 32,
        "'event_action' is invalid": event.get("event_action") not in {"trigger", "acknowledge", "resolve"},
        "'dedup_key' length must be between 1 and 255": not 1 <= len(event.get("dedup_key", "")) <= 255,
        "'payload.summary' is invalid": is_trigger and not 1 <= len(payload.get("summary", "")) <= 1024,
        "'payload.source' is missing": is_trigger and not payload.get("source"),
        "'payload.severity' is invalid": is_trigger
        and payload.get("severity") not in {"critical", "error", "warning", "info"},
        "event is too large": len(json.dumps(event)) > 512 * 1024,
    }
    return next((problem for problem, holds in problems.items() if holds), "")


class _Answers(BaseHTTPRequestHandler):
    """One request; ``self.server.answer`` decides."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        status, headers, text = self.server.answer(self.path, body)  # type: ignore[attr-defined]
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())
        except OSError:
            pass  # a client that waited long enough has gone

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


_Answer = tuple[int, dict[str, str], str]
_JSON = {"Content-Type": "application/json"}


def _moody(mood: Mood) -> _Answer | None:
    match mood:
        case "limited":
            return 429, {"Retry-After": str(RETRY_AFTER)}, "rate limited"
        case "broken":
            return 503, {}, "try later"
        case "slow":
            time.sleep(1.5)
            return 504, {}, ""
        case "revoked":
            return 403, {}, "invalid_token"
        case "well":
            return None


def _slack(service: Service, path: str, body: str) -> _Answer:
    if (moody := _moody(service.mood())) is not None:
        return moody
    payload = json.loads(body)
    problem = slack_problem(payload)
    is_api = path.endswith("chat.postMessage")
    if problem:
        service.refused.append(problem)
        return (200, _JSON, json.dumps({"ok": False, "error": problem})) if is_api else (400, {}, problem)
    service.take(payload)
    return (200, _JSON, json.dumps({"ok": True, "ts": "1.0"})) if is_api else (200, {}, "ok")


def _pagerduty(service: Service, _: str, body: str) -> _Answer:
    if (moody := _moody(service.mood())) is not None:
        return moody
    event = json.loads(body)
    problem = pagerduty_problem(event)
    if problem:
        service.refused.append(problem)
        return 400, _JSON, json.dumps({"status": "invalid event", "errors": [problem]})
    service.take(event)
    return 202, _JSON, json.dumps({"status": "success", "dedup_key": event["dedup_key"]})


@contextmanager
def _http(answer: "Callable[[Service, str, str], _Answer]") -> Iterator[Service]:
    service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.daemon_threads, server.block_on_close = True, False
    server.answer = lambda path, body: answer(service, path, body)  # type: ignore[attr-defined]
    service.port, service.url = server.server_port, f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def slack_server() -> Iterator[Service]:
    """Incoming webhooks at any path, and ``chat.postMessage``."""
    with _http(_slack) as service:
        yield service


@contextmanager
def pagerduty_server() -> Iterator[Service]:
    """The Events API v2."""
    with _http(_pagerduty) as service:
        yield service


class _Mail(socketserver.StreamRequestHandler):
    """Enough of SMTP for one client at a time; a mood is asked for at each message."""

    def handle(self) -> None:
        service: Service = self.server.service  # type: ignore[attr-defined]
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line[:4].upper()
            if verb == "DATA":
                self._say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                service.take({"text": "".join(lines)})
                self._say("250 taken")
            elif verb == "MAIL":
                mood = service.mood()
                codes = {"limited": "451 later", "broken": "421 closing", "revoked": "550 not you"}
                if mood == "slow":
                    time.sleep(1.5)
                self._say(codes.get(mood, "250 well"))
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 well")

    def _say(self, text: str) -> None:
        with suppress(OSError):
            self.wfile.write(f"{text}\r\n".encode())


class _MailServer(socketserver.ThreadingTCPServer):
    daemon_threads, block_on_close, allow_reuse_address = True, False, True


@contextmanager
def mail_server() -> Iterator[Service]:
    """A mail relay."""
    service = Service()
    server = _MailServer(("127.0.0.1", 0), _Mail)
    server.service = service  # type: ignore[attr-defined]
    service.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
