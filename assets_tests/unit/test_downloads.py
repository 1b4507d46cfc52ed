"""Downloads against a Maven repository of this machine: only the pinned bytes ever get a final name."""

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from jgo.maven import MavenContext

from payments_platform.local import downloads
from payments_platform.local.downloads import LOCK, Pin, fetch, parse_pin, pins
from payments_platform.local.failures import StackError
from payments_platform.local.selection import services

GOOD = b"the bytes that were pinned"


class Repository:
    """A Maven repository: what it serves by file name, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rsplit("/", 1)[1]
                repository.asked.append(name)
                content = repository.files.get(name)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if name in repository.cut else content)

            def log_message(self, *words: object) -> None:
                """Tests print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    it = Repository()
    threading.Thread(target=it.server.serve_forever, daemon=True).start()
    monkeypatch.setattr(
        downloads,
        "_context",
        lambda cache, _progress: MavenContext(repo_cache=cache, remote_repos={"here": it.url}, timeout=5),
    )
    monkeypatch.setattr(downloads, "_TRIES", 1)
    yield it
    it.server.shutdown()
    it.server.server_close()


def pin(artifact: str, content: bytes, packaging: str = "jar") -> Pin:
    return Pin(
        "server", "org.example", artifact, packaging, "", "1.0", hashlib.sha256(content).hexdigest(), len(content)
    )


def pinned(monkeypatch: pytest.MonkeyPatch, *wanted: Pin) -> None:
    monkeypatch.setattr(downloads, "pins", lambda: wanted)


def quiet(text: str) -> None:
    """Tests print nothing."""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_second_fetch_asks_nobody(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack must start in a train."""
    pinned(monkeypatch, pin("a", GOOD), pin("b", GOOD))
    repository.files = {"a-1.0.jar": GOOD, "b-1.0.jar": GOOD}
    said: list[str] = []
    fetch(["server"], tmp_path, said.append)
    assert said == ["fetching server: 2 files, 0 MB (once)"]
    repository.asked.clear()
    fetch(["server"], tmp_path, said.append)
    assert repository.asked == []
    assert names(tmp_path) == {"a-1.0.jar", "b-1.0.jar"}


@pytest.mark.parametrize("bad", [b"", GOOD[:-1], GOOD + b"!", GOOD[::-1]])
def test_other_bytes_than_the_pinned_ones_never_get_the_name(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: bytes
) -> None:
    """A replaced jar would run with our passwords."""
    pinned(monkeypatch, pin("a", GOOD))
    repository.files = {"a-1.0.jar": bad}
    with pytest.raises(StackError, match=r"org\.example:a:1\.0"):
        fetch(["server"], tmp_path, quiet)
    assert names(tmp_path) == set()


def test_a_cut_download_is_not_used_and_the_next_one_heals(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was cut on its way looks whole to a cache that only asks for its name."""
    pinned(monkeypatch, pin("a", GOOD), pin("b", GOOD))
    repository.files, repository.cut = {"a-1.0.jar": GOOD, "b-1.0.jar": GOOD}, {"a-1.0.jar"}
    with pytest.raises(StackError, match=re.escape("a-1.0.jar")):
        fetch(["server"], tmp_path, quiet)
    assert names(tmp_path) <= {"b-1.0.jar"}
    repository.cut = set()
    fetch(["server"], tmp_path, quiet)
    assert names(tmp_path) == {"a-1.0.jar", "b-1.0.jar"}


def test_a_file_that_became_shorter_is_fetched_again(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned(monkeypatch, pin("a", GOOD))
    repository.files = {"a-1.0.jar": GOOD}
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "a-1.0.jar").write_bytes(GOOD[:5])
    fetch(["server"], tmp_path, quiet)
    assert (tmp_path / "server" / "a-1.0.jar").read_bytes() == GOOD


def test_jars_of_an_earlier_pin_leave_the_class_path(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of one library beside each other: which one runs would be chance."""
    pinned(monkeypatch, pin("a", GOOD))
    repository.files = {"a-1.0.jar": GOOD}
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "a-0.9.jar").write_bytes(GOOD)
    fetch(["server"], tmp_path, quiet)
    assert names(tmp_path) == {"a-1.0.jar"}


def test_an_archive_appears_whole_or_not_at_all(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("plugin/a.jar")
        entry.size = len(GOOD)
        archive.addfile(entry, io.BytesIO(GOOD))
    content = packed.getvalue()
    pinned(monkeypatch, pin("a", content, "tar.gz"))
    repository.files = {"a-1.0.tar.gz": content[:-20]}
    with pytest.raises(StackError):
        fetch(["server"], tmp_path, quiet)
    assert not (tmp_path / "server").exists()
    repository.files = {"a-1.0.tar.gz": content}
    fetch(["server"], tmp_path, quiet)
    assert (tmp_path / "server" / "plugin" / "a.jar").read_bytes() == GOOD
    assert names(tmp_path) == {"a.jar", ".sha256"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned(monkeypatch, pin("a", GOOD))
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="PAYMENTS_DOWNLOADS"):
        fetch(["server"], tmp_path / "file" / "below", quiet)


def test_every_server_is_pinned_by_hash_and_the_lock_names_no_host() -> None:
    needed = {bundle for service in services(ui=True, streams=True, workers=True) for bundle in service.bundles}
    assert needed == {it.bundle for it in pins()}
    assert all(re.fullmatch("[0-9a-f]{64}", it.sha256) and it.size > 0 for it in pins())
    assert len({(it.bundle, it.file) for it in pins()}) == len(pins())
    assert "//" not in LOCK.read_text(encoding="ascii")


def test_a_pin_reads_back_what_it_wrote() -> None:
    assert all(parse_pin(it.line) == it for it in pins())
