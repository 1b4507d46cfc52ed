"""MongoDB's wire protocol on one file, for laptops and tests: an emulator. MONGODB_URI points to a real MongoDB.

Belongs here: compiling its launcher, starting it. Does not: collections and indexes (documents/), what the emulator
cannot do (docs/limits.md).
"""

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from payments_platform.local import java
from payments_platform.local.downloads import files_of, folder_of
from payments_platform.local.failures import StackError
from payments_platform.local.orphans import end_orphans
from payments_platform.local.ports import is_open
from payments_platform.local.service import NotReady, Program, Site

_BUNDLE, _COMPILER = "mongodb", "ecj"
_MAIN = "WireServer"
_SOURCES = tuple(Path(__file__).with_name(f"{name}.java") for name in (_MAIN, "BsonDatabase", "RangeIndex"))
_HEAP_MB = 768
_SECONDS = 5


@dataclass(frozen=True)
class MongoDB:
    """The wire server. It listens on this machine only and asks for no password, which no real one should be like."""

    name: str = "mongodb"
    port: int = 27017
    after: tuple[str, ...] = ()
    bundles: tuple[str, ...] = (_BUNDLE, _COMPILER)

    def address(self, site: Site) -> Mapping[str, object]:
        return {"host": site.host, "port": site.ports[self.name]}

    def prepare(self, site: Site) -> bool:
        self._file(site).parent.mkdir(mode=0o700, exist_ok=True)
        return _compile(site)

    def program(self, site: Site) -> Program:
        class_path = f"{_classes(site)}:{folder_of(site.downloads, _BUNDLE) / '*'}"
        arguments = (str(self._file(site)), site.host, str(site.ports[self.name]))
        return Program(
            command=java.command(java.runtime(), _HEAP_MB, class_path, _MAIN, *arguments), directory=site.home.run
        )

    def check(self, site: Site) -> None:
        if not is_open(site.ports[self.name]):  # the client would go on trying for seconds
            raise NotReady("its port is not open yet")
        check_documents(f"mongodb://{site.host}:{site.ports[self.name]}")

    def complete(self, site: Site) -> None:
        """Nothing is left to do once it serves."""

    def heal(self, site: Site) -> None:
        end_orphans(lambda words: _MAIN in words and str(self._file(site)) in words)

    def _file(self, site: Site) -> Path:
        return site.home.data / self.name / "documents.mv"


MONGODB = MongoDB()


def check_documents(uri: str) -> None:
    """Raise ``NotReady`` unless the server answers a command; the text holds no part of the connection string."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    try:
        with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=_SECONDS * 1000) as client:
            client.admin.command("ping")
    except PyMongoError as error:
        raise NotReady(f"it does not answer ({str(error).split(',', 1)[0]})") from None


def _classes(site: Site) -> Path:
    """Where the compiled launcher lies; other sources lie elsewhere, so a running server is restarted for them."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES)).hexdigest()[:12]
    return site.home.run / f"wire-server-{digest}"


def _compile(site: Site) -> bool:
    """Compile the launcher beside its final name and rename it; return whether that was needed.

    The compiler is a jar: a Java runtime without a compiler is enough.
    """
    if _classes(site).exists():
        return False
    partial = _classes(site).with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (compiler,) = (folder_of(site.downloads, _COMPILER) / pin.file for pin in files_of(_COMPILER))
    libraries = folder_of(site.downloads, _BUNDLE)
    class_path = ":".join(str(libraries / pin.file) for pin in files_of(_BUNDLE))
    command = [
        str(java.runtime().program), "-jar", str(compiler), "-17", "-proc:none", "-nowarn", "-d", str(partial),
        "-classpath", class_path, *map(str, _SOURCES),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise StackError(f"{_MAIN}.java does not compile: {done.stderr.strip()}", "payments doctor")
    partial.rename(_classes(site))
    return True
