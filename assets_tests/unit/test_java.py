"""Which Java is taken: the owner's choice, then the path, then the wheel; old ones never."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from payments_platform.local import java, selection
from payments_platform.local.doctor import examine, install_line
from payments_platform.local.failures import StackError
from payments_platform.local.home import Home
from payments_platform.local.request import Request


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine without any Java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(java, "_INSTALLED", ())
    monkeypatch.setattr(java, "_wheel", lambda: ())
    _forget()
    yield tmp_path
    _forget()


def _forget() -> None:
    java.runtime.cache_clear()
    java.development_kit.cache_clear()


def install(folder: Path, version: str, *, compiler: bool = False) -> Path:
    """Put a program there that says what `java -version` of that release says."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    if compiler:
        (folder / "bin" / "javac").touch()
    return program


def test_the_owners_choice_wins_over_the_path(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, on_path = install(bare / "chosen", "21.0.1"), install(bare / "other", "17.0.9")
    monkeypatch.setenv("JAVA_HOME", str(bare / "chosen"))
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert (java.runtime().program, java.runtime().version) == (chosen, 21)


@pytest.mark.parametrize("version", ["1.8.0_412", "11.0.2"])
def test_a_java_that_is_too_old_is_passed_over(bare: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Kafka would end with a class file error that names no cause."""
    monkeypatch.setenv("JAVA_HOME", str(install(bare / "old", version).parents[1]))
    wheel = install(bare / "wheel", "25")
    monkeypatch.setattr(java, "_wheel", lambda: (wheel,))
    assert java.runtime().program == wheel


def test_without_any_java_it_is_said_and_how_to_get_one(bare: Path) -> None:
    with pytest.raises(StackError, match="no Java 17 or newer"):
        java.runtime()
    (found,) = [it for it in examine(Home(bare / "home")) if it.what == "java"]
    assert not found.fit
    assert install_line("java") in found.advice


def test_the_wheel_brings_a_java_that_the_servers_run_on(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (program,) = java._wheel()
    version = java._version_of(program)
    assert version is not None
    assert version >= java.OLDEST


def test_a_runtime_without_a_compiler_is_no_development_kit(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elasticsearch loads modules that a bare runtime lacks, and ends after a minute of starting."""
    monkeypatch.setenv("PATH", str(install(bare / "runtime", "17.0.9").parent))
    assert java.runtime().version == 17
    assert java.development_kit() is None
    (found,) = [it for it in examine(Home(bare / "home")) if it.what == "search"]
    assert found.fit
    assert found.found == "off (no JDK)"


def test_without_a_kit_search_is_left_out_by_name_and_ci_fails(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite that silently skips a server shows nothing about it."""
    monkeypatch.setenv("PATH", str(install(bare / "runtime", "17.0.9").parent))
    monkeypatch.delenv("CI", raising=False)
    said: list[str] = []
    request = Request(Home(bare / "home"), bare, streams=True, workers=True, say=said.append)
    names = {it.name for it in selection.startable(request)}
    assert said == [selection.SEARCH_OFF]
    assert {"elasticsearch", "sink-elasticsearch"}.isdisjoint(names)
    assert {"kafka", "connect", "mongodb", "sink-mongodb"} <= names
    with pytest.raises(StackError, match="no JDK"):
        selection.startable(replace(request, only=("elasticsearch",)))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(StackError, match="no JDK"):
        selection.startable(request)


def test_a_name_brings_what_it_needs_and_nothing_else() -> None:
    chosen = selection.services(ui=True, streams=True, workers=True, only=["sink-mongodb"])
    assert {it.name for it in chosen} == {"sink-mongodb", "mongodb", "connect", "kafka", "primary"}
    with pytest.raises(StackError, match="no server kafak"):
        selection.services(ui=True, streams=True, only=["kafak"])
