"""The peer of `make bench-batch`: the same day from the same replica to the same answer, in PySpark on ``local[*]``.

Belongs here: extract, split, conform, aggregate as one would write them in Spark; what it leaves out is listed in
docs/benchmarks.md. Does not: comparing (peer.py). Rules come from the contract, which is engine-neutral, so both
judge by the same ones. Run by peer.py in a process of its own, with PySpark on its path; leaves result.json.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

import narwhals as nw
import polars as pl
from jgo.maven import MavenContext
from narwhals._spark_like import expr as narwhals_spark_expr
from narwhals._spark_like.utils import narwhals_to_native_dtype
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as every Spark program names it
from pyspark.sql import types as T  # noqa: N812 - likewise

from benchmarks.peer import MEASURES
from payments_platform.batch.conform import ip_network
from payments_platform.batch.extract import day_condition
from payments_platform.batch.rates import DIVISOR, RATE_E9, rates_in_force
from payments_platform.batch.source import relation, select_list
from payments_platform.batch.validate import split
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, CURATED_TRANSACTIONS, RAW_TRANSACTIONS
from payments_platform.contracts.reference import RAW_EXCHANGE_RATES

# As many ranges of blocks as keep both cores busy to the end.
_RANGES: Final = 16
_FETCH_ROWS: Final = 20_000
_PAN: Final = r"\b[2-6]\d(?:[ \u00a0\u2013-]?\d){11,17}\b"
_DRIVER: Final = (
    "org.postgresql",
    "postgresql",
    "42.7.7",
    "157963d60ae66d607e09466e8c0cdf8087e9cb20d0159899ffca96bca2528460",
)
_SUCCEEDED: Final = ("succeeded", "refunded", "partially_refunded", "disputed")


def _decimal_for_int128(dtype: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401 - narwhals' own signature
    """Spark has no 128-bit integer; a decimal of 38 digits holds the same products."""
    return T.DecimalType(38, 0) if dtype == nw.Int128 else narwhals_to_native_dtype(dtype, *more, **named)


class Day:
    """One day's run; ``seconds`` by phase, ``answer`` as bench_batch compares it."""

    def __init__(self, spark: SparkSession, jdbc: dict[str, str], folder: Path, day: date) -> None:
        self.spark, self.jdbc, self.folder, self.day = spark, jdbc, folder, day
        self.seconds: dict[str, float] = {}
        self.answer: dict[str, Any] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what is done in the block."""
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started

    def run(self) -> None:
        """All phases, each from the files of the one before."""
        with self.phase("extract"):
            rates = self.read(RAW_EXCHANGE_RATES, [day_condition(RAW_EXCHANGE_RATES, self.day)])
            self.write("rates", rates)
            self.write("raw", _masked(self.read(RAW_TRANSACTIONS, self.ranges())))
            self.reconcile()
        with self.phase("validate"):
            self.split()
        with self.phase("transform"):
            self.conform()
        with self.phase("aggregates"):
            self.aggregate()

    def ranges(self) -> list[str]:
        """The day's rows in ranges of blocks of its partition, as conditions."""
        leaf = f"oltp.transactions_history_p{self.day:%Y%m%d}"
        blocks = int(self.ask(f"SELECT pg_relation_size('{leaf}') / 8192 AS blocks")[0].blocks)
        step = -(-blocks // _RANGES)
        condition = day_condition(RAW_TRANSACTIONS, self.day)
        return [
            f"{condition} AND ctid >= '({first},0)'::tid AND ctid < '({first + step},0)'::tid"
            for first in range(0, blocks, step)
        ]

    def read(self, dataset: Dataset, conditions: list[str]) -> DataFrame:
        """Rows of a table of the replica, a task a condition, in the contract's types."""
        table = f"(SELECT {select_list(dataset, 1)}, ctid FROM {relation(dataset)}) AS source"
        if dataset is RAW_EXCHANGE_RATES:
            table = relation(dataset)
        properties = {**self.jdbc, "fetchsize": str(_FETCH_ROWS)}
        url = properties.pop("url")
        frame = self.spark.read.jdbc(url, table, predicates=conditions, properties=properties)
        return frame.select([F.col(name).cast(_type(dtype)).alias(name) for name, dtype in dataset.schema.items()])

    def ask(self, query: str) -> list[Any]:
        """A small result of the replica."""
        reader = self.spark.read.format("jdbc").options(**self.jdbc).option("query", query)
        return list(reader.load().collect())

    def reconcile(self) -> None:
        """Rows and sums of raw are what the source counts."""
        found = self.ask(
            "SELECT coalesce(currency, '') AS currency, count(*) AS row_count, sum(amount_minor) AS total"
            f" FROM {relation(RAW_TRANSACTIONS)} WHERE {day_condition(RAW_TRANSACTIONS, self.day)} GROUP BY 1"
        )
        if _facts(found) != self.facts("raw"):
            raise SystemExit("raw differs from the source")

    def split(self) -> None:
        """Clean, quarantine and the counts of both, by the contract's rules."""
        narwhals_spark_expr.narwhals_to_native_dtype = _decimal_for_int128  # type: ignore[attr-defined]
        parts = split(nw.from_native(self.frame("raw")), CLEAN_TRANSACTIONS.rules, key=CLEAN_TRANSACTIONS.primary_key)
        self.write("quarantine", parts.quarantined.to_native())
        self.write("clean", parts.clean.to_native())
        self.facts("quarantine")
        self.facts("clean")
        self.unique("clean")

    def conform(self) -> None:
        """Curated: US dollars at the last rate of the day before, half to even; nothing that points at a person."""
        rates = pl.DataFrame(self.frame("rates").toArrow()).select("currency", "rate_date", "usd_rate")
        in_force = rates_in_force(rates.lazy(), self.day)
        known = self.spark.createDataFrame(in_force.to_arrow())
        frame = self.frame("clean").withColumn("created_date", F.to_date("created_at"))
        frame = frame.join(F.broadcast(known), ["currency", "created_date"], "left")
        for name in ("amount", "captured", "refunded"):
            frame = frame.withColumn(f"{name}_usd_minor", F.expr(_usd(f"{name}_minor")))
        frame = nw.from_native(frame).with_columns(ip_network("ip_address").alias("ip_network")).to_native()
        frame = frame.withColumn("is_device_present", F.col("device_id").isNotNull())
        frame = frame.withColumn("is_deleted", F.col("op") == "d")
        self.write("curated", frame.select(list(CURATED_TRANSACTIONS.names)))
        self.facts("curated")

    def aggregate(self) -> None:
        """A row per merchant and day, with the columns of the contract that need no dimension."""
        kept = F.when(F.col("is_deleted"), 0).otherwise(1)
        frame = self.frame("curated").withColumn("kept", kept)
        daily = frame.groupBy("merchant_id", "created_date").agg(
            F.sum("kept").alias("transaction_count"),
            F.sum(F.when(F.col("status").isin(*_SUCCEEDED), F.col("kept")).otherwise(0)).alias("succeeded_count"),
            F.sum(F.when(F.col("status") == "failed", F.col("kept")).otherwise(0)).alias("failed_count"),
            F.sum(F.col("amount_usd_minor") * F.col("kept")).alias("gross_usd_minor"),
            F.sum(F.col("captured_usd_minor") * F.col("kept")).alias("captured_usd_minor"),
            F.sum(F.col("refunded_usd_minor") * F.col("kept")).alias("refunded_usd_minor"),
        )
        self.write("merchant_daily", daily)
        sums = [F.sum(name).alias(name) for name in MEASURES]
        totals = self.frame("merchant_daily").agg(F.count("*").alias("row_count"), *sums).collect()[0]
        self.answer["merchant_daily"] = {name: int(value or 0) for name, value in totals.asDict().items()}

    def write(self, name: str, frame: DataFrame) -> None:
        """Write a dataset as Snappy Parquet."""
        frame.write.mode("overwrite").parquet(str(self.folder / name))

    def frame(self, name: str) -> DataFrame:
        """Read a dataset back."""
        return self.spark.read.parquet(str(self.folder / name))

    def facts(self, name: str) -> dict[str, Any]:
        """Rows and minor units by currency of what was written."""
        groups = self.frame(name).groupBy(F.coalesce("currency", F.lit("")).alias("currency"))
        total = F.sum(F.col("amount_minor").cast(T.DecimalType(38, 0)))
        counted = _facts(groups.agg(F.count("*").alias("row_count"), total.alias("total")).collect())
        self.answer[name] = counted
        return counted

    def unique(self, name: str) -> None:
        """No key twice."""
        repeated = self.frame(name).groupBy("transaction_id").count().filter("count > 1").limit(1).count()
        if repeated:
            raise SystemExit(f"{name} has a key twice")


def _facts(groups: list[Any]) -> dict[str, Any]:
    sums = {row.currency: int(row.total or 0) for row in groups}
    return {"rows": sum(int(row.row_count) for row in groups), "sums": dict(sorted(sums.items()))}


def _masked(frame: DataFrame) -> DataFrame:
    for name in ("description", "metadata"):
        frame = frame.withColumn(name, F.regexp_replace(name, _PAN, "[PAN]"))
    return frame


def _usd(amount: str) -> str:
    """Half-even division in integers, as batch/rates.py does it."""
    product = f"(cast({amount} as decimal(19, 0)) * cast({RATE_E9} as decimal(19, 0)))"
    quotient = f"({product} div {DIVISOR})"
    twice = f"(({product} % cast({DIVISOR} as decimal(38, 0))) * 2)"
    up = f"({twice} > {DIVISOR} or ({twice} = {DIVISOR} and {quotient} % 2 = 1))"
    return f"{quotient} + case when {up} then 1 else 0 end"


def _type(dtype: pl.DataType) -> T.DataType:
    """The contract's type in Spark."""
    if isinstance(dtype, pl.Decimal):
        return T.DecimalType(dtype.precision or 38, dtype.scale)
    if isinstance(dtype, pl.Datetime):
        return T.TimestampType()
    simple: dict[Any, T.DataType] = {
        pl.String: T.StringType(),
        pl.Int64: T.LongType(),
        pl.Int32: T.IntegerType(),
        pl.Boolean: T.BooleanType(),
        pl.Date: T.DateType(),
    }
    return simple[type(dtype)]


def _driver(cache: Path) -> Path:
    """The JDBC driver, by its Maven coordinates. Raises SystemExit when the file is not the one that was tried."""
    jar: Path = MavenContext(repo_cache=cache).project(*_DRIVER[:2]).at_version(_DRIVER[2]).artifact().resolve()
    if hashlib.sha256(jar.read_bytes()).hexdigest() != _DRIVER[3]:
        raise SystemExit(f"{jar.name} is not the file that the benchmark was written with")
    return jar


def main() -> None:
    """Arguments: folder, day, driver memory. The replica's address and password come in the environment."""
    folder, day, memory = Path(sys.argv[1]), date.fromisoformat(sys.argv[2]), sys.argv[3]
    started = time.monotonic()
    settings = {
        "spark.driver.memory": memory,
        "spark.ui.enabled": "false",
        "spark.jars": str(_driver(folder / "jars")),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "16",
        "spark.local.dir": str(folder / "scratch"),
    }
    builder = SparkSession.builder.master("local[*]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    names = {"url": "PEER_URL", "user": "PEER_USER", "password": "PEER_PASSWORD"}
    jdbc = {name: os.environ[variable] for name, variable in names.items()} | {"driver": "org.postgresql.Driver"}
    run = Day(spark, jdbc, folder, day)
    run.seconds["start"] = time.monotonic() - started
    run.run()
    spark.stop()
    (folder / "result.json").write_text(json.dumps({"seconds": run.seconds, "answer": run.answer}))


if __name__ == "__main__":
    main()
