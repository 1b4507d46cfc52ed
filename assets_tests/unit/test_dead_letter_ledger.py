"""The ledger of dead letters: what stands where, whatever was written twice, replayed or removed. Pure frames."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.fakes.letters import end, letter
from payments_platform.contracts.dead_letters import (
    DEAD_LETTERS,
    FAULTS,
    STATE_MEANINGS,
    Fault,
    LetterState,
)
from payments_platform.contracts.dead_letters import (
    ENDS as END_STATES,
)
from payments_platform.streaming.dead_letter_ledger import ENDS, STATE, ledger, published
from payments_platform.streaming.dead_letters import LETTERS


def states(found: list[dict[str, Any]], ended: list[dict[str, Any]] = []) -> dict[int, str]:  # noqa: B006 - read only
    """State by source offset."""
    rows = ledger(pl.DataFrame(found, schema=LETTERS), pl.DataFrame(ended, schema=ENDS))
    return dict(rows.select("source_offset", STATE).iter_rows())


@pytest.mark.row("S8")
def test_a_letter_written_twice_by_a_killed_worker_is_one_letter() -> None:
    assert states([letter(5), letter(5, letter_offset=6, attempt=2)]) == {5: "open"}


@pytest.mark.row("S8")
def test_two_consumers_that_refuse_a_message_write_two_letters() -> None:
    rows = ledger(pl.DataFrame([letter(5), letter(5, consumer="sink-lake")], schema=LETTERS), pl.DataFrame(schema=ENDS))
    assert rows[STATE].to_list() == ["open", "open"]


@pytest.mark.row("S8")
def test_a_letter_behind_an_open_one_of_its_key_is_parked_until_that_one_ends() -> None:
    """Replayed first, it would be overtaken by the older one when that is replayed."""
    both = [letter(5), letter(9), letter(7, "b")]
    assert states(both) == {5: "open", 7: "open", 9: "parked"}
    assert states(both, [end(both[0], LetterState.DISCARDED)]) == {5: "discarded", 7: "open", 9: "open"}


@pytest.mark.row("S8")
def test_letters_without_a_key_wait_for_nobody() -> None:
    assert states([letter(5, key=None), letter(9, key=None)]) == {5: "open", 9: "open"}


@pytest.mark.row("S8")
def test_a_replay_that_fails_again_is_a_second_attempt_and_keeps_its_place() -> None:
    """Its place is that of the first message: a letter between the two is newer, and waits behind it."""
    first, between = letter(5), letter(9)
    again = letter(20)
    rows = ledger(
        pl.DataFrame([first, between, again], schema=LETTERS),
        pl.DataFrame([end(first, LetterState.REPLAYED, new_offset=20)], schema=ENDS),
    )
    shown = {
        row["source_offset"]: (row[STATE], row["attempts"], row["root_offset"]) for row in rows.iter_rows(named=True)
    }
    assert shown == {5: ("replayed", 1, 5), 9: ("parked", 1, 9), 20: ("open", 2, 5)}


@pytest.mark.row("S8")
def test_a_letter_that_its_topic_has_removed_is_known_by_its_end() -> None:
    rows = ledger(pl.DataFrame(schema=LETTERS), pl.DataFrame([end(letter(5), LetterState.EXPIRED)], schema=ENDS))
    found = published(rows)
    assert found.select("source_offset", "fault", STATE, "attempts", "owner").rows() == [
        (5, "type", "expired", 1, "payments-data")
    ]
    assert found.schema == DEAD_LETTERS.schema


@pytest.mark.row("S8")
@given(
    keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    ended=st.sets(st.integers(0, 11)),
    again=st.lists(st.integers(0, 11), max_size=6),
    data=st.data(),
)
def test_each_letter_stands_in_one_place_in_whatever_order_it_is_read(
    keys: list[str], ended: set[int], again: list[int], data: st.DataObject
) -> None:
    found = [letter(n, key) for n, key in enumerate(keys)]
    found += [letter(n, keys[n], letter_offset=100 + n) for n in again if n < len(keys)]
    ends_of = [end(letter(n, keys[n]), LetterState.DISCARDED) for n in ended if n < len(keys)]
    seen = states(data.draw(st.permutations(found)), ends_of)
    assert set(seen) == set(range(len(keys)))
    for key in set(keys):
        still = [n for n, k in enumerate(keys) if k == key and n not in ended]
        assert [seen[n] for n in still] == ["open" if n == still[0] else "parked" for n in still]
    assert all(seen[n] == "discarded" for n in ended if n < len(keys))


def test_every_fault_and_state_says_what_it_means() -> None:
    assert set(FAULTS) == set(Fault)
    assert set(STATE_MEANINGS) == set(LetterState)
    assert len(END_STATES) == len(LetterState) - 2
