"""The checker of the fault runs is itself checked: every fault planted in a topic is named, and nothing else."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from assets_tests.faults.stream_topics import DISORDER, UNREADABLE, changes, judge_changes, judge_events, snapshot_reads
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.sample import sample
from payments_platform.contracts.streams import CHANGE_TOPICS, EVENT_SCHEMA, TopicSpec
from payments_platform.streaming import events
from payments_platform.streaming.comparison import KIND
from payments_platform.streaming.messages import MESSAGES
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, topic

pytestmark = [pytest.mark.row("O9", "X2")]
SPECS = {spec.name: spec for spec in CHANGE_TOPICS}
TABLE = dataset("raw/transactions")
AT = datetime(2026, 1, 1, tzinfo=UTC)
TOPICS = (topic("transactions"), ANALYTICS_TRANSACTIONS)


def history(table: str = "transactions") -> pl.DataFrame:
    """Three rows; the first one changed, then was deleted."""
    rows = sample(dataset(f"raw/{table}"), 3).with_columns(version=pl.lit(1, pl.Int32))
    first = rows.head(1)
    more = [first.with_columns(version=pl.lit(number, pl.Int32), op=pl.lit(op)) for number, op in ((2, "u"), (3, "d"))]
    return pl.concat([rows.with_columns(op=pl.lit("c")), *more])


def sent(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """The messages of a topic for these versions, in the order of the rows."""
    if name == ANALYTICS_TRANSACTIONS:
        known = rows.with_columns(enrichment=pl.lit(1, pl.Int8), is_deleted=pl.col("op") == "d", processed_at=AT)
        missing = [pl.lit(None, dtype).alias(name) for name, dtype in EVENT_SCHEMA.items() if name not in known.columns]
        values = [text.encode() for text in events.encode(known.with_columns(missing))]
    else:
        values = [_envelope(row) for row in rows.to_dicts()]
    numbered = [(name, 0, place, AT, b"{}", value) for place, value in enumerate(values)]
    return pl.DataFrame(numbered, schema=MESSAGES, orient="row")


def _envelope(row: dict[str, object]) -> bytes:
    """A delete shows the row before it, as the source does."""
    op = row.pop("op")
    image = {name: value for name, value in row.items() if isinstance(value, str | int | None)}
    if op == "d":
        image["version"] = int(str(image["version"])) - 1
    before, after = (image, None) if op == "d" else (None, image)
    return json.dumps({"before": before, "after": after, "op": op, "epoch": "1"}).encode()


def judged(truth: pl.DataFrame, messages: pl.DataFrame, name: str, spec: TopicSpec | None = None) -> dict[str, int]:
    """How many of each kind the checker finds."""
    if name == ANALYTICS_TRANSACTIONS:
        reads = snapshot_reads(changes(messages.clear(), TABLE), TABLE)
        found = judge_events(truth, messages, reads)
    else:
        table = dataset(f"raw/{name.split('.')[1]}")
        found = judge_changes(truth, changes(messages, table), table, spec or SPECS[name])
    return dict(found.group_by(KIND).len().iter_rows())


@pytest.mark.parametrize("name", [*SPECS, ANALYTICS_TRANSACTIONS])
def test_a_topic_that_holds_every_version_in_order_has_no_fault(name: str) -> None:
    table = "transactions" if name == ANALYTICS_TRANSACTIONS else name.split(".")[1]
    assert judged(history(table), sent(history(table), name), name) == {}


@pytest.mark.row("X2")
@pytest.mark.parametrize("op, seconds, faults", [("d", 0, {}), ("d", 1, {"changed": 1}), ("u", 0, {"changed": 1})])
def test_a_delete_is_dated_by_its_commit_whatever_the_history_says(
    op: str, seconds: int, faults: dict[str, int]
) -> None:
    """A bulk load states the time of its deletes, which the stream does not know."""
    truth = history()
    dated = truth.with_columns(pl.when(pl.col("op") == op).then(pl.lit(AT)).otherwise("updated_at").alias("updated_at"))
    committed = dated.with_columns(committed_at=pl.col("updated_at") + timedelta(seconds=seconds))
    assert judged(truth, sent(committed, ANALYTICS_TRANSACTIONS), ANALYTICS_TRANSACTIONS) == faults


@pytest.mark.parametrize("name", TOPICS)
def test_each_planted_fault_is_named_in_a_topic(name: str) -> None:
    truth = history()
    other = truth.with_columns(amount_minor=pl.lit(7, pl.Int64))
    never = truth.slice(1, 1).with_columns(transaction_id=pl.lit("txn_never"))
    planted = {
        "missing": truth.filter(pl.col("version") != 2),
        "phantom": pl.concat([truth, never]),
        "duplicate": pl.concat([truth, truth.tail(1)]),
    }
    for kind, rows in planted.items():
        assert judged(truth, sent(rows, name), name) == {kind: 1}, kind
    changed = pl.concat([truth.head(2), other.slice(2, 1), truth.tail(2)])
    assert judged(truth, sent(changed, name), name) == {"changed": 1}
    backwards = pl.concat([truth.slice(1), truth.head(1)])
    assert judged(truth, sent(backwards, name), name) == {DISORDER: 1}
    broken = sent(truth, name).with_columns(value=pl.when(pl.col("offset") == 1).then(pl.lit(b"{")).otherwise("value"))
    assert judged(truth, broken, name) == {"missing": 1, UNREADABLE: 1}


@pytest.mark.parametrize("name", TOPICS)
def test_a_key_in_two_partitions_is_out_of_order(name: str) -> None:
    """Order holds within a partition alone."""
    moved = sent(history(), name).with_columns(
        partition=pl.when(pl.col("offset") == 3).then(pl.lit(1, pl.Int32)).otherwise("partition")
    )
    assert judged(history(), moved, name)[DISORDER] >= 1


def test_a_second_copy_that_differs_is_a_duplicate_and_changed() -> None:
    truth = history()
    copies = pl.concat([truth, truth.tail(1).with_columns(status=pl.lit("failed"))])
    assert judged(truth, sent(copies, TOPICS[0]), TOPICS[0]) == {"changed": 1, "duplicate": 2}


def test_a_snapshot_stands_for_earlier_versions_and_for_no_later_one() -> None:
    truth = history().filter(pl.col("op") != "d")
    read = truth.filter(pl.col("version") == 1).with_columns(op=pl.lit("r"))
    assert judged(truth, sent(read, TOPICS[0]), TOPICS[0]) == {"missing": 1}
    later = pl.concat([truth.filter(pl.col("version") == 2).with_columns(op=pl.lit("r")), read.slice(1)])
    assert judged(truth, sent(later, TOPICS[0]), TOPICS[0]) == {}


def test_a_compacted_topic_needs_the_latest_version_alone() -> None:
    name, truth = topic("customers"), history("customers")
    assert judged(truth, sent(truth.slice(1), name), name) == {}
    assert judged(truth, sent(truth.filter(pl.col("version") < 3), name), name) == {"missing": 1}


def test_a_version_that_stays_partial_is_not_there() -> None:
    """An event that waits for its customer for ever is a payment without a person."""
    rows = sent(history(), ANALYTICS_TRANSACTIONS)
    partial = rows.with_columns(
        value=pl.col("value").cast(pl.String).str.replace('"enrichment":1', '"enrichment":0').cast(pl.Binary)
    )
    both = pl.concat([partial, rows]).with_columns(offset=pl.int_range(pl.len(), dtype=pl.Int64))
    assert judged(history(), partial, ANALYTICS_TRANSACTIONS) == {"missing": 5}
    assert judged(history(), both, ANALYTICS_TRANSACTIONS) == {}
