"""Errors that a person meets: each says what, where and what to do, leaves what was built, and the next run heals it.

Belongs here: `payments backfill` with something broken around it. Does not: kills (faults/), the classes of errors.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from assets_tests.conftest import Stack
from assets_tests.integration.pipeline import Platform, administrator, environment, fresh_source
from payments_platform.batch import cut
from payments_platform.clients.dagster import records_of
from payments_platform.clients.postgres import PostgresAddress
from payments_platform.contracts.catalogue import dataset
from payments_platform.definitions import defs
from payments_platform.defs._platform import resources
from payments_platform.settings import PostgresRole, PostgresServer, Settings, load_settings
from payments_platform.warehouse.duckdb import DuckDBWarehouse

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
DAY, EMPTY_DAY = date(2026, 3, 1), date(2026, 3, 5)
_HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture(scope="module")
def platform(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """One small day, built."""
    fresh_source(stack)
    made = Platform(stack, tmp_path_factory.mktemp("platform"))
    simulated = ("--days", "1", "--per-day", "100", "--until", str(DAY), "--seed", "7", "--defects", "0")
    result = made.command("simulate", *simulated)
    assert result.exit_code == 0, result.output
    made.built(DAY, DAY, "--no-models")
    return made


@contextmanager
def nothing_is_lost(platform: Platform) -> Iterator[None]:
    """What was built stays while something is broken, and is built again once it is mended."""
    before = platform.lake_digests(), platform.landing_digests()
    yield
    assert {name: found[1:] for name, found in platform.lake_digests().items()} == {
        name: found[1:] for name, found in before[0].items()
    }
    platform.built(DAY, DAY, "--no-models")
    assert (platform.lake_digests(), platform.landing_digests()) == before


def refusal(platform: Platform, day: date = DAY, *more: str, **variables: str) -> str:
    """The text of a backfill that must fail with a sentence and no traceback."""
    result = platform.backfill(day, day, "--no-models", *more, **variables)
    assert result.exit_code != 0, result.output
    assert "Traceback" not in result.output
    # Without the frame that is drawn around a usage error.
    return " ".join(result.output.replace("│", " ").split())


@contextmanager
def broken(platform: Platform, breaking: str, mending: str) -> Iterator[None]:
    """Something changed at the source as its administrator, and changed back."""
    with administrator(platform.stack) as connection:
        connection.execute(breaking)
        try:
            yield
        finally:
            connection.execute(mending)


@pytest.mark.row("E2")
def test_days_that_cannot_be_built_are_refused_before_anything_starts(stack: Stack, tmp_path: Path) -> None:
    platform = Platform(stack, tmp_path)
    today = datetime.now(UTC).date()
    assert f"{today} is not over yet" in refusal(platform, today)
    assert "before the first day, 2025-01-01 (PAYMENTS_FIRST_PARTITION)" in refusal(platform, date(2024, 12, 31))


@pytest.mark.slow
@pytest.mark.row("E2")
def test_a_role_without_its_policy_is_named_with_the_statement_that_mends_it(platform: Platform) -> None:
    """The table would read as empty: a day without payments, and every check green."""
    table = "oltp.transactions_history"
    enabling, disabling = (f"ALTER TABLE {table} {verb} ROW LEVEL SECURITY" for verb in ("ENABLE", "DISABLE"))
    with nothing_is_lost(platform), broken(platform, enabling, disabling):
        text = refusal(platform)
        assert f"{table} has row security and no policy that shows all rows to role payments_extract" in text
        assert f"CREATE POLICY extract_reads_all ON {table} FOR SELECT TO payments_extract USING (true)" in text


@pytest.mark.slow
@pytest.mark.row("E2")
def test_a_missing_column_is_named(platform: Platform) -> None:
    rename = "ALTER TABLE oltp.transactions_history RENAME COLUMN {} TO {}"
    breaking, mending = rename.format("ip_address", "address_of_ip"), rename.format("address_of_ip", "ip_address")
    with nothing_is_lost(platform), broken(platform, breaking, mending):
        text = refusal(platform)
        assert "oltp.transactions_history lacks ip_address, which the contract of raw/transactions names" in text


@pytest.mark.slow
@pytest.mark.row("E2", "E5")
def test_a_truncated_file_is_named_and_the_next_run_replaces_it(platform: Platform) -> None:
    """Half a file read as a whole one is half a day's money."""
    manifest = platform.lake.manifest(dataset("clean/transactions"), DAY)
    assert manifest is not None
    path = Path(platform.lake.storage.location(manifest.main.files[0].path))
    whole = path.read_bytes()
    before = platform.lake_digests()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Exception, match=rf"{path.name} has {len(whole) // 2} bytes, {len(whole)} were committed"):
        platform.rows("clean/transactions", DAY)
    platform.built(DAY, DAY, "--no-models")
    assert platform.lake_digests() == before


@pytest.mark.slow
@pytest.mark.row("E3")
def test_a_day_without_a_row_is_a_day(platform: Platform) -> None:
    """Landed as empty it is known to be empty; left out it would be looked for for ever."""
    platform.built(EMPTY_DAY, EMPTY_DAY, "--no-models")
    assert platform.rows("curated/transactions", EMPTY_DAY).is_empty()
    landed = platform.warehouse.query(
        "select row_count from operations.data_load_times"
        f" where dataset = 'landing/transactions' and partition_date = '{EMPTY_DAY}'"
    )
    assert landed["row_count"].to_list() == [0]


@pytest.mark.slow
@pytest.mark.row("E1")
def test_a_paused_replica_is_named_with_how_far_it_is_behind(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading on would miss what the replica has not seen."""
    monkeypatch.setattr(cut, "Patience", partial(cut.Patience, replica=0.5))
    with nothing_is_lost(platform), administrator(platform.stack, "replica") as replica:
        replica.execute("SELECT pg_wal_replay_pause()")
        try:
            with administrator(platform.stack) as primary:
                primary.execute("CREATE TABLE public.ahead AS SELECT 1 AS n")
                primary.execute("DROP TABLE public.ahead")
            text = refusal(platform)
        finally:
            replica.execute("SELECT pg_wal_replay_resume()")
        assert "bytes of log behind the primary and did not catch up in 0 s. See: payments status" in text


def with_addresses(platform: Platform, **changes: object) -> str:
    """What a backfill says when the source's addresses are changed so."""
    real = Settings.postgres

    def changed(self: Settings, server: PostgresServer, role: PostgresRole) -> PostgresAddress:
        address = real(self, server, role)
        return replace(address, **changes) if role == "extract" else address  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "postgres", changed)
        return refusal(platform)


@pytest.mark.slow
@pytest.mark.row("E1")
def test_a_server_that_is_away_is_named(platform: Platform) -> None:
    with nothing_is_lost(platform):
        text = with_addresses(platform, port=1)
        assert "port 1 failed" in text
        assert "Mend the cause and run the same command again" in text


@pytest.mark.slow
@pytest.mark.row("E2")
def test_a_wrong_password_is_named_and_not_tried_again(platform: Platform) -> None:
    with nothing_is_lost(platform):
        text = with_addresses(platform, password=SecretStr("wrong"))
        assert 'password authentication failed for user "payments_extract"' in text


@pytest.mark.slow
@pytest.mark.row("E1")
def test_a_warehouse_in_use_is_waited_for_and_said_so(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        resources, "_warehouse", lambda settings: DuckDBWarehouse(settings.warehouse_path, wait_seconds=1)
    )
    with nothing_is_lost(platform), subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(platform.folder / "warehouse.duckdb")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            asked = platform.command("query", "SELECT 1", "--wait", "0.5")
            assert asked.exit_code == 1
            assert f"The warehouse is in use by process {holder.pid}; waiting up to" in asked.output
            text = refusal(platform)
        finally:
            holder.kill()
        assert f"process {holder.pid} has kept the warehouse" in text
        assert "Wait for it to end, then try again" in text


@pytest.mark.row("R1")
def test_a_day_that_another_run_builds_is_refused(platform: Platform) -> None:
    """The schedule's run of two o'clock may be at work when a person types."""
    job, tags = defs.resolve_job_def("daily_oltp_to_dwh"), {"dagster/partition": str(DAY)}
    with environment(platform.variables()), records_of(load_settings()) as instance:
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
        try:
            assert f"{DAY} is being built by run {run.run_id[:8]} of daily_oltp_to_dwh" in refusal(platform)
        finally:
            instance.delete_run(run.run_id)
