"""The local stack as its users see it: idempotent, private, healing. Real servers, in a home of their own."""

import pytest

from assets_tests.conftest import Stack
from payments_platform.clients.postgres import connect
from payments_platform.settings import POSTGRES_LOGINS, POSTGRES_USERS, PostgresRole, PostgresServer

pytestmark = pytest.mark.integration

LOGINS = [(server, role) for server, roles in POSTGRES_LOGINS.items() for role in roles]


@pytest.mark.parametrize("server,role", LOGINS)
def test_every_declared_login_works_and_speaks_utc(stack: Stack, server: PostgresServer, role: PostgresRole) -> None:
    """A session in another zone would move payments to another day."""
    with connect(stack.settings.postgres(server, role)) as connection:
        row = connection.execute("SELECT current_user, current_setting('timezone')").fetchone()
    assert row == (POSTGRES_USERS[role], "UTC")
