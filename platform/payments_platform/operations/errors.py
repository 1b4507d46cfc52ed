"""Which errors are worth another try: one table for every client, read by whatever retries.

Belongs here: the three classes, the table, the walk through causes, the wait between tries. Does not: the retrying
itself, any client (errors are known by name, so nothing is imported for them), Dagster.
"""

import errno
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from payments_platform.errors import ExplainedError

ErrorClass = Literal["transient", "permanent", "partial"]
"""transient: try again with backoff. permanent: fail fast. partial: go on without what failed, mark and report it."""

ERROR_CLASSES: Final[tuple[ErrorClass, ...]] = get_args(ErrorClass)
BACKOFF_SECONDS: Final = 1.0
BACKOFF_CAP_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Entry:
    """One line of the table. It holds when the error is of a named type and both patterns, where given, are found.

    ``types`` are ``<package>.<class>``, of the error or a base of it, without the module between: libraries move it.
    ``code`` is matched whole against SQLSTATE, errno name or driver status; ``says`` is searched in the text.
    """

    types: str
    error_class: ErrorClass
    because: str
    code: str | None = None
    says: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What an error is and why, for the log line that goes with the decision."""

    error_class: ErrorClass
    because: str


_POSTGRES: Final = "psycopg.Error adbc_driver_manager.Error"
# Waiting heals these. Everything PostgreSQL reports under another code (wrong data, rights, names) needs a person.
_POSTGRES_PASSING: Final = (
    r"08(000|001|003|006|007)|40(000|001|P01)|53(000|200|300)|55(006|P03)|57(P01|P02|P03|P05)|25P0[34]|72000"
)
# A refused connection carries no SQLSTATE: psycopg and ADBC pass on libpq's English text alone.
_NO_SQLSTATE: Final = "-|IO|UNKNOWN|INTERNAL"
_POSTGRES_LINK: Final = (
    r"Connection refused|Connection reset|Connection timed out|timeout expired|connection timeout"
    r"|No route to host|Network is unreachable|could not receive data|could not send data"
    r"|resolve host|translate host name|server closed the connection|connection is (closed|lost)"
    r"|terminating connection|the database system is (starting up|shutting down|in recovery|not yet accepting)"
    r"|too many clients already|remaining connection slots|SSL connection has been closed"
)
_POSTGRES_REFUSED: Final = r"authentication failed|does not exist|no pg_hba\.conf entry|is not permitted to log in"
_DUCKDB_BUSY: Final = r"Could not set lock on file|Conflicting lock|TransactionContext Error: .*[Cc]onflict"
_ERRNOS: Final = (
    "ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN ENETRESET"
    " ESTALE EAGAIN EINTR EBUSY ETXTBSY EMFILE ENFILE ENOBUFS"
).replace(" ", "|")

# A broker that is away, a leader or a group in motion, a queue that is full for now, a topic that is not there yet.
_KAFKA_PASSING: Final = (
    "_TRANSPORT _ALL_BROKERS_DOWN _RESOLVE _TIMED_OUT _TIMED_OUT_QUEUE _MSG_TIMED_OUT _QUEUE_FULL _RETRY"
    " _DESTROY_BROKER _WAIT_COORD _WAIT_CACHE _IN_PROGRESS _PREV_IN_PROGRESS _ASSIGNMENT_LOST _MAX_POLL_EXCEEDED"
    " _ISR_INSUFF _NODE_UPDATE _PARTITION_EOF _UNKNOWN_TOPIC _UNKNOWN_PARTITION _PURGE_QUEUE _PURGE_INFLIGHT _NO_OFFSET"
    " BROKER_NOT_AVAILABLE NETWORK_EXCEPTION REQUEST_TIMED_OUT THROTTLING_QUOTA_EXCEEDED STALE_BROKER_EPOCH"
    " LEADER_NOT_AVAILABLE NOT_LEADER_FOR_PARTITION FENCED_LEADER_EPOCH UNKNOWN_LEADER_EPOCH REPLICA_NOT_AVAILABLE"
    " NOT_ENOUGH_REPLICAS NOT_ENOUGH_REPLICAS_AFTER_APPEND KAFKA_STORAGE_ERROR OFFSET_NOT_AVAILABLE NOT_CONTROLLER"
    " COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR CONCURRENT_TRANSACTIONS"
    " UNSTABLE_OFFSET_COMMIT REBALANCE_IN_PROGRESS ILLEGAL_GENERATION UNKNOWN_MEMBER_ID MEMBER_ID_REQUIRED"
    " STALE_MEMBER_EPOCH UNRELEASED_INSTANCE_ID UNKNOWN_TOPIC_OR_PART UNKNOWN_TOPIC_ID FETCH_SESSION_ID_NOT_FOUND"
    " INVALID_FETCH_SESSION_EPOCH TRANSACTION_ABORTABLE"
).replace(" ", "|")
_KAFKA_FENCED: Final = (
    "_FENCED FENCED_INSTANCE_ID PRODUCER_FENCED INVALID_PRODUCER_EPOCH TRANSACTION_COORDINATOR_FENCED"
    " FENCED_MEMBER_EPOCH"
).replace(" ", "|")

# An election, a shutdown, another session in the way, a limit of the moment: MongoDB's own list of what to try again.
_MONGODB_PASSING: Final = (
    "6 7 11 24 50 64 89 91 112 133 134 189 202 246 251 262 317 9001 10107 11600 11602 13388 13435 13436"
).replace(" ", "|")

# The first line that holds decides, so exceptions to a line stand above it. What no line knows is permanent. Clients
# to come (S3, Snowflake) add their lines in a block of their own.
TABLE: Final[tuple[Entry, ...]] = (
    # PostgreSQL, through psycopg and through ADBC
    Entry(_POSTGRES, "permanent", "the server refuses this login or database", _NO_SQLSTATE, _POSTGRES_REFUSED),
    Entry(_POSTGRES, "transient", "the server is away, restarting or full", _NO_SQLSTATE, _POSTGRES_LINK),
    Entry(_POSTGRES, "transient", "the driver waited longer than allowed", "TIMEOUT"),
    Entry(_POSTGRES, "transient", "the statement ran longer than allowed", "57014", "timeout"),
    Entry(_POSTGRES, "transient", "other sessions or a restart stood in the way", _POSTGRES_PASSING),
    Entry(_POSTGRES, "permanent", "the server refuses the statement or its data", r"\w{5}"),
    # DuckDB, and dbt on it, which repeats DuckDB's text in an error of its own
    Entry("duckdb.IOException", "transient", "another process has the warehouse open", says=_DUCKDB_BUSY),
    Entry("duckdb.TransactionException", "transient", "another transaction changed the same rows", says=_DUCKDB_BUSY),
    Entry("duckdb.ConnectionException", "transient", "this process still has the warehouse open otherwise",
          says="different configuration"),
    Entry("duckdb.OutOfMemoryException", "permanent", "the same work needs the same memory again"),
    Entry("duckdb.Error", "permanent", "the warehouse refuses the statement, its data or its file"),
    Entry("dbt_common.DbtBaseException", "transient", "another process has the warehouse open", says=_DUCKDB_BUSY),
    Entry("dagster_dbt.DagsterDbtCliRuntimeError", "transient", "another process has the warehouse open",
          says=_DUCKDB_BUSY),
    Entry("dagster_dbt.DagsterDbtError", "permanent", "a model, a test or the dbt project is at fault"),
    # Frames, files and what describes them
    Entry("polars.PolarsError", "permanent", "the file or the frame is not what its contract says"),
    Entry("polars.PanicException", "permanent", "the engine met a state it does not know"),
    Entry("pyarrow.ArrowException", "permanent", "the file or the table is not what its contract says"),
    Entry("pandera.SchemaError", "permanent", "the frame breaks its contract"),
    Entry("pandera.SchemaErrors", "permanent", "the frame breaks its contract"),
    Entry("pydantic_core.ValidationError", "permanent", "a value does not have its declared form"),
    # Kafka, by the name of its error code
    Entry("cimpl.KafkaException", "permanent", "another process took this worker's place", _KAFKA_FENCED),
    Entry("cimpl.KafkaException", "transient", "the broker, the group or the topic is away or in motion",
          _KAFKA_PASSING),
    Entry("cimpl.KafkaException", "permanent", "the broker refuses the message, the request or the login"),
    Entry("builtins.BufferError", "transient", "the producer's queue is full"),
    # MongoDB, by the number of its error code
    Entry("pymongo.AutoReconnect pymongo.WaitQueueTimeoutError", "transient", "the server is away or in an election"),
    Entry("pymongo.OperationFailure", "transient", "the server is in motion or busy", _MONGODB_PASSING),
    Entry("pymongo.PyMongoError", "permanent", "the server refuses the command, its data or the login"),
    # Elasticsearch, by HTTP status
    Entry("elastic_transport.ConnectionError elastic_transport.ConnectionTimeout", "transient", "the engine is away"),
    Entry("elasticsearch.ApiError", "transient", "the engine is starting, busy or full for now", "429|502|503|504"),
    Entry("elasticsearch.ApiError", "permanent", "the engine refuses the request or the login"),
    # The operating system. A full disk (ENOSPC, EDQUOT) stays full until a person makes room; trying again writes more.
    Entry("socket.gaierror", "transient", "the name was not resolved, as happens while a host is replaced"),
    Entry("ssl.SSLCertVerificationError", "permanent", "the server's certificate is not trusted"),
    Entry("builtins.TimeoutError", "transient", "the answer did not come in time"),
    Entry("builtins.ConnectionError", "transient", "the connection broke"),
    Entry("builtins.OSError", "transient", "the system or the network was busy or away", code=_ERRNOS),
    Entry("builtins.OSError", "permanent", "the system refuses: full, missing, read-only or forbidden", code=r"E\w+"),
    Entry("builtins.MemoryError", "permanent", "the same work needs the same memory again"),
    Entry("builtins.KeyboardInterrupt", "permanent", "a person stopped it"),
)  # fmt: skip

_UNKNOWN: Final = Verdict("permanent", "no line of the error table knows it, and a retry might repeat an effect")


def classify(error: BaseException) -> ErrorClass:
    """Say what to do about an error; see ``verdict``."""
    return verdict(error).error_class


def verdict(error: BaseException) -> Verdict:
    """Decide by the first error of the chain, from the one raised inwards to its causes, that is known.

    Known is an ``ExplainedError`` with an ``error_class`` attribute, or what a line of the table describes. A group
    is as bad as its worst member. Unknown errors are permanent: retrying them may charge, send or write twice.
    """
    for link in _chain(error):
        found = _of_group(link) if isinstance(link, BaseExceptionGroup) else _of_one(link)
        if found is not None:
            return found
    return _UNKNOWN


def retry_after(attempt: int, seed: str) -> float:
    """Seconds to wait before try ``attempt`` + 1: exponential (1, 2, 4 … at most 60) with full jitter.

    ``seed`` tells the steps of a run apart, or they would all come back at the same moment. Same arguments, same wait.
    Raises ValueError for an attempt below 1.
    """
    if attempt < 1:
        raise ValueError(f"attempts are counted from 1, not {attempt}")
    ceiling = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2.0 ** min(attempt - 1, 30))
    return random.Random(f"{seed}:{attempt}").uniform(0.0, ceiling)  # noqa: S311 - spreads load, guards nothing


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, as Python would print it: ``from None`` ends the chain, a loop is cut."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        yield link
        seen.add(id(link))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _of_one(error: BaseException) -> Verdict | None:
    own = getattr(error, "error_class", None) if isinstance(error, ExplainedError) else None
    if own in ERROR_CLASSES:
        return Verdict(own, f"{type(error).__name__} says so itself")
    names = {f"{base.__module__.split('.')[0].lstrip('_')}.{base.__name__}" for base in type(error).__mro__}
    code, text = _code(error), str(error)
    for entry in TABLE:
        if (
            not names.isdisjoint(entry.types.split())
            and (entry.code is None or re.fullmatch(entry.code, code))
            and (entry.says is None or re.search(entry.says, text))
        ):
            return Verdict(entry.error_class, entry.because)
    return None


def _of_group(group: BaseExceptionGroup[BaseException]) -> Verdict:
    """Permanent if any member is, else partial if any is: a retry would repeat what cannot be healed."""
    members = [verdict(member) for member in group.exceptions]
    return min(members, key=lambda member: ("permanent", "partial", "transient").index(member.error_class))


def _code(error: BaseException) -> str:
    """SQLSTATE, errno name, driver status, Kafka's name of the code or a number; "-" when the error carries none."""
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str) and sqlstate:
        return sqlstate
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0, "-")
    named = getattr(error.args[0] if error.args else None, "name", None)
    if callable(named):
        return str(named())
    # MongoDB's code, or HTTP's status where the error is an answer.
    told = next((it for name in ("code", "status_code") if isinstance(it := getattr(error, name, None), int)), None)
    return str(getattr(told, "name", "-" if told is None else told))
