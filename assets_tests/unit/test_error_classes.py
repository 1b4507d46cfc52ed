"""What the error table promises, with errors that the real clients raise without a server."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandera.polars as pandera
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pydantic
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from hypothesis import given
from hypothesis import strategies as st

from payments_platform.batch.errors import CutTimeout
from payments_platform.errors import ExplainedError
from payments_platform.operations.errors import (
    BACKOFF_CAP_SECONDS,
    ERROR_CLASSES,
    TABLE,
    Verdict,
    classify,
    retry_after,
    verdict,
)
from payments_platform.warehouse.protocol import WarehouseBusy

UNKNOWN = verdict(ZeroDivisionError())


class RowsLeftOut(ExplainedError):
    """An error of the platform's own that knows its class."""

    error_class = "partial"


def raised(act: Callable[[], object]) -> BaseException:
    """The error that ``act`` raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - which error it is, is what the test looks at
        act()
    return caught.value


def cut() -> None:
    """A connection that breaks."""
    raise ConnectionResetError


def known(act: Callable[[], object]) -> Verdict:
    """The verdict on what ``act`` raises, found in the table rather than fallen through it."""
    found = verdict(raised(act))
    assert found != UNKNOWN
    return found


@pytest.mark.row("E2")
def test_an_unknown_error_is_permanent() -> None:
    """Retrying what nobody has judged may charge or write twice."""
    assert UNKNOWN.error_class == "permanent"


@pytest.mark.row("E3")
def test_an_error_of_the_platform_may_name_its_own_class() -> None:
    assert classify(RowsLeftOut("3 of 1000 rows")) == "partial"
    assert classify(CutTimeout("the replica lags behind")) == "transient"
    assert classify(WarehouseBusy("another process has it")) == "transient"


def test_every_class_that_an_error_of_the_platform_names_is_a_known_one() -> None:
    """A misspelt class would be read as unknown and never retried."""
    named = [error for error in _all_below(ExplainedError) if getattr(error, "error_class", None) is not None]
    assert named
    assert {getattr(error, "error_class", None) for error in named} <= set(ERROR_CLASSES)


def test_every_line_of_the_table_gives_a_known_class_and_a_reason() -> None:
    assert all(entry.error_class in ERROR_CLASSES and entry.because for entry in TABLE)


# Chains


@pytest.mark.parametrize("with_cause", [True, False])
def test_a_wrapped_error_is_judged_by_what_it_wraps(with_cause: bool) -> None:
    def act() -> None:
        try:
            cut()
        except ConnectionResetError as error:
            if with_cause:
                raise ExplainedError("the source went away") from error
            raise ExplainedError("the source went away")  # noqa: B904 - the implicit context is what is tested

    assert classify(raised(act)) == "transient"


def test_the_outermost_known_error_decides() -> None:
    """A corrupt file found while recovering from a cut link stays corrupt."""

    def act() -> None:
        try:
            cut()
        except ConnectionResetError as error:
            raise pa.ArrowInvalid("no footer") from error

    assert known(act).error_class == "permanent"


def test_a_hidden_context_is_not_looked_at() -> None:
    def act() -> None:
        try:
            cut()
        except ConnectionResetError:
            raise ExplainedError("judged already") from None

    assert classify(raised(act)) == "permanent"


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = ExplainedError("a"), ExplainedError("b")
    first.__cause__, second.__cause__ = second, first
    assert classify(first) == "permanent"


@pytest.mark.parametrize(
    "members, expected",
    [
        ([TimeoutError(), TimeoutError()], "transient"),
        ([TimeoutError(), RowsLeftOut("x")], "partial"),
        ([TimeoutError(), RowsLeftOut("x"), ValueError()], "permanent"),
    ],
)
def test_a_group_is_as_bad_as_its_worst_member(members: list[Exception], expected: str) -> None:
    assert classify(ExceptionGroup("workers", members)) == expected


# The operating system


@pytest.mark.row("E1")
def test_a_network_that_fails_is_transient(tmp_path: Path) -> None:
    def refused() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses, and nobody else gets the port
            socket.create_connection(taken.getsockname(), timeout=5)

    assert known(refused).error_class == "transient"
    assert known(lambda: socket.getaddrinfo("no-such-host.invalid", 5432)).error_class == "transient"
    assert classify(TimeoutError()) == "transient"


def test_a_broken_pipe_is_transient() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert known(lambda: os.write(writer, b"x")).error_class == "transient"
    finally:
        os.close(writer)


@pytest.mark.row("E2")
@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EIO"])
def test_a_file_system_that_refuses_is_permanent(code: str) -> None:
    """A full disk stays full until a person makes room; every retry writes more onto it."""
    found = verdict(OSError(getattr(errno, code), os.strerror(getattr(errno, code))))
    assert (found.error_class, found != UNKNOWN) == ("permanent", True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_permanent_whichever_library_meets_it() -> None:
    wide = pl.DataFrame({"a": range(1_000_000)})
    # An open file, never the path: pyarrow removes the path it failed to write, and for root that is the device.
    with Path("/dev/full").open("wb", buffering=0) as full:
        assert known(lambda: wide.write_parquet(full)).error_class == "permanent"
        assert known(lambda: pq.write_table(wide.to_arrow(), full)).error_class == "permanent"
    assert Path("/dev/full").is_char_device()


def test_missing_and_forbidden_files_are_permanent(tmp_path: Path) -> None:
    assert known((tmp_path / "none").read_bytes).error_class == "permanent"
    assert classify(raised(lambda: pl.read_parquet(tmp_path / "none.parquet"))) == "permanent"


def test_exhausted_memory_and_a_person_who_stops_it_are_permanent() -> None:
    assert [verdict(error).error_class for error in (MemoryError(), KeyboardInterrupt())] == ["permanent"] * 2


# Frames and files


@pytest.fixture(params=["truncated", "empty", "text"])
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "part.parquet"
    pl.DataFrame({"a": range(10_000)}).write_parquet(path)
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"a,b\n" * 100}[request.param])
    return path


@pytest.mark.row("E2")
def test_a_broken_file_is_permanent_whichever_library_reads_it(broken: Path) -> None:
    """Reading it again gives the same bytes; the day has to be made again."""
    assert known(lambda: pl.read_parquet(broken)).error_class == "permanent"
    assert known(lambda: pl.scan_parquet(broken).collect()).error_class == "permanent"
    assert known(lambda: pq.read_table(broken)).error_class == "permanent"
    assert known(lambda: duckdb.connect().read_parquet(str(broken)).fetchall()).error_class == "permanent"


@pytest.mark.row("E2")
def test_a_frame_against_its_contract_is_permanent() -> None:
    frame = pl.DataFrame({"a": ["x"]})
    schema = pandera.DataFrameSchema({"a": pandera.Column(int)})
    assert known(lambda: frame.select("b")).error_class == "permanent"
    assert known(lambda: frame.cast(pl.Int64)).error_class == "permanent"
    assert known(lambda: schema.validate(frame)).error_class == "permanent"
    assert known(lambda: schema.validate(frame, lazy=True)).error_class == "permanent"
    assert known(lambda: pydantic.TypeAdapter(int).validate_python("x")).error_class == "permanent"


# DuckDB

_HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.mark.row("E1")
def test_a_warehouse_that_another_process_holds_is_transient(tmp_path: Path) -> None:
    path = str(tmp_path / "warehouse.duckdb")
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert known(lambda: duckdb.connect(path)).error_class == "transient"
        assert known(lambda: duckdb.connect(path, read_only=True)).error_class == "transient"
        holder.kill()
    duckdb.connect(path).close()


@pytest.mark.row("E1")
def test_transactions_that_collide_are_transient() -> None:
    connection = duckdb.connect()
    connection.execute("create table t as select 1 as i")
    one, other = connection.cursor(), connection.cursor()
    for cursor in (one, other):
        cursor.execute("begin")
    one.execute("update t set i = 2")
    assert known(lambda: other.execute("update t set i = 3")).error_class == "transient"


@pytest.mark.row("E2")
@pytest.mark.parametrize(
    "statement",
    ["insert into t values (1), (1)", "select 'x'::int", "select nope from t", "from nope", "from 'none.parquet'"],
)
def test_a_statement_that_the_warehouse_refuses_is_permanent(statement: str) -> None:
    connection = duckdb.connect()
    connection.execute("create table t(i int primary key)")
    assert known(lambda: connection.execute(statement)).error_class == "permanent"


def test_a_file_that_is_no_warehouse_is_permanent(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"x" * 10_000)
    assert known(lambda: duckdb.connect(str(path))).error_class == "permanent"


# The table itself


def test_the_table_imports_no_client_and_no_orchestrator() -> None:
    """Whatever retries imports it; it must cost nothing and bind nothing."""
    script = (
        "import sys, payments_platform.operations.errors;"
        "print(sorted({name.split('.')[0] for name in sys.modules} &"
        " {'dagster', 'dagster_dbt', 'dbt', 'psycopg', 'duckdb', 'polars', 'pyarrow', 'pandera', 'pydantic',"
        " 'adbc_driver_manager'}))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@given(st.integers(1, 10_000), st.text(max_size=20))
def test_waits_stay_within_the_backoff_and_repeat_for_the_same_step(attempt: int, seed: str) -> None:
    wait = retry_after(attempt, seed)
    assert 0 <= wait <= min(BACKOFF_CAP_SECONDS, 2.0 ** min(attempt - 1, 30))
    assert wait == retry_after(attempt, seed)


def test_steps_that_fail_together_come_back_spread_out() -> None:
    """The same wait for all would be the same stampede again."""
    waits = sorted(retry_after(7, f"step-{number}") for number in range(200))
    assert waits[20] < 15
    assert waits[180] > 45


def test_attempts_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        retry_after(0, "step")


def _all_below(base: type) -> list[type]:
    return [found for child in base.__subclasses__() for found in (child, *_all_below(child))]


def kafka_error(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


@pytest.mark.row("E1")
def test_a_broker_that_is_away_is_worth_waiting_for_and_a_fence_is_not() -> None:
    """A worker that retried as a fenced one would write beside its successor."""
    away = [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError.REBALANCE_IN_PROGRESS]
    assert {classify(kafka_error(code)) for code in away} == {"transient"}
    fenced = verdict(kafka_error(KafkaError.FENCED_INSTANCE_ID))
    assert fenced == Verdict("permanent", "another process took this worker's place")
    assert classify(kafka_error(KafkaError.MSG_SIZE_TOO_LARGE)) == "permanent"
    assert classify(raised(lambda: Producer({"no.such.setting": 1}))) == "permanent"
    assert classify(BufferError("Local: Queue full")) == "transient"
