"""The source is lost and a replica that lacks the last payments takes its place: on real servers, by the guide's steps.

Kafka and every store have the lost payments by then. They must be named, then taken back; what the new source says must
win over them, also under an id that the lost source had used.
"""

import subprocess
import time
from collections.abc import Iterator
from typing import Final

import polars as pl
import pytest

from assets_tests.faults.promotion import cut_off_the_replica, lose_the_primary, promote_in_its_place
from assets_tests.faults.stream_layer import STORES, SpeedLayer, running, until_true
from assets_tests.faults.stream_run import PAYMENTS, Pressure
from payments_platform.settings import load_settings
from payments_platform.streaming.capture.apply import apply
from payments_platform.streaming.capture.build import capture_of, places_of
from payments_platform.streaming.capture.connector import CONNECTOR
from payments_platform.streaming.capture.control import EpochDiffers
from payments_platform.streaming.capture.observe import observe
from payments_platform.streaming.capture.repair import repair
from payments_platform.streaming.capture.watch import Guardian
from payments_platform.streaming.comparison import KIND
from payments_platform.streaming.sinks import jobs
from payments_platform.streaming.verification import STORE

pytestmark = [
    pytest.mark.integration,
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.timeout(1500, func_only=True),
]
_SETTLE: Final = 180.0
_ID: Final = "transaction_id"
# A payment by the customer and at the merchant of one that is there.
_PAY: Final = """
    INSERT INTO oltp.transactions (transaction_id, merchant_id, customer_id, customer_token, amount, amount_minor,
                                   captured_minor, refunded_minor, currency, status)
    SELECT '{id}', merchant_id, customer_id, customer_token, {minor} / 100.0, {minor}, {minor}, 0, 'EUR', 'succeeded'
      FROM (SELECT * FROM oltp.transactions LIMIT 1) one"""
_CHANGE: Final = "UPDATE oltp.transactions SET description = '{text}' WHERE transaction_id = '{id}'"
_DELETE: Final = "DELETE FROM oltp.transactions WHERE transaction_id = '{id}'"

KEPT: Final = ("txn_kept", "txn_changed_in_the_tail", "txn_deleted_in_the_tail")
LOST: Final = ("txn_lost", "txn_lost_and_changed", "txn_paid_again_at_once", "txn_paid_again_later")


@pytest.fixture
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeedLayer]:
    with running(tmp_path_factory.mktemp("promotion"), daemon=False) as started:
        with Pressure(started.settings, 20, 3):
            time.sleep(5)
        yield started


@pytest.mark.row("X15", "S1")
def test_a_promoted_replica_that_lacks_the_last_payments_ends_in_stores_equal_to_it(layer: SpeedLayer) -> None:
    _commit_and_lose_a_tail(layer)
    promote_in_its_place(layer)
    with layer.statements("primary") as run:
        known = {str(row[0]) for row in run(f"SELECT transaction_id FROM oltp.transactions WHERE {_in(*KEPT, *LOST)}")}
        assert known == set(KEPT), "what was lost is on the promoted server: nothing was tried"
        # Customers pay on, and one whose payment was lost does so under the same id.
        run(_PAY.format(id="txn_new", minor=700))
        run(_PAY.format(id="txn_paid_again_at_once", minor=900))
    told = _payments(layer, "capture", "status")
    assert told.returncode == 1
    assert "capture_source_rewound" in told.stdout
    _assert_going_on_is_refused(layer)
    named = layer.differences()
    for store in STORES:
        phantoms = named.filter((pl.col(STORE) == store) & (pl.col(KIND) == "phantom"))[_ID].to_list()
        assert {"txn_lost", "txn_lost_and_changed", "txn_paid_again_later"} <= set(phantoms), store

    raised = _payments(layer, "capture", "raise-epoch")
    assert raised.returncode == 0, raised.stdout + raised.stderr
    # The three payments that nobody made again, and the merchant.
    assert "4 rows that the source does not have are taken back." in raised.stdout + raised.stderr
    layer.up(workers=True)
    with layer.statements("primary") as run:
        run(_PAY.format(id="txn_paid_again_later", minor=800))
        run(_CHANGE.format(id="txn_paid_again_at_once", text="changed in its new life"))
        run(_CHANGE.format(id="txn_kept", text="changed in its new life"))

    left = layer.differences(_SETTLE)
    assert left.to_dicts() == []
    _assert_the_stores_show_the_new_life(layer)
    until_true(lambda: _payments(layer, "capture", "status").returncode == 0, "capture is not well")


def _commit_and_lose_a_tail(layer: SpeedLayer) -> None:
    """A tail of payments, a change and a delete that Kafka and all stores have, and the primary lost for good."""
    with layer.statements("primary") as run:
        for id_ in KEPT:
            run(_PAY.format(id=id_, minor=500))
    until_true(lambda: observe(places_of(layer.settings)).is_slot_copied is True, "the slot is not on the replica")
    cut_off_the_replica(layer)
    with layer.statements("primary") as run:
        run("INSERT INTO oltp.merchants (merchant_id, name) VALUES ('mer_lost', 'lost with the primary')")
        for id_ in LOST:
            run(_PAY.format(id=id_, minor=600))
        run(_CHANGE.format(id="txn_lost_and_changed", text="lost"))
        run(_CHANGE.format(id="txn_changed_in_the_tail", text="lost"))
        run(_DELETE.format(id="txn_deleted_in_the_tail"))
    # Compared with the primary while it lives: nothing differs, so every store has the tail.
    assert layer.differences(_SETTLE).to_dicts() == []
    lose_the_primary(layer)


def _assert_going_on_is_refused(layer: SpeedLayer) -> None:
    """Connect has started the connector again, which by positions in the log has nothing to complain of."""
    capture = capture_of(layer.settings)
    for go_on in (apply, repair):
        with pytest.raises(EpochDiffers, match="raise-epoch"):
            go_on(capture)
    Guardian(capture, places_of(layer.settings), layer.home.run / "capture.json", is_applied=True).look()
    capture.connect.await_state(CONNECTOR, "STOPPED")


def _assert_the_stores_show_the_new_life(layer: SpeedLayer) -> None:
    settings = load_settings()
    assert settings.epoch == 2
    for sink in (jobs.mongodb_sink(settings), jobs.elasticsearch_sink(settings)):
        try:
            found = {row[_ID]: row for row in sink.read([*KEPT, *LOST, "txn_new"]).to_dicts()}
        finally:
            sink.close()
        alive = {id_: row for id_, row in found.items() if not row["is_deleted"]}
        shown = {id_: (row["epoch"], row["version"], row["amount_minor"]) for id_, row in alive.items()}
        assert shown == {
            "txn_kept": (2, 2, 500),
            "txn_changed_in_the_tail": (2, 1, 500),
            "txn_deleted_in_the_tail": (2, 1, 500),
            "txn_new": (2, 1, 700),
            "txn_paid_again_at_once": (2, 2, 900),
            "txn_paid_again_later": (2, 1, 800),
        }


def _payments(layer: SpeedLayer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PAYMENTS, *arguments], env=layer.environment, capture_output=True, text=True, check=False, timeout=300
    )


def _in(*ids: str) -> str:
    return f"transaction_id IN ({', '.join(repr(id_) for id_ in ids)})"
