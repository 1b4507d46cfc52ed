"""PostgreSQL: the address of a server for one role, and the two ways to connect to it.

Belongs here: addresses, psycopg connections (rows, COPY) and ADBC connections (Arrow). Does not: which address to
use (settings), any SQL, any retry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode, urlsplit

from pydantic import SecretStr

if TYPE_CHECKING:
    import psycopg
    from adbc_driver_postgresql import dbapi as adbc

# Every session speaks UTC: a server or a client left in another zone would move payments to another day.
_UTC = "-c timezone=UTC"
_CONNECT_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class PostgresAddress:
    """Where one role logs in. The password shows neither in ``repr`` nor in logs."""

    host: str
    port: int
    database: str
    user: str
    password: SecretStr
    options: tuple[tuple[str, str], ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"

    def uri(self, *, name: str = "payments") -> str:
        """Return the connection URI **with the password**; for drivers only, never for a log or a message."""
        user, password = quote(self.user, safe=""), quote(self.password.get_secret_value(), safe="")
        parameters = {
            "application_name": name,
            "connect_timeout": str(_CONNECT_TIMEOUT_SECONDS),
            **dict(self.options),
        }
        # Added to what the address brings, never replaced by it.
        parameters["options"] = f"{dict(self.options).get('options', '')} {_UTC}".strip()
        query = urlencode(parameters, quote_via=quote)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{user}:{password}@{host}:{self.port}/{quote(self.database, safe='')}?{query}"


def parse_address(uri: str) -> PostgresAddress:
    """Read ``postgresql://user:password@host:port/database?option=value``.

    Raises ``ValueError`` naming the missing part, never the URI itself: it holds a password.
    """
    parts = urlsplit(uri)
    if parts.scheme not in {"postgresql", "postgres", "postgresql+psycopg2"}:
        raise ValueError("a PostgreSQL address starts with postgresql://")
    database = unquote(parts.path.lstrip("/"))
    named = {"host": parts.hostname, "user": parts.username, "database": database}
    missing = [name for name, value in named.items() if not value]
    if missing:
        raise ValueError(f"the PostgreSQL address lacks its {', '.join(missing)}")
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    return PostgresAddress(
        host=parts.hostname or "",
        port=parts.port or 5432,
        database=database,
        user=unquote(parts.username or ""),
        password=SecretStr(unquote(parts.password or "")),
        options=tuple((unquote(key), unquote(value)) for key, _, value in pairs),
    )


def connect(
    address: PostgresAddress, *, autocommit: bool = False, name: str = "payments"
) -> psycopg.Connection[tuple[object, ...]]:
    """Open a psycopg connection whose session is in UTC. Raises ``psycopg.OperationalError`` when it cannot."""
    import psycopg

    return psycopg.connect(address.uri(name=name), autocommit=autocommit)


def connect_arrow(address: PostgresAddress, *, name: str = "payments") -> adbc.Connection:
    """Open an ADBC connection: results and bulk loads are Arrow, no Python object per value."""
    from adbc_driver_postgresql import dbapi

    return dbapi.connect(address.uri(name=name))
