"""What loading a file leaves in the source: all good rows or none, once, with what the platform needs to find them.

Belongs here: loading against the real database. Does not: the verdict on single rows (unit/test_load_judging.py).
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from assets_tests.conftest import Stack
from payments_platform.cli import app
from payments_platform.clients.postgres import connect
from payments_platform.oltp.loading import writing
from payments_platform.oltp.loading.run import Report, Source, load

pytestmark = pytest.mark.integration
HEADER = "transaction_id,created_at,customer_id,merchant_id,currency,amount,status,updated_at,country,mcc,is_fraud"
GOOD = (
    "t1,2026-02-01T10:00:00Z,c1,m1,EUR,12.50,succeeded,2026-02-03T09:00:00Z,FR,5411,false",
    "t2,2026-02-01T11:00:00Z,c1,m2,JPY,1250,,,JP,,true",
    "t3,2026-02-02T11:00:00Z,c2,m1,KWD,1.250,failed,,KW,,",
)


def written(folder: Path, *lines: str, name: str = "payments.csv") -> Path:
    """A CSV of transactions."""
    path = folder / name
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def loaded(stack: Stack, path: Path) -> Report:
    """Load as the command does."""
    source = Source(
        stack.settings.postgres("primary", "loader"),
        stack.settings.token_key(),
        datetime(2026, 6, 1, tzinfo=UTC),
        "US",
        path.parent / "rejected",
    )
    return load(path, source, lambda _done, _total: None)


def rows(stack: Stack, query: str) -> list[tuple[object, ...]]:
    """What the extract role reads."""
    with connect(stack.settings.postgres("primary", "extract"), name="tests") as session:
        return session.execute(query.encode()).fetchall()


@pytest.mark.row("D1")
def test_good_rows_arrive_with_their_event_times_and_load(empty_source: Stack, tmp_path: Path) -> None:
    """A backfill of those days finds them by history, and tells them from rows that came before by the load."""
    report = loaded(empty_source, written(tmp_path, *GOOD))
    assert (report.rows, report.inserted, report.customers, report.merchants) == (3, 3, 2, 2)
    assert (str(report.first_day), str(report.last_day)) == ("2026-02-01", "2026-02-08")
    found = rows(
        empty_source,
        "SELECT transaction_id, amount_minor, captured_minor, status, updated_at::date::text, load_id LIKE 'load-%',"
        " is_customer_known AND is_merchant_known, customer_token LIKE 'tok\\_%'"
        " FROM oltp.transactions_history WHERE version = 1 ORDER BY 1",
    )
    assert found == [
        ("t1", 1250, 1250, "succeeded", "2026-02-03", True, True, True),
        ("t2", 1250, 1250, "succeeded", "2026-02-01", True, True, True),
        ("t3", 1250, 0, "failed", "2026-02-02", True, True, True),
    ]
    merchants = "SELECT merchant_id, name, mcc, country_code, currency FROM oltp.merchants ORDER BY 1"
    assert rows(empty_source, merchants) == [("m1", "m1", "5411", "FR", "EUR"), ("m2", "m2", "5999", "JP", "JPY")]
    rates = "SELECT count(DISTINCT currency), min(rate_date)::text FROM oltp.exchange_rates"
    assert rows(empty_source, rates) == [(3, "2026-01-25")]


@pytest.mark.row("Y3")
def test_a_load_repeated_writes_nothing_twice(empty_source: Stack, tmp_path: Path) -> None:
    """People repeat a command whose terminal they closed."""
    path = written(tmp_path, *GOOD)
    loaded(empty_source, path)
    before = rows(empty_source, "SELECT h::text FROM oltp.transactions_history h ORDER BY 1")
    again = loaded(empty_source, path)
    assert (again.inserted, again.skipped, again.rejected, again.customers, again.merchants) == (0, 3, 0, 0, 0)
    assert rows(empty_source, "SELECT h::text FROM oltp.transactions_history h ORDER BY 1") == before


def test_a_row_with_other_values_is_refused_and_the_rest_goes_on(empty_source: Stack, tmp_path: Path) -> None:
    """Overwriting would change money that was counted; skipping in silence would hide that two systems disagree."""
    loaded(empty_source, written(tmp_path, *GOOD[:2]))
    report = loaded(empty_source, written(tmp_path, GOOD[0].replace("12.50", "13.50"), *GOOD[1:], name="second.csv"))
    assert (report.inserted, report.skipped, report.rejected) == (1, 1, 1)
    assert report.rejects is not None
    text = report.rejects.read_text()
    assert text.splitlines()[1].startswith('2,"transaction_id is in the source already, with other values",t1')
    assert report.rejects.stat().st_mode & 0o077 == 0


def test_ids_of_deleted_rows_are_refused(empty_source: Stack, tmp_path: Path) -> None:
    """Used again, an id would begin at version 1 below its past."""
    loaded(empty_source, written(tmp_path, *GOOD))
    with connect(empty_source.settings.postgres("primary", "app"), name="tests") as session:
        session.execute("DELETE FROM oltp.transactions WHERE transaction_id = 't1'")
        session.execute("DELETE FROM oltp.merchants WHERE merchant_id = 'm2'")
    report = loaded(empty_source, written(tmp_path, GOOD[0], GOOD[1].replace("t2", "t9"), name="second.csv"))
    assert (report.inserted, report.rejected) == (0, 2)


def test_a_load_that_breaks_leaves_nothing(
    empty_source: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file cannot be told from a whole one afterwards."""
    monkeypatch.setattr(writing, "_CHUNK_ROWS", 1)
    whole = writing._insert

    def breaks_on_the_third(session: object, chunk: object, target: writing.Load) -> object:
        if "t3" in chunk["transaction_id"].to_list():  # type: ignore[index]
            raise psycopg.OperationalError("the server went away")
        return whole(session, chunk, target)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_insert", breaks_on_the_third)
        with pytest.raises(psycopg.OperationalError):
            loaded(empty_source, written(tmp_path, *GOOD))
    assert rows(empty_source, "SELECT count(*) FROM oltp.transactions_history") == [(0,)]
    assert rows(empty_source, "SELECT count(*) FROM oltp.merchants_history") == [(0,)]
    assert loaded(empty_source, written(tmp_path, *GOOD)).inserted == 3


def test_rows_from_scattered_years_make_only_their_days(empty_source: Stack, tmp_path: Path) -> None:
    """A file with one old row must not make a partition for each day between; its dispute makes one."""
    counted = "SELECT count(*) FROM pg_class WHERE relname LIKE 'transactions\\_history\\_p%'"
    before = rows(empty_source, counted)[0][0]
    loaded(empty_source, written(tmp_path, GOOD[0], GOOD[1].replace("2026-02-01", "2012-02-01")))
    assert rows(empty_source, counted)[0][0] == before + 4  # type: ignore[operator]
    assert rows(empty_source, "SELECT sum(row_count)::int FROM oltp.default_partition_rows()") == [(0,)]


def test_the_command_says_what_to_run_next(empty_source: Stack, tmp_path: Path) -> None:
    """The rows are in the source; the platform has them only after the backfill."""
    result = CliRunner().invoke(app, ["load", str(written(tmp_path, *GOOD, "t9,x,c,m,EUR,1,,,,,"))])
    assert result.exit_code == 0, result.output
    assert "3 loaded, 0 there already, 1 rejected" in result.output
    assert "payments backfill --from 2026-02-01 --to 2026-02-08" in result.output
    assert str(empty_source.home / "loads") in result.output


def test_the_command_ends_in_one_sentence_when_it_cannot(empty_source: Stack, tmp_path: Path) -> None:
    """A traceback tells a newcomer nothing."""
    missing = CliRunner().invoke(app, ["load", str(tmp_path / "none.csv")])
    assert missing.exit_code == 1
    assert "There is no file" in missing.output
    address = replace(empty_source.settings.postgres("primary", "loader"), port=1)
    source = Source(address, empty_source.settings.token_key(), datetime(2026, 6, 1, tzinfo=UTC), "US", tmp_path)
    with pytest.raises(psycopg.OperationalError, match="port 1"):
        load(written(tmp_path, *GOOD), source, lambda _done, _total: None)
    assert not (tmp_path / "rejected").exists()


def test_a_fraud_is_known_by_its_dispute_days_later_alone(empty_source: Stack, tmp_path: Path) -> None:
    """The flag beside the payment would be known before anybody can know, and make every model look perfect."""
    more = (
        "t4,2026-02-03T10:00:00Z,c2,m1,EUR,5.00,failed,,FR,,true",
        "t5,2026-02-04T10:00:00Z,c2,m1,EUR,5.00,refunded,2026-03-01T10:00:00Z,FR,,1",
        "t6,2026-05-30T10:00:00Z,c2,m1,EUR,5.00,,,FR,,yes",
        "t7,2026-02-04T10:00:00Z,c2,m1,EUR,5.00,,,FR,,perhaps",
    )
    path = written(tmp_path, *GOOD, *more)
    report = loaded(empty_source, path)
    assert (report.inserted, report.rejected, report.disputes, report.disputes_to_come) == (6, 1, 2, 1)
    columns = "transaction_id, amount_minor, reason_code, status, created_at::text, op, is_transaction_known"
    assert rows(empty_source, f"SELECT {columns} FROM oltp.disputes_history ORDER BY 1") == [
        ("t2", 1250, "fraudulent", "needs_response", "2026-02-08 11:00:00+00", "c", True),
        ("t5", 500, "fraudulent", "needs_response", "2026-03-01 10:00:01+00", "c", True),
    ]
    steps = "SELECT transaction_id, version, previous_status, updated_at::text FROM oltp.transactions_history"
    assert rows(empty_source, f"{steps} WHERE status = 'disputed' ORDER BY 1") == [
        ("t2", 2, "succeeded", "2026-02-08 11:00:00+00"),
        ("t5", 2, "refunded", "2026-03-01 10:00:01+00"),
    ]
    assert str(report.last_day) == "2026-05-30"
    again = loaded(empty_source, path)
    assert (again.inserted, again.skipped, again.rejected, again.disputes, again.disputes_to_come) == (0, 6, 1, 0, 1)
