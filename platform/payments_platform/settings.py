"""What differs between environments: names, folders, addresses. The only reader of environment variables.

Belongs here: typed settings, and where each environment finds its addresses and passwords. Does not: connections
(clients/), writing the files of the local stack (local/), defaults that only one room knows.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, assert_never, get_args

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from payments_platform.clients.mail import Mail, parse_mail
from payments_platform.clients.pagerduty import EVENTS_URL
from payments_platform.clients.postgres import PostgresAddress, parse_address
from payments_platform.errors import ExplainedError

Environment = Literal["local", "test", "staging", "production"]
PostgresServer = Literal["primary", "replica", "platform"]
PostgresRole = Literal["owner", "app", "extract", "capture", "loader", "dagster"]

# Who may log in where. The replica is for extraction alone; the platform instance holds Dagster's own records.
POSTGRES_LOGINS: Mapping[PostgresServer, tuple[PostgresRole, ...]] = {
    "primary": ("owner", "app", "extract", "capture", "loader"),
    "replica": ("extract",),
    "platform": ("dagster",),
}
POSTGRES_USERS: Mapping[PostgresRole, str] = {
    "owner": "payments_owner",
    "app": "payments_app",
    "extract": "payments_extract",
    "capture": "payments_capture",
    "loader": "payments_loader",
    "dagster": "dagster",
}
POSTGRES_DATABASES: Mapping[PostgresServer, str] = {"primary": "payments", "replica": "payments", "platform": "dagster"}

# What points the speed layer to servers that somebody else runs, by the name of the one that it replaces.
STREAM_VARIABLES: Mapping[str, str] = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "connect": "CONNECT_URL",
    "mongodb": "MONGODB_URI",
    "elasticsearch": "ELASTICSEARCH_URL",
}

EPOCH_VARIABLE = "PAYMENTS_EPOCH"
_EPOCH_FILE = "epoch"


class SettingMissing(ExplainedError):
    """A setting that is needed now has no value. The text names the variable or the command that provides it."""


class SettingInvalid(ExplainedError):
    """A setting has a value that cannot be used. An unknown environment is one: falling back would write elsewhere."""


@dataclass(frozen=True)
class TokenKey:
    """The key that customer tokens are minted with; its id is stored beside each token."""

    key_id: str
    key: SecretStr


@dataclass(frozen=True)
class AlertAccess:
    """How alerts reach people. What is None has no credentials: its messages are written to the log and kept."""

    slack_webhook: SecretStr | None = None
    slack_token: SecretStr | None = None
    slack_channel: str = ""
    slack_api: str = "https://slack.com/api/"
    pagerduty_key: SecretStr | None = None
    pagerduty_url: str = EVENTS_URL
    mail: Mail | None = None
    heartbeat: SecretStr | None = None


class Settings(BaseSettings):
    """All settings, read once from ``PAYMENTS_*`` variables. Building it touches no file and no server."""

    model_config = SettingsConfigDict(env_prefix="PAYMENTS_", frozen=True, extra="ignore")

    environment: Environment = Field(
        "local", description="local, test, staging or production; anything else is refused."
    )
    home: Path = Field(
        default_factory=lambda: Path.cwd() / ".local", description="Folder of all data of the local stack."
    )
    downloads: Path = Field(
        default_factory=lambda data: data["home"] / "cache",
        description="Folder of the Java servers' files, fetched once; `cache` in the home, or one that homes share.",
    )
    lake_root: Path = Field(default_factory=lambda data: data["home"] / "lake", description="Root folder of the lake.")
    warehouse_path: Path = Field(
        default_factory=lambda data: data["home"] / "warehouse" / "warehouse.duckdb",
        description="The DuckDB file of the warehouse.",
    )
    first_partition: date = Field(date(2025, 1, 1), description="First day that has a partition.")
    epoch: int = Field(
        1,
        ge=1,
        description="Raised after every failover or restore of the source database, by `payments capture raise-epoch`.",
    )
    days_per_run: int = Field(30, ge=1, description="Days that one run of a backfill takes.")
    history_days: int = Field(400, ge=2, description="Days that the source keeps its history tables.")
    alert_on_freshness: bool | None = Field(
        None,
        description="Whether alerts tell of late data and streams; left out, where jobs start by themselves"
        " (staging, production).",
    )
    ui_url: str = Field("", description="Address of the Dagster UI in messages; that of the local stack if empty.")
    runbooks_url: str = Field(
        "", description="Address below which messages find docs/runbooks; they name the file if it is empty."
    )

    largest_change_mib: int = Field(
        8,
        ge=8,
        le=64,
        description="Largest change of a row that is captured, in MiB; a larger one stops capture until raised.",
    )
    flush_records: int = Field(10_000, ge=1, description="Messages of a partition that the lake sink writes at once.")
    flush_seconds: int = Field(300, ge=1, description="Longest time that the lake sink holds a message.")

    @field_validator("home", "downloads", "lake_root", "warehouse_path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    def postgres(self, server: PostgresServer, role: PostgresRole) -> PostgresAddress:
        """Return the address of ``server`` for ``role``; raises ``SettingMissing`` at first use, not at import."""
        if role not in POSTGRES_LOGINS[server]:
            raise ValueError(f"role {role!r} has no login on the {server} server")
        match self.environment:
            case "local" | "test":
                return self._stack_address(server, role)
            case "staging" | "production":
                return self._variable_address(server, role)
            case _:
                assert_never(self.environment)

    def kafka_servers(self) -> str:
        """Return the brokers to bootstrap from, as ``host:port,…``."""
        return self._stream_address("kafka", "{host}:{port}")

    def connect_url(self) -> str:
        """Return the address of Kafka Connect's REST interface."""
        return self._stream_address("connect", "http://{host}:{port}")

    def mongodb_uri(self) -> SecretStr:
        """Return the connection string of the document store; it may hold a password."""
        return SecretStr(self._stream_address("mongodb", "mongodb://{host}:{port}"))

    def elasticsearch_url(self) -> str:
        """Return the address of the search engine."""
        return self._stream_address("elasticsearch", "http://{host}:{port}")

    def lacking(self) -> dict[str, str]:
        """Return the servers of the speed layer that have no address here, each with the sentence that says why."""
        found = {}
        for server in STREAM_VARIABLES:
            try:
                self._stream_address(server, "{host}")
            except SettingMissing as why:
                found[server] = str(why)
        return found

    def export(self) -> None:
        """Put what Dagster and dbt read from the environment there, so that they use this home and no other.

        Raises SettingMissing before the first ``payments up``.
        """
        address = self.postgres("platform", "dagster").uri(name="payments-dagster")
        os.environ.update(
            DAGSTER_HOME=str(self.home / "dagster"),
            PAYMENTS_HOME=str(self.home),
            PAYMENTS_WAREHOUSE_PATH=str(self.warehouse_path),
            # Dagster speaks psycopg2's dialect, and the plain scheme means another driver since SQLAlchemy 2.1.
            PAYMENTS_PLATFORM_DAGSTER_URL=address.replace("postgresql://", "postgresql+psycopg2://", 1),
        )

    def keep_epoch(self, epoch: int) -> None:
        """Make a raised epoch permanent in the home of a local stack. Elsewhere PAYMENTS_EPOCH must have it already.

        Raises SettingInvalid where a variable says otherwise: the next program would capture under an old epoch.
        """
        if epoch != self.epoch and (EPOCH_VARIABLE in os.environ or self.environment in {"staging", "production"}):
            raise SettingInvalid(f"Set {EPOCH_VARIABLE}={epoch} wherever programs of the platform run, then run again.")
        if self.environment in {"local", "test"}:
            kept = self.home / "config" / _EPOCH_FILE
            partial = kept.with_name(f".{kept.name}.partial")
            partial.write_text(f"{epoch}\n", encoding="ascii")
            partial.replace(kept)

    def token_key(self) -> TokenKey:
        """Return the key that customer tokens are minted with. Losing it makes one person two in every store."""
        match self.environment:
            case "local" | "test":
                minted = _read(self.home / "config" / "secrets.json")["token_key"]
                return TokenKey(minted["id"], SecretStr(minted["key"]))
            case "staging" | "production":
                key_id, key = _variable("PAYMENTS_TOKEN_KEY_ID"), _variable("PAYMENTS_TOKEN_KEY")
                return TokenKey(key_id, SecretStr(key))
            case _:
                assert_never(self.environment)

    def alert_access(self) -> AlertAccess:
        """Return the credentials of the alerts' channels that the environment holds."""
        names = ("SLACK_WEBHOOK_URL", "SLACK_BOT_TOKEN", "PAGERDUTY_ROUTING_KEY", "SMTP_URL", "ALERTS_HEARTBEAT_URL")
        webhook, token, key, smtp, heartbeat = (_optional_secret(name) for name in names)
        channel = os.environ.get("SLACK_CHANNEL", "")
        if token and not webhook and not channel:
            raise SettingMissing("SLACK_BOT_TOKEN needs SLACK_CHANNEL: the channel that the bot posts to.")
        try:
            sender, readers = os.environ.get("ALERT_EMAIL_FROM", ""), os.environ.get("ALERT_EMAIL_TO", "")
            mail = parse_mail(smtp.get_secret_value(), sender, readers) if smtp else None
        except ValueError as problem:
            raise SettingInvalid(f"SMTP_URL, ALERT_EMAIL_FROM, ALERT_EMAIL_TO: {problem}.") from None
        return AlertAccess(
            slack_webhook=webhook,
            slack_token=token,
            slack_channel=channel,
            slack_api=os.environ.get("SLACK_API_URL", AlertAccess.slack_api),
            pagerduty_key=key,
            pagerduty_url=os.environ.get("PAGERDUTY_EVENTS_URL", EVENTS_URL),
            mail=mail,
            heartbeat=heartbeat,
        )

    def ui_address(self) -> str:
        """Return where people open the asset graph, "" when that is not known."""
        stack = self.home / "config" / "stack.json"
        if self.ui_url or not stack.exists():
            return self.ui_url
        return str(_read(stack)["services"].get("webserver", {}).get("url", ""))

    def _stack_address(self, server: PostgresServer, role: PostgresRole) -> PostgresAddress:
        services = _read(self.home / "config" / "stack.json")["services"]
        passwords = _read(self.home / "config" / "secrets.json")["passwords"]
        user = POSTGRES_USERS[role]
        if server not in services or user not in passwords:
            raise SettingMissing(f"The stack in {self.home} has no {server} server yet. Run: payments up")
        return PostgresAddress(
            host=services[server]["host"],
            port=services[server]["port"],
            database=POSTGRES_DATABASES[server],
            user=user,
            password=SecretStr(passwords[user]),
        )

    def _stream_address(self, server: str, form: str) -> str:
        """The variable wins in every environment; only a local stack is found without one."""
        variable = STREAM_VARIABLES[server]
        if os.environ.get(variable) or self.environment in {"staging", "production"}:
            return _variable(variable)
        services = _read(self.home / "config" / "stack.json")["services"]
        if server not in services:
            raise SettingMissing(
                f"The stack in {self.home} has no {server} server. Run: payments up, or set {variable}"
            )
        return form.format(**services[server])

    def _variable_address(self, server: PostgresServer, role: PostgresRole) -> PostgresAddress:
        name = f"PAYMENTS_{server}_{role}_URL".upper()
        try:
            return parse_address(_variable(name))
        except ValueError as problem:
            raise SettingInvalid(f"{name}: {problem}.") from None


def load_settings() -> Settings:
    """Read the settings from the environment, and the epoch that the home keeps if no variable names another.

    Raises ``SettingInvalid`` naming each variable that cannot be used.
    """
    try:
        settings = Settings()
        return settings.model_copy(update={"epoch": _kept_epoch(settings)})
    except ValidationError as error:
        # A setting that is derived from a wrong one is not wrong itself.
        faults = [item for item in error.errors(include_input=False) if item["type"] != "default_factory_not_called"]
        problems = [_problem(item["loc"], item["msg"]) for item in faults]
        raise SettingInvalid("\n".join(problems)) from None


def _kept_epoch(settings: Settings) -> int:
    """A home keeps its epoch beside its data. One that cannot be read must not be taken for the first."""
    kept = settings.home / "config" / _EPOCH_FILE
    if EPOCH_VARIABLE in os.environ or settings.environment not in {"local", "test"} or not kept.is_file():
        return settings.epoch
    try:
        return int(kept.read_text(encoding="ascii"))
    except ValueError:
        raise SettingInvalid(f"{kept} holds no number. Set {EPOCH_VARIABLE}, or write the epoch into it.") from None


def servers_elsewhere() -> frozenset[str]:
    """Return the names of the speed layer's servers that a variable points to, so that none is started here."""
    return frozenset(name for name, variable in STREAM_VARIABLES.items() if os.environ.get(variable))


def variables_elsewhere() -> dict[str, str]:
    """Return the variables that point to servers elsewhere, for a process that must find the same ones."""
    return {variable: os.environ[variable] for variable in STREAM_VARIABLES.values() if os.environ.get(variable)}


def is_continuous_integration() -> bool:
    """Say whether nobody watches this run: what a person would be told is left out must fail it."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def java_home() -> Path | None:
    """Return the Java that this machine's owner chose by JAVA_HOME, as every Java program understands it."""
    chosen = os.environ.get("JAVA_HOME")
    return Path(chosen) if chosen else None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    name = f"PAYMENTS_{'_'.join(str(part) for part in location)}".upper()
    known = f" Known environments: {', '.join(get_args(Environment))}." if name == "PAYMENTS_ENVIRONMENT" else ""
    return f"{name}: {message}.{known}"


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingMissing(f"The environment variable {name} is not set. Set it and run again.")
    return value


def _optional_secret(name: str) -> SecretStr | None:
    value = os.environ.get(name)
    return SecretStr(value) if value else None


def _read(path: Path) -> dict[str, Any]:
    """Read a file that ``payments up`` wrote."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingMissing(f"There is no local stack yet: {path} is missing. Run: payments up") from None
    except PermissionError:
        raise SettingMissing(f"{path} belongs to another user; use the account that ran payments up.") from None
    except json.JSONDecodeError as error:
        raise SettingInvalid(f"{path} is damaged (line {error.lineno}). Run: payments up") from None
    return content
