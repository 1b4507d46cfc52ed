"""The parts of the local stack that need no server: home, ports, `.env`, log quotes, the supervisor's file."""

import configparser
import shlex
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervisor.datatypes import dict_of_key_value_pairs
from typer.testing import CliRunner

from payments_platform.cli import app
from payments_platform.local import dotenv, ports
from payments_platform.local.failures import LOG_LINES, StackError
from payments_platform.local.home import FOLDERS, Home
from payments_platform.local.service import Program
from payments_platform.local.supervision import program_section


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "a home")
    made.create()
    return made


def test_secrets_are_made_once_and_readable_by_their_owner_only(home: Home) -> None:
    """Passwords that changed would lock everybody out of the data that holds them."""
    assert home.secrets() == home.secrets()
    assert mode(home.config / "secrets.json") == 0o600
    assert all(mode(home.root / name) == 0o700 for name in FOLDERS)
    assert len(set(home.secrets().passwords.values())) == len(home.secrets().passwords)


def test_a_folder_that_holds_other_things_never_becomes_a_home(tmp_path: Path) -> None:
    """A home is deleted as a whole; documents in it would be lost."""
    (tmp_path / "data").mkdir()
    with pytest.raises(StackError, match="holds other things"):
        Home(tmp_path).create()


def test_the_default_place_may_hold_what_our_own_tools_wrote_first(tmp_path: Path) -> None:
    place = tmp_path / ".local"
    (place / "warehouse").mkdir(parents=True)
    Home(place).create()
    assert Home(place).exists()


@pytest.mark.parametrize("character", ['"', "'", ";", "#", "%", "\n"])
def test_a_path_that_would_break_a_configuration_file_is_refused(tmp_path: Path, character: str) -> None:
    with pytest.raises(StackError, match="PAYMENTS_HOME"):
        Home(tmp_path / f"a{character}b").create()


def test_removing_keeps_downloads_and_says_what_it_freed(home: Home) -> None:
    (home.root / "cache" / "download").write_bytes(b"x" * 10_000)
    (home.data / "rows").write_bytes(b"x" * 100_000)
    freed = home.remove(downloads=False)
    assert freed["data"] >= 100_000
    assert not home.data.exists()
    assert (home.root / "cache" / "download").exists()
    assert home.remove(downloads=True)["cache"] >= 10_000
    assert not home.root.exists()


def test_removing_touches_nothing_outside_the_home(home: Home, tmp_path: Path) -> None:
    """Somebody may keep the lake on another disk behind a link, or a file of their own beside our folders."""
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "precious").touch()
    (home.root / "lake").rmdir()
    (home.root / "lake").symlink_to(outside)
    (home.root / "my notes").touch()
    home.remove(downloads=True)
    assert (outside / "precious").exists()
    assert (home.root / "my notes").exists()


def test_a_folder_without_the_marker_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(StackError, match="not a home"):
        Home(tmp_path).remove(downloads=True)
    assert (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["reset", "clean"])
def test_deleting_asks_first(home: Home, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_HOME", str(home.root))
    monkeypatch.setenv("PAYMENTS_ENVIRONMENT", "test")
    answer = CliRunner().invoke(app, [command], input="n\n")
    assert answer.exit_code == 1
    assert home.data.exists()


@pytest.mark.parametrize("command", ["up", "down", "reset", "clean", "status", "logs", "doctor"])
def test_no_stack_command_works_on_production(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`reset` with a production environment in the shell must stop at the door."""
    monkeypatch.setenv("PAYMENTS_ENVIRONMENT", "production")
    answer = CliRunner().invoke(app, [command])
    assert answer.exit_code == 1
    assert "has no local stack" in answer.output


def test_a_taken_port_leads_to_the_next_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert ports.is_taken(taken)
        assert ports.choose(taken) != taken
    assert not ports.is_taken(taken)


def test_two_services_never_get_one_port() -> None:
    first = ports.choose(0)
    assert ports.choose(first, {first}) != first


def test_the_dotenv_file_keeps_foreign_lines_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("MINE=1")
    dotenv.write(path, {"PAYMENTS_HOME": "/a b"})
    dotenv.write(path, {"PAYMENTS_HOME": "/c d"})
    text = path.read_text()
    assert text.startswith("MINE=1\n")
    assert text.count("PAYMENTS_HOME") == 1
    assert 'PAYMENTS_HOME="/c d"' in text
    assert mode(path) == 0o600
    dotenv.remove(path)
    assert path.read_text() == "MINE=1\n"


def test_a_dotenv_file_that_was_all_ours_goes_with_the_data(tmp_path: Path) -> None:
    dotenv.write(tmp_path / ".env", {"A": "1"})
    dotenv.remove(tmp_path / ".env")
    assert not (tmp_path / ".env").exists()


def test_a_failure_quotes_the_end_of_the_log_and_says_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "primary.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    text = str(StackError("It failed.", "payments doctor", log=log))
    assert f"line {100 - LOG_LINES}\n" in text
    assert f"line {99 - LOG_LINES}\n" not in text
    assert f"Log: {log}" in text
    assert text.endswith("Next: payments doctor")


WORDS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs"), exclude_characters="\"';#\\"))


@given(folder=WORDS.filter(str.strip), value=WORDS)
def test_the_supervisor_reads_back_any_path_and_value(folder: str, value: str) -> None:
    """A folder with spaces or per cent signs must not become two words or an expansion."""
    command = (f"/{folder}/bin/postgres", "-D", f"/{folder}/data")
    text = program_section("primary", Program(command, {"HOME_OF_IT": value}), Path("/run"), Path("/log"))
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read_string(text)
    section = dict(parser["program:primary"])
    assert tuple(shlex.split(section["command"] % {})) == command
    assert dict_of_key_value_pairs(section["environment"] % {}) == {"HOME_OF_IT": value}


def test_down_and_clean_work_after_a_reset(tmp_path: Path) -> None:
    """`make reset` then `make clean` is what a person types; the lock's folder is gone by then."""
    home = Home(tmp_path / "home")
    home.create()
    home.remove(downloads=False)
    with home.lock():
        pass
