"""Card numbers in free text: found by issuer range and check digit, and replaced before anything is written.

Belongs here: what a card number looks like, and masking of text, JSON text and columns. Does not: which columns are
free text (contracts/ say so by PII class).
"""

import json
import re
from typing import Final

import polars as pl

from payments_platform.contracts.dataset import Dataset, Pii

MASK: Final = "[PAN]"
_SEPARATOR: Final = "[ \u00a0\u2013-]"
# What a column is searched for in one pass: thirteen digits or more, each at most one separator from the next, of which
# the first begins a group and may begin a card number.
CANDIDATE: Final = rf"(?:^|\D)(?:[2-68]|[^\x00-\x7F])(?:{_SEPARATOR}?\d){{12}}"
_RUN: Final = re.compile(rf"\d(?:{_SEPARATOR}?\d){{12,}}")
_GROUP: Final = re.compile(r"\d+")
_HEX_TOKEN: Final = re.compile(r"[0-9A-Za-z]+")
_HEX: Final = re.compile(r"(?=.*[A-Fa-f])[0-9A-Fa-f]{24,}")
_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*')
_SHORTEST, _LONGEST = 13, 19

# First digits (from, to) and lengths of the card schemes' numbers, as the schemes publish them.
_RANGES: Final[tuple[tuple[str, str, frozenset[int]], ...]] = (
    ("4", "4", frozenset({13, 16, 18, 19})),
    ("51", "55", frozenset({16})),
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),
    ("37", "37", frozenset({15})),
    ("6011", "6011", frozenset(range(16, 20))),
    ("644", "649", frozenset(range(16, 20))),
    ("65", "65", frozenset(range(16, 20))),
    ("3528", "3589", frozenset(range(16, 20))),
    ("62", "62", frozenset(range(16, 20))),
    ("81", "81", frozenset(range(16, 20))),
    ("300", "305", frozenset(range(14, 20))),
    ("309", "309", frozenset(range(14, 20))),
    ("36", "36", frozenset(range(14, 20))),
    ("38", "39", frozenset(range(14, 20))),
)


def is_pan(digits: str) -> bool:
    """Whether digits are a card number: a known issuer range, its length, and a right check digit (Luhn)."""
    digits = "".join(str(int(digit)) for digit in digits)
    in_range = any(low <= digits[: len(low)] <= high and len(digits) in lengths for low, high, lengths in _RANGES)
    return in_range and _luhn(digits)


def find_pans(text: str) -> list[tuple[int, int]]:
    """Spans of the card numbers in a text, in order, not overlapping.

    A number may be written in groups with a space or dash between. It begins and ends at group boundaries, so that a
    date or an order number before it does not hide it, and digits inside a longer number are not taken for one. A
    run inside a long hexadecimal token (a hash) is left alone.
    """
    found: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        groups = [(group.start(), group.end()) for group in _GROUP.finditer(text, *run.span())]
        found += [span for span in _pans_of(text, groups) if not _in_hash(text, *span)]
    return found


def mask_text(text: str) -> str:
    """The text with each card number replaced whole: nothing of it is kept."""
    pieces, end_before = [], 0
    for start, end in find_pans(text):
        pieces += [text[end_before:start], MASK]
        end_before = end
    return "".join([*pieces, text[end_before:]])


def mask_json(text: str) -> str:
    """The same for JSON, which stays JSON: a bare number becomes a string."""

    def masked(token: re.Match[str]) -> str:
        value = token.group()
        if value.startswith('"'):
            return mask_text(value)
        return f'"{MASK}"' if find_pans(value) else value

    return _JSON_TOKEN.sub(masked, text)


def mask_pans(column: pl.Series) -> tuple[pl.Series, int]:
    """A text column with its card numbers masked, and how many values had one.

    One search by the engine finds the few values with so many digits in a row; only those are looked at one by one.
    """
    suspects = column.str.contains(CANDIDATE).fill_null(value=False).arg_true()
    if suspects.is_empty():
        return column, 0
    before = column.gather(suspects).to_list()
    after = [_masked(text) if find_pans(text) else text for text in before]
    changed = [(row, new) for row, old, new in zip(suspects, before, after, strict=True) if new != old]
    if not changed:
        return column, 0
    rows, values = zip(*changed, strict=True)
    return column.clone().scatter(list(rows), list(values)), len(changed)


def mask_frame(frame: pl.DataFrame, dataset: Dataset) -> tuple[pl.DataFrame, int]:
    """A frame with every free-text column of its contract masked, and how many values were."""
    total = 0
    for column in dataset.columns:
        if column.pii is Pii.FREE_TEXT and column.name in frame.columns:
            masked, count = mask_pans(frame[column.name])
            frame, total = frame.with_columns(masked), total + count
    return frame, total


def _pans_of(text: str, groups: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Card numbers made of whole neighbouring groups; of those that begin together, the longest."""
    found, first = [], 0
    while first < len(groups):
        digits, match = "", None
        for last in range(first, len(groups)):
            digits += text[slice(*groups[last])]
            if len(digits) > _LONGEST:
                break
            if len(digits) >= _SHORTEST and is_pan(digits):
                match = last
        if match is None:
            first += 1
        else:
            found.append((groups[first][0], groups[match][1]))
            first = match + 1
    return found


def _in_hash(text: str, start: int, end: int) -> bool:
    tokens = (token for token in _HEX_TOKEN.finditer(text) if token.start() <= start and end <= token.end())
    return any(_HEX.fullmatch(token.group()) for token in tokens)


def _masked(text: str) -> str:
    return mask_json(text) if _is_json(text) else mask_text(text)


def _is_json(text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
