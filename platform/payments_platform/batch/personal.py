"""Personal data in free text: e-mail addresses, telephone numbers and bank accounts, found and counted, never shown.

Belongs here: what such data look like, and which rows of a day hold some. Does not: card numbers, which are masked
before anything is written (masking.py). Names are not looked for: no pattern tells one from any other word.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import polars as pl

from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.dataset import Dataset, Pii
from payments_platform.contracts.pandera_schema import row_ids
from payments_platform.contracts.rules import TEXT_EMAIL, TEXT_IBAN, TEXT_PAN, TEXT_PHONE
from payments_platform.lake.manifest import Manifest

# What a column is searched for in one pass; what it finds is looked at one by one.
CANDIDATE: Final = r"@|\+[1-9]|[A-Za-z]{2}[0-9]{2} ?[A-Za-z0-9]{4}"
_EMAIL: Final = re.compile(
    r"(?<![\w.%+/:@-])[A-Za-z0-9][\w.%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,24})\b(?![:@/\\-])"
)
# Files whose names hold an @ ("logo@2x.png"); none of them is a top-level domain that people have addresses in.
_FILE_ENDINGS: Final = frozenset(
    "png jpg jpeg gif svg webp pdf css js ts map json xml html htm csv txt zip gz jar mp4 mp3 ico woff ttf".split()
)
# Country codes that the ITU assigned (E.164), two or three digits; North America has numbers of exactly ten digits,
# neither whose area nor whose exchange begins with 0 or 1.
_CALLING_CODES: Final = "|".join(
    (
        *(r"7", r"2[07]", r"3[0-469]", r"4[0134-9]", r"5[1-8]", r"6[0-6]", r"8[1246]", r"9[0-58]"),
        *(r"2[1-69]\d", r"3[578]\d", r"42\d", r"50\d", r"59\d", r"6[789]\d", r"8[058]\d", r"9[67]\d", r"99[2-68]"),
    )
)
_GAP: Final = r"[ .()\u00a0-]{0,2}"
_PHONE: Final = re.compile(
    rf"(?<![\w+.)-])\+(?:1{_GAP}[2-9]\d\d{_GAP}[2-9]\d\d{_GAP}\d{{4}}|(?:{_CALLING_CODES})(?:{_GAP}\d){{7,12}})(?![\w+]|[.,-]\d)"
)
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
# Length of an account number by country, as the IBAN registry (ISO 13616) lists them.
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FO FI GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


def holds_email(text: str) -> bool:
    """Whether a text holds an e-mail address (RFC 5321, the form that people write)."""
    return any(found[1].lower() not in _FILE_ENDINGS for found in _EMAIL.finditer(text))


def holds_phone(text: str) -> bool:
    """Whether a text holds a telephone number in international form; any other is a number like an order's."""
    return any(8 <= sum(map(str.isdigit, found[0])) <= 15 for found in _PHONE.finditer(text))


def holds_iban(text: str) -> bool:
    """Whether a text holds an account number: country, length and check digits (ISO 7064, mod 97-10) agree."""
    return any(_is_iban(candidate) for found in _IBAN.finditer(text) for candidate in _words_from(found[0]))


PATTERNS: Final[dict[str, Callable[[str], bool]]] = {
    TEXT_EMAIL.id: holds_email,
    TEXT_PHONE.id: holds_phone,
    TEXT_IBAN.id: holds_iban,
}


def personal_rows(frame: pl.DataFrame, of: Dataset) -> dict[str, list[int]]:
    """By rule, the places of the rows whose free text holds such data; only rules that found some."""
    found: dict[str, set[int]] = {}
    for name in text_columns(of):
        places = frame[name].str.contains(CANDIDATE).fill_null(value=False).arg_true()
        for row, text in zip(places, frame[name].gather(places), strict=True):
            for rule, holds in PATTERNS.items():
                if holds(text):
                    found.setdefault(rule, set()).add(row)
    return {rule: sorted(found[rule]) for rule in PATTERNS if rule in found}


def suspects(rows: pl.LazyFrame, of: Dataset) -> pl.DataFrame:
    """The few rows of a day that may hold such data, with their key: what a finding is told from."""
    may_hold = pl.any_horizontal(*(pl.col(name).str.contains(CANDIDATE) for name in text_columns(of)))
    columns = [*of.primary_key, *text_columns(of)]
    return rows.filter(may_hold).select(columns).collect(engine="streaming")


def text_columns(of: Dataset) -> list[str]:
    """The free-text columns of a contract."""
    return [column.name for column in of.columns if column.pii is Pii.FREE_TEXT]


def text_counts(manifest: Manifest) -> dict[str, int]:
    """What the scan of a raw day counted, by rule; {} for a dataset without free text."""
    if not text_columns(dataset(manifest.dataset)):
        return {}
    masked = {TEXT_PAN.id: manifest.counts.get("masked_values", 0)}
    return masked | {rule: manifest.counts.get(f"rule:{rule}", 0) for rule in PATTERNS}


def text_findings(counts: Mapping[str, int], rows: pl.DataFrame, of: Dataset) -> list[str]:
    """Rule, count and ids of a few rows of what a day's texts hold; never a value."""
    places = personal_rows(rows, of)
    ids = {rule: row_ids(of, rows[places[rule]]) for rule in places}
    return [
        f"{rule}: {count}" + (f" (e.g. {', '.join(ids[rule])})" if rule in ids else "")
        for rule, count in counts.items()
        if count
    ]


def _words_from(text: str) -> Iterator[str]:
    """The text without its gaps, and again with each word at the end left out: what follows may be another word."""
    words = text.split(" ")
    for end in range(len(words), 0, -1):
        yield "".join(words[:end]).upper()


def _is_iban(account: str) -> bool:
    if _IBAN_LENGTHS.get(account[:2]) != len(account):
        return False
    digits = "".join(str(int(sign, 36)) for sign in account[4:] + account[:4])
    return int(digits) % 97 == 1
