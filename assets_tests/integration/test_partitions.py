"""Partitions of the source: made ahead, detached when old, never a trap for an absurd date."""

from datetime import date

import pytest

from assets_tests.conftest import Stack
from assets_tests.integration.source import Source, captured, committed, pay
from payments_platform.oltp.upkeep import keep_partitions

pytestmark = pytest.mark.integration


def captured_tables(source: Source) -> list[str]:
    """The tables that have a history."""
    return [name for (name,) in source.rows("owner", "SELECT oltp.captured_tables()")]


def test_absurd_dates_make_no_partitions_and_are_watched(source: Source) -> None:
    """One row of the year 9999 must not make three million partitions."""
    with source.acting("loader") as loader:
        made = loader.execute("SELECT oltp.ensure_partitions('0001-01-01', '2010-01-03')").fetchone()
        assert made == (1 + 3 * (len(captured_tables(source))),)
        loader.execute("SELECT oltp.ensure_partitions('9999-01-01', '9999-12-31')")
    source.run("app", pay("old", "'0001-06-01'"), pay("far", "'9999-06-01'"))
    watched: dict[str, int] = dict(source.rows("extract", "SELECT * FROM oltp.default_partition_rows()"))
    assert watched["transactions"] == 2
    assert watched["transactions_history"] == 0


@pytest.mark.row("P1")
def test_months_are_made_three_ahead(source: Source) -> None:
    """A payment of the first second of a month must find its partition."""
    query = "SELECT to_regclass('oltp.transactions_p' || to_char(now() + interval '3 months', 'YYYYMM')) IS NOT NULL"
    assert source.rows("owner", query) == [(True,)]


@pytest.mark.row("P1")
def test_old_history_is_detached_and_kept_aside(source: Source) -> None:
    """Dropping is a decision of its own; the extraction only must not carry years along."""
    source.run("loader", "SELECT oltp.ensure_partitions('2020-01-01', '2020-01-02')")
    with source.acting("owner") as owner:
        gone = [name for (name,) in owner.execute("SELECT oltp.detach_history(30, '2020-02-01')").fetchall()]
    assert gone == sorted(f"{table}_history_p20200101" for table in captured_tables(source))
    assert source.rows("owner", "SELECT count(*) FROM oltp_archive.transactions_history_p20200101") == [(0,)]


@pytest.mark.row("P1")
def test_upkeep_makes_what_comes_and_detaches_what_is_old(source: Source) -> None:
    """Nobody has to remember it: a missing month would send every payment to the default partition."""
    source.run("loader", "SELECT oltp.ensure_partitions('2020-01-01', '2020-01-01')")
    with source.acting("owner") as owner:
        done = keep_partitions(owner, date(2020, 3, 15), history_days=60)
        again = keep_partitions(owner, date(2020, 3, 15), history_days=60)
    assert done.made > 0
    assert "transactions_history_p20200101" in done.detached
    assert (again.made, again.detached) == (0, ())
    assert done.default_rows == {}


def test_upkeep_tells_of_rows_that_no_partition_took(source: Source) -> None:
    source.run("app", pay("old", "'0001-06-01'"))
    with source.acting("owner") as owner:
        done = keep_partitions(owner, date(2020, 3, 15), history_days=60)
    assert done.default_rows == {"transactions": 1}
    assert "transactions 1" in done.advice


def test_rows_that_came_before_their_partition_move_into_it(empty_source: Stack) -> None:
    """Or one early row would make it impossible ever to create its month; and no change reader may see a move."""
    event = "SET LOCAL payments.event_time = '2015-03-04 05:06+00'"
    early = pay("early", "'2015-03-04'"), "UPDATE oltp.transactions SET status = 'failed'"
    committed(empty_source, "loader", event, *early)
    with captured(empty_source) as count:
        committed(empty_source, "loader", "SELECT oltp.ensure_partitions('2015-03-01', '2015-03-05')")
        assert count() == (0, 0)
    leaf = "SELECT transaction_id, version FROM oltp.transactions_p201503"
    assert committed(empty_source, "owner", leaf) == [("early", 2)]
    assert committed(empty_source, "owner", "SELECT count(*) FROM oltp.transactions_history_p20150304") == [(2,)]
    watched = committed(empty_source, "extract", "SELECT * FROM oltp.default_partition_rows()")
    assert {count for _, count in watched} == {0}
    committed(empty_source, "app", "UPDATE oltp.transactions SET status = 'succeeded'", pay("next", "'2015-03-05'"))
    assert committed(empty_source, "extract", "SELECT max(version) FROM oltp.transactions_history") == [(3,)]
