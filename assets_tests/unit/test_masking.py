"""No card number reaches the lake; numbers that are none stay as they are."""

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_platform.batch.masking import MASK, find_pans, mask_frame, mask_json, mask_pans, mask_text
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.sample import sample

# The schemes' published test numbers.
CARDS = [
    "4111111111111111",
    "4222222222222",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "6011111111111117",
    "3530111333300000",
    "6200000000000005",
    "30569309025904",
    "36227206271667",
]
# Sixteen digits and no card: a wrong check digit, no issuer range, a longer number, a hash.
GOODS = [
    "4111111111111112",
    "9999999999999995",
    "1234567890123456",
    "41111111111111110000000",
    "order 2025-01-01 0001",
    "a3f4111111111111111bc0ffee0a1b2c3d4e5f60",
    "+33 6 12 34 56 78",
]


@pytest.mark.row("B3", "O6", "G1")
@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "written",
    ["{}", "paid with {} today", "card{}x", "order 12 {}", "2025-01-01 {}", "{}, {}", "n\u00b0\u00a0{}"],
)
def test_a_card_number_is_masked_whole_however_it_is_written(card: str, written: str) -> None:
    for separator in ("", " ", "-", "\u00a0"):
        spelled = separator.join(card[at : at + 4] for at in range(0, len(card), 4))
        masked = mask_text(written.replace("{}", spelled))
        assert masked == written.replace("{}", MASK)


@pytest.mark.row("B3")
@pytest.mark.parametrize("text", GOODS)
def test_a_number_that_is_no_card_stays(text: str) -> None:
    assert mask_text(text) == text


def test_digits_of_other_scripts_are_digits() -> None:
    assert mask_text("".join(chr(0x0660 + int(digit)) for digit in CARDS[0])) == MASK


@pytest.mark.row("G1")
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.sampled_from([*CARDS, *map(int, CARDS), f"pan {CARDS[0]}"])
        | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.sampled_from(CARDS), inner)
        ),
        max_leaves=8,
    )
)
def test_masked_json_is_json_without_a_card_number(value: object) -> None:
    masked = mask_json(json.dumps(value, ensure_ascii=False))
    json.loads(masked)
    assert find_pans(masked) == []


def test_a_bare_number_in_json_becomes_a_string() -> None:
    assert json.loads(mask_json('{"card": 4111111111111111, "n": 12.50}')) == {"card": MASK, "n": 12.5}


@given(st.lists(st.text(max_size=30) | st.sampled_from([*CARDS, *GOODS]) | st.none(), max_size=8))
def test_a_column_is_masked_as_its_values_are(values: list[str | None]) -> None:
    masked, count = mask_pans(pl.Series("description", values, dtype=pl.String))
    expected = [value if value is None or value[:1] in "{[" else mask_text(value) for value in values]
    if not any(value and value[0] in "{[" for value in values):
        assert masked.to_list() == expected
    assert count == sum(new != old for new, old in zip(masked.to_list(), values, strict=True))


def test_only_free_text_of_the_contract_is_searched() -> None:
    rows = sample(RAW_TRANSACTIONS, 3).with_columns(
        description=pl.Series([f"card {CARDS[0]}", "fine", None]),
        metadata=pl.Series([f'{{"card": {CARDS[4]}}}', "{}", None]),
        payment_method_id=pl.lit(CARDS[0]),
    )
    masked, count = mask_frame(rows, RAW_TRANSACTIONS)
    assert count == 2
    assert masked["description"].to_list() == [f"card {MASK}", "fine", None]
    assert masked["metadata"].to_list() == [f'{{"card": "{MASK}"}}', "{}", None]
    assert masked["payment_method_id"].to_list() == [CARDS[0]] * 3
    assert rows["description"].to_list()[0] == f"card {CARDS[0]}"
