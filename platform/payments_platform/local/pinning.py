"""Writes downloads.lock: resolves the servers' Maven coordinates once and records every file's hash. `make pins`.

Belongs here: which versions the stack runs on. Does not: fetching for use (downloads). Run by hand when a version
changes; what changed is then read in the lock's diff, as with any other lock.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from payments_platform.local.downloads import LOCK, Pin

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

_HEAD = """\
# What the Java servers of the local stack consist of.
# Bundle, group:artifact:packaging:classifier:version, SHA-256, bytes.
# Written by `make pins` from the coordinates in pinning.py; do not edit.
"""
_KAFKA, _MONGODB = "4.3.1", "1.47.0"
# 1.7 is the API that Kafka is built with; a newer one finds no binding and is silent.
_LOGGING = "org.slf4j:slf4j-simple:1.7.36"
# With everything that they depend on: a server's class path.
CLASS_PATHS: Mapping[str, Sequence[str]] = {
    "kafka": (
        f"org.apache.kafka:kafka_2.13:{_KAFKA}",
        f"org.apache.kafka:kafka-tools:{_KAFKA}",
        f"org.apache.kafka:connect-runtime:{_KAFKA}",
        f"org.apache.kafka:connect-json:{_KAFKA}",
        _LOGGING,
    ),
    "mongodb": (
        f"de.bwaldvogel:mongo-java-server:{_MONGODB}",
        f"de.bwaldvogel:mongo-java-server-h2-backend:{_MONGODB}",
        _LOGGING,
    ),
}
# One file each: group, artifact, classifier, packaging, version.
SINGLE: Mapping[str, tuple[str, str, str, str, str]] = {
    "debezium": ("io.debezium", "debezium-connector-postgres", "plugin", "tar.gz", "3.6.3.Final"),
    "elasticsearch": (
        "org.elasticsearch.distribution.integ-test-zip", "elasticsearch", "", "zip", "8.19.21",
    ),
    # Compiles the MongoDB wire server's launcher where there is a Java runtime and no compiler.
    "ecj": ("org.eclipse.jdt", "ecj", "", "jar", "3.42.0"),
}  # fmt: skip
_NOT_RUN_WITH = ("test", "provided")


def main() -> None:
    """Resolve, fetch, hash, and write the lock."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [pin.line for pin in _pins(Path(folder))]
    LOCK.write_text(_HEAD + "".join(f"{line}\n" for line in lines), encoding="ascii")
    sys.stderr.write(f"{LOCK.name}: {len(lines)} files\n")


def _pins(repository: Path) -> Iterator[Pin]:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=repository, timeout=60)
    for bundle, coordinates in CLASS_PATHS.items():
        found = [_pin(bundle, artifact) for artifact in _class_path(context, coordinates)]
        yield from sorted(found, key=lambda pin: pin.line)
    for bundle, (group, name, classifier, packaging, version) in SINGLE.items():
        yield _pin(bundle, context.project(group, name).at_version(version).artifact(classifier, packaging))


def _class_path(context: "MavenContext", coordinates: Sequence[str]) -> list["Artifact"]:
    wanted = [context.create_dependency(it) for it in coordinates]
    named, drawn_in = context.resolver.resolve(wanted)
    return [it.artifact for it in (*named, *drawn_in) if it.scope not in _NOT_RUN_WITH]


def _pin(bundle: str, artifact: "Artifact") -> Pin:
    path: Path = artifact.resolve()
    content = path.read_bytes()
    return Pin(
        bundle,
        artifact.groupId,
        artifact.artifactId,
        artifact.packaging,
        artifact.classifier,
        artifact.version,
        hashlib.sha256(content).hexdigest(),
        len(content),
    )


if __name__ == "__main__":
    main()
