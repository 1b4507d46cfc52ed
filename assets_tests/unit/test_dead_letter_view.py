"""What people see of a dead letter: enough to decide, and nothing about a person. Pure."""

import orjson
import pytest

from payments_platform.streaming.dead_letter_view import LetterUnknown, name_of, parts_of, view

CARD = "4111 1111 1111 1111"
CHANGE = {
    "op": "u",
    "epoch": "1",
    "ts_ms": 1_764_000_000_000,
    "source": {"table": "transactions", "lsn": 4711},
    "after": {
        "transaction_id": "txn_1",
        "amount_minor": 1250,
        "currency": "EUR",
        "status": "succeeded",
        "description": f"Jane Doe {CARD}",
        "customer_token": "tok_ab12",
        "surprise": 4111_1111_1111_1111,
        "metadata": {"name": "Jane"},
    },
}


def test_a_change_shows_what_is_impersonal_and_the_shape_of_the_rest() -> None:
    shown = dict(view("oltp.transactions", orjson.dumps(CHANGE)))
    assert shown["op"] == "u"
    assert shown["after.amount_minor"] == "1250"
    assert (shown["after.currency"], shown["after.status"]) == ("EUR", "succeeded")
    assert (shown["source.table"], shown["source.lsn"]) == ("transactions", "4711")
    assert shown["after.description"] == "aaaa aaa 9999 9999 9999 9999"
    assert (shown["after.customer_token"], shown["after.surprise"]) == ("aaa_aa99", "9999999999999999")


@pytest.mark.parametrize(
    "content", [f"Jane {CARD}".encode(), b'"4111111111111111"', b"4111111111111111", b"\xff4111111111111111"]
)
def test_what_is_no_object_shows_its_shape_alone(content: bytes) -> None:
    """A card number is a whole JSON document, too."""
    shown = str(view("oltp.transactions", content))
    assert "4111" not in shown
    assert "Jane" not in shown


def test_revealed_values_are_as_they_were_written() -> None:
    shown = dict(view("oltp.transactions", orjson.dumps(CHANGE), reveal=True))
    assert shown["after.description"] == f"Jane Doe {CARD}"


def test_a_message_without_a_value_says_so() -> None:
    assert view("oltp.transactions", None) == [("", "nothing (a tombstone, or too large to be kept)")]


def test_a_name_leads_back_to_its_letter() -> None:
    row = {"consumer": "sink-lake", "source_topic": "a.b", "source_partition": 3, "source_offset": 17}
    assert name_of(row) == "a.b/3/17@sink-lake"
    assert parts_of(name_of(row)) == row


@pytest.mark.parametrize("text", ["", "a.b/3/17", "a.b/x/17@c", "a.b/3/17@c; drop"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(LetterUnknown, match="TOPIC/PARTITION/OFFSET@CONSUMER"):
        parts_of(text)
