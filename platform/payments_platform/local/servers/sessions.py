"""How many sessions each account of the source may hold, how long it may wait or idle in a transaction, in UTC.

Belongs here: the limits, with their reasons, and setting them. Does not: passwords and rights (postgres.py), grants
on tables (oltp/). Only a superuser may set them for other accounts, so they are no migration.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql


@dataclass(frozen=True)
class Limits:
    """Limits of one account; a time of "0" means none."""

    connections: int
    statement_timeout: str
    lock_timeout: str
    idle_in_transaction_session_timeout: str

    def settings(self) -> Mapping[str, str]:
        """Return the server's settings by name."""
        return {
            "statement_timeout": self.statement_timeout,
            "lock_timeout": self.lock_timeout,
            "idle_in_transaction_session_timeout": self.idle_in_transaction_session_timeout,
        }


# The connections of all accounts together stay below the server's: no account can take those of another.
LIMITS: Mapping[str, Limits] = {
    # A payment is answered in milliseconds. A transaction forgotten open would hold back the cut of a day for ever.
    "payments_app": Limits(32, "30s", "5s", "60s"),
    # One session holds the snapshot, idle, while the others read the days of a range: that may take hours.
    "payments_extract": Limits(24, "0", "30s", "6h"),
    # A bulk load is one transaction for a whole file, judged while it is open; it waits for partitions others make.
    "payments_loader": Limits(16, "0", "5min", "1h"),
    # A replication stream is one statement that never ends.
    "payments_capture": Limits(8, "0", "0", "10min"),
    # Migrations rewrite tables, and take as long as that takes.
    "payments_owner": Limits(8, "0", "0", "10min"),
}


def limit_sessions(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Set the limits of every account; doing it again changes nothing. New sessions see them, open ones do not."""
    for account, limits in LIMITS.items():
        name = sql.Identifier(account)
        connection.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(name, sql.Literal(limits.connections)))
        # A session asks for UTC itself, but a pooler does not pass that on: in another zone payments change their day.
        for setting, value in {**limits.settings(), "timezone": "UTC"}.items():
            statement = sql.SQL("ALTER ROLE {} SET {} = {}")
            connection.execute(statement.format(name, sql.Identifier(setting), sql.Literal(value)))
