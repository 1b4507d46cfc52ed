"""Personal data in free text is found and counted; two hundred things that look like it are let be.

Belongs here: what counts as an address, a telephone number, an account. Does not: card numbers (test_masking).
"""

from pathlib import Path

import polars as pl
import pytest

from assets_tests.assets.conftest import checks_of, materialize
from assets_tests.fakes.source import FakeSource
from assets_tests.fakes.storage import MemoryStorage
from payments_platform.batch.masking import mask_text
from payments_platform.batch.personal import PATTERNS, personal_rows
from payments_platform.batch.quality import quality_report
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.sample import sample
from payments_platform.defs.raw.tables import raw_checks, raw_tables
from payments_platform.lake.partitions import Lake

EMAILS = [
    "ann@example.com",
    "write to ann.smith+shop@mail.example.co.uk please",
    "<ann_smith@example.org>",
    "mailto=ann@example.com",
    "Ann (ann@sub.domain.example.museum)",
    '{"contact":"ann@example.com"}',
    "ANN@EXAMPLE.COM",
    "a@b.fr, c",
    "Ann: ann-smith@example.io.",
    "é ann@example.com",
]
# Numbers that the regulators of these countries keep free for drama, and others in their form.
PHONES = [
    "+33 1 99 00 12 34",
    "call +44 20 7946 0958 today",
    "+1 (202) 555-0143",
    "+12025550143",
    "tel:+491522 1234567",
    '{"phone": "+61 2 5550 1234"}',
    "+353 20 912 3456",
    "+81-3-5555-0123",
    "+65 6123 4567",
    "+965 2222 3333",
]
# The examples of the IBAN registry.
IBANS = [
    "DE89370400440532013000",
    "FR14 2004 1010 0505 0001 3M02 606",
    "GB29 NWBK 6016 1331 9268 19",
    "transfer from NL91ABNA0417164300 ok",
    "BE68 5390 0754 7034 for rent",
    "es9121000418450200051332",
    '{"iban":"CH9300762011623852957"}',
    "KW81CBKU0000000000001234560101",
    "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    "NO93 8601 1117 947",
]
# Two hundred things that look like one and are none: order numbers, also with a card's check digit, identifiers,
# hashes, dates, prices, sums, tracking codes, addresses of machines, account numbers with a wrong digit, other scripts.
NEGATIVES = (Path(__file__).parent / "look_alikes.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.row("B3")
@pytest.mark.parametrize("rule, texts", [("W-text-email", EMAILS), ("W-text-phone", PHONES), ("W-text-iban", IBANS)])
def test_personal_data_is_found_under_its_rule(rule: str, texts: list[str]) -> None:
    for text in texts:
        assert [name for name, holds in PATTERNS.items() if holds(text)] == [rule], text


@pytest.mark.row("B3")
def test_two_hundred_look_alikes_are_let_be() -> None:
    """A scan that cries at order numbers is switched off, and with it what it would have found."""
    assert len(set(NEGATIVES)) >= 200
    found = {text: name for text in NEGATIVES for name, holds in PATTERNS.items() if holds(text)}
    assert found == {}
    assert [text for text in NEGATIVES if mask_text(text) != text] == []


def test_a_frame_is_searched_as_its_texts_are() -> None:
    """The search of the whole column must not be narrower than what is looked for."""
    texts = [*EMAILS, *PHONES, *IBANS, *NEGATIVES, None]
    rows = sample(RAW_TRANSACTIONS, len(texts)).with_columns(
        description=pl.Series(texts), metadata=pl.lit(None, pl.String)
    )
    expected = {
        rule: [row for row, text in enumerate(texts) if text is not None and holds(text)]
        for rule, holds in PATTERNS.items()
    }
    assert personal_rows(rows, RAW_TRANSACTIONS) == expected


@pytest.mark.row("B3", "G1")
def test_a_finding_is_counted_with_row_ids_and_without_its_value() -> None:
    """The report outlives the row that it is about."""
    rows = sample(RAW_TRANSACTIONS, 4).with_columns(
        description=pl.Series(["ann@example.com", "card 4111 1111 1111 1111", None, "+33 1 99 00 12 34"]),
        metadata=pl.Series(['{"mail":"ann@example.com"}', None, '{"mail":"bob@example.com"}', None]),
    )
    lake = Lake(MemoryStorage())
    result = materialize([*raw_tables, *raw_checks], lake, source=FakeSource({RAW_TRANSACTIONS.name: rows}))
    assert result.success
    check = checks_of(result)["raw/transactions:text_is_impersonal"]
    told = str(check.metadata["findings"].value)
    assert not check.passed
    assert "W-text-pan: 1" in told
    assert "W-text-email: 2 (e.g. txn_sample_0/1, txn_sample_2/1)" in told
    assert "W-text-phone: 1 (e.g. txn_sample_3/1)" in told
    manifest = lake.manifest(RAW_TRANSACTIONS, SAMPLE_DAY)
    assert manifest is not None
    quality = quality_report([manifest], SAMPLE_DAY)
    counted = quality.filter(pl.col("rule_id").str.starts_with("W-text")).select("rule_id", "row_count", "severity")
    assert ("W-text-email", 2, "warn") in counted.rows()
    for text in (told, quality.write_csv()):
        assert "example.com" not in text
        assert "99 00" not in text
