"""Which versions stand as dead letters: by the state of each letter, and by whose it is. Pure frames."""

from typing import Any

import polars as pl
import pytest

from assets_tests.fakes.events import event, frame
from assets_tests.fakes.letters import AT, end, letter
from payments_platform.contracts.dead_letters import ENDS as END_STATES
from payments_platform.contracts.dead_letters import LetterState
from payments_platform.streaming.dead_letter_ledger import ENDS
from payments_platform.streaming.dead_letters import LETTERS
from payments_platform.streaming.excuses import REFUSED, excused, once, replayed, standing
from payments_platform.streaming.message_version import version_of
from payments_platform.streaming.sinks.lake_files import rows_of
from payments_platform.streaming.verification import VERSION
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

VALUE = b'{"op":"u","before":null,"after":{"transaction_id":"txn_1","version":3}}'


def stands(found: list[dict[str, Any]], ended: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Payment, version and consumer of what stands."""
    rows = standing(pl.DataFrame(found, schema=LETTERS), pl.DataFrame(ended, schema=ENDS))
    assert rows.schema == REFUSED
    return sorted(rows.rows())


@pytest.mark.row("O9", "X2")
@pytest.mark.parametrize("state", END_STATES)
def test_a_letter_that_was_written_again_excuses_nobody_and_any_other_does(state: LetterState) -> None:
    """A store that never took what was replayed to it has lost it."""
    one = letter(5, value=VALUE)
    is_written_again = state in {LetterState.REPLAYED, LetterState.REPAIRED}
    assert stands([one], [end(one, state, 9)]) == ([] if is_written_again else [("txn_1", 3, "processor")])


@pytest.mark.row("O9", "X2")
def test_letters_that_wait_for_a_person_stand_open_or_parked() -> None:
    later = VALUE.replace(b"3", b"4")
    assert stands([letter(5, value=VALUE), letter(6, value=later)], []) == [
        ("txn_1", 3, "processor"), ("txn_1", 4, "processor"),
    ]  # fmt: skip


@pytest.mark.row("O9", "X2")
def test_a_message_refused_again_after_its_replay_stands_by_its_new_letter() -> None:
    first, second = letter(5, value=VALUE), letter(9, value=VALUE)
    assert stands([first, second], [end(first, LetterState.REPLAYED, 9)]) == [("txn_1", 3, "processor")]
    both = [end(first, LetterState.REPLAYED, 9), end(second, LetterState.REPAIRED, 11)]
    assert stands([first, second], both) == []


@pytest.mark.row("O9", "X2")
def test_an_end_is_of_one_letter_and_not_of_another_consumers_or_an_earlier_topics() -> None:
    """A topic that was made again begins at offset 0 with other messages."""
    mine, other = letter(5, value=VALUE), letter(5, value=VALUE, consumer="sink-lake")
    assert stands([mine, other], [end(mine, LetterState.REPLAYED, 9)]) == [("txn_1", 3, "sink-lake")]
    before = letter(5, value=VALUE, source_at=AT.replace(year=2025))
    assert stands([mine], [end(before, LetterState.REPLAYED, 9)]) == [("txn_1", 3, "processor")]


def test_a_letter_written_twice_or_without_a_version_counts_once_or_not_at_all() -> None:
    twice = [letter(5, value=VALUE), letter(5, value=VALUE, letter_offset=6)]
    unreadable = [letter(6, value=b"{"), letter(7, value=None), letter(8, value=b'{"op":"u"}')]
    assert stands([*twice, *unreadable], []) == [("txn_1", 3, "processor")]
    assert stands([], []) == []


def test_only_the_consumers_asked_for_excuse() -> None:
    refused = pl.DataFrame([("a", 1, "processor"), ("a", 1, "sink-lake"), ("b", 1, "sink-lake")], REFUSED, orient="row")
    assert excused(refused, "processor").rows() == [("a", 1)]
    assert excused(refused, "processor", "sink-lake").sort("transaction_id").rows() == [("a", 1), ("b", 1)]
    assert excused(refused, "sink-mongodb").schema == VERSION


@pytest.mark.row("O9", "X2")
def test_a_message_that_was_written_again_counts_once_and_a_true_duplicate_twice() -> None:
    """Each replay for one store would be a difference in two others, for as long as the topic keeps it."""
    one, other = event("txn_1", 3), event("txn_2", 1)
    rows = rows_of(frame([one, other, other, one, one]))
    letters = [letter(n, source_topic=ANALYTICS_TRANSACTIONS, consumer="sink-lake") for n in (0, 3)]
    ended = [end(letters[0], LetterState.REPLAYED, 3), end(letters[1], LetterState.REPAIRED, 4)]
    places = replayed(pl.DataFrame(ended, schema=ENDS))
    assert once(rows, places)["topic_offset"].to_list() == [0, 1, 2]
    assert once(rows, replayed(pl.DataFrame(schema=ENDS))).equals(rows)


@pytest.mark.row("O9", "X2")
def test_a_message_written_again_is_kept_when_it_says_something_else_or_the_first_is_gone() -> None:
    mended, alone = event("txn_1", 3, status="failed"), event("txn_2", 1)
    rows = rows_of(frame([event("txn_1", 3), mended, alone]))
    letters = [letter(n, source_topic=ANALYTICS_TRANSACTIONS) for n in (0, 7)]
    ended = [end(letters[0], LetterState.REPAIRED, 1), end(letters[1], LetterState.REPLAYED, 2)]
    assert once(rows, replayed(pl.DataFrame(ended, schema=ENDS))).sort("topic_offset").equals(rows)
    of_the_processor = end(letter(0), LetterState.REPLAYED, 1)
    assert replayed(pl.DataFrame([of_the_processor], schema=ENDS)).is_empty()


@pytest.mark.parametrize(
    "value, wanted",
    [
        (
            b'{"op":"u","before":{"transaction_id":"t","version":1},"after":{"transaction_id":"t","version":2}}',
            ("t", 2),
        ),
        (b'{"op":"d","before":{"transaction_id":"t","version":2},"after":null}', ("t", 3)),
        (b'{"op":"d","transaction_id":"t","version":3}', ("t", 3)),
        (b"{", None),
        (b"[1]", None),
        (b'{"op":"u"}', None),
        (b'{"transaction_id":"t","version":2147483647}', ("t", 2147483647)),
        (b'{"transaction_id":"t","version":2147483648}', None),
        (b'{"transaction_id":"t","version":1e30}', None),
        (b'{"transaction_id":"t","version":0}', None),
    ],
)
def test_a_dead_letter_names_the_version_it_holds(value: bytes, wanted: tuple[str, int] | None) -> None:
    assert version_of(value) == wanted
