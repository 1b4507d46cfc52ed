"""What is not a kill: a full disk, a replica that stops under a reader, two runs of a day at once, absurd dates.

Each must end with a sentence or not be noticed at all, and the content must be that of an undisturbed run.
"""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from assets_tests.conftest import Stack
from assets_tests.faults.campaign import FIRST, LAST
from assets_tests.faults.conftest import Record, Undisturbed
from assets_tests.integration.pipeline import Platform, administrator, fresh_source
from payments_platform.batch import extract
from payments_platform.contracts.dataset import Dataset

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(600)]
_REMOUNT: Final = 32
_ABSURD: Final = {
    "txn_year_one": "0001-01-01 00:00:00+00",
    "txn_year_last": "9999-12-31 23:59:59.999999+00",
    "txn_never": "-infinity",
    "txn_always": "infinity",
    "txn_leap": "2024-02-29 12:00:00+00",
}


@contextmanager
def disk_of(folder: Path, kilobytes: int) -> Iterator[None]:
    """A disk of that size mounted on the folder; skips, by name, where nobody may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    if _mount(folder, kilobytes) != 0:
        pytest.skip(f"a small disk cannot be mounted here (needs root): {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, kilobytes: int) -> None:
    """Give a disk made by ``disk_of`` another size; what is on it stays."""
    assert _mount(folder, kilobytes, _REMOUNT) == 0


def _mount(folder: Path, kilobytes: int, flags: int = 0) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, f"size={kilobytes}k".encode()))


@pytest.mark.row("B6")
@pytest.mark.parametrize("kilobytes", [200, 1_200, 4_000])
def test_a_full_disk_is_named_and_the_next_run_on_a_larger_one_ends_as_if_nothing_had_happened(
    undisturbed: Undisturbed, record: Record, tmp_path: Path, kilobytes: int
) -> None:
    """A day that was half written when the disk was full must not count as a day."""
    platform = Platform(undisturbed.stack, tmp_path / "platform")
    with disk_of(platform.folder, kilobytes), record("full disk", f"{kilobytes:,} kB") as trial:
        result = platform.backfill(FIRST, LAST, "--no-models")
        text = " ".join(result.output.split())
        assert result.exit_code != 0, text
        assert "No space left on device" in text or "disk is full" in text.lower(), text
        assert "Traceback" not in text
        resize(platform.folder, 256_000)
        platform.built(FIRST, LAST, "--no-models")
        trial.is_equal = _is_undisturbed(platform, undisturbed)
        trial.outcome = "named; the next run made what was missing"
        assert trial.is_equal


@pytest.mark.row("B1", "B6")
def test_a_replica_that_stops_under_a_reader_is_waited_for_and_changes_nothing(
    undisturbed: Undisturbed, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first table's snapshot is held; the cut of the next one waits until the replica has gone on."""
    platform = Platform(undisturbed.stack, tmp_path)
    real, once = extract.finished, threading.Lock()

    def pausing(frame: pl.DataFrame, dataset: Dataset) -> extract.Part:
        if once.acquire(blocking=False):
            with administrator(platform.stack, "replica") as replica, administrator(platform.stack) as primary:
                replica.execute("SELECT pg_wal_replay_pause()")
                primary.execute("CREATE TABLE public.ahead AS SELECT 1 AS n")
                primary.execute("DROP TABLE public.ahead")
            threading.Timer(3.0, lambda: _resume(platform.stack)).start()
        return real(frame, dataset)

    monkeypatch.setattr(extract, "finished", pausing)
    with record("replica paused mid-extract", "first rows, 3 s") as trial:
        try:
            platform.built(FIRST, LAST, "--no-models")
        finally:
            _resume(platform.stack)
        trial.is_equal = _is_undisturbed(platform, undisturbed)
        trial.outcome = "waited for, no run needed"
        assert trial.is_equal


@pytest.mark.row("B6")
def test_two_runs_of_the_same_days_at_once_end_as_one(undisturbed: Undisturbed, record: Record, tmp_path: Path) -> None:
    """The second commit of a day must never mix with the first; whoever lost says so."""
    platform = Platform(undisturbed.stack, tmp_path)
    payments = str(Path(sys.executable).parent / "payments")
    command = [payments, "backfill", "--from", str(FIRST), "--to", str(LAST), "--no-models"]
    variables = {**os.environ, **platform.variables()}
    with record("two runs at once", f"{FIRST} to {LAST}") as trial:
        both = [
            subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(2)
        ]
        said = [process.communicate(timeout=500)[0] for process in both]
        lost = [" ".join(text.split()) for process, text in zip(both, said, strict=True) if process.returncode]
        assert all("committed by another run meanwhile" in text and "Traceback" not in text for text in lost), lost
        # Whatever stands was written whole by one of the two.
        found = platform.lake_digests()
        assert {name: found[name][1:] for name in found} == {name: undisturbed.lake[name][1:] for name in found}
        platform.built(FIRST, LAST, "--no-models")
        trial.is_equal = _is_undisturbed(platform, undisturbed)
        trial.outcome = f"{2 - len(lost)} of 2 ended well, the next run made the rest"
        assert trial.is_equal


@pytest.fixture
def absurd(stack: Stack, tmp_path: Path) -> Iterator[Platform]:
    """A source with a small day and payments created at absurd times, changed on that day; gone afterwards."""
    fresh_source(stack)
    platform = Platform(stack, tmp_path)
    simulated = platform.command("simulate", "--days", "1", "--per-day", "50", "--until", str(FIRST), "--defects", "0")
    assert simulated.exit_code == 0, simulated.output
    with administrator(stack) as session, session.transaction():
        session.execute("SET LOCAL ROLE payments_loader")
        session.execute("SELECT set_config('payments.event_time', 'row', true)")
        session.execute("SELECT set_config('payments.load_id', 'absurd', true)")
        for name, created_at in _ABSURD.items():
            session.execute(
                "INSERT INTO oltp.transactions (transaction_id, merchant_id, customer_id, customer_token, amount,"
                " amount_minor, captured_minor, refunded_minor, currency, status, created_at, updated_at)"
                " SELECT %s, merchant_id, customer_id, customer_token, 12.5, 1250, 0, 0, 'EUR', 'pending', %s,"
                f" '{FIRST} 10:00:00+00' FROM oltp.transactions LIMIT 1",
                (name, created_at),
            )
    yield platform
    fresh_source(stack)


@pytest.mark.row("B3", "B6")
def test_absurd_dates_are_quarantined_or_kept_and_never_stop_a_day(absurd: Platform, record: Record) -> None:
    """One row of the year 9999 must cost itself at most, not the day that it stands in."""
    with record("absurd dates", "years 1 and 9999, infinities, 29 February") as trial:
        absurd.built(FIRST, FIRST, "--no-models")
        names = pl.col("transaction_id").is_in(list(_ABSURD))
        bad = absurd.rows("quarantine/transactions", FIRST).filter(names)
        good = absurd.rows("clean/transactions", FIRST).filter(names)
        assert bad.height + good.height == len(_ABSURD)
        assert "txn_leap" in good["transaction_id"].to_list()
        assert {"txn_year_last", "txn_always"} <= set(bad["transaction_id"].to_list())
        before = absurd.lake_digests()
        absurd.built(FIRST, FIRST, "--no-models")
        trial.is_equal = absurd.lake_digests() == before
        trial.outcome = f"{bad.height} quarantined, {good.height} kept, the day passed twice"
        assert trial.is_equal


def _is_undisturbed(platform: Platform, undisturbed: Undisturbed) -> bool:
    return (platform.lake_digests(), platform.landing_digests()) == (undisturbed.lake, undisturbed.landing)


def _resume(stack: Stack) -> None:
    with administrator(stack, "replica") as replica:
        replica.execute("SELECT pg_wal_replay_resume()")
