"""The files of the Java servers: pinned, fetched once, checked, kept for the next time.

Belongs here: what is pinned (downloads.lock), fetching by Maven coordinates, judging a file by our own SHA-256,
unpacking. Does not: choosing versions (pinning), starting anything (servers/). See ADR 0027.
"""

import hashlib
import shutil
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from payments_platform.local.failures import StackError
from payments_platform.local.home import file_lock

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK = Path(__file__).with_name("downloads.lock")
_ARCHIVES = ("tar.gz", "zip")
# Small files wait for answers, not for bandwidth.
_AT_ONCE = 8
_SECONDS_TO_ANSWER = 60
_TRIES = 3
_SAY_EVERY_SECONDS = 5.0
_MB = 1_000_000

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pin:
    """One file that a server consists of: where it comes from and what it must be."""

    bundle: str
    group: str
    artifact: str
    packaging: str
    classifier: str
    version: str
    sha256: str
    size: int

    @property
    def file(self) -> str:
        """The file's name, as in any Maven repository."""
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{suffix}.{self.packaging}"

    @property
    def line(self) -> str:
        """Its line in downloads.lock."""
        coordinates = f"{self.group}:{self.artifact}:{self.packaging}:{self.classifier}:{self.version}"
        return f"{self.bundle} {coordinates} {self.sha256} {self.size}"


def parse_pin(line: str) -> Pin:
    """Read one line of downloads.lock back."""
    bundle, coordinates, sha256, size = line.split()
    group, artifact, packaging, classifier, version = coordinates.split(":")
    return Pin(bundle, group, artifact, packaging, classifier, version, sha256, int(size))


@cache
def pins() -> Sequence[Pin]:
    """Return what downloads.lock pins."""
    lines = LOCK.read_text(encoding="ascii").splitlines()
    return [parse_pin(line) for line in lines if line and not line.startswith("#")]


def files_of(bundle: str) -> Sequence[Pin]:
    """Return the pins of one bundle; a bundle is what one server needs."""
    return [pin for pin in pins() if pin.bundle == bundle]


def folder_of(downloads: Path, bundle: str) -> Path:
    """Return where a bundle lies once fetched: its jars, or its archive's content."""
    return downloads / bundle


def fetch(bundles: Sequence[str], downloads: Path, say: Say) -> None:
    """Have every file of the bundles below ``downloads``; a second time asks nobody and needs no network.

    One process fetches at a time, others wait for it. An interrupted fetch leaves whole files only: the next goes on.
    Raises ``StackError`` when a file cannot be had or is not the pinned one.
    """
    if all(_is_whole(downloads, bundle) for bundle in bundles):
        return
    try:
        downloads.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(downloads / ".lock"):
            for bundle in bundles:
                if not _is_whole(downloads, bundle):
                    _fetch_bundle(bundle, downloads, say)
    except OSError as error:
        raise StackError(
            f"Cannot write downloads to {downloads}: {error.strerror or error}.",
            "free space there, or set PAYMENTS_DOWNLOADS to a folder of your own",
        ) from None


def _is_whole(downloads: Path, bundle: str) -> bool:
    """Say whether nothing of the bundle lacks. Contents were judged when the files got their names."""
    folder = folder_of(downloads, bundle)
    wanted = files_of(bundle)
    if not wanted:
        raise StackError(f"downloads.lock pins nothing for {bundle}.", "make pins")
    if wanted[0].packaging in _ARCHIVES:
        return _mark(folder).is_file() and _mark(folder).read_text(encoding="ascii") == wanted[0].sha256
    return all(_has_size(folder / pin.file, pin.size) for pin in wanted)


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _mark(folder: Path) -> Path:
    """The file in an unpacked archive that names the archive's hash; written last."""
    return folder / ".sha256"


def _fetch_bundle(bundle: str, downloads: Path, say: Say) -> None:
    wanted = files_of(bundle)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=downloads) as partial:
        scratch = Path(partial)
        if wanted[0].packaging in _ARCHIVES:
            _fetch_files(wanted, scratch, scratch / "archive", say)
            _unpack(scratch / "archive" / wanted[0].file, folder_of(downloads, bundle), scratch / "content", wanted[0])
        else:
            folder = folder_of(downloads, bundle)
            missing = [pin for pin in wanted if not _has_size(folder / pin.file, pin.size)]
            _fetch_files(missing, scratch, folder, say)
            _remove_others(folder, {pin.file for pin in wanted})


def _remove_others(folder: Path, names: set[str]) -> None:
    """Take away jars of an earlier pin: every jar of the folder is on the class path."""
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()


def _fetch_files(wanted: Sequence[Pin], scratch: Path, into: Path, say: Say) -> None:
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    total = sum(pin.size for pin in wanted)
    bundle = wanted[0].bundle
    say(f"fetching {bundle}: {len(wanted)} file{'s' if len(wanted) > 1 else ''}, {total / _MB:,.0f} MB (once)")
    counted = _Progress(bundle, total, say)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tasks = [pool.submit(_fetch_file, pin, scratch, into, counted) for pin in wanted]
        try:
            for task in as_completed(tasks):
                task.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Progress:
    """Counts bytes of all files together and says so now and then."""

    def __init__(self, bundle: str, total: int, say: Say) -> None:
        self._bundle, self._total, self._say = bundle, total, say
        self._done, self._said, self._guard = 0, time.monotonic(), threading.Lock()

    def add(self, count: int) -> None:
        with self._guard:
            self._done += count
            now = time.monotonic()
            if now - self._said < _SAY_EVERY_SECONDS:
                return
            self._said, done = now, self._done
        self._say(f"fetching {self._bundle}: {done / _MB:,.0f} of {self._total / _MB:,.0f} MB")

    @contextmanager
    def of_file(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """What jgo calls for each file."""
        del name, size
        yield self.add


def _fetch_file(pin: Pin, scratch: Path, into: Path, progress: _Progress) -> None:
    """Fetch to a temporary name, judge, rename: the final name never holds anything but the pinned bytes."""
    seen = "it could not be fetched"
    for attempt in range(_TRIES):
        # A fresh repository for each try: jgo takes what lies there for whole, however it was cut.
        repository = scratch / f"{pin.file}.{attempt}"
        try:
            fetched = _resolve(pin, repository, progress)
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo's own are RuntimeErrors
            seen = str(error).splitlines()[0][:200]
            time.sleep(attempt)
            continue
        digest = _sha256(fetched)
        if digest == pin.sha256:
            fetched.replace(into / pin.file)
            shutil.rmtree(repository, ignore_errors=True)
            return
        seen = f"it has SHA-256 {digest} and {fetched.stat().st_size} bytes; {pin.sha256}, {pin.size} bytes are pinned"
    raise StackError(
        f"{pin.group}:{pin.artifact}:{pin.version} ({pin.file}) was refused: {seen}.",
        "check the network, then: payments up",
    )


def _resolve(pin: Pin, repository: Path, progress: _Progress) -> Path:
    fetched: Path = (
        _context(repository, progress)
        .project(pin.group, pin.artifact)
        .at_version(pin.version)
        .artifact(pin.classifier, pin.packaging)
        .resolve()
    )
    return fetched


def _context(repository: Path, progress: _Progress) -> "MavenContext":
    from jgo.maven import MavenContext, PythonResolver

    resolver = PythonResolver(progress_callback=progress.of_file)
    return MavenContext(resolver=resolver, repo_cache=repository, timeout=_SECONDS_TO_ANSWER)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(archive: Path, folder: Path, scratch: Path, pin: Pin) -> None:
    """Unpack beside the final name and rename: what bears the name is whole."""
    if pin.packaging == "zip":
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(scratch)  # noqa: S202  # of the pinned bytes, and zipfile drops absolute and upward paths
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(scratch, filter="data")
    _mark(scratch).write_text(pin.sha256, encoding="ascii")
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)
