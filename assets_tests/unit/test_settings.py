"""Settings: unknown environments are refused, everything else is named at its first use."""

import json
import os
from pathlib import Path

import pytest

from payments_platform.clients.postgres import PostgresAddress, parse_address
from payments_platform.settings import (
    POSTGRES_LOGINS,
    SettingInvalid,
    SettingMissing,
    load_settings,
)

PAIRS = [(server, role) for server, roles in POSTGRES_LOGINS.items() for role in roles]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test starts from no variable at all and an empty folder."""
    for name in [name for name in os.environ if name.startswith("PAYMENTS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_without_any_variable_the_environment_is_local_below_the_current_folder(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.environment == "local"
    assert settings.lake_root == tmp_path / ".local" / "lake"
    assert settings.warehouse_path == tmp_path / ".local" / "warehouse" / "warehouse.duckdb"


def test_loading_settings_creates_nothing(tmp_path: Path) -> None:
    """Importing definitions loads settings; that must leave no trace."""
    load_settings()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["prod", "Production", "dev", " local"])
def test_an_unknown_environment_is_refused_and_the_known_ones_are_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt name that fell back to another environment would write into it."""
    monkeypatch.setenv("PAYMENTS_ENVIRONMENT", name)
    with pytest.raises(SettingInvalid, match=r"^PAYMENTS_ENVIRONMENT.*local, test, staging, production\.$"):
        load_settings()


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_EPOCH", "0")
    monkeypatch.setenv("PAYMENTS_FIRST_PARTITION", "yesterday")
    with pytest.raises(SettingInvalid) as error:
        load_settings()
    assert "PAYMENTS_EPOCH" in str(error.value)
    assert "PAYMENTS_FIRST_PARTITION" in str(error.value)


@pytest.mark.parametrize("environment", ["local", "test"])
def test_a_missing_stack_names_the_command_that_makes_one(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_ENVIRONMENT", environment)
    with pytest.raises(SettingMissing, match="payments up"):
        load_settings().postgres("primary", "owner")


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize("server,role", PAIRS)
def test_a_missing_address_names_its_variable(
    environment: str, server: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYMENTS_ENVIRONMENT", environment)
    with pytest.raises(SettingMissing, match=f"PAYMENTS_{server}_{role}_URL".upper()):
        load_settings().postgres(server, role)  # type: ignore[arg-type]


def test_production_never_reads_the_files_of_a_local_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / ".local" / "config"
    config.mkdir(parents=True)
    (config / "stack.json").write_text(json.dumps({"services": {"primary": {"host": "127.0.0.1", "port": 1}}}))
    (config / "secrets.json").write_text(json.dumps({"passwords": {"payments_owner": "x"}}))
    monkeypatch.setenv("PAYMENTS_ENVIRONMENT", "production")
    with pytest.raises(SettingMissing):
        load_settings().postgres("primary", "owner")


def test_a_damaged_stack_file_is_named(tmp_path: Path) -> None:
    config = tmp_path / ".local" / "config"
    config.mkdir(parents=True)
    (config / "stack.json").write_text("{")
    with pytest.raises(SettingInvalid, match=r"stack\.json is damaged"):
        load_settings().postgres("primary", "owner")


def test_a_role_has_no_login_where_it_has_no_business() -> None:
    with pytest.raises(ValueError, match="no login on the replica"):
        load_settings().postgres("replica", "owner")


def test_an_address_survives_its_uri_and_never_shows_its_password() -> None:
    """Passwords in logs are passwords lost."""
    address = parse_address("postgresql://us%40er:p%3Aw%2F%20d@db.example.com:6432/pay%20ments?sslmode=require")
    assert (address.user, address.host, address.port, address.database) == (
        "us@er",
        "db.example.com",
        6432,
        "pay ments",
    )
    assert address.password.get_secret_value() == "p:w/ d"
    assert parse_address(address.uri()).password == address.password
    assert "p:w" not in f"{address} {address!r}"
    assert "sslmode=require" in address.uri()


@pytest.mark.parametrize("uri", ["mysql://u:secret@h/d", "postgresql://u:secret@/d", "postgresql://h/d"])
def test_an_unusable_address_is_refused_without_showing_it(uri: str) -> None:
    with pytest.raises(ValueError, match="PostgreSQL address") as error:
        parse_address(uri)
    assert "secret" not in str(error.value)


def test_addresses_with_equal_parts_are_equal() -> None:
    first, second = (parse_address("postgresql://u:p@h:1/d") for _ in range(2))
    assert isinstance(first, PostgresAddress)
    assert first == second
