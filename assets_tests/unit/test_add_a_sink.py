"""The sink that the guide writes is a sink: fed by the worker's own handler, it keeps what every store must keep."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from prometheus_client import CollectorRegistry

from assets_tests.fakes.events import Event, current, deliveries, event, messages
from payments_platform.contracts.dead_letters import Fault
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.sinks.handler import SinkHandler
from payments_platform.streaming.sinks.protocol import Sink, Span, refusals
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "add-a-sink.md"


def of_the_guide() -> Sink:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"pl": pl, "Span": Span, "refusals": refusals}
    exec(code, names)  # noqa: S102 - the guide's own code is what is tested
    sink: Sink = names["SqliteSink"](sqlite3.connect(":memory:"))
    return sink


@pytest.mark.row("S10", "Y3")
@given(deliveries())
@settings(max_examples=30)
def test_the_sink_of_the_guide_keeps_the_later_of_two_versions(events: list[Event]) -> None:
    sink, refused = of_the_guide(), list[pl.DataFrame]()
    worker = SinkHandler(sink, refused.append, WorkerMetrics("sink-sqlite", CollectorRegistry()))
    for first in range(0, len(events), 3):
        batch = events[first : first + 3]
        assert worker.handle(messages(batch, first)) == {(ANALYTICS_TRANSACTIONS, 0): first + len(batch)}
    wanted = {key: (it["epoch"], it["version"], it["enrichment"], it["status"]) for key, it in current(events).items()}
    found = sink.read(Span()).select("transaction_id", "epoch", "version", "enrichment", "status")
    assert {row[0]: row[1:] for row in found.rows()} == wanted
    assert sum(part.height for part in refused) == 0
    sink.clear()
    assert sink.read(Span()).is_empty()
    worker.close()


@pytest.mark.row("S8")
def test_what_the_handler_refuses_is_the_message_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who decides about a letter, and a replay, need the bytes."""
    sink, refused = of_the_guide(), list[pl.DataFrame]()
    monkeypatch.setattr(sink, "write", lambda it: refusals(it, {1: (Fault.REFUSED_BY_STORE, "no")}))
    worker = SinkHandler(sink, refused.append, WorkerMetrics("sink-sqlite", CollectorRegistry()))
    given_messages = messages([event("txn_1"), event("txn_2")], 5)
    broken = messages([event("txn_3")], 7).with_columns(value=pl.lit(b"{"))
    worker.handle(pl.concat([given_messages, broken]))
    letters = pl.concat([part for part in refused if not part.is_empty()], how="diagonal")
    assert letters.select("offset", "value").rows() == [(7, b"{"), (6, given_messages["value"][1])]
    assert letters["refusal"].null_count() == 0
    worker.close()
