"""Fixtures of the integration tests: the source database in a transaction that nothing outlives."""

from collections.abc import Iterator

import pytest

from assets_tests.conftest import Stack, empty
from assets_tests.integration.source import Source
from payments_platform.clients.postgres import connect
from payments_platform.local import sites
from payments_platform.local.home import Home
from payments_platform.local.servers.postgres import PRIMARY, superuser


@pytest.fixture(scope="module")
def emptied(stack: Stack) -> Stack:
    """The source database without a row, once for this module."""
    empty(stack)
    return stack


@pytest.fixture
def source(emptied: Stack) -> Iterator[Source]:
    """The source without a row, for one test."""
    site = sites.known_site(Home(emptied.home))
    assert site is not None
    with connect(superuser(site, PRIMARY.name, "payments"), name="tests") as connection:
        # Opens the transaction, so that what each role does is a savepoint in it.
        connection.execute("SELECT 1")
        yield Source(connection)
        connection.rollback()
